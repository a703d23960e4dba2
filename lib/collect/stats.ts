// What a collector counts.
import type { Stats } from '../thread/counters.js';
import type { Packer } from './packer.js';
import type { Window } from './window.js';

/**
 * What a collector has counted since its latest start. At any time `receivedDatagrams` is the sum of `acknowledgedDatagrams`,
 * `openDatagrams`, `inFlightDatagrams`, `refusedDatagrams`, `unsortedDatagrams` and `abandonedDatagrams`; and what has reached the
 * machine and was not received is in `socket`: `rxKernelDrops`, `rxRingDrops`, `rxBlocked`, `rxCloseDrops`.
 */
export interface CollectorStats {
  /** Datagrams that were taken from the socket, and their payload's bytes. */
  receivedDatagrams: number;
  /** Of their payloads. */
  receivedBytes: number;
  /** Those that are durable, as the sink says. */
  acknowledgedDatagrams: number;
  /** The batches that they are in. */
  acknowledgedBatches: number;
  /** Of these batches, before they are compressed. */
  acknowledgedBytes: number;
  /** Those in batches to which more are added. */
  openDatagrams: number;
  /** Batches that are closed and not durable yet: the window. */
  inFlightBatches: number;
  /** The datagrams in them. */
  inFlightDatagrams: number;
  /** Their bytes. */
  inFlightBytes: number;
  /** Attempts to write a batch that have failed and are made again. */
  retries: number;
  /** Batches that the sink had already when they came again. */
  duplicates: number;
  /** Datagrams in batches that the sink refuses for good. */
  refusedDatagrams: number;
  /** Datagrams for which `subject` has said no valid one. */
  unsortedDatagrams: number;
  /** Datagrams that stop() has given up. */
  abandonedDatagrams: number;
  /** How often the window was full. */
  pauses: number;
  /** For how many milliseconds in all. */
  pausedMs: number;
  /** 1 while nothing is written because the latest attempt has failed; else 0. */
  failing: number;
  /** What the socket has counted: docs/troubleshooting.md. */
  socket: Stats;
  /** What the sink has counted. */
  sink: Record<string, number>;
}

export interface Pauses {
  count: number;
  ms: number;
  abandoned: number;
  unsorted: number;
}

export function statsOf(
  packer: Packer | undefined,
  window: Window | undefined,
  { count, ms, abandoned, unsorted }: Pauses,
  socket: Stats,
  sink: Record<string, number>,
): CollectorStats {
  return {
    receivedDatagrams: packer?.taken ?? 0,
    receivedBytes: packer?.takenBytes ?? 0,
    acknowledgedDatagrams: window?.writtenDatagrams ?? 0,
    acknowledgedBatches: window?.written ?? 0,
    acknowledgedBytes: window?.writtenBytes ?? 0,
    openDatagrams: packer?.waiting ?? 0,
    inFlightBatches: window?.batches ?? 0,
    inFlightDatagrams: window?.datagrams ?? 0,
    inFlightBytes: window?.bytes ?? 0,
    retries: window?.retries ?? 0,
    duplicates: window?.duplicates ?? 0,
    refusedDatagrams: window?.refusedDatagrams ?? 0,
    unsortedDatagrams: unsorted,
    abandonedDatagrams: abandoned,
    pauses: count,
    pausedMs: ms,
    failing: window?.troubled ? 1 : 0,
    socket,
    sink,
  };
}
