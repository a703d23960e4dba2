// A server in a thread of its own, on the backend that a test names.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { ServerOptions } from 'ksocket';
import type { Order, Told } from './server-worker.js';

export class Side implements AsyncDisposable {
  readonly #worker: Worker;
  port = 0;

  constructor(backend: string) {
    const { KSOCKET_ENGINE: _, ...inherited } = process.env;
    const env = { ...inherited, KSOCKET_BACKEND: backend };
    this.#worker = new Worker(new URL('./server-worker.js', import.meta.url), { env });
  }

  order(order: Order): Promise<Told> {
    const told = once(this.#worker, 'message').then(([message]) => message as Told);
    this.#worker.postMessage(order);
    return told;
  }

  async start(options: ServerOptions): Promise<Told> {
    const told = await this.order({ do: 'start', options });
    this.port = told.port ?? 0;
    return told;
  }

  // By itself, not terminated: then what it has run is known, too (NODE_V8_COVERAGE).
  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#worker, 'exit');
    this.#worker.postMessage({ do: 'end' } satisfies Order);
    assert.deepEqual(await ended, [0]);
  }
}
