// A sample a second for five minutes, in columns, so that a page opened late still shows what has been.
import type { ServerStats, Stats } from '../thread/counters.js';
import type { CollectorFigures } from './collector-metrics.js';
import type { HeartbeatReader } from './heartbeat.js';
import type { Latencies } from './latency.js';
import type { ObservedServer } from './observed-server.js';

export const SAMPLE_MS = 1000;
const SAMPLES_MAX = 300;

/** What happened in one interval. Rates are a second's; null: nothing to tell, for the server did not run, or nothing
 * came. */
export interface Sample {
  received: number | null;
  receivedBytes: number | null;
  sent: number | null;
  sentBytes: number | null;
  /** Answered or dropped by the kernel, which the socket has not received. */
  inKernel: number | null;
  kernelDrops: number | null;
  ringDrops: number | null;
  sendDrops: number | null;
  /** Of a collector: datagrams that became durable, and those that are not yet at the interval's end. */
  delivered: number | null;
  undelivered: number | null;
  /** Datagrams of a receive call that returned some. */
  batch: number | null;
  /** Records waiting in the receive ring at the interval's end. */
  ringRecords: number | null;
  latencyP50Us: number | null;
  latencyP99Us: number | null;
  /** Share of a processor that the I/O thread used, 0 to 1. */
  cpu: number | null;
}

const NOTHING: Sample = {
  received: null,
  receivedBytes: null,
  sent: null,
  sentBytes: null,
  inKernel: null,
  kernelDrops: null,
  ringDrops: null,
  sendDrops: null,
  delivered: null,
  undelivered: null,
  batch: null,
  ringRecords: null,
  latencyP50Us: null,
  latencyP99Us: null,
  cpu: null,
};

/** What one server's counters were when they were looked at last. */
interface Reading {
  run: number;
  stats: ServerStats;
  latencies: Latencies;
  cpuSeconds: number;
  figures: CollectorFigures | undefined;
}

class ServerHistory {
  readonly server: ObservedServer;
  readonly samples: Sample[] = [];
  #before: Reading | undefined;

  constructor(server: ObservedServer) {
    this.server = server;
  }

  take(seconds: number): void {
    const before = this.#before;
    const now = this.#read();
    this.#before = now;
    const comparable = now !== undefined && before?.run === now.run;
    this.samples.push(comparable ? this.#compare(before, now, seconds) : NOTHING);
    if (this.samples.length > SAMPLES_MAX) this.samples.shift();
  }

  #read(): Reading | undefined {
    const { run, running } = this.server;
    const stats = this.server.stats();
    const latencies = this.server.latencies();
    if (!running || run === null || stats === null || latencies === null) return undefined;
    return { run, stats, latencies, cpuSeconds: this.server.thread().cpuSeconds, figures: this.server.figures };
  }

  #compare(before: Reading, now: Reading, seconds: number): Sample {
    const more = (name: Exclude<keyof Stats, 'thread'>) => now.stats[name] - before.stats[name];
    const rate = (name: Exclude<keyof Stats, 'thread'>) => more(name) / seconds;
    const latencies = now.latencies.since(before.latencies);
    const { figures } = now;
    const delivered = (figures?.acknowledgedDatagrams ?? 0) - (before.figures?.acknowledgedDatagrams ?? 0);
    return {
      received: rate('rxDatagrams'),
      receivedBytes: rate('rxBytes'),
      sent: rate('txDatagrams'),
      sentBytes: rate('txBytes'),
      inKernel: (now.stats.answering.kernelRequests - before.stats.answering.kernelRequests) / seconds,
      kernelDrops: rate('rxKernelDrops'),
      ringDrops: rate('rxRingDrops'),
      sendDrops: rate('txDropped'),
      delivered: figures === undefined ? null : Math.max(0, delivered) / seconds,
      undelivered: figures === undefined ? null : figures.openDatagrams + figures.inFlightDatagrams,
      batch: more('rxBatches') > 0 ? more('rxDatagrams') / more('rxBatches') : null,
      ringRecords: this.server.ring()?.records ?? null,
      latencyP50Us: latencies.quantileUs(0.5),
      latencyP99Us: latencies.quantileUs(0.99),
      cpu: (now.cpuSeconds - before.cpuSeconds) / seconds,
    };
  }
}

export class History {
  /** Milliseconds since 1970, at each sample's end. */
  readonly times: number[] = [];
  /** The event loop's longest lag in each interval. */
  readonly lagMs: number[] = [];
  /** How many samples there have ever been. */
  sequence = 0;
  readonly #servers: ServerHistory[];
  readonly #heartbeat: HeartbeatReader;
  #sampledAt = performance.now();

  constructor(servers: readonly ObservedServer[], heartbeat: HeartbeatReader) {
    this.#servers = servers.map((server) => new ServerHistory(server));
    this.#heartbeat = heartbeat;
  }

  take(): void {
    const now = performance.now();
    const seconds = Math.max((now - this.#sampledAt) / 1000, 0.001);
    this.#sampledAt = now;
    for (const server of this.#servers) server.take(seconds);
    this.times.push(Date.now());
    this.lagMs.push(this.#heartbeat.takeLongestMs());
    this.sequence++;
    if (this.times.length <= SAMPLES_MAX) return;
    this.times.shift();
    this.lagMs.shift();
  }

  latest(server: number): Sample {
    return this.#servers[server].samples.at(-1) ?? NOTHING;
  }

  /** The longest lag in the last `seconds` (up to 300), this moment included. */
  longestLagMs(seconds: number): number {
    return Math.max(this.#heartbeat.longestMs(), ...this.lagMs.slice(-Math.ceil((seconds * 1000) / SAMPLE_MS)));
  }

  toJSON(): object {
    const names = Object.keys(NOTHING) as (keyof Sample)[];
    return {
      intervalMs: SAMPLE_MS,
      samplesMax: SAMPLES_MAX,
      sequence: this.sequence,
      times: this.times,
      lagMs: this.lagMs,
      servers: this.#servers.map(({ server, samples }) => ({
        name: server.name,
        samples: Object.fromEntries(names.map((name) => [name, samples.map((sample) => sample[name])])),
      })),
    };
  }
}
