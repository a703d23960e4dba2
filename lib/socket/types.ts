// The types of a socket's interface, for modules below the socket itself and beside it.
import type { EventEmitter } from 'node:events';
import type { SocketType } from '../base/family.js';
import type { Batch } from '../thread/batch.js';
import type { RemoteInfo } from '../thread/endpoint.js';
import type { PeerError } from '../thread/peer-error.js';
import type { SendTime } from '../thread/send-time.js';

/** An end of a socket, as node:dgram says it. */
export interface AddressInfo {
  /** The IP address, an IPv6 link-local one with its zone. */
  address: string;
  /** The address's family. */
  family: 'IPv4' | 'IPv6';
  /** The port, 0 to 65 535. */
  port: number;
}

/** What `bind()` takes in place of port and address. */
export interface BindOptions {
  /** 0 or nothing: any free port. */
  port?: number;
  /** The default is every address of the machine. */
  address?: string;
  /** In a cluster's worker: a port of its own, instead of one shared by all workers. */
  exclusive?: boolean;
  /** A bound UDP descriptor to use instead; it is closed with the socket. In a cluster's worker it is one of the primary's,
   * shared by all workers, unless `exclusive`. */
  fd?: number;
}

/** The events of a {@link Socket}, and what their listeners get. */
export interface SocketEvents {
  /** A datagram: its payload, which is the listener's own, and where it came from. Not while `'batch'` has listeners. */
  message: [msg: Buffer<ArrayBuffer>, rinfo: RemoteInfo];
  /** The datagrams that were received together, in memory that is valid until the listener returns. Beyond node:dgram. */
  batch: [batch: Batch];
  /** `sendMany()` has taken fewer datagrams than it was given: now there is room for more. Beyond node:dgram. */
  drain: [];
  /** The network has said something of a datagram that was sent; with `receiveErrors`. Beyond node:dgram. */
  peererror: [error: PeerError];
  /** The kernel says when it has sent a datagram that has an `id`, with `sendTimes`; or that it has missed a departure time, with
   * `txTime`. Beyond node:dgram. */
  sendtime: [time: SendTime];
  /** The socket is bound; `address()` says where. */
  listening: [];
  /** The socket is connected; `remoteAddress()` says where. */
  connect: [];
  /** Binding, connecting without a callback, looking up the name that a send without one goes to, or receiving has
   * failed: `syscall` says which (`bind`, `connect`, `getaddrinfo`, `recvmsg`), `code` is the errno's name. Without a listener
   * it is thrown. */
  error: [error: Error];
  /** The socket is closed; no other event follows. */
  close: [];
  /** As `error`, for those who watch and do not handle. */
  [EventEmitter.errorMonitor]: [error: Error];
}

/** What the core needs of its Socket: its events, and the methods that programs may have wrapped. */
export interface Face extends Pick<EventEmitter<SocketEvents>, 'emit' | 'listenerCount' | 'once' | 'removeListener'> {
  readonly type: SocketType;
  bind(options: BindOptions, callback: null): this;
  close(callback?: () => void): this;
}
