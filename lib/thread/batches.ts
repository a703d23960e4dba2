// Batches, made of the records that lie in a row, or in a lane.
import { KIND_DATAGRAM } from '../backend/layout.js';
import { Batch } from './batch.js';
import type { TakesBatches } from './endpoint.js';
import type { Lane } from './lanes.js';
import type { OwnedPayloads } from './payloads.js';
import type { ReceivedRecords } from './records.js';

export class Batches {
  readonly #records: ReceivedRecords;
  readonly #payloads: OwnedPayloads;
  readonly #arena: Uint8Array;
  #batch: Batch | undefined; // made for the first who wants one

  constructor(records: ReceivedRecords, payloads: OwnedPayloads, arena: Uint8Array) {
    this.#records = records;
    this.#payloads = payloads;
    this.#arena = arena;
  }

  /** An empty one; the same for all. */
  open(endpoint: TakesBatches): Batch {
    this.#batch ??= new Batch(this.#records, this.#arena);
    this.#batch.open(endpoint);
    return this.#batch;
  }

  /** With those of the socket in a row, from the record `from` on, of which `segmentAt` bytes were handed out already. Returns how many. */
  fill(batch: Batch, id: number, from: number, segmentAt: number, head: number, base: number): number {
    const records = this.#records;
    let n = from;
    for (; n !== head; n = (n + 1) | 0) {
      const at = this.#payloads.intoArena(n, base);
      if (records.socketId(at) !== id || records.kind(at) !== KIND_DATAGRAM || !batch.add(at, segmentAt)) break;
      segmentAt = 0;
    }
    return (n - from) | 0;
  }

  fillFromLane(batch: Batch, lane: Lane, base: number): number {
    const records = this.#records;
    let { first, segmentAt } = lane;
    for (; first < lane.records.length; first++) {
      const at = this.#payloads.intoArena(lane.records[first], base);
      if (records.kind(at) !== KIND_DATAGRAM || !batch.add(at, segmentAt)) break;
      segmentAt = 0;
    }
    return first - lane.first;
  }
}
