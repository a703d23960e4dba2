// Where and when the kernel runs an I/O thread: the options, and how they are had. Its other half:
// native/core/thread/schedule.h.
import type { NativeIoThread } from '../backend/contract.js';
import { backend } from '../backend/load.js';
import { PRIORITY_MAX, SCHEDULE_NEEDS } from '../backend/settings.js';
import { EINVAL } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { validateInteger } from '../base/validate.js';

/** What a thread of one's own may be asked for, whoever has it. */
export interface ScheduleOptions {
  /** The processors (by their numbers, as in /proc/cpuinfo) that the thread may run on: sched_setaffinity(2). Those that the
   * machine has not, or the process may not use, do not count. The thread then receives by itself, also where the event
   * loop could. Without the addon it throws ERR_KSOCKET_NEEDS_ADDON. */
  cpus?: readonly number[];
  /** 1 to 99: the thread goes before all that has a lower one, and before all ordinary threads: SCHED_FIFO of sched(7).
   * Needs CAP_SYS_NICE, or RLIMIT_RTPRIO (`ulimit -r`): `features().priorityMax` says how much may be had. The thread then
   * receives by itself, also where the event loop could. Without the addon it throws ERR_KSOCKET_NEEDS_ADDON. */
  priority?: number;
}

const CPU_MAX = 8191; // NR_CPUS of the kernel, at most

function checkCpus(given: readonly number[]): readonly number[] {
  if (!Array.isArray(given)) throw errors.invalidArgType('options.cpus', 'an instance of Array', given);
  const cpus = Array.from(given); // holes are undefined
  if (cpus.length === 0) throw errors.invalidArgValue('options.cpus', given, 'must name a processor');
  for (const [i, cpu] of cpus.entries()) validateInteger(cpu, `options.cpus[${i}]`, 0, CPU_MAX);
  if (backend === 'dgram') throw errors.needsAddon('options.cpus');
  return cpus;
}

/** Only what is asked for is there. */
export function checkSchedule({ cpus, priority }: ScheduleOptions): ScheduleOptions {
  const checked: ScheduleOptions = {};
  if (cpus !== undefined) checked.cpus = checkCpus(cpus);
  if (priority !== undefined) {
    validateInteger(priority, 'options.priority', 1, PRIORITY_MAX);
    if (backend === 'dgram') throw errors.needsAddon('options.priority');
    checked.priority = priority;
  }
  return checked;
}

/** Is it this thread that the program wants to receive? An event loop would not be where, nor when, it says. */
export function isScheduled({ cpus, priority }: ScheduleOptions): boolean {
  return cpus !== undefined || priority !== undefined;
}

/** Of a thread that runs. Undefined, or why it is refused. */
export function schedule(native: NativeIoThread, { cpus, priority }: ScheduleOptions): Error | undefined {
  let errno = cpus === undefined ? 0 : native.setCpus(cpus);
  if (errno !== 0) {
    const none = 'has no processor that this process may use';
    const reason = errno === EINVAL ? none : errors.refusalReason(errno, SCHEDULE_NEEDS.cpus);
    return errors.optionRefused(errno, 'sched_setaffinity', `options.cpus [${cpus}]`, reason);
  }
  errno = priority === undefined ? 0 : native.setPriority(priority);
  if (errno === 0) return undefined;
  const reason = errors.refusalReason(errno, SCHEDULE_NEEDS.priority);
  return errors.optionRefused(errno, 'sched_setscheduler', `options.priority ${priority}`, reason);
}
