/**
 * UDP on raw POSIX sockets: a native thread in the kernel's receive call.
 *
 * @module
 */

export type { KernelFeatures } from './backend/contract.js';
export { type Features, features } from './backend/features.js';
export type { SocketType } from './base/family.js';
export type { ReplyTarget, ServerOptions } from './server/options.js';
export type { BlockListLike, ProtectionOptions, RateLimit, SourceRateLimit } from './server/protection.js';
export { type Slot, slot } from './server/rules/slots.js';
export type {
  DefaultAction,
  ForwardAction,
  ForwardTarget,
  ReplyAction,
  ReplyPart,
  Rule,
  RuleAction,
  RuleBits,
  RuleBytes,
  RuleMatch,
} from './server/rules/types.js';
export { createServer, Server, type ServerEvents } from './server/server.js';
export type { ReceivedDatagram } from './socket/message-iterator.js';
export type { SocketOptions } from './socket/options.js';
export { createSocket, Socket } from './socket/socket.js';
export type { AddressInfo, BindOptions, SocketEvents } from './socket/types.js';
export type { Batch, BatchDatagram } from './thread/batch.js';
export type {
  AnsweringCounterName,
  CounterName,
  ServerStats,
  Stats,
  ThreadCounterName,
  ThreadStats,
} from './thread/counters.js';
export type { RemoteInfo } from './thread/endpoint.js';
