// The memory in which datagrams wait to be handed to the kernel with one native call.
import type { ThreadMemory } from '../backend/contract.js';
import { StagedRecords } from './records.js';

/** A tick that sends more flushes early. */
export const STAGED_DATAGRAMS_MAX = 1024;
export const STAGED_BYTES_MAX = 512 * 1024;

export class Staging {
  readonly records: StagedRecords;
  readonly arena: Uint8Array;
  /** By record: 1 where close() may take it back. */
  readonly revocable = new Uint8Array(STAGED_DATAGRAMS_MAX);
  /** Records. */
  count = 0;
  /** Of the arena, from its start on. */
  bytes = 0;
  /** Datagrams of lists: several share a record (lists.ts). */
  datagrams = 0;
  /** What the next datagram of a list may have at most, to share the latest record; 0: it may not. */
  runSize = 0;

  constructor(memory: ThreadMemory) {
    this.records = new StagedRecords(memory.txDescriptors);
    this.arena = memory.txArena;
  }

  /** Has one more, of so many bytes, no place? */
  full(length: number): boolean {
    return this.count === STAGED_DATAGRAMS_MAX || this.bytes + length > STAGED_BYTES_MAX;
  }

  /** The number of the next record. */
  next(): number {
    const n = this.count++;
    this.revocable[n] = 0;
    return n;
  }

  clear(): void {
    this.count = this.bytes = this.datagrams = this.runSize = 0;
  }
}
