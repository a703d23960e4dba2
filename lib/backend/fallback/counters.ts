// A row of counters in memory that the façade and monitors read (native/core/memory/counters.h).
import {
  COUNTER_ROWS_PER_PAGE,
  COUNTERS_PER_ROW,
  counterIndex,
  serverCounterIndex,
  threadCounterIndex,
} from '../layout.js';
import { littleEndian } from './addresses.js';

const places = { ...counterIndex, ...serverCounterIndex };
const [LOW, HIGH] = littleEndian ? [0, 1] : [1, 0];
const WORD = 2 ** 32;

type Page = BigUint64Array<SharedArrayBuffer>;

class Row {
  readonly #words: Uint32Array;

  constructor(page: Page, row: number) {
    this.#words = new Uint32Array(page.buffer, page.byteOffset + row * COUNTERS_PER_ROW * 8, COUNTERS_PER_ROW * 2);
  }

  protected addAt(place: number, n: number): void {
    const words = this.#words;
    const sum = words[2 * place + LOW] + n;
    words[2 * place + LOW] = sum;
    if (sum >= WORD) words[2 * place + HIGH]++;
  }

  clear(): void {
    this.#words.fill(0);
  }
}

export class SocketCounters extends Row {
  add(name: keyof typeof places, n = 1): void {
    this.addAt(places[name], n);
  }
}

export class ThreadCounters extends Row {
  add(name: keyof typeof threadCounterIndex, n = 1): void {
    this.addAt(threadCounterIndex[name], n);
  }
}

/** The pages that the façade has made. */
export class Pages {
  readonly #pages: Page[] = [];

  add(page: Page): void {
    this.#pages.push(page);
  }

  /** A new socket's, from 0 on. */
  ofSocket(slot: number): SocketCounters {
    const row = new SocketCounters(this.#page(slot), slot % COUNTER_ROWS_PER_PAGE);
    row.clear();
    return row;
  }

  ofThread(): ThreadCounters {
    return new ThreadCounters(this.#page(0), 0);
  }

  #page(slot: number): Page {
    return this.#pages[Math.floor(slot / COUNTER_ROWS_PER_PAGE)];
  }
}
