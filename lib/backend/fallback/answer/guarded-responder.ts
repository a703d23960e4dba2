// What stands before a responder and before JavaScript: lists of addresses and rate limits
// (native/core/answer/guarded_responder.h).
import { isDeepStrictEqual } from 'node:util';
import { now } from '../../../base/runtime.js';
import type { SocketCounters } from '../counters.js';
import type { Host } from '../hosts.js';
import type { AddressSet } from '../protection/address-set.js';
import { type RateLimit, TokenBuckets, TotalBucket } from '../protection/token-buckets.js';
import type { Incoming, Responder } from '../responder.js';

export interface GuardOptions {
  readonly deny: AddressSet;
  /** Undefined: everybody. */
  readonly allow: AddressSet | undefined;
  readonly perSource?: RateLimit & { readonly sources: number };
  readonly total?: RateLimit;
}

function bucketsOf({ perSource }: GuardOptions): TokenBuckets | undefined {
  return perSource && new TokenBuckets(perSource, perSource.sources);
}

function bucketOf({ total }: GuardOptions): TotalBucket | undefined {
  return total && new TotalBucket(total);
}

export class GuardedResponder implements Responder {
  #options: GuardOptions;
  readonly #inner: Responder | undefined;
  readonly #counters: SocketCounters;
  #perSource: TokenBuckets | undefined;
  #total: TotalBucket | undefined;

  /** Without `inner` nobody answers, but JavaScript is protected all the same. */
  constructor(options: GuardOptions, inner: Responder | undefined, counters: SocketCounters) {
    this.#options = options;
    this.#inner = inner;
    this.#counters = counters;
    this.#perSource = bucketsOf(options);
    this.#total = bucketOf(options);
  }

  /** Rates that are as they were keep what their buckets have. */
  update(options: GuardOptions): void {
    const { perSource, total } = this.#options;
    this.#options = options;
    if (!isDeepStrictEqual(perSource, options.perSource)) this.#perSource = bucketsOf(options);
    if (!isDeepStrictEqual(total, options.total)) this.#total = bucketOf(options);
  }

  answer(incoming: Incoming): boolean {
    return this.#passes(incoming.from) && (this.#inner?.answer(incoming) ?? true);
  }

  #passes(from: Host): boolean {
    const time = now();
    const { deny, allow } = this.#options;
    const over = () => {
      if (deny.has(from) || allow?.has(from) === false) return 'denied';
      if (this.#perSource?.take(from, time) === false) return 'limited';
      return this.#total?.take(time) === false ? 'limitedTotal' : undefined;
    };
    const counter = over();
    if (counter !== undefined) this.#counters.add(counter);
    return counter === undefined;
  }

  close(): void {
    this.#inner?.close();
  }
}
