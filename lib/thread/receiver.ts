// The consumer's half of the receive ring (native/core/memory/rx_ring.h is the other): wakes up, reads records, hands
// each to its socket.
import { markAsUntransferable } from 'node:worker_threads';
import type { ThreadMemory } from '../backend/contract.js';
import {
  C_BASE,
  C_HEAD,
  C_PRODUCER_WAITING,
  C_TAIL,
  C_WAKE_PENDING,
  KIND_DATAGRAM,
  KIND_DRAINED,
  KIND_ERROR,
  KIND_SENT,
  SOCKET_SLOT_BITS,
} from '../backend/layout.js';
import { familyNames } from '../base/family.js';
import { Batch, FastBuffer } from './batch.js';
import type { Endpoint, RemoteInfo, TakesBatches } from './endpoint.js';
import { ReceivedRecords } from './records.js';

/** Bytes of one allocation that small datagrams share. */
const CHUNK_BYTES = 64 * 1024;
/** Payload bytes that are copied at once, ahead of the events. */
const RUN_BYTES = CHUNK_BYTES / 2;
/** Up to so many bytes a loop copies faster than TypedArray.set, which needs a view made for it. */
const LOOP_BYTES_MAX = 64;
/** One drain's share of the event loop: then timers and other I/O get their turn. */
const BUDGET_MS = 0.4;
/** How many events between two looks at the clock, a power of two. */
const CLOCK_EVERY = 64;

const SLOT_MASK = (1 << SOCKET_SLOT_BITS) - 1;

// Runs nextTicks and microtasks, as Node's timers do between two callbacks; it costs next to nothing when none is
// queued. Where it is missing every datagram gets a turn of the event loop of its own.
const runTicks = (process as unknown as { _tickCallback?: () => void })._tickCallback;

function wantsBatches(endpoint: Endpoint): endpoint is Endpoint & TakesBatches {
  return endpoint.wantsBatches === true;
}

export class Receiver {
  readonly #control: Int32Array;
  readonly #records: ReceivedRecords;
  readonly #arena: Uint8Array;
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
    this.#records = new ReceivedRecords(memory.descriptors);
    this.#arena = new Uint8Array(memory.arena);
    this.#batch = new Batch(this.#records, memory.arena);
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
      this.#immediate ??= setImmediate(this.#drain); // a listener has turned the event loop itself
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
  // Between two events nextTicks and microtasks run; what they do (close a socket, throw) happens while
  // the next record is still untouched. `again`: there have been events already.
  #consume(head: number, base: number, again: boolean): boolean {
    const records = this.#records;
    for (let events = again ? 1 : 0; this.#tail !== head; events++) {
      if (events > 0) {
        if (runTicks === undefined) return false;
        runTicks();
        if ((events & (CLOCK_EVERY - 1)) === 0) {
          this.#release(); // the thread can go on while we work
          if (performance.now() >= this.#deadline) return false;
        }
      }
      const at = records.at(this.#tail, base);
      const id = records.socketId(at);
      const endpoint = this.#endpoints[id & SLOT_MASK];
      if (endpoint === undefined || endpoint.id !== id) {
        this.#next();
        continue;
      }
      const kind = records.kind(at);
      if (kind !== KIND_DATAGRAM) this.#notify(endpoint, kind, at);
      else if (wantsBatches(endpoint)) this.#deliverBatch(endpoint, id, head, base);
      else this.#deliver(endpoint, at, head, base);
    }
    return true;
  }

  #notify(endpoint: Endpoint, kind: number, at: number): void {
    const records = this.#records;
    this.#next();
    if (kind === KIND_ERROR) endpoint.onReceiveError(records.result(at));
    else if (kind === KIND_SENT) endpoint.onSent?.(records.sendNumber(at), records.result(at));
    else if (kind === KIND_DRAINED) endpoint.onDrained?.();
  }

  // One datagram: the record at #tail, or the next segment of it.
  #deliver(endpoint: Endpoint, at: number, head: number, base: number): void {
    const records = this.#records;
    const length = records.length(at);
    const segment = records.segmentSize(at);
    const position = this.#segmentAt;
    const size = segment === 0 ? length : Math.min(segment, length - position);

    const from = records.offset(at) + position;
    let data: Buffer;
    if (endpoint.pooled) {
      if (this.#copiedUntil === this.#tail) this.#copyAhead(head, base);
      data = new FastBuffer(this.#chunk, from + this.#copiedShift, size);
    } else {
      data = Buffer.allocUnsafeSlow(size);
      data.set(this.#arena.subarray(from, from + size));
    }
    const rinfo: RemoteInfo = {
      address: records.address(at),
      family: familyNames[records.family(at)],
      port: records.port(at),
      size: records.truncated(at) ? records.size(at) : size,
    };
    if (endpoint.metadata !== undefined) {
      for (const kind of endpoint.metadata) kind.read(records, at, rinfo);
    }
    // Before the listener runs: if it throws, the next drain goes on behind this datagram.
    if (position + size >= length) this.#next();
    else this.#segmentAt = position + size;
    endpoint.onDatagram(data, rinfo);
  }

  // As many records of this socket as there are in a row.
  #deliverBatch(endpoint: TakesBatches, id: number, head: number, base: number): void {
    const records = this.#records;
    const batch = this.#batch;
    batch.open(endpoint);
    while (this.#tail !== head) {
      const at = records.at(this.#tail, base);
      if (records.socketId(at) !== id || records.kind(at) !== KIND_DATAGRAM) break;
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
    const records = this.#records;
    let n = this.#tail;
    const first = records.at(n, base);
    const start = records.offset(first) + this.#segmentAt;
    let end = records.offset(first) + records.length(first);
    for (n = (n + 1) | 0; n !== head; n = (n + 1) | 0) {
      const at = records.at(n, base);
      const length = records.length(at);
      if (records.kind(at) !== KIND_DATAGRAM || records.offset(at) !== end) break;
      if (end + length - start > RUN_BYTES) break;
      end += length;
    }
    const total = end - start;
    if (this.#chunkUsed + total > this.#chunk.byteLength) {
      this.#chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, total)).buffer as ArrayBuffer;
      markAsUntransferable(this.#chunk); // as Node does with its own pool: other messages' payloads are in it
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
