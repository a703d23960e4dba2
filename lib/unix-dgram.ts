/**
 * The interface of the npm package `unix-dgram`, for programs that are written for it. Events and callbacks come before the call
 * returns that they are about, and nothing waits here to be sent: who meets congestion is told, and sends again.
 *
 * @module ksocket/unix-dgram
 */
import { EventEmitter } from 'node:events';
import type { NativeIoThread } from './backend/contract.js';
import { EAGAIN, EBADF, EINVAL, ENOBUFS, ENOENT } from './base/errno.js';
import * as errors from './base/errors.js';
import { type SocketType, unixDgram } from './base/family.js';
import { netIsDenied, now } from './base/runtime.js';
import { listen } from './socket/binding.js';
import { SocketCore } from './socket/core.js';
import { createSocket as createUdp, type MessageListener, type Socket } from './socket/socket.js';
import type { Face } from './socket/types.js';
import { parseLiteral } from './thread/address.js';
import type { RemoteInfo } from './thread/endpoint.js';
import { checkPath, checkUnixOptions, errnoOfPath } from './unix/options.js';

/** An error of the kernel's as the package has it: its code is a number. */
export interface UnixDgramError extends Error {
  /** -errno, as `-2` for ENOENT; 1: the receiver has no room, and the datagram was not sent. */
  code: number;
  /** The same, of what the kernel has refused. */
  errno?: number;
  /** What it has refused: `socket`, `bind`, `connect`, `send`, `recv` or `close`. */
  syscall?: string;
}

/** Where a datagram came from. */
export interface UnixDgramRemoteInfo {
  /** The datagram's length in bytes. */
  size: number;
  /** There is nothing in it. */
  address: Record<string, never>;
  /** The path that the sender is bound to; null: it is bound to none, or to an abstract name. */
  path: string | null;
}

/** What `'message'` calls. */
export type UnixDgramListener = (msg: Buffer, rinfo: UnixDgramRemoteInfo) => void;

/** What a send's callback is told, before the send returns: nothing, or what has become of the datagram. */
export type UnixDgramCallback = (error?: UnixDgramError) => void;

/** The events of a {@link UnixDgramSocket}, and what their listeners get. */
export interface UnixDgramEvents {
  /** A datagram. */
  message: [msg: Buffer, rinfo: UnixDgramRemoteInfo];
  /** `bind()` has worked. */
  listening: [];
  /** `connect()` has worked. */
  connect: [];
  /** The peer has no room: this was not sent. Of a `send()` without a callback, on a connected socket. */
  congestion: [msg: NodeJS.ArrayBufferView];
  /** Once after sends that met congestion: the peer has room again. */
  writable: [];
  /** The kernel has refused something. Without a listener it is thrown. */
  error: [error: UnixDgramError];
}

/** What the core says of the socket, in the package's words. */
function faceOf(socket: UnixDgramSocket, writable: () => boolean): Face {
  const say: { [event: string]: ((...args: never[]) => boolean) | undefined } = {
    message(msg: Buffer, { address }: RemoteInfo) {
      const path = address === '' || address[0] === '\0' ? null : address;
      return socket.emit('message', msg, { size: msg.length, address: {}, path });
    },
    drain: writable,
    error: ({ errno }: errors.SystemCallError) => socket.emit('error', refused(errno, 'recv')),
  };
  const emit = (event: string, ...args: unknown[]) => say[event]?.(...(args as never[])) ?? false;
  return { type: socket.type, emit, listenerCount: () => 0 } as unknown as Face;
}

function refused(errno: number, syscall: string): UnixDgramError {
  return Object.assign(new Error(`${syscall} ${errno}`), { code: errno, errno, syscall });
}

function congestion(): UnixDgramError {
  return Object.assign(new Error('congestion'), { code: 1 });
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE */
function pathOf(path: unknown): string {
  return checkPath(Buffer.isBuffer(path) ? path.toString() : path, 'path');
}

/** A part, counted as the package counts: what is no number is 0. @throws ERR_INVALID_ARG_TYPE, ERR_BUFFER_OUT_OF_BOUNDS */
function bytesOf(
  msg: unknown,
  offset?: unknown,
  length: unknown = (msg as NodeJS.ArrayBufferView)?.byteLength,
): Uint8Array {
  if (!ArrayBuffer.isView(msg)) {
    throw errors.invalidArgType('buf', 'an instance of Buffer, TypedArray, or DataView', msg);
  }
  const from = (offset as number) >>> 0;
  const bytes = (length as number) >>> 0;
  if (from > msg.byteLength) throw errors.bufferOutOfBounds('offset');
  if (from + bytes > msg.byteLength) throw errors.bufferOutOfBounds('length');
  if (bytes === msg.byteLength && msg instanceof Uint8Array) return msg;
  return new Uint8Array(msg.buffer, msg.byteOffset + from, bytes);
}

/** So long, or until `'writable'`, what listeners of `'congestion'` will send again does not ask the kernel on a socket that has met
 * it: the peer may read meanwhile, and then what is sent later would be there first. */
const CONGESTED_MS = 50;

/** A local socket with the package's interface. Made by `createSocket('unix_dgram')`; open, and keeping the event loop running,
 * from then until `close()`. */
class UnixDgramSocket extends EventEmitter<UnixDgramEvents> {
  /** What createSocket() was told. */
  readonly type = 'unix_dgram';
  /** The descriptor; -1 once it is closed. */
  fd: number;
  /** Set by the first `connect()` that works. */
  declare connected?: true;
  readonly #core: SocketCore;
  #congestedUntil = 0; // by now(); 0: it is not

  /** @internal */
  constructor(listener?: UnixDgramListener) {
    super();
    // rinfo's path is its address: nothing is to be read beside the datagram.
    const checked = checkUnixOptions({ type: this.type, pooled: false }, () => []);
    const options = { ...checked, metadata: undefined };
    if (netIsDenied()) throw errors.accessDenied('socket', '');
    const writable = () => {
      this.#congestedUntil = 0;
      return this.emit('writable');
    };
    const core = new SocketCore(faceOf(this, writable), options);
    const errno = core.open();
    if (errno !== 0) throw refused(errno, 'socket');
    const failure = listen(core, '', 0) as errors.SystemCallError | undefined;
    if (failure !== undefined) throw refused(failure.errno, 'socket');
    this.#core = core;
    this.fd = core.running().native.getFd(core.id);
    if (typeof listener === 'function') this.on('message', listener);
  }

  /**
   * bind(2): from now on others can send to this path, of at most 107 bytes, or abstract name (with a zero character in front). The
   * file stays when the socket closes. Emits `'listening'`, or `'error'`, before it returns.
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE for what can be no path
   */
  bind(path: string): void {
    this.#name(path, 'bind', 'listening', (native, id, name) => native.bindPath(id, name, -1, false, true));
  }

  /**
   * connect(2): sends go there, and only its datagrams come in. May be called again. Emits `'connect'`, or `'error'`, before it
   * returns.
   * @throws as `bind`
   */
  connect(path: string): void {
    this.#name(path, 'connect', 'connect', (native, id, name) => {
      const errno = native.connect(id, name, 0);
      if (errno !== 0) return errno;
      this.connected = true;
      this.#congestedUntil = 0;
      return 0;
    });
  }

  #name(
    path: unknown,
    syscall: string,
    event: 'listening' | 'connect',
    call: (native: NativeIoThread, id: number, name: string) => number,
  ): void {
    const name = pathOf(path);
    const { thread, id } = this.#core;
    const errno = thread === undefined ? EBADF : errnoOfPath(name) || call(thread.changing(), id, name);
    if (errno !== 0) this.emit('error', refused(errno, syscall));
    else this.emit(event);
  }

  /**
   * Sends one datagram on a connected socket, at once. The callback is called before this returns; without one the socket emits
   * `'error'`, or `'congestion'` where the peer has no room: then it is to be sent again at `'writable'`.
   * @throws ERR_INVALID_ARG_TYPE
   */
  send(buf: NodeJS.ArrayBufferView, callback?: UnixDgramCallback): void;
  /**
   * Sends a part of `buf` to `path`, on a socket that is not connected. A receiver that has no room is the error -11.
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_BUFFER_OUT_OF_BOUNDS
   */
  send(buf: NodeJS.ArrayBufferView, offset: number, length: number, path: string, callback?: UnixDgramCallback): void;
  send(buf: NodeJS.ArrayBufferView, offset?: unknown, length?: unknown, path?: unknown, callback?: unknown): void {
    const connected = this.connected === true;
    const listener = connected ? offset : callback;
    const told = typeof listener === 'function';
    const result = connected
      ? this.#sendToPeer(bytesOf(buf), told)
      : this.#sendTo(bytesOf(buf, offset, length ?? 0), path);
    const congested = connected && (result === EAGAIN || result === ENOBUFS);
    if (typeof listener === 'function') {
      if (result >= 0) listener();
      else listener(congested ? congestion() : refused(result, 'send'));
    } else if (congested) this.emit('congestion', buf);
    else if (result < 0) this.emit('error', refused(result, 'send'));
  }

  /** As `send`. */
  sendto(
    buf: NodeJS.ArrayBufferView,
    offset: number,
    length: number,
    path: string,
    callback?: UnixDgramCallback,
  ): void {
    this.send(buf, offset, length, path, callback);
  }

  #sendToPeer(bytes: Uint8Array, told: boolean): number {
    const waits = this.#congestedUntil !== 0 && !told && this.listenerCount('congestion') > 0;
    if (waits && now() < this.#congestedUntil) return EAGAIN;
    const result = this.#send(bytes, null);
    this.#congestedUntil = 0;
    if (result === EAGAIN || result === ENOBUFS) {
      this.#congestedUntil = now() + CONGESTED_MS;
      this.#core.running().native.notifyWritable(this.#core.id);
    }
    return result;
  }

  #sendTo(bytes: Uint8Array, path: unknown): number {
    if (typeof path !== 'string' && !Buffer.isBuffer(path)) return ENOENT; // of "undefined" there is no file
    const name = pathOf(path);
    const errno = errnoOfPath(name);
    if (errno !== 0) return errno;
    const to = parseLiteral(unixDgram, name);
    return to === null ? EINVAL : this.#send(bytes, to.words);
  }

  #send(bytes: Uint8Array, to: Uint32Array | null): number {
    return this.#core.thread?.native.sendNow(this.#core.id, bytes, to) ?? EBADF;
  }

  /** Closes the descriptor, at once and without an event. The file that it is bound to stays.
   * @throws an error with the code -9, EBADF: it is closed already */
  close(): void {
    if (this.#core.closed) throw refused(EBADF, 'close');
    this.#core.close();
    this.#congestedUntil = 0;
    this.fd = -1;
  }

  /** @throws 'not implemented' */
  address(): never {
    throw new Error('not implemented');
  }

  /** @throws 'not implemented' */
  setTTL(_ttl?: number): never {
    throw new Error('not implemented');
  }

  /** @throws 'not implemented' */
  setBroadcast(_flag?: boolean): never {
    throw new Error('not implemented');
  }

  /** @throws 'not implemented' */
  setMulticastTTL(_ttl?: number): never {
    throw new Error('not implemented');
  }

  /** @throws 'not implemented' */
  setMulticastLoopback(_flag?: boolean): never {
    throw new Error('not implemented');
  }

  /** @throws 'not implemented' */
  addMembership(_multicastAddress?: string, _multicastInterface?: string): never {
    throw new Error('not implemented');
  }

  /** @throws 'not implemented' */
  dropMembership(_multicastAddress?: string, _multicastInterface?: string): never {
    throw new Error('not implemented');
  }
}

/**
 * Makes a local socket with the package's interface, and opens it.
 *
 * @param listener for `'message'`
 * @throws an error of `socket`; ERR_KSOCKET_NEEDS_ADDON
 */
export function createSocket(type: 'unix_dgram', listener?: UnixDgramListener): UnixDgramSocket;
/** A UDP socket: what `ksocket`'s own createSocket() makes. */
export function createSocket(type: SocketType, listener?: MessageListener): Socket;
export function createSocket(type: unknown, listener?: unknown): UnixDgramSocket | Socket {
  if (type === 'udp4' || type === 'udp6') return createUdp(type, listener as MessageListener);
  if (type !== 'unix_dgram') throw new Error(`Unsupported socket type: ${String(type)}`);
  return new UnixDgramSocket(listener as UnixDgramListener);
}

/** What `import unix from 'ksocket/unix-dgram'` gets: the package's only function. */
const unix: {
  /** {@link createSocket} */
  createSocket: typeof createSocket;
} = { createSocket };

export type { UnixDgramSocket };
export default unix;
