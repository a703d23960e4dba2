// Tells who only ever answers our answers, and slows that down: native/core/answer/protection/exchanges.h says why it is as
// it is. Here times are milliseconds, and tokens are not in billionths.
import { type PayloadHash, payloadHash, randomSeed } from './hash.js';
import { SeenPayloads } from './seen-payloads.js';
import type { RateLimit } from './token-buckets.js';

const PAUSE_MS = 1000;
const DRAIN_MS = 10;
const LISTEN_MS = 10;
const LEVELS = 4;
const TOKENS_FOR_HEARD = 256;
const TOKENS_FOR_RETRY = 128;
const TOKENS_FOR_NEW = 128;
const MANY_KINDS = 128;
const KIND_BITS = 512;
const FORMER_RATE_PART = 8;
const PEERS = 1024;
const WAYS = 4;

/** An exchange with one peer. */
export interface Exchange {
  readonly seed: number;
  tokens: number;
  latest: number;
  /** When the latest trial ended, or the exchange began. */
  begin: number;
  /** Datagrams since then. */
  asked: number;
  /** When the trial began; undefined: there is none. */
  trial: number | undefined;
  /** Datagrams in the second part of the trial. */
  heard: number;
  level: number;
  /** Bits of the payloads since the latest trial. */
  kinds: Set<number>;
}

export class Exchanges {
  readonly #limit: RateLimit;
  readonly #peers = new Map<string, Exchange>();
  readonly #seen = new SeenPayloads();

  constructor(limit: RateLimit) {
    this.#limit = limit;
  }

  /** `peer`: address and port. */
  find(peer: string, now: number): Exchange {
    let exchange = this.#peers.get(peer);
    if (exchange === undefined) {
      if (this.#peers.size >= PEERS) this.#makeRoom(now);
      exchange = this.#begun(randomSeed(), now);
      this.#peers.set(peer, exchange);
    }
    return exchange;
  }

  // Of the four that have been here longest the one with the most tokens goes: the fewer, the more there is to keep. The
  // others are the latest from now on.
  #makeRoom(now: number): void {
    const oldest: [string, Exchange][] = [];
    for (const each of this.#peers) if (oldest.push(each) === WAYS) break;
    const tokens = ({ latest, tokens }: Exchange) => (now - latest >= PAUSE_MS ? Number.POSITIVE_INFINITY : tokens);
    const most = oldest.reduce((best, each) => (tokens(each[1]) > tokens(best[1]) ? each : best));
    for (const [peer, exchange] of oldest) {
      this.#peers.delete(peer);
      if (peer !== most[0]) this.#peers.set(peer, exchange);
    }
  }

  /** May an answer to `payload` leave? */
  admits(exchange: Exchange, payload: Uint8Array, now: number): boolean {
    const { rate, burst } = this.#limit;
    const gap = Math.max(0, now - exchange.latest);
    exchange.latest = now;
    if (gap >= PAUSE_MS) Object.assign(exchange, this.#begun(exchange.seed, now));
    else if (exchange.tokens < burst) exchange.tokens = Math.min(burst, exchange.tokens + (gap * rate) / 1000); // a trial earns more
    if (exchange.trial !== undefined && this.#inTrial(exchange, exchange.trial, gap, now)) return false;
    exchange.asked++;
    if (exchange.tokens < burst / 4 && this.#repeats(exchange, payload) && exchange.tokens < 1) {
      exchange.trial = now;
      exchange.heard = 0;
      return false;
    }
    exchange.tokens--;
    return true;
  }

  /** Is what we say to this peer to be told with `said`? */
  listens({ tokens }: Exchange): boolean {
    return tokens < this.#limit.burst / 2;
  }

  /** We say this: what says it, too, answers it. */
  said({ seed }: Exchange, payload: Uint8Array): void {
    this.#seen.add(payloadHash(seed, payload));
  }

  #begun(seed: number, now: number): Exchange {
    const { burst } = this.#limit;
    return {
      seed,
      tokens: burst,
      latest: now,
      begin: now,
      asked: 0,
      trial: undefined,
      heard: 0,
      level: 0,
      kinds: new Set(),
    };
  }

  // Has this payload been there before? One that has not, behind others, earns tokens.
  #repeats(exchange: Exchange, payload: Uint8Array): boolean {
    const hash: PayloadHash = payloadHash(exchange.seed, payload);
    exchange.kinds.add(hash.tag % KIND_BITS);
    if (this.#seen.add(hash)) return true;
    if (exchange.kinds.size > 1) exchange.tokens = Math.min(this.#limit.burst, exchange.tokens + TOKENS_FOR_NEW);
    return false;
  }

  #inTrial(exchange: Exchange, began: number, gap: number, now: number): boolean {
    const age = now - began;
    const drain = DRAIN_MS << exchange.level;
    if (age < drain + LISTEN_MS) {
      if (age >= drain) exchange.heard++;
      return true;
    }
    const tokens = Math.max(exchange.tokens, 0) + this.#earned(exchange, began, gap);
    const level = Math.min(exchange.level + 1, LEVELS);
    Object.assign(exchange, this.#begun(exchange.seed, now), { tokens, level });
    return false;
  }

  #earned(exchange: Exchange, began: number, gap: number): number {
    const expected = (exchange.asked * LISTEN_MS) / (began - exchange.begin);
    const byItself = exchange.heard >= expected / FORMER_RATE_PART;
    const heard = byItself ? TOKENS_FOR_HEARD << (2 * exchange.level) : TOKENS_FOR_RETRY;
    const retry = exchange.kinds.size >= MANY_KINDS ? this.#limit.burst : TOKENS_FOR_RETRY;
    return exchange.heard * heard + (gap >= DRAIN_MS ? retry : 0);
  }
}
