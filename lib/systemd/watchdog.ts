// What shows a service manager that a service lives: sd_watchdog_enabled(3), WatchdogSec= of systemd.service(5).
import { refuseUnknown } from '../base/known-keys.js';
import { clearInterval, setInterval, warn } from '../base/runtime.js';
import { validateFunction, validateObject } from '../base/validate.js';
import { isForThisProcess, variable, wholeNumber } from './environment.js';
import { notifyPath, sdNotify } from './notify.js';

/** What {@link sdWatchdog} takes. */
export interface SystemdWatchdogOptions {
  /** Is the service well? Asked before each ping; while it says `false` there is none. By default it is while the event loop
   * turns. */
  check?: () => boolean;
  /** A ping could not be sent. By default it is a warning of the process's. */
  onError?: (error: Error) => void;
}

/** Pings until it is stopped. */
export interface SystemdWatchdog {
  /** Milliseconds between two pings: half of what the manager waits. */
  readonly intervalMs: number;
  /** No ping comes after this: the manager ends the service, unless that ends by itself. */
  stop(): void;
}

/** What setInterval() takes. */
const INTERVAL_MS_MAX = 2 ** 31 - 1;
const USEC_MAX = 2 ** 64;

/**
 * Tells the service manager at half of its interval that this service is alive, first at once: from a timer, so only while the
 * event loop turns. It keeps no program running. One at a time is enough.
 *
 * @returns `undefined` where the manager does not watch this process (`WATCHDOG_USEC`, `WATCHDOG_PID`, `NOTIFY_SOCKET`)
 * @throws ERR_KSOCKET_SYSTEMD where one of these is malformed; ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE;
 * ERR_KSOCKET_NEEDS_ADDON where it is watched, and there is no addon
 */
export function sdWatchdog(options: SystemdWatchdogOptions = {}): SystemdWatchdog | undefined {
  validateObject(options, 'options');
  refuseUnknown(options, 'options', ['check', 'onError']);
  const { check = () => true, onError = warn } = options;
  validateFunction(check, 'options.check');
  validateFunction(onError, 'options.onError');
  const usec = wholeNumber('WATCHDOG_USEC', 1, USEC_MAX);
  if (usec === undefined) return undefined;
  if (variable('WATCHDOG_PID') !== undefined && !isForThisProcess('WATCHDOG_PID')) return undefined;
  if (notifyPath() === undefined) return undefined;

  const intervalMs = Math.min(Math.max(Math.floor(usec / 2000), 1), INTERVAL_MS_MAX);
  let sending = false; // a manager that does not read is not told twice
  const sent = () => {
    sending = false;
  };
  const ping = () => {
    if (sending || !check()) return;
    sending = true;
    sdNotify({ watchdog: true }).catch(onError).finally(sent);
  };
  ping();
  const timer = setInterval(ping, intervalMs);
  timer.unref();
  return { intervalMs, stop: () => clearInterval(timer) };
}
