// What the monitor's two threads say to each other.
import type { CollectorFigures } from './collector-metrics.js';
import type { HeartbeatCells } from './heartbeat.js';
import type { ServerSource } from './observed-server.js';

/** What the worker is started with. */
export interface MonitorWorkerData {
  host: string;
  port: number;
  maxLagMs: number;
  version: string;
  heartbeat: HeartbeatCells;
  servers: ServerSource[];
}

/** To the worker: a server has started or stopped, or a collector's figures are others. */
export type ToWorker = { index: number } & ({ source: ServerSource } | { figures: CollectorFigures });

/** From the worker: where it listens, or what failed. */
export type FromWorker =
  | { listening: { address: string; family: string; port: number } }
  /** With the properties that Node has given it: `code`, `syscall`, `address`, `port`, … */
  | { error: { message: string; [property: string]: unknown } };
