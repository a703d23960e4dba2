// What a service manager tells a process by its environment: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3).
import * as errors from '../base/errors.js';
import { environment, pid } from '../base/runtime.js';

/** What says which sockets there are. */
export const SOCKET_VARIABLES = ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES'] as const;

type Variable = (typeof SOCKET_VARIABLES)[number] | 'WATCHDOG_USEC' | 'WATCHDOG_PID' | 'NOTIFY_SOCKET';

const PID_MAX = 2 ** 31 - 1;
const DIGITS_MAX = 20; // of 64 bits

export function variable(name: Variable): string | undefined {
  return environment()[name];
}

/** @throws ERR_KSOCKET_SYSTEMD */
export function wholeNumber(name: Variable, min: number, max: number): number | undefined {
  const text = variable(name);
  if (text === undefined) return undefined;
  const number = /^\d+$/.test(text) && text.length <= DIGITS_MAX ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw errors.badEnvironment(name, text, `must be a whole number from ${min} to ${max}`);
}

/** Which process it is said to: a child has its parent's environment.
 * @throws ERR_KSOCKET_SYSTEMD */
export function isForThisProcess(name: 'LISTEN_PID' | 'WATCHDOG_PID'): boolean {
  return wholeNumber(name, 1, PID_MAX) === pid;
}

export function unset(names: readonly Variable[]): void {
  for (const name of names) delete environment()[name];
}
