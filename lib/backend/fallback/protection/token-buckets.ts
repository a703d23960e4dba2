// Rate limits as token buckets: native/core/answer/protection/token_buckets.h, in tokens and milliseconds.
import type { Host } from '../hosts.js';
import { finish, mix, randomSeed } from './hash.js';

export interface RateLimit {
  /** Datagrams a second. */
  readonly rate: number;
  /** Datagrams at once. */
  readonly burst: number;
}

/** Buckets by their number, kept as what is missing from each, so that an untouched one is full. */
class Buckets {
  readonly #limit: RateLimit;
  readonly #missing: Float64Array;
  readonly #updated: Float64Array;

  constructor(limit: RateLimit, count: number) {
    this.#limit = limit;
    this.#missing = new Float64Array(count);
    this.#updated = new Float64Array(count);
  }

  missing(n: number, now: number): number {
    const gained = (Math.max(0, now - this.#updated[n]) * this.#limit.rate) / 1000;
    return Math.max(0, this.#missing[n] - gained);
  }

  take(n: number, now: number): boolean {
    const missing = this.missing(n, now);
    const granted = this.#limit.burst - missing >= 1;
    this.#missing[n] = granted ? missing + 1 : missing;
    this.#updated[n] = Math.max(this.#updated[n], now);
    return granted;
  }

  fill(n: number): void {
    this.#missing[n] = 0;
    this.#updated[n] = 0;
  }
}

/** The limit of a whole server. */
export class TotalBucket {
  readonly #bucket: Buckets;

  constructor(limit: RateLimit) {
    this.#bucket = new Buckets(limit, 1);
  }

  take(now: number): boolean {
    return this.#bucket.take(0, now);
  }
}

const WAYS = 8;

/** A bucket a source, an IPv4 address or the /64 of an IPv6 one. Whoever has none takes the place of the one in its set
 * that the fewest tokens are missing from: who is over the limit gets no new ones. */
export class TokenBuckets {
  readonly #buckets: Buckets;
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;
  readonly #family: Uint8Array; // 0: nobody's yet
  readonly #sets: number;
  readonly #seed = randomSeed();
  #turn = 0; // among equals, each in turn

  /** `sources`: a power of two, at least 8. */
  constructor(limit: RateLimit, sources: number) {
    this.#buckets = new Buckets(limit, sources);
    this.#high = new Uint32Array(sources);
    this.#low = new Uint32Array(sources);
    this.#family = new Uint8Array(sources);
    this.#sets = sources / WAYS;
  }

  take(source: Host, now: number): boolean {
    const { words, ipv4 } = source;
    const place = ipv4 < 0 ? this.#find(words[0], words[1], 6, now) : this.#find(0, ipv4, 4, now);
    return this.#buckets.take(place, now);
  }

  #find(high: number, low: number, family: number, now: number): number {
    const first = (finish(mix(mix(mix(this.#seed, high), low), family)) % this.#sets) * WAYS;
    for (let n = first; n < first + WAYS; n++) {
      if (this.#low[n] === low && this.#high[n] === high && this.#family[n] === family) return n;
    }
    this.#turn++;
    let fullest = first;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < WAYS; i++) {
      const n = first + ((this.#turn + i) % WAYS);
      const missing = this.#buckets.missing(n, now);
      if (missing >= least) continue;
      fullest = n;
      least = missing;
    }
    this.#buckets.fill(fullest);
    this.#high[fullest] = high;
    this.#low[fullest] = low;
    this.#family[fullest] = family;
    return fullest;
  }
}
