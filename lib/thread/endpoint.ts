// What a thread tells its sockets of: each takes what it has a use for.
import type { Batch, Replier } from './batch.js';
import type { Metadata, MetadataKind } from './metadata.js';
import type { PeerError } from './peer-error.js';
import type { SendTime } from './send-time.js';

/** Where a datagram came from, as node:dgram says it, and what the socket wants to know besides. */
export interface RemoteInfo extends Metadata {
  /** The sender's address, an IPv6 link-local one with its zone. */
  address: string;
  /** The address's family. */
  family: 'IPv4' | 'IPv6';
  /** The sender's port. */
  port: number;
  /** The datagram's length in bytes. */
  size: number;
}

export interface TakesDatagrams {
  /** Slot and generation, as in the records. */
  readonly id: number;
  /** May its Buffers share an ArrayBuffer? */
  readonly pooled: boolean;
  /** What `rinfo` says besides; undefined: nothing. */
  readonly metadata?: readonly MetadataKind[] | undefined;
  /** `again`: it came joined to the one before. */
  onDatagram(data: Buffer, rinfo: RemoteInfo, again: boolean): void;
  onReceiveError(errno: number): void;
}

export interface TakesLone {
  /** As onDatagram, of one that comes alone, behind which everything is sent; `entered`: its async context is the current
   * one. */
  onLone(data: Buffer<ArrayBuffer>, rinfo: RemoteInfo, entered: boolean): void;
}

export interface TakesBatches extends Replier {
  /** Does it take batches now, or single datagrams? Listeners are searched by name, which is a tenth of
   * what a small datagram costs that came joined to others. */
  readonly wantsBatches: boolean;
  /** Since the latest datagram none of its listeners has come or gone. */
  readonly sameListeners?: boolean | undefined;
  /** `entered`: of a batch of one that comes alone, as onLone. */
  onBatch(batch: Batch, entered?: boolean): void;
}

export interface TakesSendResults {
  /** A deferred send has ended: `result` is bytes or -errno. */
  onSent(number: number, result: number): void;
  /** Nothing waits to be sent any more. */
  onDrained(): void;
}

export interface TakesPeerErrors {
  /** The network has said something of a datagram that was sent. */
  onPeerError(error: PeerError): void;
}

export interface TakesSendTimes {
  /** The kernel says when a datagram was sent. */
  onSendTime(time: SendTime): void;
}

/** What is behind an id on a thread. */
export type Endpoint = TakesDatagrams &
  Partial<TakesLone & TakesBatches & TakesSendResults & TakesPeerErrors & TakesSendTimes>;

export function wantsBatches(endpoint: Endpoint): endpoint is Endpoint & TakesBatches {
  return endpoint.wantsBatches === true;
}

/** Does the socket with this id take datagrams as messages without metadata? */
export function isPlain(endpoint: Endpoint, id: number): boolean {
  return endpoint.id === id && endpoint.metadata === undefined && !wantsBatches(endpoint);
}
