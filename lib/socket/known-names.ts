// Answers of a socket's lookups, kept for a while (`lookupTtlMs`): a send to a name that is known is as one to a literal.
import { AsyncResource } from 'node:async_hooks';
import { now } from '../base/runtime.js';
import { isLiteral } from '../thread/address.js';

/** As many answers are kept; the oldest makes room. */
const NAMES_MAX = 1024;

export type Answered = (error: Error | undefined, ip: string) => void;
/** Asks for a name. */
export type Ask = (host: string, done: Answered) => void;

/** One that is not answered yet. */
interface Asked {
  /** When, and how many times by now. */
  at: number;
  times: number;
  /** In the order in which they came: that of their datagrams. */
  waiting: Answered[];
}

export class KnownNames {
  readonly #ttlMs: number;
  readonly #ask: Ask;
  readonly #known = new Map<string, { ip: string; until: number }>();
  readonly #asked = new Map<string, Asked>();

  constructor(ttlMs: number, ask: Ask) {
    this.#ttlMs = ttlMs;
    this.#ask = ask;
  }

  get(host: string): string | undefined {
    const known = this.#known.get(host);
    if (known === undefined) return undefined;
    if (now() < known.until) return known.ip;
    this.#known.delete(host);
    return undefined;
  }

  /** Those who ask for a name while it is being looked up get that answer. A lookup that has not been answered after the
   * time that an answer would be kept is started again. An error is everybody's who waits, and is not kept. */
  ask(host: string, done: Answered): void {
    let asked = this.#asked.get(host);
    if (asked !== undefined) {
      asked.waiting.push(AsyncResource.bind(done));
      if (now() - asked.at < this.#ttlMs) return;
    } else {
      asked = { at: 0, times: 0, waiting: [done] };
      this.#asked.set(host, asked);
    }
    asked.at = now();
    const time = ++asked.times;
    try {
      this.#ask(host, (error, ip) => {
        if (this.#asked.get(host) === asked && (error === undefined || time === asked.times)) {
          this.#answer(host, asked, error, ip);
        }
      });
    } catch (error) {
      asked.waiting.pop(); // whoever has asked is told by the exception
      if (asked.waiting.length === 0) this.#asked.delete(host);
      throw error;
    }
  }

  #answer(host: string, asked: Asked, error: Error | undefined, ip: string): void {
    this.#asked.delete(host);
    if (error === undefined && typeof ip === 'string' && isLiteral(ip)) {
      if (this.#known.size >= NAMES_MAX) this.#known.delete(this.#known.keys().next().value as string);
      this.#known.set(host, { ip, until: now() + this.#ttlMs });
    }
    for (const done of asked.waiting) done(error, ip);
  }
}
