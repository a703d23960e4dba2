// A batch while datagrams are added to it: lib/collect/frame.ts reads what this writes. Payloads are copied where they belong, in
// ranges as long as they lie together; what is said of them goes behind them when the batch is closed.
import {
  DATAGRAMS_MAX,
  H_BASE_NS,
  H_COLLECTOR,
  H_COUNT,
  H_HEADER_BYTES,
  H_PAYLOAD_BYTES,
  H_RECORDS_BYTES,
  H_SEQUENCE,
  H_SOURCES_BYTES,
  H_VERSION,
  HEADER_BYTES,
  MAGIC,
  readFrame,
  SOURCE_BYTES,
  VERSION,
} from './frame.js';
import type { CollectedDatagram, PackedBatch } from './types.js';

/** Of a record: a source's number, a time's difference, how many, their size and the last one's. */
const RECORD_BYTES_MAX = 3 + 8 + 3 + 3 + 3;
/** A datagram, or what the kernel has joined, finds room in an empty batch of so many bytes. */
export const BATCH_BYTES_MIN = 72 * 1024;
const TWO_32 = 2 ** 32;
/** What the kernel joins is 65 535 bytes at most, and no datagram of it is empty. */
const JOINED_MAX = 65_535;
/** Of times in nanoseconds, which are further apart than a record can say. */
const HIGH_MAX = 2 ** 18;

/** Twice as long, or as long as `wanted`. */
function grown(memory: Uint8Array, used: number, wanted: number): Uint8Array {
  const larger = new Uint8Array(Math.max(wanted, 2 * memory.length));
  larger.set(memory.subarray(0, used));
  return larger;
}

export class Pack implements PackedBatch {
  readonly id: string;
  readonly key: string;
  /** When it was begun, in ms. */
  readonly since: number;
  /** Of flows that are in it: `marks` of packer.ts. */
  readonly serial: number;
  count = 0;
  /** An attempt to write it has failed, and may still be under way: the memory is not used again. */
  tried = false;
  #memory: Uint8Array;
  #end = HEADER_BYTES; // of the payload
  #records: Uint8Array = new Uint8Array(256);
  #recordsEnd = 0;
  #sources: Uint8Array = new Uint8Array(SOURCE_BYTES);
  #sourcesEnd = 0;
  #high = 0; // the time of the latest
  #low = 0;
  #bytes: Uint8Array | undefined;

  /** `memory` is what it begins with, and grows. */
  constructor(collector: bigint, serial: number, key: string, since: number, memory: Uint8Array) {
    this.id = `${collector.toString(16)}-${serial.toString(16)}`;
    this.key = key;
    this.since = since;
    this.serial = serial;
    this.#memory = memory;
    const view = new DataView(memory.buffer, memory.byteOffset, HEADER_BYTES);
    view.setUint32(0, MAGIC, true);
    view.setUint32(H_VERSION, VERSION, true); // no flags
    view.setUint16(H_HEADER_BYTES, HEADER_BYTES, true);
    view.setBigUint64(H_COLLECTOR, collector, true);
    view.setBigUint64(H_SEQUENCE, BigInt(serial), true);
  }

  /** What it will have as a message. */
  get size(): number {
    return this.#end + this.#recordsEnd + this.#sourcesEnd;
  }

  get payloadBytes(): number {
    return this.#end - HEADER_BYTES;
  }

  /** What it takes of memory. */
  get capacity(): number {
    return this.#memory.length;
  }

  /** Is there room for so many more bytes from a source, if a batch may have `limit`? Nor may the clock have been set by weeks:
   * `high` is of the time of receiving. */
  fits(bytes: number, limit: number, high: number): boolean {
    if (this.count > 0 && Math.abs(high - this.#high) > HIGH_MAX) return false;
    if (this.count > DATAGRAMS_MAX - JOINED_MAX) return false; // nobody would read it
    return this.size + bytes + RECORD_BYTES_MAX + SOURCE_BYTES <= limit;
  }

  /** The number of another source, which the caller writes to the place. */
  addSource(write: (out: Uint8Array, at: number) => void): number {
    const at = this.#sourcesEnd;
    if (at === this.#sources.length) this.#sources = grown(this.#sources, at, 0);
    write(this.#sources, at);
    this.#sourcesEnd += SOURCE_BYTES;
    return at / SOURCE_BYTES;
  }

  /** Datagrams from one source, received at once: `many` of `size` bytes, but for the last. The time is in two words. Returns where
   * their payloads belong, for `place`. */
  add(source: number, high: number, low: number, many: number, size: number, last: number): number {
    if (this.#recordsEnd + RECORD_BYTES_MAX > this.#records.length)
      this.#records = grown(this.#records, this.#recordsEnd, 0);
    let passed = 0;
    if (this.count === 0) new DataView(this.#memory.buffer).setUint32(H_BASE_NS, low, true);
    if (this.count === 0) new DataView(this.#memory.buffer).setUint32(H_BASE_NS + 4, high, true);
    else passed = (high - this.#high) * TWO_32 + (low - this.#low);
    this.#high = high;
    this.#low = low;
    this.#number(source);
    this.#number(passed >= 0 ? 2 * passed : -2 * passed - 1);
    this.#number(many);
    this.#number(size);
    if (many > 1) this.#number(last);
    this.count += many;
    const at = this.#end;
    this.#end += (many - 1) * size + last;
    if (this.#end > this.#memory.length) this.#memory = grown(this.#memory, at, this.#end);
    return at;
  }

  /** Copies what `add` has made room for. */
  place(at: number, from: Uint8Array, start: number, end: number): void {
    this.#memory.set(from.subarray(start, end), at);
  }

  #number(value: number): void {
    const out = this.#records;
    let at = this.#recordsEnd;
    let rest = value;
    for (; rest >= 2 ** 31; rest = Math.floor(rest / 128)) out[at++] = (rest % 128) | 128;
    for (; rest >= 128; rest >>>= 7) out[at++] = (rest & 127) | 128;
    out[at++] = rest;
    this.#recordsEnd = at;
  }

  /** The message; nothing is added any more. */
  get bytes(): Uint8Array {
    if (this.#bytes !== undefined) return this.#bytes;
    const { size } = this;
    if (size > this.#memory.length) this.#memory = grown(this.#memory, this.#end, size);
    const bytes = this.#memory.subarray(0, size);
    const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
    view.setUint32(H_COUNT, this.count, true);
    view.setUint32(H_PAYLOAD_BYTES, this.payloadBytes, true);
    view.setUint32(H_RECORDS_BYTES, this.#recordsEnd, true);
    view.setUint32(H_SOURCES_BYTES, this.#sourcesEnd, true);
    bytes.set(this.#records.subarray(0, this.#recordsEnd), this.#end);
    bytes.set(this.#sources.subarray(0, this.#sourcesEnd), this.#end + this.#recordsEnd);
    this.#bytes = bytes;
    return bytes;
  }

  datagrams(): IterableIterator<CollectedDatagram> {
    return readFrame(this.bytes).datagrams();
  }

  /** Its memory, which is somebody else's from now on. */
  takeMemory(): Uint8Array {
    const memory = this.#memory;
    this.#memory = new Uint8Array(0);
    return memory;
  }
}
