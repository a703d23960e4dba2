// The counters that the threads keep in shared memory, read without a call.
import {
  COUNTER_ROWS_PER_PAGE,
  COUNTERS_PER_ROW,
  counterIndex,
  serverCounterIndex,
  threadCounterIndex,
  tunnelCounterIndex,
  tunnelGaugeIndex,
} from '../backend/layout.js';
import { sharedBuffer } from './memory.js';

/** A number for each name, each with the words that layout.ts has for it.
 * @internal */
type Counted<Places> = { -readonly [Name in keyof Places]: number };

/** Counters of a socket's I/O thread; a shared thread counts for all its sockets. */
export interface ThreadStats extends Counted<typeof threadCounterIndex> {}

/** What has been counted since the socket was bound. Names that begin with `rx` are about receiving, with `tx` about
 * sending. */
export interface Stats extends Counted<typeof counterIndex> {
  /** Of the thread that receives for the socket. */
  thread: ThreadStats;
}

/** Counters of a server that answers by rules or by a handler. */
export interface AnsweringStats extends Counted<typeof serverCounterIndex> {}

/** What a server has counted since its last start. */
export interface ServerStats extends Stats {
  /** What its rules, lists, limits, guards and handler have done. */
  answering: AnsweringStats;
}

/** The name of a socket's counter. */
export type CounterName = Exclude<keyof Stats, 'thread'>;
/** The name of a thread's counter. */
export type ThreadCounterName = keyof ThreadStats;
/** The name of a counter of a server's answers. */
export type AnsweringCounterName = keyof AnsweringStats;

/** Names what stands in a socket's row and its thread's. */
function readStats(socket: BigUint64Array, thread: BigUint64Array): Stats {
  return { ...named(socket, counterIndex), thread: named(thread, threadCounterIndex) };
}

export function readServerStats(socket: BigUint64Array, thread: BigUint64Array): ServerStats {
  return { ...readStats(socket, thread), answering: named(socket, serverCounterIndex) };
}

/** The name of a counter of a tunnel's. */
export type TunnelCounterName = keyof typeof tunnelCounterIndex;
/** What a tunnel has counted, and how it is now. */
export type TunnelCounters = Counted<typeof tunnelCounterIndex & typeof tunnelGaugeIndex>;

export const TUNNEL_CELLS = Math.max(...Object.values(tunnelGaugeIndex)) + 1;

/** Of all queues. What is of the device each of them has noticed. */
export function readTunnelCounters(rows: readonly BigUint64Array[]): TunnelCounters {
  const { mtuChanges, deviceLosses, ...moved } = tunnelCounterIndex;
  const ofDevice = named(rows[0], { mtuChanges, deviceLosses, ...tunnelGaugeIndex });
  return { ...(sum(rows.map((row) => named(row, moved))) as Counted<typeof moved>), ...ofDevice };
}

const THREAD_COUNTERS = Math.max(...Object.values(threadCounterIndex)) + 1;

// Halves of counters, in a socket's row and its thread's behind it.
const HALVES = 2 * (COUNTERS_PER_ROW + THREAD_COUNTERS);

/** What the counters of a socket and its thread were at some time. Every socket takes one when it closes, hardly
 * anybody looks at it, and most counters are 0: what is not is kept. */
export class Snapshot {
  /** A half and its place in one number; several of a place add up. */
  readonly #kept: number[] = [];

  /** `socket` and `thread`: which counter of its page each row begins with. */
  constructor(socketPage: Uint32Array, socket: number, threadPage: Uint32Array, thread: number) {
    this.#keep(0, socketPage, socket, COUNTERS_PER_ROW);
    this.#keep(COUNTERS_PER_ROW, threadPage, thread, THREAD_COUNTERS);
  }

  /** Counts what JavaScript loses later. */
  add(name: keyof typeof counterIndex, n: number): void {
    this.#kept.push(n * HALVES + 2 * counterIndex[name]);
  }

  get stats(): Stats {
    return readStats(...this.#rows());
  }

  get serverStats(): ServerStats {
    return readServerStats(...this.#rows());
  }

  #keep(place: number, page: Uint32Array, first: number, count: number): void {
    for (let i = 0; i < 2 * count; i++) {
      const half = page[2 * first + i];
      if (half !== 0) this.#kept.push(half * HALVES + 2 * place + i);
    }
  }

  #rows(): [socket: BigUint64Array, thread: BigUint64Array] {
    const halves = new Uint32Array(HALVES);
    for (const kept of this.#kept) halves[kept % HALVES] += Math.floor(kept / HALVES);
    const counters = new BigUint64Array(halves.buffer);
    return [counters.subarray(0, COUNTERS_PER_ROW), counters.subarray(COUNTERS_PER_ROW)];
  }
}

function named<Name extends string>(row: BigUint64Array, names: Record<Name, number>): Record<Name, number> {
  const out = {} as Record<Name, number>;
  for (const name in names) out[name] = Number(row[names[name]]);
  return out;
}

const PAGE_BYTES = COUNTER_ROWS_PER_PAGE * COUNTERS_PER_ROW * 8;

// Zeroes, of which only what is touched costs memory: the rows of idle sockets do not. V8 takes the memory of a buffer that
// may grow from the kernel, and that of others from malloc, which may have to clear it. (Views of it need a length: those
// that follow its growth are slow.)
function untouched(bytes: number): SharedArrayBuffer {
  return sharedBuffer(bytes, { maxByteLength: bytes });
}

/** Rows of counters, a page of memory at a time. Row 0 is the thread's own. */
export class CounterPages {
  readonly #pages: BigUint64Array<SharedArrayBuffer>[] = [];
  readonly #words: Uint32Array[] = [];
  readonly #onPage: (page: BigUint64Array<SharedArrayBuffer>) => void;

  /** `onPage` makes each new page known to the thread before any of its rows is used. */
  constructor(onPage: (page: BigUint64Array<SharedArrayBuffer>) => void) {
    this.#onPage = onPage;
  }

  /** Makes sure that `slot` has a row. */
  reserve(slot: number): void {
    while (slot >= this.#pages.length * COUNTER_ROWS_PER_PAGE) {
      const page = new BigUint64Array(untouched(PAGE_BYTES), 0, COUNTER_ROWS_PER_PAGE * COUNTERS_PER_ROW);
      this.#pages.push(page);
      this.#words.push(new Uint32Array(page.buffer, 0, 2 * page.length));
      this.#onPage(page);
    }
  }

  /** Counts what JavaScript decides by itself. Only counters that no thread writes without a locked instruction. */
  add(slot: number, name: 'rxQueueDrops' | 'rxCloseDrops' | 'rxBlocked' | 'txErrors', n: number): void {
    if (n === 0) return;
    Atomics.add(this.#page(slot), this.#row(slot) + counterIndex[name], BigInt(n));
  }

  read(slot: number): Stats {
    return readStats(this.row(slot), this.row(0));
  }

  /** The counters as they are now; cheap, and named when somebody looks. */
  snapshot(slot: number): Snapshot {
    return new Snapshot(this.#words[pageOf(slot)], this.#row(slot), this.#words[0], 0);
  }

  /** A slot's row itself, for other threads to read. */
  row(slot: number): BigUint64Array<SharedArrayBuffer> {
    const row = this.#row(slot);
    return this.#page(slot).subarray(row, row + COUNTERS_PER_ROW);
  }

  #page(slot: number): BigUint64Array<SharedArrayBuffer> {
    return this.#pages[pageOf(slot)];
  }

  #row(slot: number): number {
    return (slot % COUNTER_ROWS_PER_PAGE) * COUNTERS_PER_ROW;
  }
}

function pageOf(slot: number): number {
  return Math.floor(slot / COUNTER_ROWS_PER_PAGE);
}

/** What all have counted together. */
export function sumStats<T extends Stats>(all: readonly T[]): T {
  return sum(all) as T;
}

function sum(all: readonly object[]): object {
  const out: Record<string, unknown> = {};
  for (const name in all[0]) {
    const values = all.map((each) => (each as Record<string, unknown>)[name]);
    out[name] =
      typeof values[0] === 'object' ? sum(values as object[]) : (values as number[]).reduce((a, b) => a + b, 0);
  }
  return out;
}

/** What a socket that never had a descriptor has counted. */
export function zeroCounters(): Snapshot {
  const zeros = new Uint32Array(COUNTERS_PER_ROW * 2);
  return new Snapshot(zeros, 0, zeros, 0);
}

export function zeroStats(): Stats {
  return zeroCounters().stats;
}
