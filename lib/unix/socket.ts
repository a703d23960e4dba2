// The public local socket. What is behind it is what is behind UDP's: lib/socket/core.ts.
import { EventEmitter } from 'node:events';
import { binding } from '../backend/load.js';
import { ENOTCONN } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { whenListenersChange } from '../base/listeners.js';
import type { Payload, SendCallback } from '../base/payload.js';
import { netIsDenied, nextTick } from '../base/runtime.js';
import { adoptQuietly, listen } from '../socket/binding.js';
import * as connecting from '../socket/connecting.js';
import { SocketCore } from '../socket/core.js';
import { checkHandOver } from '../socket/hand-over.js';
import * as kernel from '../socket/kernel-options.js';
import { iterateMessages } from '../socket/message-iterator.js';
import * as raw from '../socket/raw-options.js';
import * as sending from '../socket/sending.js';
import type { Face } from '../socket/types.js';
import type { Stats } from '../thread/counters.js';
import { checkBind, checkPath, checkUnixOptions, errnoOfPath, pathError } from './options.js';
import { parseUnixSend, send, sendMany } from './sending.js';
import type {
  UnixAddress,
  UnixBindOptions,
  UnixDatagram,
  UnixMessageListener,
  UnixSendOptions,
  UnixSocketEvents,
  UnixSocketOptions,
} from './types.js';

/**
 * A socket of unix(7), for datagrams between processes of this machine. Made by `createSocket('unix_dgram')`.
 *
 * Nothing is lost on the way: a receiver takes `net.unix.max_dgram_qlen` datagrams, and what is sent to it beyond that waits
 * here (`getSendQueueCount()`), in the order it was sent, while what goes to others is sent.
 */
export class UnixSocket extends EventEmitter<UnixSocketEvents> {
  /** The protocol that the socket was made for. */
  readonly type = 'unix_dgram';
  readonly #core: SocketCore;
  #isNamed = false;

  /** @internal */
  constructor(options: UnixSocketOptions, listener?: UnixMessageListener) {
    super();
    const checked = checkUnixOptions(options, (bundle) => this.#take(bundle));
    this.#core = new SocketCore(this as unknown as Face, checked);
    if (typeof listener === 'function') this.on('message', listener);
    if (checked.signal) this.#core.closeOnAbort(checked.signal);
  }

  /**
   * bind(2): from now on others can send to this path. Done when this returns; `'listening'`, or `'error'` with `code`, `syscall`,
   * `address`, comes on the next tick.
   * @throws ERR_SOCKET_ALREADY_BOUND, ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE
   */
  bind(where: string | UnixBindOptions, callback?: () => void): this {
    const failure = this.#bind(where);
    if (failure === undefined && typeof callback === 'function') this.once('listening', callback);
    nextTick(() => {
      if (this.#core.closed) return;
      if (failure !== undefined) this.emit('error', failure);
      else this.emit('listening');
    });
    return this;
  }

  /**
   * As `bind`, and a failure is thrown.
   * @returns where the socket is bound
   * @throws EADDRINUSE, EACCES, ENOENT, ENAMETOOLONG, … and as `bind`
   */
  bindSync(where: string | UnixBindOptions): UnixAddress {
    const failure = this.#bind(where);
    if (failure !== undefined) throw failure;
    nextTick(() => !this.#core.closed && this.emit('listening'));
    return this.address();
  }

  // For 'message' and for who iterates over a batch. What nobody hears of is closed.
  #take(bundle: number): number[] {
    const core = this.#core;
    if (core.wantsBatches || this.listenerCount('message') > 0) return core.takeDescriptors(bundle);
    core.dropDescriptors(bundle);
    return [];
  }

  #bind(where: string | UnixBindOptions): Error | undefined {
    const core = this.#core;
    core.checkRunning();
    if (this.#isNamed || core.bindState === 'binding') throw errors.alreadyBound();
    const checked = checkBind(where);
    if ('fd' in checked) {
      if (core.bindState === 'bound') throw errors.alreadyBound(); // it has a descriptor, which something may wait in
      const failure = adoptQuietly(core, checked.fd);
      this.#isNamed = failure === undefined;
      const peer = failure === undefined && core.running().native.getName(core.id, true);
      if (typeof peer === 'object') core.connectState = 'connected'; // one of a socketpair(2), for example
      return failure;
    }
    const { path, mode, replaceStale, keep } = checked;
    if (netIsDenied()) return errors.accessDenied('bind', path);
    const errno =
      errnoOfPath(path) || core.open() || core.running().changing().bindPath(core.id, path, mode, replaceStale, keep);
    if (errno !== 0) {
      if (core.bindState !== 'bound') core.abandon();
      return pathError(errno, 'bind', path);
    }
    const failure = core.bindState === 'bound' ? undefined : listen(core, path, 0);
    this.#isNamed = failure === undefined;
    return failure;
  }

  // It receives, and can send: the kernel wants no name for either.
  #open(): void {
    const core = this.#core;
    core.checkRunning();
    if (core.bindState === 'bound') return;
    if (core.bindState === 'binding') throw errors.invalidState('The socket is being taken over');
    if (netIsDenied()) throw errors.accessDenied('connect', '');
    const errno = core.open();
    if (errno !== 0) throw errors.errnoException(errno, 'socket');
    const failure = listen(core, '', 0);
    if (failure !== undefined) throw failure;
  }

  /**
   * connect(2): sends go there, and only its datagrams come in. Done when this returns; `'connect'`, or the error, comes on the
   * next tick: to the callback, or as `'error'`. A send that finds the peer closed is ECONNREFUSED, and ends the connection: later
   * ones are ENOTCONN, and the socket can be connected again.
   * @throws ERR_SOCKET_DGRAM_IS_CONNECTED, ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE
   */
  connect(path: string, callback?: (error?: Error) => void): void {
    const failure = this.#connect(path);
    nextTick(() => {
      if (this.#core.closed) return;
      if (failure === undefined) {
        if (typeof callback === 'function') this.once('connect', callback);
        this.emit('connect');
      } else if (typeof callback === 'function') callback(failure);
      else this.emit('error', failure);
    });
  }

  /** As `connect`, and a failure is thrown.
   * @throws ENOENT, ECONNREFUSED (nobody listens there any more), EACCES, … and as `connect` */
  connectSync(path: string): void {
    const failure = this.#connect(path);
    if (failure !== undefined) throw failure;
    nextTick(() => !this.#core.closed && this.emit('connect'));
  }

  #connect(path: string): Error | undefined {
    const core = this.#core;
    const checked = checkPath(path, 'path');
    if (this.#hasPeer()) throw errors.isConnected();
    this.#open();
    const thread = core.running();
    thread.sender.flush(); // what was sent before goes out unconnected
    const errno = errnoOfPath(checked) || thread.changing().connect(core.id, checked, 0);
    if (errno !== 0) return pathError(errno, 'connect', checked);
    core.connectState = 'connected';
    return undefined;
  }

  // The kernel takes it back once a send has found the peer closed (unix_dgram_sendmsg).
  #hasPeer(): boolean {
    const core = this.#core;
    if (core.connectState !== 'connected') return false;
    const { sender, native } = core.running();
    sender.flush(); // it may be what finds that
    return native.getName(core.id, true) !== ENOTCONN;
  }

  /** Takes connect() back. @throws ERR_SOCKET_DGRAM_NOT_CONNECTED */
  disconnect(): void {
    connecting.disconnect(this.#core);
  }

  /** Where the socket is bound, getsockname(2); an empty path: nowhere. @throws EBADF before it is open */
  address(): UnixAddress {
    this.#core.checkRunning();
    return { path: this.#core.name(false).address, family: 'unix' };
  }

  /** Where the socket is connected to, getpeername(2). @throws ERR_SOCKET_DGRAM_NOT_CONNECTED */
  remoteAddress(): UnixAddress {
    this.#core.checkRunning();
    if (!this.#hasPeer()) throw errors.notConnected();
    return { path: this.#core.name(true).address, family: 'unix' };
  }

  /**
   * Sends one datagram; it leaves at the end of the tick, together with what else the tick sends, and reaches its receiver or waits
   * until that has room. The callback gets its own datagram's result, never synchronously: `(null, bytes)` or `(error)`:
   * ENOENT or ECONNREFUSED where nobody listens, EACCES, EMSGSIZE beyond the send buffer, ENOBUFS where 64 MiB wait already.
   *
   * @param msg the payload, or its parts, which are joined; at most 65 535 bytes
   * @param path where to; not given on a connected socket
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_MISSING_ARGS, ERR_SOCKET_DGRAM_IS_CONNECTED
   */
  send(msg: Payload | readonly Payload[], path: string, callback?: SendCallback): void;
  /** As above, on a connected socket. */
  send(msg: Payload | readonly Payload[], callback?: SendCallback): void;
  /** The same, and with it descriptors. @throws EBADF, EMFILE for what cannot be copied */
  send(msg: Payload | readonly Payload[], options: UnixSendOptions, callback?: SendCallback): void;
  /** As above, a part of `msg`. */
  send(msg: Payload, offset: number, length: number, path: string, callback?: SendCallback): void;
  /** A part, on a connected socket. */
  send(msg: Payload, offset: number, length: number, callback?: SendCallback): void;
  send(msg: unknown, ...rest: unknown[]): void {
    const parsed = parseUnixSend(this.#core.connectState === 'connected', msg, rest);
    this.#open();
    send(this.#core, parsed);
  }

  /**
   * Sends many datagrams with as few system calls as the kernel allows, to one path; on a connected socket without it.
   * @returns how many were taken. Fewer than given means that a receiver has no room: go on with the rest at `'drain'`. Taken ones
   * that the kernel then refuses are in `stats().txErrors`.
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE; what stands before the bad entry has been sent
   */
  sendMany(list: readonly Payload[], path?: string): number;
  /** As above, to several paths: payload, path, …. */
  sendMany(list: readonly (Payload | string)[]): number;
  sendMany(list: readonly unknown[], path?: string): number {
    if (!Array.isArray(list)) throw errors.invalidArgType('list', 'an instance of Array', list);
    this.#open();
    return sendMany(this.#core, list, path);
  }

  /** Bytes that wait for their receivers. */
  getSendQueueSize(): number {
    return sending.backlog(this.#core)[1];
  }

  /** Datagrams that wait for their receivers. */
  getSendQueueCount(): number {
    return sending.backlog(this.#core)[0];
  }

  /** SO_SNDBUF in bytes; the kernel doubles it, and caps it at net.core.wmem_max. It is also the longest datagram.
   * @throws ERR_SOCKET_BAD_BUFFER_SIZE, ERR_SOCKET_BUFFER_SIZE (EBADF before the socket is open) */
  setSendBufferSize(size: number): void {
    kernel.bufferSize(this.#core, 'send', size);
  }

  /** SO_SNDBUF in bytes, as the kernel has it: twice what was set, socket(7). */
  getSendBufferSize(): number {
    return kernel.bufferSize(this.#core, 'send', 0);
  }

  /** setsockopt(2), as UDP's sockets have it.
   * @throws ERR_INVALID_ARG_VALUE, EBADF before the socket is open, else the kernel's error */
  setsockopt(level: number, name: number, value: number | Uint8Array): void {
    raw.setsockopt(this.#core, level, name, value);
  }

  /** getsockopt(2), as UDP's sockets have it. @throws as `setsockopt` */
  getsockopt(level: number, name: number, length?: number): Buffer<ArrayBuffer> {
    return raw.getsockopt(this.#core, level, name, length);
  }

  /** As UDP's sockets have it: another process goes on with this socket, its name and its file, and nothing is lost.
   * Rejects as there. */
  async handOver(path: string, options?: { signal?: AbortSignal }): Promise<void> {
    const signal = checkHandOver(path, options);
    this.#core.checkRunning();
    if (this.#core.bindState !== 'bound') throw errors.invalidState('The socket is not bound');
    const { giveSocket } = await import('../hand-over/hand-over.js');
    await giveSocket(this.#core, path, signal);
  }

  /** As UDP's sockets have it, in the place of `bind()`. Until it is done nothing can be sent (ERR_INVALID_STATE). Rejects as there. */
  async takeOver(path: string): Promise<void> {
    checkHandOver(path);
    this.#core.checkRunning();
    if (this.#core.bindState !== 'unbound') throw errors.alreadyBound();
    this.#core.bindState = 'binding';
    const { takeSocket } = await import('../hand-over/hand-over.js');
    await takeSocket(this.#core, path);
    this.#isNamed = true;
  }

  /** Lets the socket keep the event loop running (the default). */
  ref(): this {
    this.#core.ref(true);
    return this;
  }

  /** Lets the program end though the socket is open. */
  unref(): this {
    this.#core.ref(false);
    return this;
  }

  /** This socket's counters. Read from shared memory; also after close. */
  stats(): Stats {
    return this.#core.stats();
  }

  /** Stops receiving, closes the descriptor and takes its file away, at once; `'close'` comes a tick later. */
  close(callback?: () => void): this {
    if (typeof callback === 'function') this.on('close', callback);
    this.#core.close();
    return this;
  }

  /** `await using`: closes the socket, and resolves when it is closed. One that is closed already does no harm. */
  [Symbol.asyncDispose](): Promise<void> {
    if (this.#core.closed) return Promise.resolve();
    return new Promise<void>((resolve) => this.close(resolve));
  }

  /** `for await (const { data, path } of socket)`. Ends when the socket closes; throws its error. A loop that falls more than
   * 65 536 datagrams behind loses the newest, counted in `stats().rxQueueDrops`. */
  [Symbol.asyncIterator](): AsyncIterableIterator<UnixDatagram, undefined> {
    const core = this.#core;
    const onDrop = (datagram: object) => {
      for (const fd of (datagram as UnixDatagram).descriptors ?? []) binding.closeFd(fd);
      core.countLost('rxQueueDrops', 1);
    };
    const messages = iterateMessages(this as never, core.closed, onDrop);
    return messages as unknown as AsyncIterableIterator<UnixDatagram, undefined>;
  }

  static {
    whenListenersChange(UnixSocket.prototype, (socket) => {
      if (#core in socket) socket.#core.listenersChanged();
    });
  }
}
