// Payloads of their own for 'message' listeners, copied out of the ring: small ones share an allocation, and a stretch of
// records whose payloads lie back to back is copied at once. Large ones the event loop receives into such memory by itself.
import type { NativeIoThread } from '../backend/contract.js';
import { CHUNK_BYTES, CHUNKS, KIND_DATAGRAM } from '../backend/layout.js';
import { getBuiltinModule } from '../base/runtime.js';
import { FastBuffer } from './batch.js';
import type { ReceivedRecords } from './records.js';

/** Messages share so much memory. */
const SHARED_BYTES = CHUNK_BYTES;
/** Payload bytes that are copied at once, ahead of the events. */
const RUN_BYTES = SHARED_BYTES / 2;
/** From so many bytes on, copied at once, it is worthwhile to have the kernel write there. */
const LARGE_BYTES = 32 * 1024;
/** V8 frees up to 32 MiB of buffers at once. What is free beyond twice the largest mapping that was ever freed glibc gives back to
 * the kernel (mallopt(3), M_TRIM_THRESHOLD), which then makes each page anew. */
const KEPT_BYTES = 16 * 1024 * 1024;
/** Up to so many bytes a loop copies faster than TypedArray.set, which needs a view made for it. */
const LOOP_BYTES_MAX = 64;

const { allocUnsafeSlow } = Buffer;
let markAsUntransferable: ((object: object) => void) | undefined;
let keepsFreed = false;

export class OwnedPayloads {
  /** So many payloads have memory of their own before others share any: a program that hears little needs no module of Node's
   * to guard that, which takes as long to load as a thousand of its datagrams. */
  static ownFirst = 64;
  readonly #records: ReceivedRecords;
  readonly #arena: Uint8Array;
  #chunk: ArrayBuffer | undefined;
  #bytes = new Uint8Array(0); // of the chunk
  #used = 0;
  #own = 0; // of the first ones
  // The payloads of the records from #first to before #until are copied already: the bytes at `offset` in the arena are at
  // `offset + #shift` in the chunk.
  #first = 0;
  #until = 0;
  #shift = 0;
  readonly #giveChunk: NativeIoThread['giveChunk'];
  readonly #given: ArrayBuffer[] = []; // what the kernel may write to
  #taken = false; // it is the record #first's own
  #taker = 0; // the latest socket that they were given for
  #copied = 0; // of its large ones, since then: where another listener took over in between, native code takes them back

  constructor(records: ReceivedRecords, arena: Uint8Array, giveChunk: NativeIoThread['giveChunk']) {
    this.#records = records;
    this.#arena = arena;
    this.#giveChunk = giveChunk;
  }

  /** The `size` bytes at `from` in the arena, of the record `n`: the first that were not asked for yet, or some behind
   * them. Their memory may be shared with other messages. */
  take(n: number, from: number, size: number, head: number, base: number): Buffer {
    // A program that detaches the chunk (ArrayBuffer.prototype.transfer) has emptied its messages, not those to come.
    const copied = ((n - this.#first) | 0) >= 0 && ((this.#until - n) | 0) > 0 && this.#bytes.length > 0;
    if (!copied) {
      if (this.#own < OwnedPayloads.ownFirst) return this.#ownOf(n, from, size, base);
      if (!this.#ahead(n, from, head, base)) return new FastBuffer(new ArrayBuffer(0), 0, 0);
    }
    return new FastBuffer(this.#chunk as ArrayBuffer, from + this.#shift, size);
  }

  #ownOf(n: number, from: number, size: number, base: number): Buffer {
    this.#own++;
    return this.alone(n, from, size, base);
  }

  /** The same in memory of its own. */
  alone(n: number, from: number, size: number, base: number): Buffer {
    this.intoArena(n, base);
    const data = allocUnsafeSlow(size);
    data.set(this.#arena.subarray(from, from + size));
    return data;
  }

  /** Before the arena is read: the payload of the record `n` may be somewhere else. And before others come between its
   * datagrams: what was taken over is remembered of the latest record alone. Returns where its first word is. */
  intoArena(n: number, base: number): number {
    const records = this.#records;
    const at = records.at(n, base);
    if (!records.inChunk(at)) return at;
    const chunk = this.#isTaken(n) ? this.#chunk : this.#given[records.chunk(at)];
    const offset = records.offset(at);
    const length = records.length(at);
    // A program that has detached it has lost it.
    if (chunk === undefined || chunk.byteLength === 0) this.#arena.fill(0, offset, offset + length);
    else this.#arena.set(new Uint8Array(chunk, 0, length), offset);
    records.leaveChunk(at);
    return at;
  }

  // Has it been taken over, of a record that is not done with?
  #isTaken(n: number): boolean {
    return this.#taken && n === this.#first;
  }

  // The payload's chunk is the listener's now, and the kernel gets another one. False: a listener has detached it already.
  #takeOver(n: number, at: number): boolean {
    if (this.#isTaken(n)) return false;
    const place = this.#records.chunk(at);
    this.#use(this.#given[place]);
    this.#given[place] = newChunk(CHUNK_BYTES);
    this.#taker = this.#records.socketId(at);
    this.#giveChunk?.(this.#given, place, this.#taker);
    this.#used = CHUNK_BYTES; // nothing else has room there
    this.#taken = true;
    this.#shift = -this.#records.offset(at);
    this.#first = n;
    this.#until = (n + 1) | 0;
    return true;
  }

  // The next large ones of this socket may be received into memory of ours.
  #offer(id: number): void {
    keepFreed();
    if (this.#giveChunk === undefined || (this.#taker === id && ++this.#copied < CHUNKS)) return;
    this.#copied = 0;
    this.#taker = id;
    for (let place = this.#given.length; place < CHUNKS; place++) {
      this.#given.push(newChunk(CHUNK_BYTES));
      this.#giveChunk(this.#given, place, id);
    }
    this.#giveChunk(this.#given, CHUNKS, id);
  }

  // The rest of the record `n` from `from` on, and the records behind it that lie back to back. False: it is lost.
  #ahead(n: number, from: number, head: number, base: number): boolean {
    const records = this.#records;
    const first = records.at(n, base);
    if (records.inChunk(first)) return this.#takeOver(n, first);
    let until = records.offset(first) + records.length(first);
    let next = (n + 1) | 0;
    for (; next !== head; next = (next + 1) | 0) {
      const at = records.at(next, base);
      const length = records.length(at);
      if (records.kind(at) !== KIND_DATAGRAM || records.offset(at) !== until || records.inChunk(at)) break;
      if (until + length - from > RUN_BYTES) break;
      until += length;
    }
    this.#copy(from, until);
    this.#first = n;
    this.#until = next;
    this.#taken = false;
    if (until - from >= LARGE_BYTES) this.#offer(records.socketId(first));
    return true;
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
    this.#use(newChunk(Math.max(SHARED_BYTES, bytes)));
    this.#used = 0;
    this.#until = this.#first; // nothing is copied ahead into this one
  }

  #use(chunk: ArrayBuffer): void {
    this.#chunk = chunk;
    this.#bytes = new Uint8Array(chunk);
  }
}

// A mapping that nobody touches, and that is garbage at once.
function keepFreed(): void {
  if (keepsFreed) return;
  keepsFreed = true;
  allocUnsafeSlow(KEPT_BYTES);
}

function newChunk(bytes: number): ArrayBuffer {
  const chunk = allocUnsafeSlow(bytes).buffer as ArrayBuffer;
  // Looked for once: to find a module by its name takes as long as to make a chunk.
  markAsUntransferable ??= getBuiltinModule('node:worker_threads').markAsUntransferable;
  markAsUntransferable(chunk); // as Node does with its own pool: other messages' payloads are in it
  return chunk;
}
