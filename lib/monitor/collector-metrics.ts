// What a collector's figures are called in Prometheus. One without a line here does not compile.
import type { CollectorStats } from '../collect/stats.js';
import type { CounterMetric } from './counter-metrics.js';

/** What a collector counts beside its socket. */
export type CollectorFigures = Omit<CollectorStats, 'socket'>;
export type FigureName = Exclude<keyof CollectorFigures, 'sink'>;

export interface FigureMetric extends CounterMetric {
  kind: 'counter' | 'gauge';
  /** What one of it is in Prometheus' unit. */
  factor?: number;
}

const counter = (name: string, help: string): FigureMetric => ({
  kind: 'counter',
  name: `ksocket_collector_${name}_total`,
  help,
});
const gauge = (name: string, help: string): FigureMetric => ({
  kind: 'gauge',
  name: `ksocket_collector_${name}`,
  help,
});
const dropped = (reason: string, text: string): FigureMetric => ({
  kind: 'counter',
  name: 'ksocket_dropped_datagrams_total',
  help: 'Datagrams lost, by reason.',
  labels: { reason },
  text,
});

export const figureMetrics: Record<FigureName, FigureMetric> = {
  receivedDatagrams: counter('received_datagrams', 'Datagrams taken from the socket.'),
  receivedBytes: counter('received_bytes', 'Their payload bytes.'),
  acknowledgedDatagrams: counter('acknowledged_datagrams', 'Datagrams that are durable, as the sink says.'),
  acknowledgedBatches: counter('acknowledged_batches', 'Batches that are durable.'),
  acknowledgedBytes: counter('acknowledged_bytes', 'Their bytes.'),
  retries: counter('retries', 'Attempts to write a batch that have failed and are made again.'),
  duplicates: counter('duplicates', 'Batches that the sink had already when they came again.'),
  pauses: counter('pauses', 'Times that the window was full.'),
  pausedMs: { ...counter('paused_seconds', 'How long the window was full.'), factor: 1e-3 },
  refusedDatagrams: dropped('refused', 'In batches that the sink refuses for good.'),
  unsortedDatagrams: dropped('no_subject', 'Their subject is none.'),
  abandonedDatagrams: dropped('abandoned', 'Not durable when the collector was stopped.'),
  openDatagrams: gauge('open_datagrams', 'Datagrams in batches to which more are added.'),
  inFlightBatches: gauge('in_flight_batches', 'Batches that are closed and not durable yet.'),
  inFlightDatagrams: gauge('in_flight_datagrams', 'The datagrams in them.'),
  inFlightBytes: gauge('in_flight_bytes', 'Their bytes.'),
  failing: gauge('failing', '1 while nothing is written because the latest attempt has failed, else 0.'),
};

/** The value that Prometheus gets. */
export function figureOf(figures: CollectorFigures, name: FigureName): number {
  const { factor } = figureMetrics[name];
  return factor === undefined ? figures[name] : figures[name] * factor;
}
