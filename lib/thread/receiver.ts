// The consumer's half of the receive ring (native/core/memory/rx_ring.h is the other).
import type { OnLone, OnLoneBatch, ThreadMemory } from '../backend/contract.js';
import { C_BASE, C_CROWDING, C_HEAD, C_WAKE_PENDING, KIND_DATAGRAM, SOCKET_SLOT_BITS } from '../backend/layout.js';
import { familyNames } from '../base/family.js';
import type { Batch } from './batch.js';
import { Batches } from './batches.js';
import { type Endpoint, isPlain, type RemoteInfo, type TakesBatches, wantsBatches } from './endpoint.js';
import { type Lane, Lanes } from './lanes.js';
import { describe } from './metadata.js';
import { notify } from './notices.js';
import { OwnedPayloads } from './payloads.js';
import type { ReceiverTools } from './receiver-tools.js';
import { ReceivedRecords } from './records.js';
import { ReturnedRecords } from './returned-records.js';
import { runTicks } from './run-ticks.js';
import { budget, forget, goOnLater, type Waiter } from './turns.js';

const SLOT_MASK = (1 << SOCKET_SLOT_BITS) - 1;

export class Receiver implements Waiter {
  readonly #control: Int32Array;
  readonly records: ReceivedRecords;
  readonly #payloads: OwnedPayloads;
  readonly #arena: Uint8Array;
  readonly #batches: Batches;
  readonly #endpoints: (Endpoint | undefined)[];
  readonly #tools: ReceiverTools;
  readonly #returned: ReturnedRecords;

  #tail = 0; // the oldest record that is not done with
  #segmentAt = 0; // bytes of the record at #tail that were handed out already
  #lanes: Lanes | undefined; // while records wait that there was no time for

  #draining = false;
  #paused = false;
  /** Goes on later; while anything is left of a drain, it is set. */
  waits = false;

  /** `endpoints`: by slot, shared with the thread's owner. */
  constructor(memory: ThreadMemory, endpoints: (Endpoint | undefined)[], tools: ReceiverTools) {
    this.#control = memory.control;
    this.records = new ReceivedRecords(memory.descriptors);
    this.#payloads = new OwnedPayloads(this.records, memory.arena, tools.giveChunk);
    this.#batches = new Batches(this.records, this.#payloads, memory.arena);
    this.#arena = memory.arena;
    this.#endpoints = endpoints;
    this.#tools = tools;
    this.#returned = new ReturnedRecords(memory.control, tools.resume);
  }

  /** Is a drain on the stack? Then sends wait for its end. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Everything before this record has been handed out. */
  get tail(): number {
    return this.#tail;
  }

  /** Does somebody want the process to run on for what comes? */
  get held(): boolean {
    return this.#tools.held();
  }

  /** Called on a wake-up. A listener's exception passes through; the datagrams behind it come in a later turn. */
  drain(): void {
    if (!this.waits) this.run();
  }

  /** The same of a record that comes alone. Where little comes this is all that runs of us, and it runs before it is
   * compiled: then each call and each load counts, and what is called a few hundred times V8 compiles, for a program that
   * has hardly anything to do. */
  readonly takeLone: OnLone = (data, id, address, family, port, entered) => {
    const endpoint = this.#endpoints[id & SLOT_MASK];
    if (this.#draining || this.waits || endpoint === undefined || !isPlain(endpoint, id)) return false;
    this.#tail = (this.#tail + 1) | 0;
    this.#draining = true;
    try {
      const rinfo: RemoteInfo = { address, family: familyNames[family], port, size: data.length };
      if (endpoint.onLone === undefined) endpoint.onDatagram(data, rinfo, false);
      else endpoint.onLone(data, rinfo, entered);
    } finally {
      this.#endLone();
    }
    return true;
  };

  /** The same as a batch. */
  readonly takeLoneBatch: OnLoneBatch = (id, entered) => {
    const endpoint = this.#endpoints[id & SLOT_MASK];
    if (this.#draining || this.waits || endpoint?.id !== id || !wantsBatches(endpoint)) return false;
    const batch = this.#batches.open(endpoint);
    batch.add(this.records.at(this.#tail, this.#control[C_BASE >> 2]), 0);
    this.#tail = (this.#tail + 1) | 0;
    this.#draining = true;
    try {
      endpoint.onBatch(batch, entered);
    } finally {
      batch.release();
      this.#endLone();
    }
    return true;
  };

  #endLone(): void {
    this.#draining = false;
    this.#returned.upTo(this.#tail);
    this.#tools.answers.flush();
    if (this.#paused) return; // whoever goes on later looks
    Atomics.store(this.#control, C_WAKE_PENDING >> 2, 0);
    // It woke nobody while the flag was set.
    if (Atomics.load(this.#control, C_HEAD >> 2) !== this.#tail) goOnLater(this);
  }

  /** No drain comes after this. */
  stop(): void {
    forget(this);
  }

  /** Whoever takes batches gets none behind the present one until it is off again: the ring fills, and then `onFull` says what
   * happens. */
  pause(on: boolean): void {
    if (on) forget(this);
    else if (this.#paused) goOnLater(this);
    this.#paused = on;
    if (on) this.waits = true;
  }

  /** Datagrams of this socket that were not handed out yet. */
  waiting(id: number): number {
    const records = this.records;
    const head = Atomics.load(this.#control, C_HEAD >> 2);
    const base = this.#control[C_BASE >> 2];
    let count = 0;
    for (let n = this.#tail; n !== head; n = (n + 1) | 0) {
      const at = records.at(n, base);
      if (records.socketId(at) !== id || records.kind(at) !== KIND_DATAGRAM) continue;
      const passed = count > 0 ? 0 : (this.#lanes?.begun(id) ?? (n === this.#tail ? this.#segmentAt : 0));
      count += records.datagrams(at, passed);
    }
    return count;
  }

  /** As `drain`, of one that waited. */
  run(): void {
    // Draining already: a listener has turned the event loop itself.
    if (this.#draining || budget.spent) {
      goOnLater(this);
      return;
    }
    budget.begin();
    this.#draining = true;
    const control = this.#control;
    let ended = false;
    let again = false;
    try {
      // The flag stays set while there is something to read: nobody has to wake us then. (Node calls a thread-safe
      // function up to a thousand times in a row: a wake-up a drain would keep timers waiting for seconds.)
      do {
        Atomics.store(control, C_WAKE_PENDING >> 2, 1);
        ended = false; // also when a listener throws in a later round
        ended = this.#consume(Atomics.load(control, C_HEAD >> 2), control[C_BASE >> 2], again);
        again = true;
        this.#returned.upTo(this.#tail);
        if (!ended) break;
        // Cleared before the head is looked at again: what is published from here on wakes us.
        Atomics.store(control, C_WAKE_PENDING >> 2, 0);
      } while (Atomics.load(control, C_HEAD >> 2) !== this.#tail);
    } finally {
      this.#draining = false;
      this.#returned.upTo(this.#tail);
      this.#tools.answers.flush();
      budget.end();
      // Also when all is read, but the time is up: what comes next in this turn has to wait.
      if (!this.#paused && (budget.spent || !ended)) goOnLater(this);
      if (budget.spent && !ended && !this.#tools.alone()) this.#lanes ??= new Lanes(this.#tail);
    }
  }

  // True when everything up to `head` is consumed, false when the time is up.
  //
  // Between two events nextTicks and microtasks run; what they do (close a socket, throw) happens while
  // the next record is still untouched. `again`: there have been events already.
  #consume(head: number, base: number, again: boolean): boolean {
    if (this.#lanes !== undefined) this.#sort(this.#lanes, head, base);
    if (again && this.#tail !== head && !this.#mayGoOn()) return false;
    while (this.#tail !== head) {
      const lanes = this.#lanes;
      if (!(lanes === undefined ? this.#nextInOrder(head, base) : this.#nextOfLanes(lanes, head, base))) return false;
      if (this.#tail !== head && !this.#mayGoOn()) return false;
    }
    if (this.#lanes !== undefined) {
      this.#lanes = undefined;
      Atomics.store(this.#control, C_CROWDING >> 2, 0);
    }
    return true;
  }

  // Between two events. False: the time is up.
  #mayGoOn(): boolean {
    if (runTicks === undefined) return false; // every datagram gets a turn of the event loop of its own
    runTicks();
    return !budget.due() || this.#look();
  }

  #look(): boolean {
    this.#returned.upTo(this.#tail); // the thread can go on while we work
    if (budget.look()) return false;
    if (this.#lanes !== undefined && budget.shareEnded()) this.#lanes.rotate();
    return true;
  }

  // The record at #tail. False when the time was up within it.
  #nextInOrder(head: number, base: number): boolean {
    const n = this.#tail;
    const at = this.records.at(n, base);
    const endpoint = this.#endpointOf(this.records.socketId(at));
    if (endpoint === undefined) {
      this.#next(1);
    } else if (this.records.kind(at) !== KIND_DATAGRAM) {
      this.#next(1);
      notify(this.records, at, endpoint, this.#arena);
    } else if (wantsBatches(endpoint)) {
      const batch = this.#batches.open(endpoint);
      this.#next(this.#batches.fill(batch, endpoint.id, n, this.#segmentAt, head, base));
      return this.#lend(endpoint, batch);
    } else {
      return this.#deliver(endpoint, n, head, base, undefined);
    }
    return true;
  }

  #next(count: number): void {
    this.#tail = (this.#tail + count) | 0;
    this.#segmentAt = 0;
  }

  // ---- while several sockets have more than there is time for

  #sort(lanes: Lanes, head: number, base: number): void {
    const records = this.records;
    lanes.rotate(); // the time was up in the turn of the latest
    for (let n = lanes.until; n !== head; n = (n + 1) | 0) lanes.add(n, records.socketId(records.at(n, base)));
    Atomics.store(this.#control, C_CROWDING >> 2, lanes.crowding);
    if (this.#segmentAt === 0) return;
    lanes.begin(this.records.socketId(this.#payloads.intoArena(this.#tail, base)), this.#segmentAt);
    this.#segmentAt = 0;
  }

  // One datagram, or one batch, of the socket whose turn it is.
  #nextOfLanes(lanes: Lanes, head: number, base: number): boolean {
    const lane = lanes.current;
    const endpoint = this.#endpointOf(lane.id);
    const n = lane.records[lane.first];
    const at = this.records.at(n, base);
    if (endpoint === undefined) {
      this.#done(lanes, lane, lane.records.length - lane.first, base);
    } else if (this.records.kind(at) !== KIND_DATAGRAM) {
      this.#done(lanes, lane, 1, base);
      notify(this.records, at, endpoint, this.#arena);
    } else if (wantsBatches(endpoint)) {
      const batch = this.#batches.open(endpoint);
      this.#done(lanes, lane, this.#batches.fillFromLane(batch, lane, base), base);
      return this.#lend(endpoint, batch);
    } else {
      return this.#deliver(endpoint, n, head, base, lane);
    }
    return true;
  }

  // The first `position` of the `length` bytes of the lane's first record are handed out.
  #passed(lane: Lane, position: number, length: number, base: number): void {
    if (position < length) {
      this.#payloads.intoArena(lane.records[lane.first], base); // others come in between
      lane.segmentAt = position;
    } else this.#done(this.#lanes as Lanes, lane, 1, base);
  }

  // The next `count` records of the lane are done with, and #tail is the oldest that is not.
  #done(lanes: Lanes, lane: Lane, count: number, base: number): void {
    const records = this.records;
    for (let i = lane.first; i < lane.first + count; i++) records.drop(records.at(lane.records[i], base));
    lanes.done(count);
    while (this.#tail !== lanes.until && records.socketId(records.at(this.#tail, base)) === 0) {
      this.#tail = (this.#tail + 1) | 0;
    }
  }

  // ---- to the socket

  #endpointOf(id: number): Endpoint | undefined {
    const endpoint = this.#endpoints[id & SLOT_MASK];
    return endpoint !== undefined && endpoint.id === id ? endpoint : undefined;
  }

  // The datagrams of the record `n`, the first of its `lane` or, without one, all of them as long as there is time: they
  // have a source in common. The compiler inlines so much of this path and no more, so it is kept short.
  #deliver(endpoint: Endpoint, n: number, head: number, base: number, lane: Lane | undefined): boolean {
    const records = this.records;
    const at = records.at(n, base);
    const length = records.length(at);
    const each = records.segmentSize(at) || length;
    const offset = records.offset(at);
    const address = records.address(at);
    const family = familyNames[records.family(at)];
    const port = records.port(at);
    const whole = records.truncated(at) ? records.size(at) : undefined;
    const { pooled, metadata } = endpoint;
    let told: RemoteInfo | undefined; // of the record, and so of each of its datagrams
    let position = lane === undefined ? this.#segmentAt : lane.segmentAt;
    let again = false;
    for (;;) {
      const size = Math.min(each, length - position);
      const from = offset + position;
      const data = pooled ? this.#payloads.take(n, from, size, head, base) : this.#payloads.alone(n, from, size, base);
      let rinfo: RemoteInfo = { address, family, port, size: whole ?? size };
      if (metadata !== undefined) {
        told ??= describe(metadata, records, at, rinfo);
        rinfo = each >= length ? told : { ...told, size };
      }
      // Before anything can throw: the next drain goes on behind this datagram.
      position += size;
      if (lane !== undefined) {
        this.#passed(lane, position, length, base);
        endpoint.onDatagram(data, rinfo, false);
        return true;
      }
      if (position < length) this.#segmentAt = position;
      else this.#next(1);
      endpoint.onDatagram(data, rinfo, again);
      if (position >= length) return true;
      again = true;
      if (!this.#mayGoOn()) return false;
      // Its listener may have closed the socket, or taken another one that wants batches.
      if (this.#endpointOf(records.socketId(at)) !== endpoint) return true;
      if (endpoint.sameListeners !== true && wantsBatches(endpoint)) return true;
    }
  }

  // False: no more for now.
  #lend(endpoint: TakesBatches, batch: Batch): boolean {
    try {
      endpoint.onBatch(batch);
    } finally {
      batch.release();
    }
    return !this.#paused;
  }
}
