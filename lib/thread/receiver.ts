// The consumer's half of the receive ring (native/core/memory/rx_ring.h is the other): wakes up, reads records, hands
// each to its socket.
import { markAsUntransferable } from 'node:worker_threads';
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
  KIND_DRAINED,
  KIND_ERROR,
  KIND_SENT,
  SOCKET_SLOT_BITS,
} from '../backend/layout.js';
import type { ThreadMemory } from '../backend/load.js';
import { PeerNames } from './address.js';
import { Batch, FastBuffer, type Replier, type RingViews, recordAt } from './batch.js';

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
export interface Endpoint extends Replier {
  /** Slot and generation, as in the records. */
  readonly id: number;
  /** May its Buffers share an ArrayBuffer? */
  readonly pooled: boolean;
  /** Does it take batches, or single datagrams? */
  readonly wantsBatches: boolean;
  onDatagram(data: Buffer, rinfo: RemoteInfo): void;
  onBatch(batch: Batch): void;
  onReceiveError(errno: number): void;
  /** A deferred send has ended: `result` is bytes or -errno. */
  onSent(number: number, result: number): void;
  /** Nothing waits to be sent any more. */
  onDrained(): void;
}

/** Bytes of one allocation that small datagrams share. */
const CHUNK_BYTES = 64 * 1024;
/** Payload bytes that are copied at once, ahead of the events. */
const RUN_BYTES = CHUNK_BYTES / 2;
/** So few bytes are copied by a loop: less than the view that TypedArray.set needs. */
const LOOP_BYTES_MAX = 64;
/** One drain's share of the event loop: then timers and other I/O get their turn. */
const BUDGET_MS = 0.4;
/** How many events between two looks at the clock, a power of two. */
const CLOCK_EVERY = 64;

const SLOT_MASK = (1 << SOCKET_SLOT_BITS) - 1;

// Runs nextTicks and microtasks, as Node's timers do between two callbacks; it costs next to nothing when none is
// queued. Where it is missing every datagram gets a turn of the event loop of its own.
const runTicks = (process as unknown as { _tickCallback?: () => void })._tickCallback;

export class Receiver {
  readonly #control: Int32Array;
  readonly #ring: RingViews;
  readonly #arena: Uint8Array;
  readonly #peers = new PeerNames();
  readonly #batch: Batch;
  readonly #endpoints: (Endpoint | undefined)[];
  readonly #resume: () => void;
  readonly #afterDrain: () => void;
  readonly #drain = () => this.drain();

  #tail = 0;
  #resumeAt: number | undefined; // while the thread waits for room: the record that has to be consumed before
  #segmentAt = 0; // bytes of the record at #tail that were handed out already

  // Owned payloads: a stretch of records whose payloads lie back to back is copied at once, up to #copiedUntil; the
  // byte at `offset` in the arena is then at `offset + #copiedShift` in the chunk.
  #chunk: ArrayBuffer = new ArrayBuffer(0);
  #chunkBytes = new Uint8Array(this.#chunk);
  #chunkUsed = 0;
  #copiedUntil = 0;
  #copiedShift = 0;

  #immediate: NodeJS.Immediate | undefined;
  #draining = false;
  #deadline = 0;

  /** `endpoints`: by slot, shared with the thread's owner. `resume` tells the thread that the ring has room,
   * `afterDrain` runs when a drain has called its last listener. */
  constructor(memory: ThreadMemory, endpoints: (Endpoint | undefined)[], resume: () => void, afterDrain: () => void) {
    this.#control = memory.control;
    this.#ring = {
      words: new Uint32Array(memory.descriptors),
      halves: new Uint16Array(memory.descriptors),
      bytes: new Uint8Array(memory.descriptors),
      arena: memory.arena,
      mask: memory.descriptors.byteLength / DESCRIPTOR_BYTES - 1,
    };
    this.#arena = new Uint8Array(memory.arena);
    this.#batch = new Batch(this.#ring, this.#peers);
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
    if (this.#draining) {
      this.#immediate ??= setImmediate(this.#drain); // a listener that runs the event loop by hand
      return;
    }
    this.#immediate = undefined;
    this.#draining = true;
    const control = this.#control;
    let ended = false;
    let again = false;
    this.#deadline = performance.now() + BUDGET_MS;
    try {
      // The flag stays set while there is something to read: nobody has to wake us then. (Node calls a thread-safe
      // function up to a thousand times in a row: a wake-up a drain would keep timers waiting for seconds.)
      do {
        Atomics.store(control, C_WAKE_PENDING >> 2, 1);
        ended = false; // also when a listener throws in a later round
        ended = this.#consume(Atomics.load(control, C_HEAD >> 2), control[C_BASE >> 2], again);
        again = true;
        this.#release();
        if (!ended) break;
        // Cleared before the head is looked at again: what is published from here on wakes us.
        Atomics.store(control, C_WAKE_PENDING >> 2, 0);
      } while (Atomics.load(control, C_HEAD >> 2) !== this.#tail);
    } finally {
      this.#draining = false;
      this.#release();
      if (!ended) this.#immediate ??= setImmediate(this.#drain);
      this.#afterDrain();
    }
  }

  /** No drain comes after this. */
  stop(): void {
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    this.#immediate = undefined;
  }

  // True when everything up to `head` is consumed, false when the time is up.
  //
  // Between two events nextTicks and microtasks run; what they do (close a socket, throw) finds the next record
  // untouched. `again`: there have been events already.
  #consume(head: number, base: number, again: boolean): boolean {
    const { words, bytes } = this.#ring;
    for (let events = again ? 1 : 0; this.#tail !== head; events++) {
      if (events > 0) {
        if (runTicks === undefined) return false;
        runTicks();
        if ((events & (CLOCK_EVERY - 1)) === 0) {
          this.#release(); // the thread can go on while we work
          if (performance.now() >= this.#deadline) return false;
        }
      }
      const at = recordAt(this.#ring, this.#tail, base);
      const id = words[at + (D_SOCKET_ID >> 2)];
      const endpoint = this.#endpoints[id & SLOT_MASK];
      if (endpoint === undefined || endpoint.id !== id) {
        this.#next();
        continue;
      }
      const kind = bytes[(at << 2) + D_KIND];
      if (kind !== KIND_DATAGRAM) this.#notify(endpoint, kind, at);
      else if (endpoint.wantsBatches) this.#deliverBatch(endpoint, id, head, base);
      else this.#deliver(endpoint, at, head, base);
    }
    return true;
  }

  #notify(endpoint: Endpoint, kind: number, at: number): void {
    const { words } = this.#ring;
    this.#next();
    if (kind === KIND_ERROR) endpoint.onReceiveError(words[at + (D_RESULT >> 2)] | 0);
    else if (kind === KIND_SENT) endpoint.onSent(words[at + (D_USER_DATA >> 2)], words[at + (D_RESULT >> 2)] | 0);
    else if (kind === KIND_DRAINED) endpoint.onDrained();
  }

  // One datagram: the record at #tail, or the next segment of it.
  #deliver(endpoint: Endpoint, at: number, head: number, base: number): void {
    const { words, halves, bytes } = this.#ring;
    const length = words[at + (D_LENGTH >> 2)];
    const segment = halves[(at << 1) + (D_SEGMENT_SIZE >> 1)];
    const position = this.#segmentAt;
    const size = segment === 0 ? length : Math.min(segment, length - position);

    const from = words[at + (D_OFFSET >> 2)] + position;
    let data: Buffer;
    if (endpoint.pooled) {
      if (this.#copiedUntil === this.#tail) this.#copyAhead(head, base);
      data = new FastBuffer(this.#chunk, from + this.#copiedShift, size);
    } else {
      data = Buffer.allocUnsafeSlow(size);
      data.set(this.#arena.subarray(from, from + size));
    }
    const family = bytes[(at << 2) + D_FAMILY];
    const truncated = (halves[(at << 1) + (D_FLAGS >> 1)] & FLAG_TRUNCATED) !== 0;
    const rinfo: RemoteInfo = {
      address: this.#peers.get(words, at, words[at + (D_PEER_ID >> 2)], family),
      family: family === 6 ? 'IPv6' : 'IPv4',
      port: halves[(at << 1) + (D_PORT >> 1)],
      size: truncated ? words[at + (D_SIZE >> 2)] : size,
    };
    // Before the listener runs: if it throws, the next drain goes on behind this datagram.
    if (position + size >= length) this.#next();
    else this.#segmentAt = position + size;
    endpoint.onDatagram(data, rinfo);
  }

  // As many records of this socket as there are in a row.
  #deliverBatch(endpoint: Endpoint, id: number, head: number, base: number): void {
    const { words, bytes } = this.#ring;
    const batch = this.#batch;
    batch.open(endpoint);
    while (this.#tail !== head) {
      const at = recordAt(this.#ring, this.#tail, base);
      if (words[at + (D_SOCKET_ID >> 2)] !== id || bytes[(at << 2) + D_KIND] !== KIND_DATAGRAM) break;
      if (!batch.add(at, this.#segmentAt)) break;
      this.#next();
    }
    try {
      endpoint.onBatch(batch);
    } finally {
      batch.release();
    }
  }

  #next(): void {
    if (this.#copiedUntil === this.#tail) this.#copiedUntil = (this.#tail + 1) | 0;
    this.#tail = (this.#tail + 1) | 0;
    this.#segmentAt = 0;
  }

  // Copies the payloads of the record at #tail and of those behind it that lie back to back.
  #copyAhead(head: number, base: number): void {
    const { words, bytes } = this.#ring;
    let n = this.#tail;
    const first = recordAt(this.#ring, n, base);
    const start = words[first + (D_OFFSET >> 2)] + this.#segmentAt;
    let end = words[first + (D_OFFSET >> 2)] + words[first + (D_LENGTH >> 2)];
    for (n = (n + 1) | 0; n !== head; n = (n + 1) | 0) {
      const at = recordAt(this.#ring, n, base);
      const length = words[at + (D_LENGTH >> 2)];
      if (bytes[(at << 2) + D_KIND] !== KIND_DATAGRAM || words[at + (D_OFFSET >> 2)] !== end) break;
      if (end + length - start > RUN_BYTES) break;
      end += length;
    }
    const total = end - start;
    if (this.#chunkUsed + total > this.#chunk.byteLength) {
      this.#chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, total)).buffer as ArrayBuffer;
      markAsUntransferable(this.#chunk); // as Node does with its own pool: it is not one message's to give away
      this.#chunkBytes = new Uint8Array(this.#chunk);
      this.#chunkUsed = 0;
    }
    if (total <= LOOP_BYTES_MAX) {
      for (let i = 0; i < total; i++) this.#chunkBytes[this.#chunkUsed + i] = this.#arena[start + i];
    } else {
      this.#chunkBytes.set(this.#arena.subarray(start, end), this.#chunkUsed);
    }
    this.#copiedShift = this.#chunkUsed - start;
    this.#copiedUntil = n;
    this.#chunkUsed += total;
  }

  // Gives the consumed records back to the thread. One that found the ring full is woken when an eighth of it is free:
  // for each bit of room it would come and go once a datagram.
  #release(): void {
    const control = this.#control;
    if (control[C_TAIL >> 2] === this.#tail) return;
    Atomics.store(control, C_TAIL >> 2, this.#tail);
    if (Atomics.load(control, C_PRODUCER_WAITING >> 2) === 0) {
      this.#resumeAt = undefined;
      return;
    }
    const left = (Atomics.load(control, C_HEAD >> 2) - this.#tail) | 0;
    this.#resumeAt ??= (this.#tail + (left >> 3)) | 0;
    if (left > 0 && ((this.#resumeAt - this.#tail) | 0) > 0) return;
    this.#resumeAt = undefined;
    if (Atomics.exchange(control, C_PRODUCER_WAITING >> 2, 0) === 1) this.#resume();
  }
}
