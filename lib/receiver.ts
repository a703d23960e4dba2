// The consumer's half of the receive ring (native/core/rx_ring.h is the other): wakes up, reads records, hands
// each to its socket.

import { PeerNames } from './address.js';
import type { ThreadMemory } from './binding.js';
import {
  C_BASE,
  C_HEAD,
  C_PRODUCER_WAITING,
  C_TAIL,
  C_WAKE_PENDING,
  D_FAMILY,
  D_FLAGS,
  D_KIND,
  D_LENGTH,
  D_OFFSET,
  D_PEER_ID,
  D_PORT,
  D_RESULT,
  D_SEGMENT_SIZE,
  D_SIZE,
  D_SOCKET_ID,
  D_USER_DATA,
  DESCRIPTOR_BYTES,
  FLAG_TRUNCATED,
  KIND_DATAGRAM,
  KIND_ERROR,
  KIND_SENT,
  SOCKET_SLOT_BITS,
} from './layout.js';

/** Where a datagram came from, as node:dgram says it. */
export interface RemoteInfo {
  /** The sender's address, an IPv6 link-local one with its zone. */
  address: string;
  family: 'IPv4' | 'IPv6';
  port: number;
  /** The datagram's length in bytes. */
  size: number;
}

/** What a socket does with what arrives for it. */
export interface Endpoint {
  /** Slot and generation, as in the records. */
  readonly id: number;
  onDatagram(data: Buffer, rinfo: RemoteInfo): void;
  onReceiveError(errno: number): void;
  /** A deferred send has ended: `result` is bytes or -errno. */
  onSent(number: number, result: number): void;
}

// Node's own Buffer class; `new` on it is the cheapest way to a Buffer, by half.
const FastBuffer = (
  Buffer as unknown as { [Symbol.species]: new (memory: ArrayBufferLike, at: number, length: number) => Buffer }
)[Symbol.species];
/** Bytes of one allocation that small datagrams share. */
const CHUNK_BYTES = 64 * 1024;
/** One drain's share of the event loop: then timers and other I/O get their turn. */
const BUDGET_DATAGRAMS = 1024;
const BUDGET_MS = 4;

const SLOT_MASK = (1 << SOCKET_SLOT_BITS) - 1;
const RECORD_WORDS = DESCRIPTOR_BYTES >> 2;

// Runs nextTicks and microtasks, as Node's timers do between two callbacks; it costs next to nothing when none is
// queued. Where it is missing every datagram gets a turn of the event loop of its own.
const runTicks = (process as unknown as { _tickCallback?: () => void })._tickCallback;

export class Receiver {
  readonly #control: Int32Array;
  readonly #words: Uint32Array;
  readonly #halves: Uint16Array;
  readonly #bytes: Uint8Array;
  readonly #arena: Uint8Array;
  readonly #mask: number;
  readonly #peers = new PeerNames();
  readonly #endpoints: (Endpoint | undefined)[];
  readonly #resume: () => void;
  readonly #afterDrain: () => void;
  readonly #drain = () => this.drain();

  #tail = 0;
  #segmentAt = 0; // how far into the record at #tail, when a drain ended between two segments
  #chunk: ArrayBuffer = new ArrayBuffer(CHUNK_BYTES);
  #chunkBytes = new Uint8Array(this.#chunk);
  #chunkUsed = 0;
  #immediate: NodeJS.Immediate | undefined;
  #draining = false;

  /** `endpoints`: by slot, shared with the thread's owner. `resume` tells the thread that the ring has room,
   * `afterDrain` runs when a drain has called its last listener. */
  constructor(memory: ThreadMemory, endpoints: (Endpoint | undefined)[], resume: () => void, afterDrain: () => void) {
    this.#control = new Int32Array(memory.control);
    this.#words = new Uint32Array(memory.descriptors);
    this.#halves = new Uint16Array(memory.descriptors);
    this.#bytes = new Uint8Array(memory.descriptors);
    this.#arena = new Uint8Array(memory.arena);
    this.#mask = memory.descriptors.byteLength / DESCRIPTOR_BYTES - 1;
    this.#endpoints = endpoints;
    this.#resume = resume;
    this.#afterDrain = afterDrain;
  }

  /** Is a drain on the stack? Then sends wait for its end. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Called on a wake-up. A listener's exception passes through; the datagrams behind it come in a later turn. */
  drain(): void {
    if (this.#draining) return; // a listener that runs the event loop by hand
    this.#immediate = undefined;
    this.#draining = true;
    // Cleared before the head is read: what is published from here on wakes us again.
    Atomics.store(this.#control, C_WAKE_PENDING >> 2, 0);
    const head = Atomics.load(this.#control, C_HEAD >> 2);
    const base = this.#control[C_BASE >> 2];
    try {
      this.#consume(head, base);
    } finally {
      this.#draining = false;
      this.#release();
      if (this.#tail !== head) {
        // No need to be woken for what is published meanwhile either.
        Atomics.store(this.#control, C_WAKE_PENDING >> 2, 1);
        this.#immediate = setImmediate(this.#drain);
      }
      this.#afterDrain();
    }
  }

  /** No drain comes after this. */
  stop(): void {
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    this.#immediate = undefined;
  }

  #consume(head: number, base: number): void {
    const words = this.#words;
    const deadline = performance.now() + BUDGET_MS;
    let left = runTicks === undefined ? 1 : BUDGET_DATAGRAMS;
    let first = true;
    while (this.#tail !== head) {
      const at = ((this.#tail - base) & this.#mask) * RECORD_WORDS;
      const endpoint = this.#endpointOf(words[at + (D_SOCKET_ID >> 2)]);
      const kind = this.#bytes[(at << 2) + D_KIND];
      if (endpoint === undefined) {
        this.#next();
        continue;
      }
      if (kind !== KIND_DATAGRAM) {
        this.#next();
        if (!first) runTicks?.();
        first = false;
        if (kind === KIND_ERROR) endpoint.onReceiveError(words[at + (D_RESULT >> 2)] | 0);
        if (kind === KIND_SENT) endpoint.onSent(words[at + (D_USER_DATA >> 2)], words[at + (D_RESULT >> 2)] | 0);
        continue;
      }
      const length = words[at + (D_LENGTH >> 2)];
      const segment = this.#halves[(at << 1) + (D_SEGMENT_SIZE >> 1)];
      if (segment === 0) {
        if (!first) {
          runTicks?.();
          if (this.#endpointOf(words[at + (D_SOCKET_ID >> 2)]) === undefined) continue; // a tick closed it
        }
        first = false;
        const from = this.#copy(words[at + (D_OFFSET >> 2)], length);
        const data = new FastBuffer(this.#chunk, from, length);
        const rinfo = this.#rinfo(at, this.#truncated(at) ? words[at + (D_SIZE >> 2)] : length);
        this.#next();
        endpoint.onDatagram(data, rinfo);
        left--;
      } else {
        left -= this.#consumeSegments(endpoint, at, length, segment, first);
        first = false;
      }
      if (left <= 0 || ((left & 63) === 0 && performance.now() >= deadline)) return;
    }
  }

  // A super-datagram: one copy, a Buffer for each datagram in it. Returns how many were handed out.
  #consumeSegments(endpoint: Endpoint, at: number, length: number, segment: number, first: boolean): number {
    const offset = this.#words[at + (D_OFFSET >> 2)];
    const start = this.#segmentAt;
    const chunkAt = this.#copy(offset + start, length - start);
    const chunk = this.#chunk;
    let count = 0;
    for (let from = start; from < length; from += segment) {
      if (!first || count > 0) {
        runTicks?.();
        if (this.#endpoints[endpoint.id & SLOT_MASK] !== endpoint) break;
      }
      const bytes = Math.min(segment, length - from);
      const rinfo = this.#rinfo(at, bytes);
      this.#segmentAt = from + bytes; // before the listener runs: if it throws, the next drain goes on behind it
      if (this.#segmentAt >= length) this.#next();
      endpoint.onDatagram(new FastBuffer(chunk, chunkAt + from - start, bytes), rinfo);
      count++;
      if (runTicks === undefined && this.#segmentAt !== 0) return 1;
    }
    if (this.#segmentAt !== 0) this.#next();
    return count;
  }

  #endpointOf(id: number): Endpoint | undefined {
    const endpoint = this.#endpoints[id & SLOT_MASK];
    return endpoint !== undefined && endpoint.id === id ? endpoint : undefined;
  }

  #next(): void {
    this.#tail = (this.#tail + 1) | 0;
    this.#segmentAt = 0;
  }

  #truncated(at: number): boolean {
    return (this.#halves[(at << 1) + (D_FLAGS >> 1)] & FLAG_TRUNCATED) !== 0;
  }

  #rinfo(at: number, size: number): RemoteInfo {
    const family = this.#bytes[(at << 2) + D_FAMILY];
    return {
      address: this.#peers.get(this.#words, at, this.#words[at + (D_PEER_ID >> 2)], family),
      family: family === 6 ? 'IPv6' : 'IPv4',
      port: this.#halves[(at << 1) + (D_PORT >> 1)],
      size,
    };
  }

  // Copies a payload into the current chunk (a fresh one if it does not fit) and returns where it lies.
  #copy(offset: number, length: number): number {
    if (this.#chunkUsed + length > this.#chunk.byteLength) {
      this.#chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, length)).buffer as ArrayBuffer;
      this.#chunkBytes = new Uint8Array(this.#chunk);
      this.#chunkUsed = 0;
    }
    const at = this.#chunkUsed;
    this.#chunkBytes.set(this.#arena.subarray(offset, offset + length), at);
    this.#chunkUsed = at + length;
    return at;
  }

  // Gives the consumed records back to the thread.
  #release(): void {
    const control = this.#control;
    if (control[C_TAIL >> 2] === this.#tail) return;
    Atomics.store(control, C_TAIL >> 2, this.#tail);
    if (
      Atomics.load(control, C_PRODUCER_WAITING >> 2) === 1 &&
      Atomics.exchange(control, C_PRODUCER_WAITING >> 2, 0) === 1
    ) {
      this.#resume();
    }
  }
}
