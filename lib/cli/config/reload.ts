// What becomes of a running service when its file has changed.
import { isDeepStrictEqual } from 'node:util';
import { PROTECTION_KEYS } from '../../server/protection.js';
import type { Server } from '../../server/server.js';
import { complain } from '../fail.js';
import { log, type Service } from '../service.js';
import { tell } from '../under-systemd.js';
import { readConfig, type ServeConfig } from './file.js';

/** What a running server swaps, of one that was made with it. */
const RULES = ['rules', 'otherwise'] as const;

type Options = ServeConfig['server'];

/** Of all options these. */
function pick<K extends keyof Options>(options: Options, keys: readonly K[]): Pick<Options, K> {
  return Object.fromEntries(keys.map((key) => [key, options[key]])) as Pick<Options, K>;
}

function differ(one: Options, other: Options, keys: readonly (keyof Options)[]): boolean {
  return !isDeepStrictEqual(pick(one, keys), pick(other, keys));
}

/** Are there lists or limits, also empty ones? */
function isProtected(options: Options): boolean {
  return PROTECTION_KEYS.some((key) => options[key] !== undefined);
}

export class Reloading {
  readonly #path: string;
  readonly #service: Service;
  readonly #override: (config: ServeConfig) => ServeConfig;
  readonly #isProtected: boolean;
  readonly #hasOwnPort: boolean;
  #present: ServeConfig;
  #running = false;
  #again = false;

  /** `present` is in force. `override`: what the command line says besides. `hasOwnPort`: nobody else has opened a socket for it. */
  constructor(
    path: string,
    service: Service,
    present: ServeConfig,
    override: (config: ServeConfig) => ServeConfig,
    hasOwnPort: boolean,
  ) {
    this.#path = path;
    this.#service = service;
    this.#present = present;
    this.#isProtected = isProtected(present.server);
    this.#override = override;
    this.#hasOwnPort = hasOwnPort;
  }

  /** Reads the file; while it is being read, once more afterwards. */
  readonly request = async (): Promise<void> => {
    this.#again = true;
    if (this.#running) return;
    this.#running = true;
    while (this.#again && (await this.#service.runs())) {
      this.#again = false;
      void tell({ reloading: true }); // in order, and a manager that does not read is no reason to wait
      const status = await this.#reload();
      void tell({ ready: true, status });
    }
    this.#running = false;
  };

  /** What there is to say of the service then. */
  async #reload(): Promise<string> {
    try {
      await this.#apply(this.#override(readConfig(this.#path, true)));
      return this.#service.status;
    } catch (error) {
      const problem = `${(error as Error).message}; what was in force is in force`;
      complain(problem);
      return problem;
    }
  }

  async #apply(next: ServeConfig): Promise<void> {
    const { server } = this.#present;
    const swapped = { ...server };
    if (server.rules !== undefined && next.server.rules !== undefined) Object.assign(swapped, pick(next.server, RULES));
    if (this.#isProtected) Object.assign(swapped, pick(next.server, PROTECTION_KEYS));
    if (this.#hasOwnPort) swapped.shards = next.server.shards;
    const swaps = differ(server, swapped, [...RULES, ...PROTECTION_KEYS, 'shards']);
    if (swaps) await this.#swap(server, swapped);
    this.#service.quiet = next.quiet;
    this.#present = { ...this.#present, quiet: next.quiet, server: swapped };
    const left = this.#differences(next);
    if (swaps) log(`${this.#path} is in force`);
    else if (left.length === 0) log(`${this.#path} says nothing new`);
    if (left.length > 0) {
      complain(`${this.#path}: ${left.join(', ')} cannot be changed while it runs; the next start will`);
    }
  }

  /** What the file says otherwise than what is in force. */
  #differences({ server, monitor }: ServeConfig): string[] {
    const present = { ...this.#present.server, monitor: this.#present.monitor } as Record<string, unknown>;
    const next = { ...server, monitor } as Record<string, unknown>;
    const keys = new Set([...Object.keys(next), ...Object.keys(present)]);
    return [...keys].filter((key) => !isDeepStrictEqual(present[key], next[key]));
  }

  // All servers, or none.
  async #swap(before: Options, after: Options): Promise<void> {
    const { servers } = this.#service;
    for (const [i, server] of servers.entries()) {
      try {
        await swapOne(server, before, after);
      } catch (error) {
        for (const done of servers.slice(0, i)) await swapOne(done, after, before);
        throw new Error(`${this.#path}: ${(error as Error).message}`, { cause: error });
      }
    }
  }
}

/** First what may be refused more often: all of it holds, or nothing. */
async function swapOne(server: Server, before: Options, after: Options): Promise<void> {
  if (differ(before, after, RULES)) await server.update(after.rules ?? [], after.otherwise);
  if (differ(before, after, PROTECTION_KEYS)) await server.protect(pick(after, PROTECTION_KEYS));
  if (before.shards === after.shards) return;
  try {
    await server.setShards(after.shards ?? 1);
  } catch (error) {
    await swapOne(server, { ...after, shards: before.shards }, before);
    throw error;
  }
}
