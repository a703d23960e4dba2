/**
 * UDP on raw POSIX sockets: a native thread in the kernel's receive call.
 *
 * @module
 */
export type { Batch, BatchDatagram } from './batch.js';
export type { KernelFeatures } from './binding.js';
export type {
  AnsweringCounterName,
  CounterName,
  ServerStats,
  Stats,
  ThreadCounterName,
  ThreadStats,
} from './counters.js';
export { type Features, features } from './features.js';
export type { ReceivedDatagram } from './message-iterator.js';
export type { SocketOptions, SocketType } from './options.js';
export type { BlockListLike, ProtectionOptions, RateLimit, SourceRateLimit } from './protection.js';
export type { RemoteInfo } from './receiver.js';
export { type Slot, slot } from './rules/slots.js';
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
} from './rules/types.js';
export { createServer, Server, type ServerEvents } from './server.js';
export type { ReplyTarget, ServerOptions } from './server-options.js';
export { type AddressInfo, type BindOptions, createSocket, Socket, type SocketEvents } from './socket.js';
