// The public socket: node:dgram's, on an I/O thread. What a method checks and in which order events come is
// dgram's contract; what happens to the datagrams is in receiver.ts and sender.ts.
import dns from 'node:dns';
import { EventEmitter } from 'node:events';
import type { LookupFunction } from 'node:net';
import { isLiteral, parseLiteral } from './address.js';
import type { Batch } from './batch.js';
import { type Stats, zeroStats } from './counters.js';
import * as errors from './errors.js';
import { dedicatedThread, type IoThread, sharedThread } from './io-thread.js';
import { DATAGRAM_BYTES_MAX, SocketOption } from './layout.js';
import { iterateMessages, type ReceivedDatagram } from './message-iterator.js';
import {
  type CheckedSocketOptions,
  checkSocketOptions,
  type SocketOptions,
  type SocketType,
  validatePort,
  validateString,
} from './options.js';
import type { Endpoint, RemoteInfo } from './receiver.js';
import { type Payload, parseSendArguments, type SendCallback } from './send-arguments.js';
import { sendRun } from './send-run.js';
import type { SentListener } from './sender.js';

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
  exclusive?: boolean;
}

export interface SocketEvents {
  message: [msg: Buffer, rinfo: RemoteInfo];
  batch: [batch: Batch];
  drain: [];
  listening: [];
  connect: [];
  error: [error: Error];
  close: [];
  [EventEmitter.errorMonitor]: [error: Error];
}

const ECANCELED = -125;
const EBADF = -9;
const EINVAL = -22;

/**
 * A UDP socket with node:dgram's interface. Made by {@link createSocket}.
 *
 * Events: `'message'` (data, where from), `'listening'`, `'connect'`, `'error'`, `'close'`; beyond node:dgram `'batch'`
 * (many datagrams in borrowed memory: while it has listeners there are no `'message'` events) and `'drain'`.
 */
export class Socket extends EventEmitter<SocketEvents> {
  readonly type: SocketType;
  readonly #options: CheckedSocketOptions;
  readonly #family: 4 | 6;
  readonly #lookup: LookupFunction;
  readonly #endpoint: Endpoint & { id: number };

  #bindState: 'unbound' | 'binding' | 'bound' = 'unbound';
  #connectState: 'disconnected' | 'connecting' | 'connected' = 'disconnected';
  #closed = false;
  #thread: IoThread | undefined; // set while there is a descriptor
  #refd = true;
  #queue: (() => void)[] | undefined; // what waits for the bind
  #finalStats: Stats | undefined;

  constructor(type: SocketType | SocketOptions, listener?: (msg: Buffer, rinfo: RemoteInfo) => void) {
    super();
    this.#options = checkSocketOptions(type);
    this.type = this.#options.type;
    this.#family = this.type === 'udp6' ? 6 : 4;
    this.#lookup = this.#options.lookup ?? (dns.lookup as LookupFunction);
    this.#endpoint = this.#makeEndpoint();
    if (typeof listener === 'function') this.on('message', listener);
    this.#closeOnAbort(this.#options.signal);
  }

  // ---- life

  /**
   * bind(2). Without a port the kernel picks a free one; without an address it is every address of the machine.
   * @throws ERR_SOCKET_ALREADY_BOUND. Emits 'listening', or 'error' with `code`, `syscall`, `address`, `port`.
   */
  bind(
    port?: number | BindOptions | (() => void) | null,
    address?: string | (() => void) | null,
    callback?: () => void,
  ): this {
    this.#checkRunning();
    if (this.#bindState !== 'unbound') throw errors.alreadyBound();
    const given: BindOptions =
      port !== null && typeof port === 'object' ? port : { port: typeof port === 'function' ? 0 : (port ?? 0) };
    if (typeof address === 'string') given.address ??= address;
    const done = [port, address, callback].find((argument) => typeof argument === 'function') as
      | (() => void)
      | undefined;

    this.#bindState = 'binding';
    if (done) this.#onceListening(done);
    const host = given.address || (this.#family === 6 ? '::' : '0.0.0.0');
    this.#resolve(host, (error, ip) => {
      if (this.#closed) return;
      const failure = error ?? this.#bindNow(ip, Number(given.port ?? 0) & 0xffff);
      if (failure !== undefined) {
        this.#bindState = 'unbound';
        this.emit('error', failure);
        return;
      }
      this.#bindState = 'bound';
      this.emit('listening');
    });
    return this;
  }

  /** Stops receiving and closes the descriptor, at once; `'close'` comes a tick later. What was sent before still
   * goes out, except what still waits for a host name. */
  close(callback?: () => void): this {
    if (typeof callback === 'function') this.on('close', callback);
    if (this.#queue !== undefined) {
      this.#queue.push(() => this.close());
      return this;
    }
    this.#checkRunning();
    this.#closed = true;
    const canceled = this.#release();
    process.nextTick(() => {
      this.emit('close');
      for (const listener of canceled) listener(ECANCELED);
    });
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => this.close(resolve));
  }

  /** Lets the socket keep the event loop running (the default). */
  ref(): this {
    if (!this.#refd && this.#thread) this.#thread.hold();
    this.#refd = true;
    return this;
  }

  /** Lets the program end though the socket is open. */
  unref(): this {
    if (this.#refd && this.#thread) this.#thread.unhold();
    this.#refd = false;
    return this;
  }

  // ---- peer

  /** connect(2): sends go there, and only its datagrams come in. Emits 'connect'; a failure goes to the callback, or
   * to 'error'. */
  connect(port: number, address?: string | ((error?: Error) => void), callback?: (error?: Error) => void): void {
    const checkedPort = validatePort(port, 'Port', false);
    if (typeof address === 'function') {
      callback = address;
      address = '';
    }
    const host = address ?? '';
    validateString(host, 'address');
    if (this.#connectState !== 'disconnected') throw errors.isConnected();
    this.#connectState = 'connecting';
    this.#whenBound(() => this.#connectNow(checkedPort, host, callback));
  }

  /** @throws ERR_SOCKET_DGRAM_NOT_CONNECTED */
  disconnect(): void {
    if (this.#connectState !== 'connected') throw errors.notConnected();
    const thread = this.#running();
    thread.sender.flush();
    const errno = thread.native.disconnect(this.#endpoint.id);
    if (errno !== 0) throw errors.errnoException(errno, 'connect');
    this.#connectState = 'disconnected';
  }

  /** Where the socket is connected to, getpeername(2). @throws ERR_SOCKET_DGRAM_NOT_CONNECTED */
  remoteAddress(): AddressInfo {
    this.#checkRunning();
    if (this.#connectState !== 'connected') throw errors.notConnected();
    return this.#name(true);
  }

  /** Where the socket is bound, getsockname(2). @throws EBADF before it is */
  address(): AddressInfo {
    this.#checkRunning();
    return this.#name(false);
  }

  // ---- sending

  /**
   * Sends one datagram; it leaves at the end of the tick, together with what else the tick sends. The callback gets
   * its own datagram's result, never synchronously: `(null, bytes)` or `(error)`. Binds the socket if need be.
   */
  send(msg: Payload | readonly Payload[], port?: number, address?: string, callback?: SendCallback): void;
  send(msg: Payload | readonly Payload[], port?: number, callback?: SendCallback): void;
  send(msg: Payload | readonly Payload[], callback?: SendCallback): void;
  send(msg: Payload, offset: number, length: number, port?: number, address?: string, callback?: SendCallback): void;
  send(msg: Payload, offset: number, length: number, port?: number, callback?: SendCallback): void;
  send(msg: Payload, offset: number, length: number, callback?: SendCallback): void;
  send(...args: unknown[]): void {
    const { payload, port, address, callback } = parseSendArguments(this.#connectState === 'connected', args);
    this.#checkRunning();
    if (this.#bindState === 'bound') this.#sendNow(payload, port, address, callback);
    else this.#whenBound(() => this.#sendNow(payload, port, address, callback));
  }

  /** Bytes that wait because the kernel's send buffer is full. */
  getSendQueueSize(): number {
    return this.#thread?.native.backlog(this.#endpoint.id)[1] ?? 0;
  }

  /** Datagrams that wait because the kernel's send buffer is full. */
  getSendQueueCount(): number {
    return this.#thread?.native.backlog(this.#endpoint.id)[0] ?? 0;
  }

  // ---- options, see lib/layout.ts SocketOption for the table

  /** SO_BROADCAST, socket(7). */
  setBroadcast(on: boolean): void {
    this.#setOption('setBroadcast', SocketOption.broadcast, on ? 1 : 0);
  }

  /** IP_TTL or IPV6_UNICAST_HOPS, 1 to 255. */
  setTTL(ttl: number): number {
    return this.#setHops('setTTL', SocketOption.ttl, ttl, 1);
  }

  /** IP_MULTICAST_TTL or IPV6_MULTICAST_HOPS, 0 to 255. */
  setMulticastTTL(ttl: number): number {
    return this.#setHops('setMulticastTTL', SocketOption.multicastTtl, ttl, 0);
  }

  /** IP_MULTICAST_LOOP or IPV6_MULTICAST_LOOP: do this machine's sockets get what this one multicasts? */
  setMulticastLoopback(on: boolean): boolean {
    this.#setOption('setMulticastLoopback', SocketOption.multicastLoopback, on ? 1 : 0);
    return on;
  }

  /** SO_RCVBUF in bytes; the kernel doubles it. */
  setRecvBufferSize(size: number): void {
    this.#bufferSize(SocketOption.receiveBufferBytes, 'recv', size);
  }

  /** SO_SNDBUF in bytes; the kernel doubles it. */
  setSendBufferSize(size: number): void {
    this.#bufferSize(SocketOption.sendBufferBytes, 'send', size);
  }

  getRecvBufferSize(): number {
    return this.#bufferSize(SocketOption.receiveBufferBytes, 'recv', 0);
  }

  getSendBufferSize(): number {
    return this.#bufferSize(SocketOption.sendBufferBytes, 'send', 0);
  }

  /** This socket's counters, since it was bound. Read from shared memory; also after close. */
  stats(): Stats {
    return this.#finalStats ?? this.#thread?.stats(this.#endpoint.id) ?? zeroStats();
  }

  // ---- more than node:dgram

  /**
   * Sends many datagrams with as few system calls as the kernel allows: `[data, port, address, …]`, on a connected
   * socket `[data, …]`; addresses are IP literals.
   *
   * @returns how many were taken. Fewer than given means that the kernel's send buffer is full (or the socket not
   * bound yet): go on with the rest at `'drain'`. Taken ones that the kernel then refuses are in
   * `stats().txErrors`.
   * @throws ERR_INVALID_ARG_TYPE, ERR_SOCKET_BAD_PORT; what stands before the bad entry has been sent
   */
  sendMany(list: readonly (Payload | number)[]): number {
    if (!Array.isArray(list)) throw errors.invalidArgType('list', 'an instance of Array', list);
    const connected = this.#connectState === 'connected';
    if (!connected && list.length % 3 !== 0) {
      throw errors.invalidArgValue('list.length', list.length, 'must be a multiple of 3: data, port, address');
    }
    this.#checkRunning();
    if (this.#bindState !== 'bound') {
      this.#whenBound(() => this.emit('drain'));
      return 0;
    }
    const thread = this.#running();
    const { id } = this.#endpoint;
    const taken = sendRun(thread.sender, id, this.#family, list, connected);
    const all = connected ? list.length : list.length / 3;
    if (taken < all && !thread.native.notifyDrained(id)) setImmediate(() => !this.#closed && this.emit('drain'));
    return taken;
  }

  /** `for await (const { data, address, port } of socket)`. Ends when the socket closes; throws its error. A loop that
   * falls more than 65 536 datagrams behind loses the newest, counted in `stats().rxQueueDrops`. */
  [Symbol.asyncIterator](): AsyncIterableIterator<ReceivedDatagram, undefined> {
    return iterateMessages(this, this.#closed, () => this.#thread?.countQueueDrop(this.#endpoint.id));
  }

  // ---- how it is done

  #makeEndpoint(): Endpoint & { id: number } {
    const socket = this;
    return {
      id: 0,
      get wantsBatches() {
        return socket.listenerCount('batch') > 0;
      },
      onDatagram: (data, rinfo) => void this.emit('message', data, rinfo),
      onBatch: (batch) => void this.emit('batch', batch),
      reply: (words, at, data, callback) => {
        const payload = typeof data === 'string' ? Buffer.from(data) : data;
        const listener = callback && this.#sentListener(callback, undefined, undefined);
        const connected = this.#connectState === 'connected';
        this.#running().sender.reply(this.#endpoint.id, connected, words, at, payload, listener);
      },
      onReceiveError: (errno) => void this.emit('error', errors.errnoException(errno, 'recvmsg')),
      onSent: (number, result) => this.#thread?.sender.onSent(number, result),
      onDrained: () => void this.emit('drain'),
    };
  }

  #checkRunning(): void {
    if (this.#closed) throw errors.notRunning();
  }

  #running(): IoThread {
    if (this.#thread === undefined) throw errors.notRunning();
    return this.#thread;
  }

  #closeOnAbort(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const onAbort = () => {
      if (!this.#closed) this.close();
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    this.once('close', () => signal.removeEventListener('abort', onAbort));
  }

  // A bind callback is a 'listening' listener that a failed bind takes back.
  #onceListening(callback: () => void): void {
    const onListening = () => {
      this.removeListener('error', onError);
      callback.call(this);
    };
    const onError = () => {
      this.removeListener('listening', onListening);
    };
    this.once('listening', onListening);
    this.prependOnceListener(EventEmitter.errorMonitor, onError);
  }

  // Runs the action now, or behind 'listening', binding the socket to any port if nobody has. When that bind fails,
  // what waited is dropped.
  #whenBound(action: () => void): void {
    this.#checkRunning();
    if (this.#bindState === 'bound') {
      action();
      return;
    }
    if (this.#bindState === 'unbound') this.bind({ port: 0, exclusive: true });
    if (this.#queue !== undefined) {
      this.#queue.push(action);
      return;
    }
    this.#queue = [action];
    const onListening = () => {
      this.removeListener(EventEmitter.errorMonitor, onError);
      const waiting = this.#queue ?? [];
      this.#queue = undefined;
      for (const each of waiting) each();
    };
    const onError = () => {
      this.removeListener('listening', onListening);
      this.#queue = undefined;
      if (this.#connectState === 'connecting') this.#connectState = 'disconnected';
    };
    this.once('listening', onListening);
    this.once(EventEmitter.errorMonitor, onError);
  }

  // To an IP literal. Never synchronous, unless the user's own lookup is.
  #resolve(host: string, done: (error: Error | undefined, ip: string) => void): void {
    if (this.#options.lookup === undefined && isLiteral(host)) {
      process.nextTick(done, undefined, host);
      return;
    }
    this.#lookup(host, { family: this.#family }, (error, ip) => done(error ?? undefined, ip as string));
  }

  #bindNow(ip: string, port: number): Error | undefined {
    const { native, thread, id } = this.#open();
    let errno = native.open(id, this.#family, this.#options.flags);
    if (errno === 0) errno = native.bind(id, ip, port);
    if (errno === 0) {
      this.#endpoint.id = id;
      this.#thread = thread;
      const failure = this.#applyBufferSizes();
      errno = failure === undefined ? native.watch(id, DATAGRAM_BYTES_MAX) : 0;
      if (failure === undefined && errno === 0) {
        thread.attach(this.#endpoint);
        if (this.#refd) thread.hold();
        return undefined;
      }
      this.#thread = undefined;
      thread.release(id);
      return failure ?? errors.exceptionWithHostPort(errno, 'bind', ip, port);
    }
    thread.release(id);
    return errors.exceptionWithHostPort(errno, 'bind', ip, port);
  }

  #open() {
    const thread = this.#options.thread ? dedicatedThread(this.#options.thread) : sharedThread();
    return { thread, native: thread.native, id: thread.reserve() };
  }

  #applyBufferSizes(): Error | undefined {
    try {
      if (this.#options.recvBufferSize) this.setRecvBufferSize(this.#options.recvBufferSize);
      if (this.#options.sendBufferSize) this.setSendBufferSize(this.#options.sendBufferSize);
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  // Lets go of the descriptor; returns the callbacks of sends that now never happen.
  #release() {
    const thread = this.#thread;
    if (thread === undefined) return [];
    if (this.#connectState === 'connected') thread.sender.flush();
    else thread.sender.discard(this.#endpoint.id);
    this.#finalStats = thread.stats(this.#endpoint.id);
    const canceled = thread.sender.takeWaiting(this.#endpoint.id);
    this.#thread = undefined;
    if (this.#refd) thread.unhold();
    thread.release(this.#endpoint.id);
    return canceled;
  }

  #connectNow(port: number, host: string, callback: ((error?: Error) => void) | undefined): void {
    if (callback) this.once('connect', callback);
    const fail = (error: Error) => {
      this.#connectState = 'disconnected';
      process.nextTick(() => {
        if (callback === undefined) {
          this.emit('error', error);
          return;
        }
        this.removeListener('connect', callback);
        callback(error);
      });
    };
    this.#resolve(host || this.#loopback(), (error, ip) => {
      if (this.#thread === undefined) return;
      if (error) return fail(error);
      const errno = this.#thread.native.connect(this.#endpoint.id, ip, port);
      if (errno !== 0) return fail(errors.exceptionWithHostPort(errno, 'connect', host, port));
      this.#connectState = 'connected';
      process.nextTick(() => this.emit('connect'));
    });
  }

  #loopback(): string {
    return this.#family === 6 ? '::1' : '127.0.0.1';
  }

  #sendNow(
    payload: Uint8Array | Uint8Array[],
    port: number | undefined,
    address: string | undefined,
    callback: SendCallback | undefined,
  ): void {
    if (port === undefined || (this.#options.lookup === undefined && isLiteral(address || this.#loopback()))) {
      this.#stage(payload, port, address || this.#loopback(), address, callback);
      return;
    }
    this.#resolve(address || this.#loopback(), (error, ip) => {
      if (this.#thread === undefined) return;
      if (error === undefined) this.#stage(payload, port, ip, address, callback);
      else if (callback) process.nextTick(callback, error);
      else process.nextTick(() => this.emit('error', error));
    });
  }

  #stage(
    payload: Uint8Array | Uint8Array[],
    port: number | undefined,
    ip: string,
    address: string | undefined,
    callback: SendCallback | undefined,
  ): void {
    const thread = this.#running();
    const to = port === undefined ? null : parseLiteral(this.#family, ip);
    const listener = callback && this.#sentListener(callback, address, port);
    if (port !== undefined && to === null) {
      if (listener) process.nextTick(listener, EINVAL); // an address of the other family
      return;
    }
    thread.sender.send(this.#endpoint.id, to, port ?? 0, payload, listener);
  }

  #sentListener(callback: SendCallback, address: string | undefined, port: number | undefined): SentListener {
    return (result) => {
      if (result >= 0) callback(null, result);
      else (callback as (error: Error) => void)(errors.exceptionWithHostPort(result, 'send', address, port));
    };
  }

  #name(peer: boolean): AddressInfo {
    const syscall = peer ? 'getpeername' : 'getsockname';
    const name = this.#thread === undefined ? EBADF : this.#thread.native.name(this.#endpoint.id, peer);
    if (typeof name === 'number') throw errors.errnoException(name, syscall);
    return { address: name[0], family: this.#family === 6 ? 'IPv6' : 'IPv4', port: name[1] };
  }

  #setOption(syscall: string, option: number, value: number): void {
    this.#checkRunning();
    const errno = this.#thread === undefined ? EBADF : this.#thread.native.setOption(this.#endpoint.id, option, value);
    if (errno !== 0) throw errors.errnoException(errno, syscall);
  }

  #setHops(syscall: string, option: number, hops: number, min: number): number {
    if (typeof hops !== 'number') throw errors.invalidArgType('ttl', 'of type number', hops);
    this.#checkRunning();
    if (this.#thread !== undefined && !(hops >= min && hops <= 255)) throw errors.errnoException(EINVAL, syscall);
    this.#setOption(syscall, option, hops);
    return hops;
  }

  #bufferSize(option: number, which: 'recv' | 'send', size: number): number {
    if (size >>> 0 !== size) throw errors.badBufferSize();
    const syscall = `uv_${which}_buffer_size`;
    const native = this.#thread?.native;
    const { id } = this.#endpoint;
    let result = EBADF;
    if (native !== undefined) {
      if (size > 0x7fffffff) result = EINVAL;
      else result = size === 0 ? native.getOption(id, option) : native.setOption(id, option, size);
    }
    if (result < 0) throw errors.bufferSizeError(result, syscall);
    return result;
  }
}

/**
 * Makes a UDP socket, as node:dgram's createSocket does. Nothing is opened before it is bound or sends.
 *
 * @param type `'udp4'`, `'udp6'`, or options with such a `type`
 * @param listener for `'message'`
 * @throws ERR_SOCKET_BAD_TYPE, ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE
 */
export function createSocket(
  type: SocketType | SocketOptions,
  listener?: (msg: Buffer, rinfo: RemoteInfo) => void,
): Socket {
  return new Socket(type, listener);
}
