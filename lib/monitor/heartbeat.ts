// How late the event loop is. Its thread writes the time into shared memory on a timer; whoever reads it elsewhere
// sees the loop fall behind while it is still stuck.
import { clearInterval, nowNs, setInterval } from '../base/runtime.js';

/** How often the loop says that it runs. What is shorter than that does not count as lag. */
const INTERVAL_MS = 50;
const INTERVAL_NS = BigInt(INTERVAL_MS) * 1_000_000n;

// In the shared cells: the time of the last beat (CLOCK_MONOTONIC, the same in all threads), and the longest delay of
// a beat that nobody has taken yet. Nanoseconds.
const LAST = 0;
const LONGEST = 1;
const CELLS = 2;

export type HeartbeatCells = BigInt64Array<SharedArrayBuffer>;

/** The loop's side. It does not keep the loop alive. */
export class Heartbeat {
  readonly cells: HeartbeatCells = new BigInt64Array(new SharedArrayBuffer(CELLS * 8));
  readonly #timer: NodeJS.Timeout;

  constructor() {
    Atomics.store(this.cells, LAST, nowNs());
    this.#timer = setInterval(() => this.#beat(), INTERVAL_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    const now = nowNs();
    const delay = now - Atomics.load(this.cells, LAST) - INTERVAL_NS;
    // The reader may take the old one in between: then it sees this delay twice, or an older one once more.
    if (delay > Atomics.load(this.cells, LONGEST)) Atomics.store(this.cells, LONGEST, delay);
    Atomics.store(this.cells, LAST, now);
  }
}

/** The other thread's side. */
export class HeartbeatReader {
  readonly #cells: HeartbeatCells;

  constructor(cells: HeartbeatCells) {
    this.#cells = cells;
  }

  /** For how many milliseconds the loop has been late by now; 0 while it is on time. */
  lagMs(): number {
    return milliseconds(nowNs() - Atomics.load(this.#cells, LAST) - INTERVAL_NS);
  }

  /** The longest lag since the last call of `takeLongestMs`, this moment's included. */
  longestMs(): number {
    return Math.max(milliseconds(Atomics.load(this.#cells, LONGEST)), this.lagMs());
  }

  takeLongestMs(): number {
    return Math.max(milliseconds(Atomics.exchange(this.#cells, LONGEST, 0n)), this.lagMs());
  }
}

function milliseconds(ns: bigint): number {
  return ns > 0n ? Number(ns) / 1e6 : 0;
}
