// Which payloads have been here lately, by their hashes: native/core/answer/protection/seen_payloads.h.
import type { PayloadHash } from './hash.js';

const PLACES = 32_768;
const WAYS = 8;

export class SeenPayloads {
  readonly #tags = new Uint32Array(PLACES);

  /** Was it there? It is from now on. */
  add({ place, tag }: PayloadHash): boolean {
    const mark = (tag | 1) >>> 0; // 0: nothing was there yet
    const first = (place % (PLACES / WAYS)) * WAYS;
    for (let i = first; i < first + WAYS; i++) if (this.#tags[i] === mark) return true;
    this.#tags.copyWithin(first + 1, first, first + WAYS - 1); // the oldest goes
    this.#tags[first] = mark;
    return false;
  }
}
