// The counters that the threads keep in shared memory, read without a call.
import {
  COUNTER_ROWS_PER_PAGE,
  COUNTERS_PER_ROW,
  counterIndex,
  serverCounterIndex,
  threadCounterIndex,
} from './layout.js';

export type CounterName = keyof typeof counterIndex;
export type ThreadCounterName = keyof typeof threadCounterIndex;
/** Counters of a socket's I/O thread; a shared thread counts for all its sockets. */
export type ThreadStats = Record<ThreadCounterName, number>;

/** What has been counted since the socket was bound. Names that begin with `rx` are about receiving, with `tx` about
 * sending. */
export type Stats = Record<CounterName, number> & { thread: ThreadStats };

/** Counters of a server that answers by rules or by a handler. */
export type AnsweringCounterName = keyof typeof serverCounterIndex;

/** What a server has counted since its last start. */
export type ServerStats = Stats & { answering: Record<AnsweringCounterName, number> };

/** What the counters of a socket and its thread were at some time. */
export class Snapshot {
  readonly #socket: BigUint64Array;
  readonly #thread: BigUint64Array;

  constructor(socket: BigUint64Array, thread: BigUint64Array) {
    this.#socket = socket;
    this.#thread = thread;
  }

  get stats(): Stats {
    return { ...named(this.#socket, counterIndex), thread: named(this.#thread, threadCounterIndex) };
  }

  get serverStats(): ServerStats {
    return { ...this.stats, answering: named(this.#socket, serverCounterIndex) };
  }
}

function named<Name extends string>(row: BigUint64Array, names: Record<Name, number>): Record<Name, number> {
  const out = {} as Record<Name, number>;
  for (const name in names) out[name] = Number(row[names[name]]);
  return out;
}

/** Rows of counters, a page of memory at a time. Row 0 is the thread's own. */
export class CounterPages {
  readonly #pages: BigUint64Array<SharedArrayBuffer>[] = [];
  readonly #onPage: (page: BigUint64Array<SharedArrayBuffer>) => void;

  /** `onPage` makes each new page known to the thread before any of its rows is used. */
  constructor(onPage: (page: BigUint64Array<SharedArrayBuffer>) => void) {
    this.#onPage = onPage;
  }

  /** Makes sure that `slot` has a row. */
  reserve(slot: number): void {
    while (slot >= this.#pages.length * COUNTER_ROWS_PER_PAGE) {
      const page = new BigUint64Array(new SharedArrayBuffer(COUNTER_ROWS_PER_PAGE * COUNTERS_PER_ROW * 8));
      this.#pages.push(page);
      this.#onPage(page);
    }
  }

  /** Counts what JavaScript decides by itself. Only counters that no thread writes without a locked instruction. */
  add(slot: number, name: 'rxQueueDrops' | 'txErrors', n: number): void {
    Atomics.add(this.#page(slot), this.#row(slot) + counterIndex[name], BigInt(n));
  }

  read(slot: number): Stats {
    return this.snapshot(slot).stats;
  }

  /** The counters as they are now; cheap, and named when somebody looks. */
  snapshot(slot: number): Snapshot {
    return new Snapshot(this.#copy(slot), this.#copy(0));
  }

  /** A slot's row itself, for other threads to read. */
  row(slot: number): BigUint64Array<SharedArrayBuffer> {
    const row = this.#row(slot);
    return this.#page(slot).subarray(row, row + COUNTERS_PER_ROW);
  }

  #copy(slot: number): BigUint64Array {
    const row = this.#row(slot);
    return this.#page(slot).slice(row, row + COUNTERS_PER_ROW);
  }

  #page(slot: number): BigUint64Array<SharedArrayBuffer> {
    return this.#pages[Math.floor(slot / COUNTER_ROWS_PER_PAGE)];
  }

  #row(slot: number): number {
    return (slot % COUNTER_ROWS_PER_PAGE) * COUNTERS_PER_ROW;
  }
}

/** What a socket that never had a descriptor has counted. */
export function zeroCounters(): Snapshot {
  return new Snapshot(new BigUint64Array(COUNTERS_PER_ROW), new BigUint64Array(COUNTERS_PER_ROW));
}

export function zeroStats(): Stats {
  return zeroCounters().stats;
}
