/**
 * UDP on raw POSIX sockets: a native thread in the kernel's receive call.
 *
 * @module
 */

import { features } from './backend/features.js';
import { slot } from './server/rules/slots.js';
import { createServer, Server } from './server/server.js';
import type * as options from './socket/options.js';
import * as sockets from './socket/socket.js';
import type * as types from './socket/types.js';
import type * as endpoint from './thread/endpoint.js';

export type { KernelFeatures } from './backend/contract.js';
export { type Features, features } from './backend/features.js';
export type { SocketType } from './base/family.js';
export type { LoopOptions, RepeatLimit } from './server/loops.js';
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
export type { Peer } from './socket/peer.js';
export type { SendOptions } from './socket/send-options.js';
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
export type { Metadata, MetadataOptions, MetadataWish, OriginalDestination } from './thread/metadata.js';
export type { PeerError } from './thread/peer-error.js';
export type { SendMetadata } from './thread/send-more.js';

/** What `import dgram from 'ksocket'` gets, in the place of node:dgram's default export: all values of this module. */
const dgram: {
  createSocket: typeof sockets.createSocket;
  Socket: typeof sockets.Socket;
  createServer: typeof createServer;
  Server: typeof Server;
  features: typeof features;
  slot: typeof slot;
} = { createSocket: sockets.createSocket, Socket: sockets.Socket, createServer, Server, features, slot };

// The types that node:dgram has, by the same names.
declare namespace dgram {
  export type BindOptions = types.BindOptions;
  export type RemoteInfo = endpoint.RemoteInfo;
  export type Socket = sockets.Socket;
  export type SocketOptions = options.SocketOptions;
  export type SocketType = import('./base/family.js').SocketType;
}

export default dgram;
