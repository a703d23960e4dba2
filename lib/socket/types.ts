// The types of a socket's interface, for modules below the socket itself and beside it.
import type { EventEmitter } from 'node:events';
import type { SocketType } from '../base/family.js';
import type { Batch } from '../thread/batch.js';
import type { RemoteInfo } from '../thread/endpoint.js';
import type { PeerError } from '../thread/peer-error.js';

export interface AddressInfo {
  address: string;
  family: 'IPv4' | 'IPv6';
  port: number;
}

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

export interface SocketEvents {
  message: [msg: Buffer<ArrayBuffer>, rinfo: RemoteInfo];
  batch: [batch: Batch];
  drain: [];
  peererror: [error: PeerError];
  listening: [];
  connect: [];
  error: [error: Error];
  close: [];
  [EventEmitter.errorMonitor]: [error: Error];
}

/** What the core needs of its Socket: its events, and the methods that programs may have wrapped. */
export interface Face extends Pick<EventEmitter<SocketEvents>, 'emit' | 'listenerCount' | 'once' | 'removeListener'> {
  readonly type: SocketType;
  bind(options: BindOptions, callback: null): this;
  close(callback?: () => void): this;
}
