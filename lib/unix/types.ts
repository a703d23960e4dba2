// The types of a local socket's interface.
import type { EventEmitter } from 'node:events';
import type { SocketOptions } from '../socket/options.js';
import type { Batch } from '../thread/batch.js';
import type { Credentials, MetadataWish } from '../thread/metadata.js';

/** The name of a socket of this machine, unix(7): a path, of at most 107 bytes; or with a zero character in front an abstract
 * name, of which there is no file. Empty: it has none. */
export interface UnixAddress {
  /** The path, or the abstract name with its zero. */
  path: string;
  /** What kind of address it is. */
  family: 'unix';
}

/** Where a datagram came from, and what the socket wants to know besides. */
export interface UnixRemoteInfo {
  /** The name that the sender is bound to; empty: it is bound to none, and cannot be answered. */
  path: string;
  /** The same, for those who know UDP. */
  address: string;
  /** What kind of address it is. */
  family: 'unix';
  /** There are no ports. */
  port: 0;
  /** The datagram's length in bytes. */
  size: number;
  /** Who has sent it. Asked for with `receiveCredentials`. */
  credentials?: Credentials;
  /** The descriptors that came with it, which are the program's to close. Asked for with `receiveDescriptors`. */
  descriptors?: number[];
  /** Were there more, for which the process has no room (EMFILE)? They are lost, and it is counted in
   * `stats().rxDescriptorsTruncated`. recv(2), MSG_CTRUNC. Asked for with `receiveDescriptors`. */
  descriptorsTruncated?: boolean;
  /** When the kernel has received it, as microseconds since 1970. Asked for with `receiveTimes`. */
  receivedUs?: number;
  /** The same to the nanosecond. */
  receivedNs?: bigint;
  /** Was the datagram longer than what is here of it? Asked for with `maxBytes`. */
  truncated?: boolean;
}

/** One datagram of a loop over a local socket. `data` is the loop's own. */
export interface UnixDatagram extends UnixRemoteInfo {
  /** The payload. */
  data: Buffer;
}

/** What `'message'` calls: the payload, and where it came from. */
export type UnixMessageListener = (msg: Buffer<ArrayBuffer>, rinfo: UnixRemoteInfo) => void;

type Shared =
  | 'sendBufferSize'
  | 'signal'
  | 'thread'
  | 'pooled'
  | 'ringBytes'
  | 'busyPoll'
  | 'rxUsecs'
  | 'rxFrames'
  | 'adaptiveRx'
  | 'cpus'
  | 'priority'
  | 'onFull'
  | 'maxBytes'
  | 'receiveTimes';

/** What createSocket() takes for a local socket: those that UDP's have mean the same. */
export interface UnixSocketOptions extends Pick<SocketOptions, Shared> {
  /** A socket of unix(7), for datagrams. */
  type: 'unix_dgram';
  /** SO_PASSCRED: say who has sent each datagram (`rinfo.credentials`, `batch.credentials(i)`). */
  receiveCredentials?: MetadataWish;
  /** SCM_RIGHTS: take the descriptors that come with a datagram (`rinfo.descriptors`, `batch.descriptors(i)`). Else they are closed. */
  receiveDescriptors?: boolean;
}

/** What `send()` takes in place of a path. */
export interface UnixSendOptions {
  /** Where to; not given on a connected socket. */
  path?: string;
  /** SCM_RIGHTS: descriptors that the receiver gets copies of, at most 253. They are copied before `send()` returns, and may be closed. */
  descriptors?: readonly number[];
}

/** What `bind()` takes in place of a path. */
export interface UnixBindOptions {
  /** Where: see {@link UnixAddress}. */
  path?: string;
  /** A descriptor of a local datagram socket to use instead, which somebody else has bound; it is closed with the socket, its file
   * stays. */
  fd?: number;
  /** The permissions of the file, chmod(2), from the first moment on. By default 0o777, less the process's umask. Who may write may
   * send. */
  mode?: number;
  /** Takes the file away first if it is a socket's that nobody listens at any more, of a program that has not ended well. Off
   * by default: then it is EADDRINUSE. */
  replaceStale?: boolean;
  /** Leaves the file behind when the socket closes. Off by default: it goes with the socket, if it is still that one's. */
  keep?: boolean;
}

/** The events of a {@link UnixSocket}, and what their listeners get. */
export interface UnixSocketEvents {
  /** A datagram: its payload, which is the listener's own, and where it came from. Not while `'batch'` has listeners. */
  message: [msg: Buffer<ArrayBuffer>, rinfo: UnixRemoteInfo];
  /** The datagrams that were received together, in memory that is valid until the listener returns. */
  batch: [batch: Batch];
  /** `sendMany()` has taken fewer datagrams than it was given: now the receivers have room for more. */
  drain: [];
  /** The socket is bound; `address()` says where. */
  listening: [];
  /** The socket is connected; `remoteAddress()` says where. */
  connect: [];
  /** Binding, connecting without a callback, or receiving has failed: `syscall` says which, `code` is the errno's name. Without a
   * listener it is thrown. */
  error: [error: Error];
  /** The socket is closed; no other event follows. */
  close: [];
  /** As `error`, for those who watch and do not handle. */
  [EventEmitter.errorMonitor]: [error: Error];
}
