// From 'batch' events to batches by subject and lane. Nothing is allocated for a datagram.
import { D_RECEIVED_NS } from '../backend/layout.js';
import { now, wallClockNs } from '../base/runtime.js';
import type { BatchParts } from '../thread/batch.js';
import { littleEndian, type ReceivedRecords } from '../thread/records.js';
import { FLOWS_MAX, Flows, type LocalEnd } from './flows.js';
import { Pack } from './pack.js';
import { laneOf } from './subject.js';
import type { CollectedFlow } from './types.js';

/** One sequence of batches, written one at a time. */
export interface Lane {
  readonly key: string;
  /** To which datagrams are added. */
  open: Pack | undefined;
  /** What is written, and what waits for that. */
  readonly queue: Pack[];
  /** Bytes that the latest had. */
  expected: number;
}

export interface PackerOptions {
  /** A number that no other collector has. */
  collector: bigint;
  batchBytes: number;
  /** Of memory for batches that are open, before some are closed. */
  openBytes: number;
  /** @throws for what is no subject */
  subject: (flow: CollectedFlow) => string;
  lanes: number;
  local: LocalEnd;
  /** A batch is closed: it is at the end of the lane's queue. */
  onPack(lane: Lane): void;
  /** There is an open one, after there was none. */
  onOpen(): void;
  /** Datagrams have no subject. */
  onUnsorted(count: number, error: Error): void;
}

const SMALL_BYTES = 4096;
const POOL_MAX = 256;

const TIME_LOW = (D_RECEIVED_NS >> 2) + (littleEndian ? 0 : 1);
const TIME_HIGH = (D_RECEIVED_NS >> 2) + (littleEndian ? 1 : 0);

export class Packer {
  readonly #options: PackerOptions;
  readonly #flows: Flows;
  readonly #lanes = new Map<string, Lane>();
  /** In the order in which they were begun. */
  readonly #open = new Set<Lane>();
  readonly #laneOf = new Array<Lane | Error>(FLOWS_MAX); // of flows
  readonly #marks = new Float64Array(FLOWS_MAX); // the serial of the batch that has the flow's source, …
  readonly #places = new Uint32Array(FLOWS_MAX); // … and where
  readonly #pool: Uint8Array[] = [];
  #unsorted: Error | undefined; // why the latest flow has no subject
  #serial = 0;
  #openBytes = 0;
  /** Datagrams taken, and their bytes. */
  taken = 0;
  takenBytes = 0;

  // What is to be copied, in one go.
  #arena: Uint8Array = new Uint8Array(0);
  #pack: Pack | undefined;
  #at = 0;
  #from = 0;
  #to = 0;

  constructor(options: PackerOptions) {
    this.#options = options;
    this.#flows = new Flows(options.local);
  }

  /** Datagrams in open batches. */
  get waiting(): number {
    let count = 0;
    for (const { open } of this.#open) count += open?.count ?? 0;
    return count;
  }

  get hasOpen(): boolean {
    return this.#open.size > 0;
  }

  /** The first `length` datagrams of a batch. */
  take(parts: BatchParts, length: number): void {
    const { ats, offsets, sizes, records } = parts;
    const { words } = records;
    if (this.#flows.count + length > FLOWS_MAX) this.#forget();
    this.#arena = parts.arena;
    let late: [high: number, low: number] | undefined; // where the kernel has not said it
    for (let i = 0; i < length; ) {
      const at = ats[i];
      const from = offsets[i];
      const size = sizes[i];
      let next = i + 1;
      while (next < length && ats[next] === at) next++; // a record's are back to back
      const bytes = offsets[next - 1] + sizes[next - 1] - from;
      let high = words[at + TIME_HIGH];
      let low = words[at + TIME_LOW];
      if (high === 0 && low === 0) [high, low] = late ??= inWords(wallClockNs());
      const flow = this.#find(records, at);
      const lane = this.#laneOf[flow];
      this.taken += next - i;
      this.takenBytes += bytes;
      if (lane instanceof Error) {
        this.#options.onUnsorted(next - i, lane);
      } else {
        const pack = this.#packFor(lane, bytes, high);
        const before = pack.capacity;
        const place = pack.add(this.#sourceIn(pack, flow), high, low, next - i, size, sizes[next - 1]);
        this.#openBytes += pack.capacity - before;
        this.#copy(pack, place, from, bytes);
      }
      i = next;
    }
    this.#copied();
    while (this.#openBytes > this.#options.openBytes && this.#open.size > 1) this.#closeOldest();
  }

  #find(records: ReceivedRecords, at: number): number {
    const known = this.#flows.count;
    const flow = this.#flows.find(records, at);
    return flow === known ? this.#learn(flow) : flow;
  }

  // All of them, and sequences that have nothing to do. (Only then: a sequence that a flow knows still could be overtaken by a new one
  // of its name.)
  #forget(): void {
    this.#flows.clear();
    this.#marks.fill(0);
    for (const [name, { open, queue }] of this.#lanes)
      if (open === undefined && queue.length === 0) this.#lanes.delete(name);
  }

  #learn(flow: number): number {
    const { subject, lanes } = this.#options;
    const described = this.#flows.describe(flow);
    try {
      this.#laneOf[flow] = this.#lane(subject(described), laneOf(described, lanes));
    } catch (error) {
      const told = error instanceof Error ? error : new Error(String(error));
      if (told.message !== this.#unsorted?.message) this.#unsorted = told; // one for all sources
      this.#laneOf[flow] = this.#unsorted;
    }
    return flow;
  }

  #lane(key: string, number: number): Lane {
    const name = `${key} ${number}`;
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      lane = { key, open: undefined, queue: [], expected: 0 };
      this.#lanes.set(name, lane);
    }
    return lane;
  }

  #sourceIn(pack: Pack, flow: number): number {
    if (this.#marks[flow] === pack.serial) return this.#places[flow];
    this.#marks[flow] = pack.serial;
    const place = pack.addSource((out, at) => this.#flows.write(flow, out, at));
    this.#places[flow] = place;
    return place;
  }

  #packFor(lane: Lane, bytes: number, high: number): Pack {
    const { batchBytes } = this.#options;
    if (lane.open?.fits(bytes, batchBytes, high)) return lane.open;
    if (lane.open !== undefined) this.close(lane);
    const pack = new Pack(this.#options.collector, ++this.#serial, lane.key, now(), this.#memoryFor(lane));
    lane.open = pack;
    this.#openBytes += pack.capacity;
    this.#open.add(lane);
    if (this.#open.size === 1) this.#options.onOpen();
    return pack;
  }

  #memoryFor({ expected }: Lane): Uint8Array {
    const { batchBytes } = this.#options;
    if (2 * expected < batchBytes) return new Uint8Array(Math.max(SMALL_BYTES, expected + (expected >> 3)));
    return this.#pool.pop() ?? new Uint8Array(batchBytes);
  }

  /** The batch is written, and nobody reads it any more. */
  reuse(pack: Pack): void {
    const memory = pack.takeMemory();
    if (memory.length === this.#options.batchBytes && this.#pool.length < POOL_MAX) this.#pool.push(memory);
  }

  // What comes from where the one before ended, and goes to where that ended, is copied with it.
  #copy(pack: Pack, at: number, from: number, bytes: number): void {
    if (this.#pack === pack && this.#to === from && at === this.#at + (this.#to - this.#from)) {
      this.#to += bytes;
      return;
    }
    this.#copied();
    this.#pack = pack;
    this.#at = at;
    this.#from = from;
    this.#to = from + bytes;
  }

  #copied(): void {
    if (this.#pack !== undefined) this.#pack.place(this.#at, this.#arena, this.#from, this.#to);
    this.#pack = undefined;
  }

  /** Nothing is added to the lane's batch any more; it is in the queue. */
  close(lane: Lane): void {
    const pack = lane.open;
    if (pack === undefined) return;
    if (pack === this.#pack) this.#copied();
    lane.open = undefined;
    lane.expected = pack.size;
    this.#open.delete(lane);
    this.#openBytes -= pack.capacity;
    lane.queue.push(pack);
    this.#options.onPack(lane);
  }

  #closeOldest(): void {
    const [oldest] = this.#open;
    this.close(oldest);
  }

  /** Closes those that are older than `ms`, and whose lane has nothing to write. */
  closeDue(ms: number): void {
    const before = now() - ms;
    for (const lane of this.#open) {
      if ((lane.open as Pack).since > before) return; // those behind it are younger
      if (lane.queue.length === 0) this.close(lane);
    }
  }

  /** The lane has nothing to write: closes its batch if that is old enough. */
  closeIfDue(lane: Lane, ms: number): void {
    if (lane.open !== undefined && lane.open.since <= now() - ms) this.close(lane);
  }

  closeAll(): void {
    for (const lane of [...this.#open]) this.close(lane);
  }
}

function inWords(ns: bigint): [high: number, low: number] {
  return [Number(ns >> 32n), Number(ns & 0xffffffffn)];
}
