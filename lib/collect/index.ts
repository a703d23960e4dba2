/**
 * Collectors: datagrams are received at many machines, packed into batches and handed to an engine that stores, replicates and
 * divides them.
 *
 * @module ksocket/collect
 */
export {
  Collector,
  type CollectorEvents,
  createCollector,
  type StopOptions,
  type StopResult,
} from './collector.js';
export type { FrameError } from './frame.js';
export { type JetstreamOptions, jetstream } from './jetstream.js';
export { type LinesOptions, lines } from './lines.js';
export type { NatsOptions, NatsTls } from './nats.js';
export type { BatchOptions, CollectorOptions, CollectorSocketOptions } from './options.js';
export { type PcapngOptions, type PcapngRotation, pcapng } from './pcapng/sink.js';
export { type Sink, SinkError, type SinkOpening, type Subject, type WriteResult } from './sink.js';
export type { CollectorStats } from './stats.js';
export type { CollectedDatagram, CollectedFlow, PackedBatch } from './types.js';
