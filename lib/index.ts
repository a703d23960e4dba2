/**
 * UDP on raw POSIX sockets: a native thread in the kernel's receive call.
 *
 * @module ksocket
 */

import { features } from './backend/features.js';
import type { SocketType } from './base/family.js';
import { compileFilter } from './filter/compile.js';
import { slot } from './server/rules/slots.js';
import { createServer, Server } from './server/server.js';
import type * as options from './socket/options.js';
import * as sockets from './socket/socket.js';
import type * as types from './socket/types.js';
import type * as endpoint from './thread/endpoint.js';
import { createSocket } from './unix/create-socket.js';
import { UnixSocket } from './unix/socket.js';

export type { KernelFeatures } from './backend/binding.js';
export { type Features, features, type OptionFeatures } from './backend/features.js';
export type { Backend } from './backend/load.js';
export type { MtuDiscover, SettingOptions, TxTimeClock } from './backend/settings.js';
export type { SocketType } from './base/family.js';
export type { Payload, SendCallback } from './base/payload.js';
export { compileFilter } from './filter/compile.js';
export type { BpfInstruction } from './filter/types.js';
export type { ServerEvents } from './server/events.js';
export type { KernelInterface, KernelState } from './server/kernel.js';
export type { KernelOptions } from './server/kernel-options.js';
export type { LoopOptions, RepeatLimit } from './server/loops.js';
export type { ReplyTarget, ServerOptions } from './server/options.js';
export type { BlockListLike, ProtectionOptions, RateLimit, SourceRateLimit } from './server/protection.js';
export {
  type CounterSlot,
  type HeaderSlot,
  type LocalSlot,
  type RequestSlot,
  type Slot,
  type SourceSlot,
  slot,
  type TimeSlot,
  type XorOptions,
} from './server/rules/slots.js';
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
export { createServer, Server } from './server/server.js';
export type { FilterOptions } from './socket/filtering.js';
export type { ReceivedDatagram } from './socket/message-iterator.js';
export type { LookupFunction, SocketOptions } from './socket/options.js';
export type { Peer } from './socket/peer.js';
export type { SendOptions } from './socket/send-options.js';
export type { SocketShard } from './socket/shards.js';
export { type MessageListener, Socket, type SocketConstructor } from './socket/socket.js';
export type { AddressInfo, BindOptions, SocketEvents } from './socket/types.js';
export type { Batch, BatchDatagram } from './thread/batch.js';
export type {
  AnsweringCounterName,
  AnsweringStats,
  CounterName,
  ServerStats,
  Stats,
  ThreadCounterName,
  ThreadStats,
} from './thread/counters.js';
export type { RemoteInfo } from './thread/endpoint.js';
export type { Credentials, Metadata, MetadataOptions, MetadataWish, OriginalDestination } from './thread/metadata.js';
export type { PeerError } from './thread/peer-error.js';
export type { SendMetadata, SendTiming } from './thread/send-more.js';
export type { SendTime } from './thread/send-time.js';
export type { ShardOptions } from './thread/shards.js';
export type { PayloadSteering, Steering } from './thread/steering.js';
export { createSocket } from './unix/create-socket.js';
export { UnixSocket } from './unix/socket.js';
export type {
  UnixAddress,
  UnixBindOptions,
  UnixDatagram,
  UnixMessageListener,
  UnixRemoteInfo,
  UnixSendOptions,
  UnixSocketEvents,
  UnixSocketOptions,
} from './unix/types.js';

/** What `import dgram from 'ksocket'` gets, in the place of node:dgram's default export: all values of this module. */
const dgram: {
  /** As createSocket, typed as node:dgram's: programs replace it by a function that makes UDP sockets. */
  createSocket: (type: SocketType | options.SocketOptions, listener?: sockets.MessageListener) => sockets.Socket;
  /** {@link Socket} */
  Socket: typeof sockets.Socket;
  /** {@link createServer} */
  createServer: typeof createServer;
  /** {@link Server} */
  Server: typeof Server;
  /** {@link features} */
  features: typeof features;
  /** {@link UnixSocket} */
  UnixSocket: typeof UnixSocket;
  /** {@link slot} */
  slot: typeof slot;
  /** {@link compileFilter} */
  compileFilter: typeof compileFilter;
} = { createSocket, Socket: sockets.Socket, UnixSocket, createServer, Server, features, slot, compileFilter };

// Where all types are in one file, the names below stand for themselves.
type OwnBindOptions = types.BindOptions;
type OwnRemoteInfo = endpoint.RemoteInfo;
type OwnSocket = sockets.Socket;
type OwnSocketOptions = options.SocketOptions;
type OwnSocketType = SocketType;

/** The types that node:dgram has, by the same names. */
declare namespace dgram {
  /** {@link types.BindOptions} */
  export type BindOptions = OwnBindOptions;
  /** {@link endpoint.RemoteInfo} */
  export type RemoteInfo = OwnRemoteInfo;
  /** {@link sockets.Socket} */
  export type Socket = OwnSocket;
  /** {@link options.SocketOptions} */
  export type SocketOptions = OwnSocketOptions;
  /** `udp4` or `udp6`. */
  export type SocketType = OwnSocketType;
}

export default dgram;
