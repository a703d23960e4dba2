// The counters that the threads keep in shared memory, read without a call.
import { COUNTER_ROWS_PER_PAGE, COUNTERS_PER_ROW, counterIndex } from './layout.js';

export type CounterName = keyof typeof counterIndex;

/** One number for each counter, all since the socket (or the thread) began. Names that begin with `rx` are about
 * receiving, with `tx` about sending; what each counts stands in `counterIndex`. */
export type Stats = Record<CounterName, number>;

const names = Object.entries(counterIndex) as [CounterName, number][];

/** Rows of counters, a page of memory at a time. */
export class CounterPages {
  readonly #pages: BigUint64Array[] = [];
  readonly #onPage: (page: ArrayBuffer) => void;

  /** `onPage` makes each new page known to the thread before any of its rows is used. */
  constructor(onPage: (page: ArrayBuffer) => void) {
    this.#onPage = onPage;
  }

  /** Makes sure that `slot` has a row. */
  reserve(slot: number): void {
    while (slot >= this.#pages.length * COUNTER_ROWS_PER_PAGE) {
      const page = new ArrayBuffer(COUNTER_ROWS_PER_PAGE * COUNTERS_PER_ROW * 8);
      this.#pages.push(new BigUint64Array(page));
      this.#onPage(page);
    }
  }

  read(slot: number): Stats {
    const page = this.#pages[Math.floor(slot / COUNTER_ROWS_PER_PAGE)];
    const row = (slot % COUNTER_ROWS_PER_PAGE) * COUNTERS_PER_ROW;
    const out = {} as Stats;
    for (const [name, index] of names) out[name] = Number(page[row + index]);
    return out;
  }
}

/** What a socket that never had a descriptor has counted. */
export function zeroStats(): Stats {
  const out = {} as Stats;
  for (const [name] of names) out[name] = 0;
  return out;
}
