// What a 'batch' listener gets: many datagrams in borrowed memory, nothing allocated for any of them.
import type { Payload, SendCallback } from '../base/payload.js';
import { detach, development } from '../base/runtime.js';
import {
  type Credentials,
  credentialsOf,
  dscpOf,
  ecnOf,
  ifindexOf,
  isBundleTruncated,
  localOf,
  type Metadata,
  type MetadataKind,
  type OriginalDestination,
  originalDstOf,
  receivedNsOf,
  receivedUsOf,
  ttlOf,
} from './metadata.js';
import type { Question, ReceivedRecords } from './records.js';

/** The datagrams of one batch at most. */
const BATCH_DATAGRAMS_MAX = 2048;
const VIEWS_MAX = 8192; // a power of two

// Node's own Buffer class; `new` on it is the cheapest way to a Buffer, by half. (Buffer itself adds checks.)
export const FastBuffer = (
  Buffer as unknown as { [Symbol.species]: new (memory: ArrayBufferLike, at: number, length: number) => Buffer }
)[Symbol.species];

/** One datagram of a batch, for iteration. `data` is borrowed. */
export interface BatchDatagram extends Metadata {
  /** The payload, valid until the listener returns. */
  data: Buffer;
  /** The sender's address, an IPv6 link-local one with its zone. */
  address: string;
  /** The sender's port. */
  port: number;
  /** How many bytes the datagram had. Asked for with `maxBytes`. */
  fullSize?: number;
}

/** What a batch is made of: of each datagram the first word of its record, and where in the arena its payload is. */
export interface BatchParts {
  readonly records: ReceivedRecords;
  readonly arena: Uint8Array;
  readonly ats: Uint32Array;
  readonly offsets: Uint32Array;
  readonly sizes: Uint32Array;
}

/** Who answers for a batch: its socket. */
export interface Replier {
  /** Of a local socket that takes them: the descriptors of this bundle. */
  takeDescriptors?(bundle: number): number[];
  /** Closes them. */
  dropDescriptors?(bundle: number): void;
  /** What iteration says of each datagram besides. */
  readonly metadata?: readonly MetadataKind[] | undefined;
  reply(question: Question, payload: Payload, callback: SendCallback | undefined): void;
}

/** What a batch reads, by datagram; the memory is the same for all batches of a thread. For who packs them (lib/collect): no method,
 * which a program could call. */
export let partsOf: (batch: Batch) => BatchParts;

/**
 * Datagrams received together, by index. **Everything in it is borrowed**: it is valid until the listener returns,
 * then the memory is used again, and so is the object itself: keep neither. Copy what you keep
 * (`Buffer.from(batch.data(i))`). Touching a batch between two events throws; with `NODE_ENV=development` Buffers taken
 * out of it also become empty.
 *
 * Reading by index allocates nothing in the long run; iterating makes an object for each datagram.
 */
export class Batch implements Iterable<BatchDatagram> {
  readonly #records: ReceivedRecords;
  readonly #arena: Uint8Array;
  readonly #memory: ArrayBufferLike; // the arena's, from #start on
  readonly #start: number;
  readonly #offsets = new Uint32Array(BATCH_DATAGRAMS_MAX);
  readonly #sizes = new Uint32Array(BATCH_DATAGRAMS_MAX);
  readonly #ats = new Uint32Array(BATCH_DATAGRAMS_MAX);
  // Views are made once and found again by place and size: the ring uses the same places over and over.
  readonly #views: (Buffer | undefined)[] = new Array(VIEWS_MAX);
  #length = 0;
  #replier: Replier | undefined; // undefined: the batch has been released
  #parts: BatchParts | undefined;
  #lent: ArrayBuffer[] = []; // development mode: the copies given out, detached on release

  static {
    partsOf = (batch) => {
      batch.#check(0);
      batch.#parts ??= {
        records: batch.#records,
        arena: batch.#arena,
        ats: batch.#ats,
        offsets: batch.#offsets,
        sizes: batch.#sizes,
      };
      return batch.#parts;
    };
  }

  /** @internal */
  constructor(records: ReceivedRecords, arena: Uint8Array) {
    this.#records = records;
    this.#arena = arena;
    this.#memory = arena.buffer;
    this.#start = arena.byteOffset;
  }

  /** How many datagrams. */
  get length(): number {
    this.#check(0);
    return this.#length;
  }

  /** The payload of datagram `i`. */
  data(i: number): Buffer {
    this.#check(i);
    if (development) return this.#lend(i);
    const offset = this.#start + this.#offsets[i];
    const size = this.#sizes[i];
    const slot = (Math.imul(offset ^ (size << 16), 0x9e3779b1) >>> 16) & (VIEWS_MAX - 1);
    const known = this.#views[slot];
    if (known !== undefined && known.byteOffset === offset && known.length === size) return known;
    const view = new FastBuffer(this.#memory, offset, size);
    this.#views[slot] = view;
    return view;
  }

  /** Its length in bytes. */
  size(i: number): number {
    this.#check(i);
    return this.#sizes[i];
  }

  /** Its sender's address. */
  address(i: number): string {
    return this.#records.address(this.#at(i));
  }

  /** Of a local socket: the path that its sender is bound to, or its abstract name; empty: it has none. */
  path(i: number): string {
    return this.address(i);
  }

  /** Of a local socket: who has sent it; undefined without the option `receiveCredentials`. */
  credentials(i: number): Credentials | undefined {
    return credentialsOf(this.#records, this.#at(i));
  }

  /** Of a local socket with the option `receiveDescriptors`: those that came with it, which are the program's to close. Once: a second
   * call gets none. Those that the listener does not take are closed when it returns. */
  descriptors(i: number): number[] {
    const bundle = ifindexOf(this.#records, this.#at(i));
    return (bundle && this.#replier?.takeDescriptors?.(bundle)) || [];
  }

  /** Of a local socket with the option `receiveDescriptors`: were there more, which the process has no room for? recv(2),
   * MSG_CTRUNC. */
  descriptorsTruncated(i: number): boolean {
    return isBundleTruncated(this.#records, this.#at(i));
  }

  /** Its sender's port. */
  port(i: number): number {
    return this.#records.port(this.#at(i));
  }

  /** The hop limit (IPv4: TTL) that it came with, 1 to 255; undefined without the option `receiveTtl`. */
  ttl(i: number): number | undefined {
    return ttlOf(this.#records, this.#at(i));
  }

  /** Its differentiated services code point, 0 to 63; undefined without the option `receiveTos`. */
  dscp(i: number): number | undefined {
    return dscpOf(this.#records, this.#at(i));
  }

  /** Its explicit congestion notification, 0 to 3; undefined without the option `receiveTos`. */
  ecn(i: number): number | undefined {
    return ecnOf(this.#records, this.#at(i));
  }

  /** The address that it was sent to; undefined without the option `receiveLocal`. */
  local(i: number): string | undefined {
    return localOf(this.#records, this.#at(i));
  }

  /** The index of the interface that it came in by; undefined without the option `receiveLocal`. */
  ifindex(i: number): number | undefined {
    return ifindexOf(this.#records, this.#at(i));
  }

  /** When the kernel has received it, in microseconds since 1970; undefined without the option `receiveTimes`. */
  receivedUs(i: number): number | undefined {
    return receivedUsOf(this.#records, this.#at(i));
  }

  /** The same to the nanosecond. */
  receivedNs(i: number): bigint | undefined {
    return receivedNsOf(this.#records, this.#at(i));
  }

  /** Where it was sent before it was redirected here; undefined without the option `receiveOriginalDst`. */
  originalDst(i: number): OriginalDestination | undefined {
    return originalDstOf(this.#records, this.#at(i));
  }

  /** Was it longer than what is here of it? False without the option `maxBytes`. */
  truncated(i: number): boolean {
    return this.#records.truncated(this.#at(i));
  }

  /** How many bytes it had: more than `size(i)` where it is truncated. */
  fullSize(i: number): number {
    return this.truncated(i) ? this.#records.size(this.#at(i)) : this.#sizes[i];
  }

  /** The memory all payloads of the batch lie in, at `offset(i)`, `size(i)` bytes long. */
  get bytes(): Uint8Array {
    this.#check(0);
    return this.#arena;
  }

  /** Where in `bytes` the payload begins. */
  offset(i: number): number {
    this.#check(i);
    return this.#offsets[i];
  }

  /** Answers the sender of datagram `i`, from the address that it was sent to where that is known: with `receiveLocal`, and
   * on a socket that is bound to all addresses. Leaves with all other answers when the listener has returned.
   * @throws ERR_INVALID_ARG_TYPE for what is no {@link Payload} */
  reply(i: number, data: Payload, callback?: SendCallback): void {
    const at = this.#at(i);
    const { words } = this.#records;
    const question = { words, at, info: this.#records.packetInfo(at)?.words };
    (this.#replier as Replier).reply(question, data, callback);
  }

  /** An object for each datagram, in the order they were received. */
  *[Symbol.iterator](): Iterator<BatchDatagram> {
    for (let i = 0; i < this.length; i++) {
      const datagram: BatchDatagram = { data: this.data(i), address: this.address(i), port: this.port(i) };
      for (const kind of this.#replier?.metadata ?? []) kind.read(this.#records, this.#at(i), datagram);
      if (datagram.truncated !== undefined) datagram.fullSize = this.fullSize(i);
      yield datagram;
    }
  }

  /** @internal Adds the record whose first word is `at`; false when it has no place. Segments already consumed are
   * left out. */
  add(at: number, from: number): boolean {
    const records = this.#records;
    const length = records.length(at);
    const offset = records.offset(at);
    const segment = records.segmentSize(at) || length || 1;
    let n = this.#length;
    if (n + Math.ceil((length - from) / segment) > BATCH_DATAGRAMS_MAX || n === BATCH_DATAGRAMS_MAX) return false;
    let position = from;
    do {
      this.#offsets[n] = offset + position;
      this.#sizes[n] = position + segment <= length ? segment : length - position;
      this.#ats[n] = at;
      n++;
      position += segment;
    } while (position < length);
    this.#length = n;
    return true;
  }

  /** @internal Takes out what comes from addresses that `blocked` has. Returns how many datagrams are left. */
  leaveOut(blocked: (address: string) => boolean): number {
    let kept = 0;
    let out = false;
    for (let i = 0; i < this.#length; i++) {
      if (i === 0 || this.#ats[i] !== this.#ats[i - 1]) out = blocked(this.address(i)); // a record has one source
      if (out) continue;
      this.#offsets[kept] = this.#offsets[i];
      this.#sizes[kept] = this.#sizes[i];
      this.#ats[kept] = this.#ats[i];
      kept++;
    }
    this.#length = kept;
    return kept;
  }

  /** @internal */
  open(replier: Replier): void {
    this.#length = 0;
    this.#replier = replier;
  }

  /** @internal Closes what descriptors nobody has taken. */
  dropDescriptors(): void {
    for (let i = 0; i < this.#length; i++) {
      const bundle = ifindexOf(this.#records, this.#ats[i]);
      if (bundle !== undefined) this.#replier?.dropDescriptors?.(bundle);
    }
  }

  /** @internal */
  release(): void {
    this.#replier = undefined;
    if (!development) return;
    for (const memory of this.#lent) detach(memory);
    this.#lent = [];
  }

  // The first word of its record.
  #at(i: number): number {
    this.#check(i);
    return this.#ats[i];
  }

  #check(i: number): void {
    if (this.#replier === undefined)
      throw new Error('This batch is over: its memory was only lent until the listener returned');
    if (typeof i !== 'number' || i >>> 0 !== i || (i >= this.#length && i !== 0))
      throw new RangeError(
        `The batch has ${this.#length} datagrams, none at ${typeof i === 'string' ? `'${i}'` : String(i)}`,
      );
  }

  #lend(i: number): Buffer {
    const offset = this.#offsets[i];
    const copy = new Uint8Array(this.#arena.subarray(offset, offset + this.#sizes[i]));
    this.#lent.push(copy.buffer);
    return new FastBuffer(copy.buffer, 0, copy.length);
  }
}
