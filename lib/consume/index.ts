/**
 * Consumers: what collectors have handed to an engine, shared among those who work on it.
 *
 * @module ksocket/consume
 */
export type { FrameError } from '../collect/frame.js';
export type { NatsOptions, NatsTls } from '../collect/nats.js';
export type { CollectedDatagram, CollectedFlow, PackedBatch } from '../collect/types.js';
export { type ConsumedBatch, Consumption, type ConsumptionStats, consume } from './consume.js';
export type { BadMessage, ConsumeOptions } from './options.js';
