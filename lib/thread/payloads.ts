// Payloads of their own for 'message' listeners, copied out of the ring: small ones share an allocation, and a stretch of
// records whose payloads lie back to back is copied at once.
import { KIND_DATAGRAM } from '../backend/layout.js';
import { getBuiltinModule } from '../base/runtime.js';
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
  #chunk: ArrayBuffer | undefined;
  #bytes = new Uint8Array(0); // of the chunk
  #used = 0;
  // The payloads of the records from #first to before #until are copied already: the bytes at `offset` in the arena are at
  // `offset + #shift` in the chunk.
  #first = 0;
  #until = 0;
  #shift = 0;

  constructor(records: ReceivedRecords, arena: Uint8Array) {
    this.#records = records;
    this.#arena = arena;
  }

  /** The `size` bytes at `from` in the arena, of the record `n`: the first that were not asked for yet, or some behind
   * them. Their memory may be shared with other messages. */
  take(n: number, from: number, size: number, head: number, base: number): Buffer {
    // A program that detaches the chunk (ArrayBuffer.prototype.transfer) has emptied its messages, not those to come.
    const copied = ((n - this.#first) | 0) >= 0 && ((this.#until - n) | 0) > 0 && this.#bytes.length > 0;
    if (!copied) this.#ahead(n, from, head, base);
    return new FastBuffer(this.#chunk as ArrayBuffer, from + this.#shift, size);
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
    this.#first = n;
    this.#until = next;
  }

  #copy(from: number, until: number): void {
    const total = until - from;
    if (this.#bytes.length === 0 || this.#used + total > this.#bytes.length) this.#makeChunk(total);
    if (total <= LOOP_BYTES_MAX) {
      for (let i = 0; i < total; i++) this.#bytes[this.#used + i] = this.#arena[from + i];
    } else {
      this.#bytes.set(this.#arena.subarray(from, until), this.#used);
    }
    this.#shift = this.#used - from;
    this.#used += total;
  }

  #makeChunk(bytes: number): void {
    const chunk = allocUnsafeSlow(Math.max(CHUNK_BYTES, bytes)).buffer as ArrayBuffer;
    getBuiltinModule('node:worker_threads').markAsUntransferable(chunk); // as Node does with its own pool: other messages' payloads are in it
    this.#chunk = chunk;
    this.#bytes = new Uint8Array(chunk);
    this.#used = 0;
    this.#until = this.#first; // nothing is copied ahead into this one
  }
}
