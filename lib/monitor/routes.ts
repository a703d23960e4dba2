// What the monitor serves, and how each document is made.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Registry } from 'prom-client';
import { figureMetrics } from './collector-metrics.js';
import {
  answeringCounterMetrics,
  type CounterMetric,
  counterMetrics,
  threadCounterMetrics,
  tunnelCounterMetrics,
} from './counter-metrics.js';
import { type Health, healthOf } from './health.js';
import type { HeartbeatReader } from './heartbeat.js';
import type { History, Sample } from './history.js';
import type { Answer, Routes } from './http.js';
import type { ObservedServer } from './observed-server.js';

export interface Sources {
  servers: readonly ObservedServer[];
  heartbeat: HeartbeatReader;
  history: History;
  registry: Registry;
  maxLagMs: number;
  version: string;
}

const page = join(import.meta.dirname, 'page');
const fromPackage = createRequire(import.meta.url).resolve;
const JAVASCRIPT = 'text/javascript; charset=utf-8';
const CSS = 'text/css; charset=utf-8';

const FILES: [path: string, file: () => string, type: string][] = [
  ['/', () => join(page, 'index.html'), 'text/html; charset=utf-8'],
  ['/style.css', () => join(page, 'style.css'), CSS],
  ['/icon.svg', () => join(page, 'icon.svg'), 'image/svg+xml'],
  ...['main.js', 'charts.js', 'figures.js', 'format.js', 'latency.js', 'source.js'].map(
    (name): [string, () => string, string] => [`/${name}`, () => join(page, name), JAVASCRIPT],
  ),
  ['/uplot.js', () => fromPackage('uplot/dist/uPlot.esm.js'), JAVASCRIPT],
  ['/uplot.css', () => fromPackage('uplot/dist/uPlot.min.css'), CSS],
];

function json(value: object, status = 200): Answer {
  return { status, type: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` };
}

/** /stats.json */
export interface MonitorStats {
  version: string;
  pid: number;
  /** Milliseconds since 1970. */
  time: number;
  /** Of the process, in seconds. */
  uptime: number;
  health: Health;
  /** How many samples there have been, and what the latest says beside the servers' own. */
  sample: { sequence: number; time: number | null; lagMs: number | null };
  servers: {
    name: string;
    running: boolean;
    engine: string | null;
    /** As `server.stats()`. */
    stats: object | null;
    /** What a tunnel counts beside; null: it is a server. */
    tunnel: object | null;
    /** Of a collector: the rest of `collector.stats()`; null of a server. */
    collector: object | null;
    ring: { records: number; capacity: number } | null;
    /** Of all datagrams since the start or since the monitor was there. Buckets begin at a number of microseconds. */
    latency: { count: number; sumNs: number; buckets: [startUs: number, count: number][] } | null;
    sample: Sample;
  }[];
}

function monitorStats({ servers, heartbeat, history, maxLagMs, version }: Sources): MonitorStats {
  return {
    version,
    pid: process.pid,
    time: Date.now(),
    uptime: process.uptime(),
    health: healthOf(servers, heartbeat, maxLagMs),
    sample: {
      sequence: history.sequence,
      time: history.times.at(-1) ?? null,
      lagMs: history.lagMs.at(-1) ?? null,
    },
    servers: servers.map((server, i) => {
      const latencies = server.latencies();
      return {
        name: server.name,
        running: server.running,
        engine: server.engine,
        stats: server.stats(),
        tunnel: server.tunnel(),
        collector: server.figures ?? null,
        ring: server.ring(),
        latency: latencies && { count: latencies.count, sumNs: latencies.sumNs, buckets: latencies.filled },
        sample: history.latest(i),
      };
    }),
  };
}

/** /counters.json: what the counters in `stats` are called in words and in Prometheus. */
function namedCounters(servers: readonly ObservedServer[]): object[] {
  const rows = (
    of: 'socket' | 'answering' | 'thread' | 'tunnel' | 'collector',
    metrics: Record<string, CounterMetric>,
  ) => Object.entries(metrics).map(([name, { name: metric, help, text = help }]) => ({ name, metric, text, of }));
  return [
    ...rows('socket', counterMetrics),
    ...rows('answering', answeringCounterMetrics),
    ...rows('thread', threadCounterMetrics),
    ...(servers.some(({ isTunnel }) => isTunnel) ? rows('tunnel', tunnelCounterMetrics) : []),
    ...(servers.some(({ figures }) => figures !== undefined) ? rows('collector', figureMetrics) : []),
  ];
}

export function routesFor(sources: Sources): Routes {
  const { servers, heartbeat, history, registry, maxLagMs } = sources;
  const routes = new Map<string, () => Answer | Promise<Answer>>();
  for (const [path, file, type] of FILES) {
    let body: Uint8Array | undefined;
    routes.set(path, () => {
      body ??= readFileSync(file());
      return { type, body };
    });
  }
  routes.set('/metrics', async () => ({ type: registry.contentType, body: await registry.metrics() }));
  routes.set('/stats.json', () => json(monitorStats(sources)));
  routes.set('/counters.json', () => json(namedCounters(servers)));
  routes.set('/history.json', () => json(history));
  routes.set('/healthz', () => {
    const health = healthOf(servers, heartbeat, maxLagMs);
    return json(health, health.status === 'ok' ? 200 : 503);
  });
  return routes;
}
