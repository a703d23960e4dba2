// What an I/O thread may be asked for.
import { backend } from '../backend/load.js';
import * as errors from '../base/errors.js';
import type { ScheduleOptions } from './schedule.js';

export interface IoThreadOptions extends ScheduleOptions {
  /** Memory of the receive ring: a quarter for descriptors of 64 bytes, the rest for payload. */
  ringBytes: number;
  /** Microseconds that the thread looks for datagrams without sleeping. */
  busyPoll: number;
  /** How the thread waits for fuller batches: native/core/sharing/moderation.h. */
  rxUsecs: number;
  rxFrames: number;
  adaptiveRx: boolean;
  /** One of several that receive from a port: it does so itself, also where the event loop could. */
  sharded?: boolean;
  /** The processors that it is to run on, of those that it may. */
  likedCpus?: readonly number[];
}

export const defaultThreadOptions: IoThreadOptions = {
  ringBytes: 16 * 1024 * 1024,
  busyPoll: 0,
  rxUsecs: 200,
  rxFrames: 64,
  adaptiveRx: true,
};

// The bounds of what a program may ask for.
export const RING_BYTES_MIN = 256 * 1024;
export const RING_BYTES_MAX = 1024 * 1024 * 1024;
export const BUSY_POLL_US_MAX = 1_000_000;
export const RX_USECS_MAX = 10_000;
export const RX_FRAMES_MAX = 1024;

/** @throws ERR_KSOCKET_NEEDS_ADDON where no thread of ours looks for datagrams */
export function checkBusyPollIsPossible(busyPoll: number | undefined): void {
  if (busyPoll && backend === 'dgram') throw errors.needsAddon('options.busyPoll');
}
