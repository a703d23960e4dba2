/**
 * Services of systemd(1), and of whoever speaks its protocol: sockets that it has opened, what a service tells it, and its
 * watchdog.
 *
 * @module ksocket/systemd
 */
export { type SystemdState, sdNotify } from './notify.js';
export { type SystemdSocket, type SystemdSocketsOptions, type SystemdSocketType, systemdSockets } from './sockets.js';
export { type SystemdWatchdog, type SystemdWatchdogOptions, sdWatchdog } from './watchdog.js';
