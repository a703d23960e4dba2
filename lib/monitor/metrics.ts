// /metrics: the shared counters in Prometheus' text format. Nothing is kept here; each scrape reads.
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ServerStats, TunnelCounterName } from '../thread/counters.js';
import { type FigureName, figureMetrics, figureOf } from './collector-metrics.js';
import {
  answeringCounterMetrics,
  type CounterMetric,
  counterMetrics,
  threadCounterMetrics,
  tunnelCounterMetrics,
} from './counter-metrics.js';
import type { HeartbeatReader } from './heartbeat.js';
import type { History } from './history.js';
import { LATENCY_US_MAX, type Latencies } from './latency.js';
import type { ObservedServer } from './observed-server.js';

/** The histogram has 177 buckets; Prometheus gets each power of two of microseconds, whose counts are exact. */
const BOUNDS_US: number[] = [];
for (let us = 1; us <= LATENCY_US_MAX; us *= 2) BOUNDS_US.push(us);
const LAG_WINDOW_S = 60;

type Values = Awaited<ReturnType<Histogram<'server' | 'le'>['get']>>;

/** prom-client's histogram observes values one by one; this one's are counted already. */
class SharedHistogram extends Histogram<'server' | 'le'> {
  readonly #servers: readonly ObservedServer[];
  readonly #named: { name: string; help: string };

  constructor(named: { name: string; help: string }, servers: readonly ObservedServer[], registry: Registry) {
    super({ ...named, labelNames: ['server'], registers: [registry] });
    this.#named = named;
    this.#servers = servers;
  }

  override async get(): Promise<Values> {
    const values: Values['values'] = [];
    for (const server of this.#servers) {
      const latencies = server.latencies();
      if (latencies !== null) this.#add(values, server.name, latencies);
    }
    const type = 'histogram' as unknown as Values['type']; // the types have an enum that the module does not export
    return { ...this.#named, type, aggregator: 'sum', collect: () => {}, values };
  }

  // What the registry asks for when it has it.
  getForPromString(): Promise<Values> {
    return this.get();
  }

  #add(values: Values['values'], server: string, latencies: Latencies): void {
    const { name } = this.#named;
    const { count } = latencies;
    for (const us of BOUNDS_US) {
      // Not us / 1e6, whose last digit may be off: 0.000008 has to be 0.000008 in every scrape.
      const le = Number(`${us}e-6`);
      values.push({ metricName: `${name}_bucket`, labels: { server, le }, value: latencies.below(us) });
    }
    values.push({ metricName: `${name}_bucket`, labels: { server, le: '+Inf' }, value: count });
    values.push({ metricName: `${name}_sum`, labels: { server }, value: latencies.sumNs / 1e9 });
    values.push({ metricName: `${name}_count`, labels: { server }, value: count });
  }
}

interface Part {
  metric: CounterMetric;
  /** Undefined: it does not have that. */
  read: (server: ObservedServer) => number | undefined;
}

const figureNames = Object.keys(figureMetrics) as FigureName[];

/** All counters that one metric is made of. */
function grouped(hasTunnel: boolean, hasCollector: boolean): Map<string, Part[]> {
  const out = new Map<string, Part[]>();
  const add = (metrics: Record<string, CounterMetric>, read: (server: ObservedServer, name: string) => unknown) => {
    for (const [name, metric] of Object.entries(metrics)) {
      const part = { metric, read: (server: ObservedServer) => read(server, name) as number | undefined };
      out.set(metric.name, [...(out.get(metric.name) ?? []), part]);
    }
  };
  const ofStats = (pick: (stats: ServerStats) => object) => (server: ObservedServer, name: string) => {
    const stats = server.stats();
    return stats === null ? undefined : (pick(stats) as Record<string, number>)[name];
  };
  add(
    counterMetrics,
    ofStats((stats) => stats),
  );
  add(
    answeringCounterMetrics,
    ofStats(({ answering }) => answering),
  );
  add(
    threadCounterMetrics,
    ofStats(({ thread }) => thread),
  );
  if (hasTunnel) add(tunnelCounterMetrics, (server, name) => server.tunnel()?.[name as TunnelCounterName]);
  const counted = figureNames.filter((name) => hasCollector && figureMetrics[name].kind === 'counter');
  add(
    Object.fromEntries(counted.map((name) => [name, figureMetrics[name]])),
    ({ figures }, name) => figures && figureOf(figures, name as FigureName),
  );
  return out;
}

/** Each counter of the servers, of collectors, and of their threads. */
function addCounters(registers: Registry[], servers: readonly ObservedServer[]): void {
  const hasTunnel = servers.some(({ isTunnel }) => isTunnel);
  for (const [name, parts] of grouped(hasTunnel, servers.some(isCollector))) {
    new Counter({
      name,
      help: parts[0].metric.help,
      labelNames: ['server', ...Object.keys(parts[0].metric.labels ?? {})],
      registers,
      collect() {
        this.reset();
        for (const server of servers) {
          for (const { metric, read } of parts) {
            const value = read(server);
            if (value !== undefined) this.inc({ server: server.name, ...metric.labels }, value);
          }
        }
      },
    });
  }
}

const isCollector = ({ figures }: ObservedServer) => figures !== undefined;

/** How each server is at this moment. */
function addGauges(registers: Registry[], servers: readonly ObservedServer[]): void {
  const gauge = (name: string, help: string, read: (server: ObservedServer) => number | undefined) => {
    new Gauge({
      name: `ksocket_${name}`,
      help,
      labelNames: ['server'],
      registers,
      collect() {
        this.reset();
        for (const server of servers) {
          const value = read(server);
          if (value !== undefined) this.set({ server: server.name }, value);
        }
      },
    });
  };
  gauge('server_up', '1 while the server runs and its I/O thread lives, else 0.', (server) =>
    server.running && server.thread().alive ? 1 : 0,
  );
  if (servers.some(({ isTunnel }) => isTunnel)) {
    gauge(
      'tunnel_known_addresses',
      'Ethernet addresses that the tunnel knows.',
      (server) => server.tunnel()?.knownAddresses,
    );
    gauge('tunnel_mtu_bytes', 'MTU of the tunnel’s device; 0 while it is not there.', (server) => server.tunnel()?.mtu);
  }
  gauge('ring_records', 'Records that wait in the receive ring for JavaScript.', (server) => server.ring()?.records);
  gauge('ring_capacity_records', 'Records that the receive ring can hold.', (server) => server.ring()?.capacity);
  if (!servers.some(isCollector)) return;
  for (const name of figureNames) {
    const { kind, name: metric, help } = figureMetrics[name];
    if (kind === 'gauge')
      gauge(metric.slice('ksocket_'.length), help, ({ figures }) => figures && figureOf(figures, name));
  }
}

/** What each sink counts. Its names are its own, and so they are labels. */
function addSinks(registers: Registry[], servers: readonly ObservedServer[]): void {
  new Counter({
    name: 'ksocket_collector_sink_total',
    help: "What the collector's sink has counted, by its own names.",
    labelNames: ['server', 'counter'],
    registers,
    collect() {
      this.reset();
      for (const { name, figures } of servers) {
        for (const [counter, value] of Object.entries(figures?.sink ?? {})) this.inc({ server: name, counter }, value);
      }
    },
  });
}

function addThreadTimes(registry: Registry, servers: readonly ObservedServer[]): void {
  new Counter({
    name: 'ksocket_thread_cpu_seconds_total',
    help: 'Processor time of the I/O thread, user and system.',
    labelNames: ['server'],
    registers: [registry],
    collect() {
      this.reset();
      for (const server of servers) if (server.running) this.inc({ server: server.name }, server.thread().cpuSeconds);
    },
  });
  new SharedHistogram(
    {
      name: 'ksocket_receive_latency_seconds',
      help: 'From the kernel receiving a datagram to the I/O thread reading it.',
    },
    servers,
    registry,
  );
}

function addEventLoop(registers: Registry[], heartbeat: HeartbeatReader, history: History): void {
  new Gauge({
    name: 'ksocket_event_loop_lag_seconds',
    help: 'How late the event loop is at this moment.',
    registers,
    collect() {
      this.set(heartbeat.lagMs() / 1000);
    },
  });
  new Gauge({
    name: 'ksocket_event_loop_lag_max_seconds',
    help: 'The longest lag of the event loop in the last minute.',
    registers,
    collect() {
      this.set(history.longestLagMs(LAG_WINDOW_S) / 1000);
    },
  });
}

export function createRegistry(
  servers: readonly ObservedServer[],
  heartbeat: HeartbeatReader,
  history: History,
  version: string,
): Registry {
  const registry = new Registry();
  const registers = [registry];
  addCounters(registers, servers);
  addGauges(registers, servers);
  if (servers.some(isCollector)) addSinks(registers, servers);
  addThreadTimes(registry, servers);
  addEventLoop(registers, heartbeat, history);
  new Gauge({ name: 'ksocket_build_info', help: 'The version, as a label.', labelNames: ['version'], registers }).set(
    { version },
    1,
  );
  return registry;
}
