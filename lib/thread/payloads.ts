// Payloads of their own for 'message' listeners, copied out of the ring: small ones share an allocation, and a stretch of
// records whose payloads lie back to back is copied at once.
import { markAsUntransferable } from 'node:worker_threads';
import { KIND_DATAGRAM } from '../backend/layout.js';
import { FastBuffer } from './batch.js';
import type { ReceivedRecords } from './records.js';

/** Bytes of one allocation that small datagrams share. */
const CHUNK_BYTES = 64 * 1024;
/** Payload bytes that are copied at once, ahead of the events. */
const RUN_BYTES = CHUNK_BYTES / 2;
/** Up to so many bytes a loop copies faster than TypedArray.set, which needs a view made for it. */
const LOOP_BYTES_MAX = 64;

const { allocUnsafeSlow } = Buffer;

export class OwnedPayloads {
  readonly #records: ReceivedRecords;
  readonly #arena: Uint8Array;
  #chunk: ArrayBuffer = new ArrayBuffer(0);
  #bytes = new Uint8Array(this.#chunk);
  #used = 0;
  // The payloads of the records up to #until are copied already, from where the latest copy began: the bytes at `offset`
  // in the arena are at `offset + #shift` in the chunk.
  #copied = false;
  #until = 0;
  #shift = 0;

  constructor(records: ReceivedRecords, arena: Uint8Array) {
    this.#records = records;
    this.#arena = arena;
  }

  /** The `size` bytes at `from` in the arena, of the record `n`; records are asked for in their order. Its memory may be
   * shared with other messages. */
  inOrder(n: number, from: number, size: number, head: number, base: number): Buffer {
    // A program that detaches the chunk (ArrayBuffer.prototype.transfer) has emptied its messages, not those to come.
    if (!this.#copied || ((this.#until - n) | 0) <= 0 || this.#bytes.length === 0) this.#ahead(n, from, head, base);
    return new FastBuffer(this.#chunk, from + this.#shift, size);
  }

  /** The same in any order. */
  single(from: number, size: number): Buffer {
    this.#copied = false;
    this.#copy(from, from + size);
    return new FastBuffer(this.#chunk, from + this.#shift, size);
  }

  /** The same in memory of its own. */
  alone(from: number, size: number): Buffer {
    const data = allocUnsafeSlow(size);
    data.set(this.#arena.subarray(from, from + size));
    return data;
  }

  // The rest of the record `n` from `from` on, and the records behind it that lie back to back.
  #ahead(n: number, from: number, head: number, base: number): void {
    const records = this.#records;
    const first = records.at(n, base);
    let until = records.offset(first) + records.length(first);
    let next = (n + 1) | 0;
    for (; next !== head; next = (next + 1) | 0) {
      const at = records.at(next, base);
      const length = records.length(at);
      if (records.kind(at) !== KIND_DATAGRAM || records.offset(at) !== until) break;
      if (until + length - from > RUN_BYTES) break;
      until += length;
    }
    this.#copy(from, until);
    this.#copied = true;
    this.#until = next;
  }

  #copy(from: number, until: number): void {
    const total = until - from;
    if (this.#used + total > this.#bytes.length) {
      this.#chunk = allocUnsafeSlow(Math.max(CHUNK_BYTES, total)).buffer as ArrayBuffer;
      markAsUntransferable(this.#chunk); // as Node does with its own pool: other messages' payloads are in it
      this.#bytes = new Uint8Array(this.#chunk);
      this.#used = 0;
    }
    if (total <= LOOP_BYTES_MAX) {
      for (let i = 0; i < total; i++) this.#bytes[this.#used + i] = this.#arena[from + i];
    } else {
      this.#bytes.set(this.#arena.subarray(from, until), this.#used);
    }
    this.#shift = this.#used - from;
    this.#used += total;
  }
}
