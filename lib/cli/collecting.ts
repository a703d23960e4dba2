// What `ksocket collect` runs: a collector, what it says meanwhile, and how it ends.
import type { Collector, CollectorStats } from '../collect/index.js';
import type { Monitor } from '../monitor/index.js';
import { lineOf } from './fail.js';
import { droppedOf, Progress } from './progress.js';
import { keepTelling, tell } from './under-systemd.js';

/** Who runs it for somebody else may pass a signal on that has come already (npx). */
const SAME_SIGNAL_MS = 250;
const REFUSALS_MS = 1000;

export interface CollectingOptions {
  /** Where to, for people. */
  name: string;
  monitor: Monitor | undefined;
  /** Standard output is for data: what is said goes to stderr. */
  outputIsData: boolean;
  progress: boolean;
  /** How long stop() has. */
  drainMs: number;
}

/** Those that were received and are not durable: what an end at once loses. */
export function undelivered(stats: CollectorStats): number {
  const { receivedDatagrams, acknowledgedDatagrams, refusedDatagrams, unsortedDatagrams, socket } = stats;
  const inRing = socket.rxDatagrams - socket.rxRingDrops - socket.rxBlocked - receivedDatagrams;
  return Math.max(0, inRing) + receivedDatagrams - acknowledgedDatagrams - refusedDatagrams - unsortedDatagrams;
}

export class Collecting {
  readonly #collector: Collector;
  readonly #options: CollectingOptions;
  #progress: Progress | undefined;
  #started = false;
  #stoppingSince: number | undefined;
  #ended: Promise<void> | undefined;
  #refused = { at: Number.NEGATIVE_INFINITY, datagrams: 0 };

  constructor(collector: Collector, options: CollectingOptions) {
    this.#collector = collector;
    this.#options = options;
    collector.on('failing', (error) => this.#complain(`not written, and tried again: ${error.message}`));
    collector.on('recovered', () => this.#say('written again'));
    collector.on('refused', (error, datagrams) => this.#onRefused(error, datagrams));
    collector.on('error', (error) => this.#complain(`receiving: ${error.message}`));
  }

  /** Resolves when it runs, has failed and said so, or is stopped. */
  async start(): Promise<void> {
    const { name, monitor, progress } = this.#options;
    try {
      await this.#collector.start();
    } catch (error) {
      await this.#fail((error as Error).message);
      return;
    }
    this.#started = true;
    const { address, port } = this.#collector.address();
    const status = `collecting on ${address.includes(':') ? `[${address}]` : address}:${port}, ${name}`;
    if (monitor !== undefined && !(await this.#watch(monitor))) return;
    this.#say(status);
    if (progress && this.#stoppingSince === undefined) this.#progress = new Progress(() => this.#collector.stats());
    void tell({ ready: true, status });
    void keepTelling();
  }

  /** The first has all written that was received; another one ends it at once. */
  onSignal(): void {
    const now = performance.now();
    if (!this.#started) process.exit(); // nothing has been received
    if (this.#stoppingSince === undefined) void this.end(this.#options.drainMs);
    else if (now - this.#stoppingSince > SAME_SIGNAL_MS) this.#endNow();
  }

  /** Ends it, once. */
  end(drainMs: number): Promise<void> {
    this.#stoppingSince ??= performance.now();
    this.#ended ??= this.#end(drainMs);
    return this.#ended;
  }

  async #end(drainMs: number): Promise<void> {
    const told = tell({ stopping: true });
    const wasRunning = this.#collector.running;
    const { abandonedDatagrams } = await this.#collector.stop({ timeoutMs: drainMs }).catch((error: Error) => {
      this.#complain(error.message); // all is closed but for what the sink says
      process.exitCode = 1;
      return this.#collector.stats();
    });
    this.#progress?.stop();
    this.#progress = undefined;
    await this.#options.monitor?.stop();
    const stats = this.#collector.stats();
    if (abandonedDatagrams > 0) this.#lost(abandonedDatagrams);
    if (wasRunning) {
      const { receivedDatagrams, acknowledgedDatagrams } = stats;
      this.#say(`received ${receivedDatagrams}, delivered ${acknowledgedDatagrams}, dropped ${droppedOf(stats)}`);
    }
    await told;
    if (abandonedDatagrams > 0 && this.#options.outputIsData) process.exit(); // what nobody reads would keep the process
  }

  #endNow(): void {
    const lost = undelivered(this.#collector.stats());
    this.#progress?.stop();
    this.#progress = undefined;
    this.#lost(lost);
    process.exit(1);
  }

  #lost(datagrams: number): void {
    this.#complain(`${datagrams} datagram${datagrams === 1 ? ' was' : 's were'} not delivered`);
    process.exitCode = 1;
  }

  async #watch(monitor: Monitor): Promise<boolean> {
    const giveUp = (error: Error) => this.#fail(`no monitor: ${error.message}`);
    try {
      await monitor.start();
    } catch (error) {
      await giveUp(error as Error);
      return false;
    }
    const listening = monitor.address();
    if (listening === null) return false; // stopped meanwhile
    const { address, family, port } = listening;
    this.#say(`monitor on http://${family === 'IPv6' ? `[${address}]` : address}:${port}/`);
    monitor.on('error', giveUp);
    return true;
  }

  // Each batch that is refused says so; people hear of it once a second.
  #onRefused(error: Error, datagrams: number): void {
    const refused = this.#refused;
    refused.datagrams += datagrams;
    const now = performance.now();
    if (now - refused.at >= REFUSALS_MS) {
      const what = refused.datagrams === 1 ? '1 datagram is' : `${refused.datagrams} datagrams are`;
      this.#complain(`${what} given up: ${error.message}`);
      this.#refused = { at: now, datagrams: 0 };
    }
    if (!this.#options.outputIsData) return;
    process.exitCode = 1; // standard output has ended, and does not come back
    void this.end(0);
  }

  async #fail(message: string): Promise<void> {
    this.#complain(message);
    process.exitCode = 1;
    await tell({ status: message });
    await this.end(this.#options.drainMs);
  }

  #say(message: string): void {
    this.#write(message, this.#options.outputIsData ? process.stderr : process.stdout);
  }

  #complain(message: string): void {
    this.#write(message, process.stderr);
  }

  #write(message: string, stream: NodeJS.WriteStream): void {
    const line = lineOf(message);
    if (this.#progress === undefined) stream.write(`${line}\n`);
    else this.#progress.log(line);
  }
}
