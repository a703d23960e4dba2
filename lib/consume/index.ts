/**
 * Consumers: what collectors have handed to an engine, shared among those who work on it.
 *
 * @module ksocket/consume
 */
export type { FrameError } from '../collect/frame.js';
export type { CollectedDatagram, CollectedFlow, PackedBatch } from '../collect/types.js';
