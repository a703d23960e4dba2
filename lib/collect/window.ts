// What is on its way to the sink: closed batches, a sequence's one at a time, until each is durable or given up.
import { setMaxListeners } from 'node:events';
import { clearTimeout, now, setTimeout } from '../base/runtime.js';
import type { Pack } from './pack.js';
import type { Lane } from './packer.js';
import { type Sink, SinkError } from './sink.js';
import { sleep } from './time.js';

const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 2000;
const LOOK_MS = 5;

export interface WindowOptions {
  sink: Sink;
  /** Batches at most; more of them fill it, and are not refused. */
  inFlight: number;
  /** It is full, or has room again. */
  onFull(full: boolean): void;
  onWritten(pack: Pack): void;
  /** It is given up: the sink does not want it, now or later. */
  onRefused(pack: Pack, error: Error): void;
  /** Nothing is written, for this reason, and then something is again. */
  onTrouble(error: Error | undefined): void;
  /** The lane has nothing to write. */
  onIdle(lane: Lane): void;
}

export class Window {
  readonly #options: WindowOptions;
  readonly #abort = new AbortController();
  readonly #busy = new Set<Lane>();
  readonly #sleeping = new Set<() => void>();
  #full = false;
  #trouble = false;
  #ended = false;
  #onDrained: (() => void) | undefined;
  batches = 0;
  datagrams = 0;
  bytes = 0;
  /** Counters: batches and datagrams that are durable, attempts that failed, batches that were there already. */
  written = 0;
  writtenDatagrams = 0;
  writtenBytes = 0;
  retries = 0;
  duplicates = 0;
  refusedDatagrams = 0;

  constructor(options: WindowOptions) {
    this.#options = options;
    setMaxListeners(0, this.#abort.signal); // each write() that is under way may have one
  }

  get full(): boolean {
    return this.#full;
  }

  get troubled(): boolean {
    return this.#trouble;
  }

  /** There is a batch more in the lane's queue. */
  push(lane: Lane): void {
    const pack = lane.queue[lane.queue.length - 1];
    this.batches++;
    this.datagrams += pack.count;
    this.bytes += pack.size;
    if (!this.#full && this.batches >= this.#options.inFlight) {
      this.#full = true;
      this.#options.onFull(true);
    }
    if (!this.#busy.has(lane)) {
      this.#busy.add(lane);
      void this.#run(lane);
    }
  }

  /** Resolves when it is empty, or has been given up. */
  drained(): Promise<void> {
    if (this.batches === 0 || this.#abort.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onDrained = resolve;
    });
  }

  /** Gives up what is left of it. Resolves when no write() is under way, or after `ms`, with how many datagrams that were; what a
   * write() says later is not counted. */
  async giveUp(ms: number): Promise<number> {
    this.#abort.abort();
    for (const wake of [...this.#sleeping]) wake();
    this.#onDrained?.();
    const deadline = now() + ms;
    while (this.#busy.size > 0 && now() < deadline) await sleep(LOOK_MS);
    this.#ended = true;
    const { datagrams } = this;
    this.batches = this.datagrams = this.bytes = 0;
    return datagrams;
  }

  async #run(lane: Lane): Promise<void> {
    for (let failures = 0; lane.queue.length > 0 && !this.#abort.signal.aborted; ) {
      const [pack] = lane.queue;
      const error = await this.#write(pack);
      if (this.#ended) break;
      if (error === undefined) {
        failures = 0;
        this.#written(lane, pack);
      } else if (this.#abort.signal.aborted) {
        break;
      } else if (error instanceof SinkError && !error.retry) {
        this.#remove(lane, pack);
        this.refusedDatagrams += pack.count;
        this.#options.onRefused(pack, error);
      } else {
        pack.tried = true;
        this.retries++;
        this.#tell(error);
        await this.#sleep(Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** failures++));
      }
      if (lane.queue.length === 0) this.#options.onIdle(lane); // it may close another one
    }
    this.#busy.delete(lane);
  }

  async #write(pack: Pack): Promise<Error | undefined> {
    try {
      const result = await this.#options.sink.write(pack, this.#abort.signal);
      if (result?.duplicate) this.duplicates++;
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  #written(lane: Lane, pack: Pack): void {
    this.#remove(lane, pack);
    this.written++;
    this.writtenDatagrams += pack.count;
    this.writtenBytes += pack.size;
    this.#tell(undefined);
    this.#options.onWritten(pack);
  }

  #remove(lane: Lane, pack: Pack): void {
    lane.queue.shift();
    this.batches--;
    this.datagrams -= pack.count;
    this.bytes -= pack.size;
    if (this.#full && this.batches < this.#options.inFlight) {
      this.#full = false;
      this.#options.onFull(false);
    }
    if (this.batches === 0) this.#onDrained?.();
  }

  #tell(error: Error | undefined): void {
    if (this.#trouble === (error !== undefined)) return;
    this.#trouble = error !== undefined;
    this.#options.onTrouble(error);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#sleeping.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms * (0.75 + 0.5 * Math.random()));
      this.#sleeping.add(wake);
    });
  }
}
