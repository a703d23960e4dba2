// What a service tells its manager: sd_notify(3).
import { backend } from '../backend/load.js';
import * as errors from '../base/errors.js';
import { refuseUnknown } from '../base/known-keys.js';
import { nowNs } from '../base/runtime.js';
import { validateBoolean, validateInteger, validateObject, validateString } from '../base/validate.js';
import { variable } from './environment.js';
import { sendTo } from './notify-socket.js';

/** What {@link sdNotify} says; of each name sd_notify(3) has the meaning. What is `false` or not given is not said. */
export interface SystemdState {
  /** `READY=1`: the service has started, or has ended its reload. */
  ready?: boolean;
  /** `RELOADING=1`, with `MONOTONIC_USEC`: the service loads its configuration again; `ready` ends it. Not together with it. */
  reloading?: boolean;
  /** `STOPPING=1`: the service ends. */
  stopping?: boolean;
  /** `STATUS=`: one line for `systemctl status`. */
  status?: string;
  /** `ERRNO=`: why the service has failed, a positive errno(3). */
  errno?: number;
  /** `MAINPID=`: which process is the service, 1 to 2^31 - 1. */
  mainPid?: number;
  /** `WATCHDOG=1`: it is alive; `'trigger'`: it is not, and the manager shall do what it does then. See {@link sdWatchdog}. */
  watchdog?: boolean | 'trigger';
  /** `EXTEND_TIMEOUT_USEC=`: so many milliseconds more, from now on, until the next such message; 1 to 2^53 / 1000. */
  extendTimeoutMs?: number;
}

const PID_MAX = 2 ** 31 - 1;
const ERRNO_MAX = 4095;
const EXTEND_MS_MAX = Math.floor(Number.MAX_SAFE_INTEGER / 1000);
const KEYS = ['ready', 'reloading', 'stopping', 'status', 'errno', 'mainPid', 'watchdog', 'extendTimeoutMs'] as const;

/**
 * Tells the service manager what state this service is in. Messages arrive in the order of the calls.
 *
 * @returns resolves when it is sent: `true`; `false` where nobody wants to know (`NOTIFY_SOCKET` is not set). Rejects with the
 * socket's error (ENOENT, ECONNREFUSED, EACCES, … with `address`), ETIMEDOUT where the manager has not read for ten seconds,
 * ERR_KSOCKET_SYSTEMD where NOTIFY_SOCKET is neither a path nor an abstract name, ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE,
 * ERR_OUT_OF_RANGE for what is to be said, and ERR_KSOCKET_NEEDS_ADDON without the addon
 */
export async function sdNotify(state: SystemdState): Promise<boolean> {
  const text = messageOf(state);
  const path = notifyPath();
  if (path === undefined) return false;
  await sendTo(path, text);
  return true;
}

/** Where the manager listens, as local sockets call it; undefined: nowhere.
 * @throws ERR_KSOCKET_SYSTEMD, ERR_KSOCKET_NEEDS_ADDON */
export function notifyPath(): string | undefined {
  const name = variable('NOTIFY_SOCKET');
  if (name === undefined || name === '') return undefined;
  if (!/^[/@]./.test(name)) {
    throw errors.badEnvironment('NOTIFY_SOCKET', name, "must be a path from / on, or '@' and an abstract name");
  }
  if (backend === 'dgram') throw errors.needsAddon('sdNotify()');
  return name.startsWith('@') ? `\0${name.slice(1)}` : name;
}

/** A line for each thing that is said. */
function messageOf(state: SystemdState): string {
  validateObject(state, 'state');
  refuseUnknown(state, 'state', KEYS);
  const { status, errno, mainPid, watchdog, extendTimeoutMs } = state;
  const lines = wordsOf(state);
  if (status !== undefined) lines.push(`STATUS=${oneLine(status)}`);
  if (errno !== undefined) lines.push(`ERRNO=${number(errno, 'state.errno', 1, ERRNO_MAX)}`);
  if (mainPid !== undefined) lines.push(`MAINPID=${number(mainPid, 'state.mainPid', 1, PID_MAX)}`);
  if (watchdog === 'trigger') lines.push('WATCHDOG=trigger');
  else if (watchdog !== undefined && isOn(watchdog, 'state.watchdog')) lines.push('WATCHDOG=1');
  if (extendTimeoutMs !== undefined) {
    lines.push(`EXTEND_TIMEOUT_USEC=${number(extendTimeoutMs, 'state.extendTimeoutMs', 1, EXTEND_MS_MAX) * 1000}`);
  }
  if (lines.length === 0) throw errors.invalidArgValue('state', state, 'says nothing');
  return lines.join('\n');
}

function wordsOf({ ready = false, reloading = false, stopping = false }: SystemdState): string[] {
  const lines: string[] = [];
  if (isOn(ready, 'state.ready')) lines.push('READY=1');
  if (isOn(reloading, 'state.reloading')) {
    if (ready) throw errors.invalidArgValue('state.reloading', reloading, 'cannot be given together with ready');
    lines.push('RELOADING=1', `MONOTONIC_USEC=${nowNs() / 1000n}`); // CLOCK_MONOTONIC, as the manager's
  }
  if (isOn(stopping, 'state.stopping')) lines.push('STOPPING=1');
  return lines;
}

function isOn(value: unknown, name: string): boolean {
  validateBoolean(value, name);
  return value;
}

function number(value: unknown, name: string, min: number, max: number): number {
  validateInteger(value, name, min, max);
  return value;
}

/** What stands behind the end of a line would be another message. */
function oneLine(status: unknown): string {
  validateString(status, 'state.status');
  if (/[\n\0]/.test(status)) throw errors.invalidArgValue('state.status', status, 'must be one line');
  return status;
}
