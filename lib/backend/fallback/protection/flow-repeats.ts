// Tells flows of a ring of forwarders: native/core/answer/protection/flow_repeats.h.
import type { Host } from '../hosts.js';
import { mix, payloadHash, randomSeed } from './hash.js';
import { SeenPayloads } from './seen-payloads.js';
import { type RateLimit, TokenBuckets } from './token-buckets.js';

const EVICTIONS_AT_ONCE = 256;
const HOSTS = 1024;

export class FlowRepeats {
  readonly #seed = randomSeed();
  readonly #seen = new SeenPayloads();
  readonly #hosts: TokenBuckets;

  constructor({ rate, burst }: RateLimit) {
    this.#hosts = new TokenBuckets({ rate, burst: Math.min(burst, EVICTIONS_AT_ONCE) }, HOSTS);
  }

  /** A new client of `target` says this. Has another one said it before? */
  repeats(target: number, payload: Uint8Array): boolean {
    return this.#seen.add(payloadHash(mix(this.#seed, target), payload));
  }

  /** May a flow be closed for such a client? */
  mayEvict(client: Host, now: number): boolean {
    return this.#hosts.take(client, now);
  }
}
