// Clients of a server that is changed while they ask.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Sockets } from './peer.js';
import { waitFor } from './wait.js';

/** Clients that ask on and on, a question each at a time, until they are told to end; on a thread of their own. */
export class Askers {
  static readonly #program = `
    const { parentPort, workerData: { port, count, cells } } = require('node:worker_threads');
    const dgram = require('node:dgram');
    let going = true;
    const [asked, answered, wrong] = [0, 1, 2];
    for (let i = 0; i < count; i++) {
      const socket = dgram.createSocket('udp4');
      let question;
      const ask = () => {
        const n = Atomics.add(cells, asked, 1);
        question = (n % 251) + ':' + i + ':' + n;
        socket.send(question, port, '127.0.0.1');
      };
      socket.on('message', (data) => {
        if (String(data) !== question) Atomics.add(cells, wrong, 1);
        question = undefined;
        Atomics.add(cells, answered, 1);
        if (going) ask();
      });
      socket.bind(0, '127.0.0.' + (1 + (i % 16)), ask);
    }
    parentPort.once('message', () => {
      going = false;
    });
  `;
  readonly #cells = new Int32Array(new SharedArrayBuffer(12));
  readonly #worker: Worker;

  constructor(sockets: Sockets, port: number, count: number) {
    this.#worker = new Worker(Askers.#program, { eval: true, workerData: { port, count, cells: this.#cells } });
    sockets.onEnd(() => this.#worker.terminate());
  }

  get asked(): number {
    return Atomics.load(this.#cells, 0);
  }

  get answered(): number {
    return Atomics.load(this.#cells, 1);
  }

  /** Waits for more answers. */
  async goOn(): Promise<void> {
    const { answered } = this;
    await waitFor(() => this.answered > answered + 200, 'more answers');
  }

  /** All have their answers, and one each. */
  async end(): Promise<void> {
    await this.goOn();
    this.#worker.postMessage('end');
    await waitFor(
      () => this.answered === this.asked,
      () => `${this.answered} answers to ${this.asked} questions`,
      5000,
    );
    await sleep(20);
    assert.deepEqual([this.answered, Atomics.load(this.#cells, 2)], [this.asked, 0]);
  }
}

/** What sends on and on, whatever becomes of it; on a thread of its own. */
export class Flood {
  static readonly #program = `
    const { parentPort, workerData: port } = require('node:worker_threads');
    const sockets = Array.from({ length: 16 }, () => require('node:dgram').createSocket('udp4'));
    let count = 0;
    let going = true;
    const send = () => {
      for (const socket of sockets) socket.send(String(count++), port, '127.0.0.1');
      if (going) setImmediate(send);
      else setTimeout(() => parentPort.postMessage(count), 50);
    };
    parentPort.once('message', () => {
      going = false;
    });
    send();
  `;
  readonly #worker: Worker;

  constructor(sockets: Sockets, port: number) {
    this.#worker = new Worker(Flood.#program, { eval: true, workerData: port });
    sockets.onEnd(() => this.#worker.terminate());
  }

  /** How many there were. */
  async end(): Promise<number> {
    this.#worker.postMessage('end');
    return (await once(this.#worker, 'message'))[0];
  }
}
