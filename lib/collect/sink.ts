// What a collector hands its batches to: jetstream(), pcapng(), lines(), or a program's own.
import type { CollectedFlow, PackedBatch } from './types.js';

/**
 * What batches are sorted by: tokens with a `.` between them, 255 bytes at most, without spaces, wildcards and control characters; the
 * first does not begin with `$`, and is not `_INBOX`. A template: `{source}` and `{local}` are addresses as one token (each `.` is a `_`),
 * `{port}` and `{localPort}` are ports, `{hash:N}` is a number from 0 to N - 1 that depends on the source's address alone, `{flow:N}` one
 * that depends on its port, too; N is at most 1024. Or a function, which is asked once for each flow and again when it has been forgotten:
 * it has to say the same each time.
 */
export type Subject = string | ((flow: CollectedFlow) => string);

/** How a sink is opened. */
export interface SinkOpening {
  /** Aborted when the collector is stopped meanwhile. */
  signal: AbortSignal;
  /** A batch has so many bytes at most. */
  batchBytes: number;
  /** When so many batches are not written yet, nothing more is received; more of them may be under way, if they are small. */
  inFlight: number;
}

/** What write() may say of a batch that is durable now. */
export interface WriteResult {
  /** It was there already: the first attempt had come through. */
  duplicate?: boolean;
}

/**
 * Where batches go. Batches of one key are written one at a time, in order; those of different keys at the same time:
 * `inFlight`, and more if they are small.
 */
export interface Sink {
  /** What it is and where, for messages: `jetstream LOGS at nats://192.0.2.1:4222`. */
  readonly name: string;
  /** What batches are sorted by; undefined: all of them are one sequence. */
  readonly subject?: Subject | undefined;
  /** Into how many sequences of its own each subject is divided, by the source: so many batches of it are written at the same
   * time, and one source stays in order. 1 to 64; 1 by default. */
  readonly lanes?: number;
  /** Resolves when it can take batches. Rejects with what is wrong; then nothing is open. */
  open(opening: SinkOpening): Promise<void>;
  /** Resolves when the batch is durable. Rejects with a {@link SinkError}, or with anything else, which is tried again: with the
   * same batch, that has the same `id`. Its memory is the sink's until then, and not any longer.
   * `signal` is aborted when the collector gives the batch up. */
  write(batch: PackedBatch, signal: AbortSignal): Promise<WriteResult | undefined>;
  /** Resolves when nothing is open any more. Once, behind the last write(). */
  close(): Promise<void>;
  /** Counters of its own; they appear in `collector.stats().sink`. */
  stats?(): Record<string, number>;
}

/** Why a batch was not written. */
export class SinkError extends Error {
  /** As Node's: `ENOSPC`, `ERR_KSOCKET_STREAM_FULL`. */
  readonly code: string;
  /** May it be written later? Else it is dropped, and counted. */
  readonly retry: boolean;

  /** `cause`: what it was that has failed. */
  constructor(code: string, message: string, retry: boolean, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'SinkError';
    this.code = code;
    this.retry = retry;
  }
}
