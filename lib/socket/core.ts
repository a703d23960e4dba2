// What is behind a Socket: its states, its descriptor on an I/O thread, and dgram's contract of what happens when.
// The public face, with the documentation, is socket.ts.
import { AsyncResource } from 'node:async_hooks';
import dns from 'node:dns';
import { addAbortListener, EventEmitter } from 'node:events';
import { type BlockList, isIPv6 } from 'node:net';
import {
  DATAGRAM_BYTES_MAX,
  OPEN_IPV6_ONLY,
  OPEN_REUSE_ADDRESS,
  OPEN_REUSE_PORT,
  SocketOption,
} from '../backend/layout.js';
import { EBADF, ECANCELED, EEXIST, EINVAL, EISCONN } from '../base/errno.js';
import * as errors from '../base/errors.js';
import type { SendCallback } from '../base/payload.js';
import { holding } from '../dgram/active-resources.js';
import { bindThroughPrimary, sharesPorts, type UvHandle } from '../dgram/inherited.js';
import { SocketState, type StateSource, stateSymbol } from '../dgram/state.js';
import { isLiteral, parseLiteral } from '../thread/address.js';
import type { Batch } from '../thread/batch.js';
import { type Snapshot, type Stats, zeroStats } from '../thread/counters.js';
import type { RemoteInfo, TakesBatches, TakesDatagrams, TakesSendResults } from '../thread/endpoint.js';
import { dedicatedThread, type IoThread, isOurs, sharedThread } from '../thread/io-thread.js';
import type { SentListener } from '../thread/sender.js';
import type { CheckedSocketOptions, LookupFunction } from './options.js';
import type { Address, SendArguments } from './send-arguments.js';
import type { AddressInfo, Face } from './types.js';

// The global is a getter; importing node:process would open stdin.
const { process } = globalThis;

// A program may replace dns.lookup (for a cache, say) and means literals, too; the original has nothing to say of them.
const originalLookup = dns.lookup;

// dgram calls it with the family as a number, which the types do not know.
type Lookup = (host: string, family: 4 | 6, done: (error: Error | null, address: string) => void) => void;

function isBlocked(list: BlockList, ip: string): boolean {
  return list.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4');
}

// The permission model, in the Nodes that have it for sockets.
function netIsDenied(): boolean {
  const { permission } = process;
  return permission !== undefined && process.allowedNodeEnvironmentFlags.has('--allow-net') && !permission.has('net');
}

function emitMessage(this: Face, data: Buffer, rinfo: RemoteInfo): void {
  this.emit('message', data as Buffer<ArrayBuffer>, rinfo);
}

function emitBatch(this: Face, batch: Batch): void {
  this.emit('batch', batch);
}

export class SocketCore implements TakesDatagrams, TakesBatches, TakesSendResults, StateSource {
  /** Slot and generation on the thread. */
  id = 0;
  bindState: 'unbound' | 'binding' | 'bound' = 'unbound';
  connectState: 'disconnected' | 'connecting' | 'connected' = 'disconnected';
  closed = false;
  readonly options: CheckedSocketOptions;
  flags: number;

  readonly #socket: Face;
  readonly #family: 4 | 6;
  readonly #lookup: Lookup | undefined; // undefined: dns.lookup, and literals need none
  readonly #resource = new AsyncResource('UDPWRAP', { requireManualDestroy: true });
  #thread: IoThread | undefined; // set while there is a descriptor
  #holding = false;
  #refd = true;
  #shared: UvHandle | undefined; // from a cluster's primary
  #queue: (() => void)[] | undefined; // what waits for the bind
  #stopped = false; // nothing is emitted any more
  #state: SocketState | undefined; // made when somebody asks
  #finalCounters: Snapshot | undefined;

  constructor(socket: Face, options: CheckedSocketOptions) {
    this.#socket = socket;
    this.options = options;
    this.flags = options.flags;
    this.#family = options.type === 'udp6' ? 6 : 4;
    const lookup = options.lookup ?? (dns.lookup === originalLookup ? undefined : (dns.lookup as LookupFunction));
    this.#lookup = lookup as Lookup | undefined;
  }

  // ---- what the receiver calls

  get wantsBatches(): boolean {
    return this.#socket.listenerCount('batch') > 0;
  }

  get pooled(): boolean {
    return this.options.pooled;
  }

  // Listeners run in the async context in which the socket was made, as node:dgram's do.
  onDatagram(data: Buffer, rinfo: RemoteInfo): void {
    if (this.#stopped) return;
    if (this.options.receiveBlockList && isBlocked(this.options.receiveBlockList, rinfo.address)) return;
    this.#thread?.sender.beginEvent();
    this.#resource.runInAsyncScope(emitMessage, this.#socket, data, rinfo);
  }

  onBatch(batch: Batch): void {
    if (this.#stopped) return;
    this.#thread?.sender.beginEvent();
    this.#resource.runInAsyncScope(emitBatch, this.#socket, batch);
  }

  onReceiveError(errno: number): void {
    const error = errors.errnoException(errno, 'recvmsg');
    this.#resource.runInAsyncScope(() => this.#socket.emit('error', error));
  }

  onSent(number: number, result: number): void {
    this.#thread?.sender.onSent(number, result);
  }

  onDrained(): void {
    this.#resource.runInAsyncScope(() => this.#socket.emit('drain'));
  }

  reply(words: Uint32Array, at: number, data: Uint8Array | string, callback: SendCallback | undefined): void {
    const payload = typeof data === 'string' ? Buffer.from(data) : data;
    const connected = this.connectState === 'connected';
    const listener = callback && this.#sentListener(callback, true, undefined, undefined);
    const errno = this.#running().sender.reply(this.id, connected, words, at, payload, listener);
    if (errno !== 0) listener?.(errno);
  }

  // ---- life

  checkRunning(): void {
    if (this.closed) throw errors.notRunning();
  }

  /** The caller has checked that the socket is unbound. `exclusive`: do not share the port with a cluster's other
   * workers. */
  bind(host: string | undefined, port: unknown, exclusive: boolean): void {
    this.bindState = 'binding';
    this.#resolve(host || (this.#family === 6 ? '::' : '0.0.0.0'), (error, ip) => {
      if (this.closed) return;
      const alone = exclusive || (this.flags & OPEN_REUSE_PORT) !== 0;
      if (error === undefined && sharesPorts() && !alone) this.#bindShared(ip, port);
      else this.#bound(error ?? this.#bindNow(ip, port));
    });
  }

  /** As `bind`, to a literal: bound when this returns, or throws. 'listening' comes on the next tick. */
  bindSync(ip: string, port: number): void {
    this.bindState = 'binding';
    const failure = this.#bindNow(ip, port);
    if (failure !== undefined) {
      this.bindState = 'unbound';
      throw failure;
    }
    process.nextTick(() => !this.closed && this.#socket.emit('listening'));
  }

  /** Takes a bound descriptor. 'listening' comes before this returns. */
  adopt(fd: number, copy: boolean): void {
    this.#abandon(); // what a failed bind or a membership has opened
    this.bindState = 'binding';
    const thread = this.#reserve();
    const errno = isOurs(fd) ? EEXIST : thread.native.adopt(this.id, fd, copy, this.flags);
    if (errno !== 0) {
      this.#abandon();
      this.bindState = 'unbound';
      throw errors.errnoException(errno, 'open');
    }
    this.#bound(this.#listen('', 0));
  }

  closeOnAbort(signal: AbortSignal): void {
    const onAbort = () => {
      if (!this.closed) this.#socket.close();
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    const listening = addAbortListener(signal, onAbort);
    this.#socket.once('close', () => listening[Symbol.dispose]());
  }

  /** True when the close has to wait for what waits for the bind. */
  deferClose(close: () => void): boolean {
    this.#queue?.push(close);
    return this.#queue !== undefined;
  }

  close(): void {
    this.checkRunning();
    this.closed = true;
    this.#state?.close();
    const canceled = this.#release();
    process.nextTick(() => {
      this.#socket.emit('close');
      for (const listener of canceled) listener(ECANCELED);
      this.#resource.emitDestroy();
    });
  }

  ref(on: boolean): void {
    this.#refd = on;
    this.#hold(on && this.receiving);
  }

  stopReceiving(): void {
    this.#stopped = true;
    this.#hold(false);
  }

  get receiving(): boolean {
    return this.bindState === 'bound' && !this.#stopped && !this.closed;
  }

  get queue(): readonly (() => void)[] | undefined {
    return this.#queue;
  }

  /** What node:dgram's sockets have under `stateSymbol`. */
  get state(): SocketState | undefined {
    if (this.#state === undefined && stateSymbol !== undefined) this.#state = new SocketState(this, stateSymbol);
    return this.#state;
  }

  /** Runs the action now, or `later` behind 'listening', binding the socket to any port if nobody has. When that bind
   * fails, what waited is dropped. */
  whenBound(action: () => void, later = action): void {
    this.checkRunning();
    if (this.bindState === 'unbound') this.#socket.bind({ port: 0, exclusive: true }, null);
    if (this.bindState === 'bound') {
      action();
      return;
    }
    if (this.#queue !== undefined) {
      this.#queue.push(later);
      return;
    }
    this.#queue = [later];
    const socket = this.#socket;
    const onListening = () => {
      socket.removeListener(EventEmitter.errorMonitor, onError);
      const waiting = this.#queue ?? [];
      this.#queue = undefined;
      for (const each of waiting) each();
    };
    const onError = () => {
      socket.removeListener('listening', onListening);
      this.#queue = undefined;
    };
    socket.once(EventEmitter.errorMonitor, onError);
    socket.once('listening', onListening);
  }

  // ---- peer

  connect(port: number, host: string, callback: ((error?: Error) => void) | undefined): void {
    const socket = this.#socket;
    if (callback) socket.once('connect', callback);
    this.checkRunning(); // a close() may have waited for the bind, too
    const fail = (error: Error) => {
      this.connectState = 'disconnected';
      process.nextTick(() => {
        if (!callback) {
          socket.emit('error', error);
          return;
        }
        socket.removeListener('connect', callback);
        callback(error);
      });
    };
    this.#resolve(host || this.#loopback(), (error, ip) => {
      if (this.#thread === undefined) return;
      if (error) return fail(error);
      const failure = this.#connectNow(ip, port, host);
      if (failure !== undefined) return fail(failure);
      process.nextTick(() => socket.emit('connect'));
    });
  }

  /** As `connect`, to a literal: connected when this returns, or throws. The socket is bound. */
  connectSync(port: number, ip: string): void {
    const failure = this.#connectNow(ip, port, ip);
    if (failure !== undefined) throw failure;
    process.nextTick(() => !this.closed && this.#socket.emit('connect'));
  }

  disconnect(): void {
    if (this.connectState !== 'connected') throw errors.notConnected();
    const thread = this.#running();
    thread.sender.flush(); // what was sent before goes to the old peer
    const errno = thread.native.disconnect(this.id);
    if (errno !== 0) throw errors.errnoException(errno, 'connect');
    this.connectState = 'disconnected';
  }

  name(peer: boolean): AddressInfo {
    const syscall = peer ? 'getpeername' : 'getsockname';
    const name = this.#thread === undefined ? EBADF : this.#thread.native.name(this.id, peer);
    if (typeof name === 'number') throw errors.errnoException(name, syscall);
    return { address: name[0], family: name[0].includes(':') ? 'IPv6' : 'IPv4', port: name[1] };
  }

  // ---- sending

  send({ payload, port, address, callback }: SendArguments): void {
    this.checkRunning();
    const host = address || this.#loopback();
    // While connect() is under way a send takes its turn, as its result depends on it.
    if (port === undefined || (this.connectState !== 'connecting' && this.#needsNoLookup(host))) {
      this.#stage(payload, port, host, address, port === undefined, callback);
      return;
    }
    this.#resolve(host, (error, ip) => {
      if (error === undefined) {
        if (!this.closed) this.#stage(payload, port, ip, address, true, callback);
      } else if (callback) {
        process.nextTick(callback, error);
      } else {
        process.nextTick(() => this.#socket.emit('error', error));
      }
    });
  }

  sendMany(list: readonly unknown[]): number {
    const connected = this.connectState === 'connected';
    if (!connected && list.length % 3 !== 0) {
      throw errors.invalidArgValue('list.length', list.length, 'must be a multiple of 3: data, port, address');
    }
    this.checkRunning();
    if (this.bindState !== 'bound') {
      this.whenBound(() => this.#socket.emit('drain'));
      return 0;
    }
    const thread = this.#running();
    const taken = thread.sender.sendRun(this.id, this.#family, list, connected);
    const all = connected ? list.length : list.length / 3;
    if (taken < all && !thread.native.notifyDrained(this.id)) {
      setImmediate(() => !this.closed && this.#socket.emit('drain'));
    }
    return taken;
  }

  /** Datagrams and bytes that wait because the kernel's send buffer is full. */
  backlog(): [datagrams: number, bytes: number] {
    this.checkRunning();
    return this.#thread?.native.backlog(this.id) ?? [0, 0];
  }

  // ---- options

  setOption(syscall: string, option: number, value: number): void {
    this.checkRunning();
    const errno = this.#thread === undefined ? EBADF : this.#thread.native.setOption(this.id, option, value);
    if (errno !== 0) throw errors.errnoException(errno, syscall);
  }

  option(option: number): number {
    return this.#thread?.native.getOption(this.id, option) ?? EBADF;
  }

  setHops(syscall: string, option: number, hops: number, min: number): number {
    if (typeof hops !== 'number') throw errors.invalidArgType('ttl', 'of type number', hops);
    this.checkRunning();
    const value = hops | 0;
    if (value < min || value > 255) throw errors.errnoException(EINVAL, syscall);
    this.setOption(syscall, option, value);
    return hops;
  }

  bufferSize(which: 'recv' | 'send', size: number): number {
    if (size >>> 0 !== size) throw errors.badBufferSize();
    this.checkRunning();
    const option = which === 'recv' ? SocketOption.receiveBufferBytes : SocketOption.sendBufferBytes;
    const native = this.#thread?.native;
    let result: number;
    if (size > 0x7fffffff) result = EINVAL;
    else if (size === 0) result = this.option(option);
    else result = native?.setOption(this.id, option, size) ?? EBADF;
    if (result < 0) throw errors.bufferSizeError(result, `uv_${which}_buffer_size`);
    return result;
  }

  /** Without a source: from any. */
  membership(syscall: string, join: boolean, group: string, networkInterface: unknown, source?: string): void {
    const family = parseLiteral(4, group) === null ? 6 : 4;
    let errno = EINVAL;
    if (parseLiteral(family, group) !== null && (source === undefined || parseLiteral(family, source) !== null)) {
      // To native code the empty text is no interface; to dgram it is a wrong one.
      const from =
        networkInterface === undefined || networkInterface === null ? '' : String(networkInterface) || 'none';
      errno =
        this.#groupDescriptor(family) ?? this.#running().native.membership(this.id, join, group, from, source ?? '');
    }
    if (errno !== 0) throw errors.errnoException(errno, syscall);
  }

  multicastInterface(address: string): void {
    let errno = EBADF;
    if (!isLiteral(address)) errno = EINVAL;
    else if (this.#thread !== undefined) errno = this.#thread.native.multicastInterface(this.id, address);
    if (errno !== 0) throw errors.errnoException(errno, 'setMulticastInterface');
  }

  descriptorCopy(): number | undefined {
    const fd = this.#thread?.native.copyFd(this.id);
    return fd !== undefined && fd >= 0 ? fd : undefined;
  }

  stats(): Stats {
    return this.#finalCounters?.stats ?? this.#thread?.stats(this.id) ?? zeroStats();
  }

  countQueueDrop(): void {
    this.#thread?.countQueueDrop(this.id);
  }

  // ---- how it is done

  #running(): IoThread {
    if (this.#thread === undefined) throw errors.notRunning();
    return this.#thread;
  }

  #hold(on: boolean): void {
    if (on === this.#holding) return;
    this.#holding = on;
    if (on) {
      holding.add(this.#socket);
      this.#thread?.hold();
    } else {
      holding.delete(this.#socket);
      this.#thread?.unhold();
    }
  }

  #needsNoLookup(host: string): boolean {
    return this.#lookup === undefined && isLiteral(host);
  }

  #loopback(): string {
    return this.#family === 6 ? '::1' : '127.0.0.1';
  }

  // To an IP literal. Never synchronous, unless the user's own lookup is.
  #resolve(host: string, done: (error: Error | undefined, ip: string) => void): void {
    if (this.#needsNoLookup(host)) {
      process.nextTick(done, undefined, host);
      return;
    }
    const lookup = this.#lookup ?? (originalLookup as unknown as Lookup);
    lookup(host, this.#family, (error, ip) => done(error ?? undefined, ip));
  }

  // A place on a thread, still without a descriptor.
  #reserve(): IoThread {
    const thread = this.options.thread ? dedicatedThread(this.options.thread) : sharedThread();
    this.id = thread.reserve();
    this.#thread = thread;
    return thread;
  }

  // Nothing is open any more.
  #abandon(): void {
    this.#state?.close();
    this.#state = undefined;
    this.#thread?.release(this.id);
    this.#thread = undefined;
  }

  // Makes the descriptor on first use. Undefined when there is one now, else -errno.
  #descriptor(family = this.#family, flags = this.flags): number | undefined {
    if (this.#thread !== undefined) return undefined;
    let errno: number;
    try {
      errno = this.#reserve().native.open(this.id, family, flags);
    } catch (error) {
      if (typeof (error as NodeJS.ErrnoException).errno !== 'number') throw error;
      return (error as { errno: number }).errno; // no thread to be had
    }
    if (errno === 0) return undefined;
    this.#abandon();
    return errno;
  }

  // As #descriptor, of the group's family and with a port, which a later bind() then refuses to change.
  #groupDescriptor(family: 4 | 6): number | undefined {
    if (this.#thread !== undefined) return undefined;
    const flags = (this.flags & ~(OPEN_IPV6_ONLY | OPEN_REUSE_PORT)) | OPEN_REUSE_ADDRESS;
    const errno = this.#descriptor(family, flags);
    return errno ?? (this.#running().native.bind(this.id, family === 6 ? '::' : '0.0.0.0', 0) || undefined);
  }

  // Any number is a port, modulo 65536; errors have it as it was given. A refused bind leaves the descriptor open.
  #bindNow(ip: string, port: unknown): Error | undefined {
    try {
      if (netIsDenied()) return errors.accessDenied('bind', ip);
      const wrongFlag = this.#family === 4 && (this.flags & OPEN_IPV6_ONLY) !== 0;
      if (wrongFlag || parseLiteral(this.#family, String(ip)) === null) {
        return errors.exceptionWithHostPort(EINVAL, 'bind', ip, port);
      }
      const errno = this.#descriptor() ?? this.#running().native.bind(this.id, String(ip), Number(port || 0) & 0xffff);
      if (errno === 0) return this.#listen(ip, port);
      return errors.exceptionWithHostPort(errno, 'bind', ip, port);
    } catch (error) {
      return error as Error; // KSOCKET_ENGINE asks for an engine that there is not
    }
  }

  // The bound descriptor starts to receive.
  #listen(ip: string, port: unknown): Error | undefined {
    const thread = this.#running();
    try {
      if (this.options.recvBufferSize) this.bufferSize('recv', this.options.recvBufferSize);
      if (this.options.sendBufferSize) this.bufferSize('send', this.options.sendBufferSize);
      const errno = thread.native.watch(this.id, DATAGRAM_BYTES_MAX);
      if (errno !== 0) throw errors.exceptionWithHostPort(errno, 'bind', ip, port);
    } catch (error) {
      this.#abandon();
      return error as Error;
    }
    thread.attach(this);
    this.bindState = 'bound';
    this.#hold(this.#refd);
    this.#state?.follow();
    return undefined;
  }

  // `host`: what the user calls it.
  #connectNow(ip: string, port: number, host: string): Error | undefined {
    const { sendBlockList } = this.options;
    if (sendBlockList && isBlocked(sendBlockList, ip)) return errors.ipBlocked(ip);
    const thread = this.#running();
    thread.sender.flush(); // what was sent before goes out unconnected
    const errno = thread.native.connect(this.id, String(ip), port);
    if (errno !== 0) return errors.exceptionWithHostPort(errno, 'connect', host, port);
    this.connectState = 'connected';
    return undefined;
  }

  // The end of every bind.
  #bound(failure: Error | undefined): void {
    if (failure !== undefined) {
      this.bindState = 'unbound';
      this.#socket.emit('error', failure);
    } else {
      this.#socket.emit('listening');
    }
  }

  // All workers of the cluster receive from one socket, which the primary binds; we work on a copy of its descriptor.
  #bindShared(ip: string, port: unknown): void {
    const how = { type: this.options.type, flags: this.flags };
    bindThroughPrimary(this.#socket, how, ip, Number(port || 0) & 0xffff, (errno, handle) => {
      if (this.closed || errno !== 0 || handle === null) {
        handle?.close();
        if (!this.closed) this.#bound(errors.exceptionWithHostPort(errno, 'bind', ip, port));
        return;
      }
      this.#shared = handle; // the primary counts who uses it
      this.adopt(handle.fd, true);
    });
  }

  // Lets go of the descriptor; returns the listeners of sends that now never happen. What the present tick has sent to
  // a literal address is not sent any more, as in node:dgram.
  #release(): SentListener[] {
    const thread = this.#thread;
    if (thread === undefined) return [];
    thread.sender.revoke(this.id);
    const canceled = thread.sender.takeWaiting(this.id);
    this.#hold(false);
    this.#thread = undefined;
    thread.release(this.id);
    this.#finalCounters = thread.snapshot(this.id); // closing counts, too
    this.#shared?.close();
    return canceled;
  }

  // `atOnce`: node:dgram would have handed the datagram to the kernel when this returns; else it does so in a tick
  // that begins now. Callbacks come a tick behind that, and close() takes back what has not been handed over.
  #stage(
    payload: Uint8Array | Uint8Array[],
    port: number | undefined,
    ip: string,
    address: Address,
    atOnce: boolean,
    callback: SendCallback | undefined,
  ): void {
    const { sendBlockList } = this.options;
    if (sendBlockList && port !== undefined && isBlocked(sendBlockList, ip)) {
      const refuse = () => {
        if (callback && !this.closed) process.nextTick(callback as (error: Error) => void, errors.ipBlocked(ip));
      };
      if (atOnce) refuse();
      else process.nextTick(refuse);
      return;
    }
    const listener = callback && this.#sentListener(callback, atOnce, address, port);
    const to = port === undefined ? null : parseLiteral(this.#family, typeof ip === 'string' ? ip : String(ip));
    let errno: number;
    if (port !== undefined && to === null) errno = EINVAL;
    else if (port !== undefined && this.connectState === 'connected') errno = EISCONN;
    else errno = this.#running().sender.send(this.id, to, port ?? 0, payload, !atOnce, listener);
    if (errno !== 0) listener?.(errno);
  }

  // The callback runs in the async context of its send(), one tick after the datagram was handed over, or later if the
  // kernel would not take it then.
  #sentListener(callback: SendCallback, atOnce: boolean, address: Address, port: number | undefined): SentListener {
    let resource: AsyncResource;
    let result: number | undefined;
    let late = false;
    const report = () => {
      if (result === undefined) {
        late = true;
        return;
      }
      try {
        if (result >= 0) {
          resource.runInAsyncScope(callback, undefined, null, result);
        } else {
          const error = errors.exceptionWithHostPort(result, 'send', address, port);
          resource.runInAsyncScope(callback as (error: Error) => void, undefined, error);
        }
      } finally {
        resource.emitDestroy();
      }
    };
    process.nextTick(() => {
      if (this.closed && !atOnce) return; // too early for the datagram
      resource = new AsyncResource('UDPSENDWRAP', { requireManualDestroy: true });
      if (result === undefined) this.#thread?.sender.hasten();
      if (atOnce) report();
      else process.nextTick(report);
    });
    return (known) => {
      result = known;
      if (late) process.nextTick(report);
    };
  }
}
