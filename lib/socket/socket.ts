// The public socket: node:dgram's interface, and more. What is behind it: core.ts.
// biome-ignore-all lint/style/noExcessiveLinesPerFile: half of it is the public documentation, which is read in one piece

import dgram from 'node:dgram';
import { channel } from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';
import { isIP } from 'node:net';
import { SocketOption } from '../backend/layout.js';
import type { MtuDiscover } from '../backend/settings.js';
import * as errors from '../base/errors.js';
import type { SocketType } from '../base/family.js';
import { whenListenersChange } from '../base/listeners.js';
import type { Payload, SendCallback } from '../base/payload.js';
import { validateObject, validatePort, validateString } from '../base/validate.js';
import { fdOf, isUvHandle, type UvHandle } from '../dgram/inherited.js';
import { deprecatedProperties, stateSymbol } from '../dgram/state.js';
import type { BpfInstruction } from '../filter/types.js';
import type { Stats } from '../thread/counters.js';
import type { RemoteInfo } from '../thread/endpoint.js';
import type { SendMetadata } from '../thread/send-more.js';
import * as binding from './binding.js';
import * as connecting from './connecting.js';
import { SocketCore } from './core.js';
import { type FilterOptions, setFilter } from './filtering.js';
import { checkHandOver } from './hand-over.js';
import * as kernel from './kernel-options.js';
import { iterateMessages, type ReceivedDatagram } from './message-iterator.js';
import { checkSocketOptions, type SocketOptions } from './options.js';
import * as mtu from './path-mtu.js';
import { makePeer, onlyMore, type Peer } from './peer.js';
import * as raw from './raw-options.js';
import { keptPayload, parseSendArguments } from './send-arguments.js';
import type { SendOptions } from './send-options.js';
import * as sending from './sending.js';
import type { Shards, SocketShard } from './shards.js';
import type { AddressInfo, BindOptions, SocketEvents } from './types.js';

/** What `'message'` calls: the payload, and where it came from. */
export type MessageListener = (msg: Buffer<ArrayBuffer>, rinfo: RemoteInfo) => void;

const kCore = Symbol('ksocket');

/**
 * A UDP socket with node:dgram's interface. Made by {@link createSocket}.
 *
 * Events: `'message'` (data, where from), `'listening'`, `'connect'`, `'error'`, `'close'`; beyond node:dgram `'batch'`
 * (many datagrams in borrowed memory: while it has listeners there are no `'message'` events) and `'drain'`.
 */
export interface Socket extends EventEmitter<SocketEvents> {
  /** The protocol that the socket was made for. */
  readonly type: SocketType;

  /**
   * bind(2). Without a port the kernel picks a free one; without an address it is every address of the machine.
   * Emits 'listening', or 'error' with `code`, `syscall`, `address`, `port`.
   * @throws ERR_SOCKET_ALREADY_BOUND
   */
  bind(port?: number, address?: string, callback?: () => void): this;
  /** As above, on every address of the machine. */
  bind(port?: number, callback?: () => void): this;
  /** As above, on a port that the kernel picks. */
  bind(callback?: () => void): this;
  /** As above, with what only {@link BindOptions} say.
   * @throws ERR_SOCKET_ALREADY_BOUND, ERR_INVALID_FD_TYPE for an `fd` that is no UDP socket */
  bind(options: BindOptions, callback?: (() => void) | null): this;

  /**
   * As `bind`, to an IP literal, and done when this returns; 'listening' comes on the next tick. In a cluster's worker
   * the port is its own.
   * @returns where the socket is bound
   * @throws ERR_SOCKET_ALREADY_BOUND, ERR_INVALID_ARG_VALUE for a name, EADDRINUSE, …
   */
  bindSync(options?: { port?: number; address?: string }): AddressInfo;

  /** Stops receiving and closes the descriptor, at once; `'close'` comes a tick later. What was sent in this very tick
   * is not sent any more, without a callback: close in the last callback instead. */
  close(callback?: () => void): this;
  /** `await using`: closes the socket, and resolves when it is closed. One that is closed already does no harm. */
  [Symbol.asyncDispose](): Promise<void>;

  /** Lets the socket keep the event loop running (the default). */
  ref(): this;
  /** Lets the program end though the socket is open. */
  unref(): this;

  /** connect(2): sends go there, and only its datagrams come in. Emits 'connect'; a failure goes to the callback, or to
   * 'error'. @throws ERR_SOCKET_BAD_PORT, ERR_SOCKET_DGRAM_IS_CONNECTED, ERR_INVALID_STATE with `shards` */
  connect(port: number, address?: string, callback?: (error?: Error) => void): void;
  /** As above, to the loopback address. */
  connect(port: number, callback: (error?: Error) => void): void;
  /** As `connect`, to an IP literal, and done when this returns; 'connect' comes on the next tick.
   * @throws ERR_SOCKET_BAD_PORT, ERR_SOCKET_DGRAM_IS_CONNECTED, ERR_INVALID_ARG_VALUE for a name */
  connectSync(port: number, address?: string): void;
  /** Takes connect() back: the socket receives from everybody again. @throws ERR_SOCKET_DGRAM_NOT_CONNECTED */
  disconnect(): void;
  /** Where the socket is connected to, getpeername(2). @throws ERR_SOCKET_DGRAM_NOT_CONNECTED */
  remoteAddress(): AddressInfo;
  /** Where the socket is bound, getsockname(2). @throws EBADF before it is */
  address(): AddressInfo;

  /**
   * Sends one datagram; it leaves at the end of the tick, together with what else the tick sends. The callback gets
   * its own datagram's result, never synchronously: `(null, bytes)` or `(error)`. Binds the socket if need be.
   *
   * @param msg the payload, or its parts, which are joined
   * @param port 1 to 65 535; not given on a connected socket
   * @param address an IP address, or a host name to look up; the loopback address by default
   * @param callback gets what becomes of it: `code` is the errno's name (EMSGSIZE, ECONNREFUSED, …), or ERR_IP_BLOCKED
   * @throws ERR_INVALID_ARG_TYPE, ERR_SOCKET_BAD_PORT, ERR_SOCKET_DGRAM_IS_CONNECTED
   */
  send(msg: Payload | readonly Payload[], port?: number, address?: string, callback?: SendCallback): void;
  /** As above, to the loopback address. */
  send(msg: Payload | readonly Payload[], port?: number, callback?: SendCallback): void;
  /** As above, on a connected socket. */
  send(msg: Payload | readonly Payload[], callback?: SendCallback): void;
  /** As above, to what {@link Socket.peer} has made. */
  send(msg: Payload | readonly Payload[], peer: Peer, callback?: SendCallback): void;
  /** The same with what else is to be said of the datagram; the options are read before this returns.
   * @throws ERR_INVALID_ARG_VALUE, ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_KSOCKET_NEEDS_ADDON */
  send(msg: Payload | readonly Payload[], options: SendOptions, callback?: SendCallback): void;
  /** As below, to what {@link Socket.peer} has made. */
  send(msg: Payload, offset: number, length: number, peer: Peer, callback?: SendCallback): void;
  /**
   * Sends a part of `msg`.
   * @param offset its first byte; a text's are those of its UTF-8
   * @param length how many bytes
   * @throws ERR_BUFFER_OUT_OF_BOUNDS for what is not within `msg`, and as the whole
   */
  send(msg: Payload, offset: number, length: number, port?: number, address?: string, callback?: SendCallback): void;
  /** A part, to the loopback address. */
  send(msg: Payload, offset: number, length: number, port?: number, callback?: SendCallback): void;
  /** A part, on a connected socket. */
  send(msg: Payload, offset: number, length: number, callback?: SendCallback): void;
  /** The old name of send(msg, offset, length, port, address, callback). */
  sendto(msg: Payload, offset: number, length: number, port: number, address: string, callback?: SendCallback): void;

  /**
   * Sends many datagrams with as few system calls as the kernel allows: `[data, port, address, …]`, on a connected
   * socket `[data, …]`; addresses are IP literals.
   *
   * @returns how many were taken. Fewer than given means that the kernel's send buffer is full (or the socket not
   * bound yet): go on with the rest at `'drain'`. Taken ones that the kernel then refuses are in `stats().txErrors`.
   * @throws ERR_INVALID_ARG_TYPE, ERR_SOCKET_BAD_PORT; what stands before the bad entry has been sent
   */
  sendMany(list: readonly (Payload | number)[]): number;
  /** The same as `[data, peer, …]`. */
  sendMany(list: readonly (Payload | Peer)[]): number;
  /** The same of datagrams that all go to one place, which costs less. */
  sendMany(list: readonly Payload[], to: Peer | SendOptions): number;
  /**
   * The same of one piece of memory, cut into datagrams of `segmentSize` bytes, of which the last may be shorter. On a
   * connected socket `segmentSize` alone.
   * @returns how many datagrams were taken: go on at `bytes.subarray(taken * segmentSize)`
   * @throws ERR_OUT_OF_RANGE for a size that no datagram has
   */
  sendMany(bytes: Payload, options: SendOptions & { segmentSize: number }): number;

  /**
   * A destination that is checked and packed once: `send()` and `sendMany()` take it in the place of port and address,
   * of every socket of this family.
   * `options`: what is said of each datagram that goes there.
   * @throws ERR_INVALID_ARG_VALUE for what is no IP literal, ERR_SOCKET_BAD_PORT, and as `send` for the options
   */
  peer(address: string, port: number, options?: SendMetadata): Peer;
  /**
   * What is said of each datagram that says nothing else, from now on: of all that `send()`, `sendMany()` and
   * `batch.reply()` send. With null nothing any more.
   * @throws as `send` for its options
   */
  setSendDefaults(options: SendMetadata | null): this;

  /** Bytes that wait because the kernel's send buffer is full. */
  getSendQueueSize(): number;
  /** Datagrams that wait because the kernel's send buffer is full. */
  getSendQueueCount(): number;

  /** SO_BROADCAST, socket(7). */
  setBroadcast(on: boolean): void;
  /** IP_TTL or IPV6_UNICAST_HOPS, 1 to 255. */
  setTTL(ttl: number): number;
  /** IP_MULTICAST_TTL or IPV6_MULTICAST_HOPS, 0 to 255. */
  setMulticastTTL(ttl: number): number;
  /** IP_MULTICAST_LOOP or IPV6_MULTICAST_LOOP: do this machine's sockets get what this one multicasts? */
  setMulticastLoopback(on: boolean): boolean;
  /** IP_MULTICAST_IF or IPV6_MULTICAST_IF: an address of the interface; for IPv6 its zone counts (`::%eth0`). */
  setMulticastInterface(multicastInterface: string): void;
  /** IP_ADD_MEMBERSHIP or IPV6_JOIN_GROUP. The system picks the interface if none is given. `'all'`: every interface that is
   * up and can, and later on those that come (MCAST_JOIN_GROUP, rtnetlink(7)); `receiveLocal` tells by which one a datagram
   * came. What the kernel does not allow (ENOBUFS beyond net.ipv4.igmp_max_memberships) leaves the socket in the group on
   * none. */
  addMembership(multicastAddress: string, multicastInterface?: string): void;
  /** IP_DROP_MEMBERSHIP or IPV6_LEAVE_GROUP. A membership ends with the socket, too. `'all'` ends what `'all'` began. */
  dropMembership(multicastAddress: string, multicastInterface?: string): void;
  /** IP_ADD_SOURCE_MEMBERSHIP or MCAST_JOIN_SOURCE_GROUP, RFC 3678. */
  addSourceSpecificMembership(sourceAddress: string, groupAddress: string, multicastInterface?: string): void;
  /** IP_DROP_SOURCE_MEMBERSHIP or MCAST_LEAVE_SOURCE_GROUP, RFC 3678. */
  dropSourceSpecificMembership(sourceAddress: string, groupAddress: string, multicastInterface?: string): void;
  /**
   * SO_ATTACH_FILTER: the kernel drops what the filter does not accept before it is queued, so that it costs the process
   * nothing. An expression in the language of tcpdump (`'src net 192.0.2.0/24 and payload[0] = 1'`, docs/filters.md), or
   * instructions of classic BPF; null removes it. A new filter takes the place of the one before at once, and judges what
   * arrives from then on; set before bind() it judges everything. What it drops is counted in `stats().rxKernelDrops`, too.
   *
   * @param options `lock`: SO_LOCK_FILTER, nobody can change or remove it any more
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE (with `position`, the character or instruction that is wrong, from
   * 0), EPERM once it is locked, ENOMEM beyond net.core.optmem_max, ERR_KSOCKET_NEEDS_ADDON
   */
  filter(filter: string | readonly BpfInstruction[] | null, options?: FilterOptions): void;

  /** SO_RCVBUF in bytes; the kernel doubles it, and caps it at net.core.rmem_max.
   * @throws ERR_SOCKET_BAD_BUFFER_SIZE, ERR_SOCKET_BUFFER_SIZE (EBADF before the socket is bound) */
  setRecvBufferSize(size: number): void;
  /** SO_SNDBUF in bytes; the kernel doubles it, and caps it at net.core.wmem_max.
   * @throws ERR_SOCKET_BAD_BUFFER_SIZE, ERR_SOCKET_BUFFER_SIZE (EBADF before the socket is bound) */
  setSendBufferSize(size: number): void;
  /** SO_RCVBUF in bytes, as the kernel has it: twice what was set, socket(7). */
  getRecvBufferSize(): number;
  /** SO_SNDBUF in bytes, as the kernel has it: twice what was set, socket(7). */
  getSendBufferSize(): number;

  /** IP_MTU_DISCOVER and IPV6_MTU_DISCOVER, as the option `mtuDiscover`. From bind() on.
   * @throws ERR_INVALID_ARG_VALUE, EBADF before bind(), ERR_KSOCKET_NEEDS_ADDON */
  setMtuDiscover(mode: MtuDiscover): void;
  /**
   * What the kernel knows of the largest packet that gets to an IP literal in one piece, IP_MTU and IPV6_MTU: bytes, of
   * which the headers of IPv4 and UDP take 28, of IPv6 and UDP 48. It is the interface's or the route's MTU until a router
   * says that something was too large; then, for some minutes, what that one has said. Nothing is sent.
   * @throws ERR_INVALID_ARG_VALUE for a name, EBADF before bind(), ENETUNREACH, …, ERR_KSOCKET_NEEDS_ADDON
   */
  pathMtu(address: string): number;
  /**
   * setsockopt(2), for what has no method here: numbers of `level` and `name` as in the kernel's headers, a number stands
   * for an int. From bind() on (docs/socket-options.md).
   * @throws ERR_INVALID_ARG_VALUE for what ksocket itself rests on and for values that hold pointers; EBADF before bind(),
   * else the kernel's error, with `syscall` `'setsockopt'`. ERR_KSOCKET_NEEDS_ADDON without the addon
   */
  setsockopt(level: number, name: number, value: number | Uint8Array): void;
  /**
   * getsockopt(2): the bytes that the kernel has for it, at most `length` (0 to 65 536, 256 by default).
   * @throws as `setsockopt`
   */
  getsockopt(level: number, name: number, length?: number): Buffer<ArrayBuffer>;

  /** This socket's counters, since it was bound. Read from shared memory; also after close. */
  stats(): Stats;

  /**
   * One of the sockets that the option `shards` asks for (docs/shards.md).
   * @param index from 0 to one less than there are
   * @throws ERR_INVALID_STATE for a socket without shards, ERR_OUT_OF_RANGE
   */
  shard(index: number): SocketShard;
  /**
   * Has so many shards from now on, 1 to 64 or `'cores'`. Resolves when those that come receive, and those that go have been read to
   * the end and closed: no datagram is lost. Sources change their shard, so that what one has sent before may come behind what it
   * has sent after it. Before bind() it is how many there will be.
   * Rejects with ERR_OUT_OF_RANGE, as bind(), and with ERR_INVALID_STATE for a socket without shards, or once a shard has been
   * handed over: then there are as many as before.
   */
  setShards(shards: number | 'cores'): Promise<void>;

  /**
   * Waits at a path of the file system (or an abstract name, unix(7)) until another process of the same user calls `takeOver()`
   * with it, and gives it this socket. Nothing is lost: what this process has received is delivered here, what waits to be sent is
   * sent, then the socket closes and the promise resolves. Until then it goes on as ever, also where the other process fails.
   *
   * Rejects with ERR_INVALID_STATE where the socket is not bound; as `bind()` of a local socket (EADDRINUSE,
   * EACCES, …); with ERR_SOCKET_DGRAM_NOT_RUNNING when the socket closes meanwhile, and with the reason of `signal`.
   */
  handOver(path: string, options?: { signal?: AbortSignal }): Promise<void>;
  /**
   * Takes over, in the place of `bind()`, the socket that another process hands over at this path: from now on this one receives. Emits
   * `'listening'` and resolves. A socket with shards is taken over by one with the option, which then has as many.
   *
   * Rejects with ENOENT or ECONNREFUSED where nobody hands over, ERR_INVALID_STATE where it is something else, ECONNRESET
   * or ETIMEDOUT where the other process fails; then the socket is unbound as before. ERR_SOCKET_ALREADY_BOUND.
   */
  takeOver(path: string): Promise<void>;

  /** `for await (const { data, address, port } of socket)`. Ends when the socket closes; throws its error. A loop that
   * falls more than 65 536 datagrams behind loses the newest, counted in `stats().rxQueueDrops`. */
  [Symbol.asyncIterator](): AsyncIterableIterator<ReceivedDatagram, undefined>;
}

/** The class: `new Socket(…)` does what {@link createSocket} does. */
export interface SocketConstructor {
  /** As {@link createSocket}. */
  new (type: SocketType | SocketOptions, listener?: MessageListener): Socket;
  /** Old programs inherit from it by calling it. */
  call(self: object, type: SocketType | SocketOptions, listener?: MessageListener): void;
  /** What its instances, and those of classes that inherit from it, have in common. */
  prototype: Socket;
}

/** As the methods see it: what is behind it is nobody else's. */
interface OwnSocket extends Socket {
  readonly [kCore]: SocketCore;
}

/** @internal For rooms above. */
export function coreOf(socket: Socket): SocketCore {
  return (socket as OwnSocket)[kCore];
}

const stateProperty: PropertyDescriptor & ThisType<OwnSocket> = {
  configurable: true,
  get() {
    return this[kCore].state;
  },
};

const socketChannel = channel('udp.socket');

/** The class of what {@link createSocket} makes. Programs may inherit from it. */
export const Socket = function Socket(this: OwnSocket, type: SocketType | SocketOptions, listener?: MessageListener) {
  (EventEmitter as unknown as () => void).call(this);
  const options = checkSocketOptions(type);
  (this as { type: SocketType }).type = options.family.type;
  Object.defineProperty(this, kCore, { configurable: true, value: new SocketCore(this, options) });
  // Programs look for the symbol among a socket's own.
  if (stateSymbol !== undefined) Object.defineProperty(this, stateSymbol, stateProperty);
  if (typeof listener === 'function') this.on('message', listener);
  if (options.signal) this[kCore].closeOnAbort(options.signal);
  if (socketChannel.hasSubscribers) socketChannel.publish({ socket: this });
} as unknown as SocketConstructor;

// Behind the prototype, where programs list the methods that node:dgram has there.
const listening = Object.create(EventEmitter.prototype);
whenListenersChange(listening, (socket, event) => {
  const core = (socket as OwnSocket)[kCore];
  if (core === undefined) return; // it is being made
  core.listenersChanged();
  if (event === 'batch') core.answerAsAsked();
});
Object.setPrototypeOf(Socket.prototype, listening);
Object.setPrototypeOf(Socket, EventEmitter);

const methods: Omit<Socket, keyof EventEmitter | 'type'> & ThisType<OwnSocket> = {
  bind(port?: unknown, address?: unknown) {
    const core = this[kCore];
    core.checkRunning();
    if (core.bindState !== 'unbound') throw errors.alreadyBound();
    // biome-ignore lint/complexity/noArguments: only the last argument is a callback, though it be undefined
    const callback: unknown = arguments[arguments.length - 1];
    if (typeof callback === 'function') onceListening(this, callback as () => void);
    if (port !== null && typeof port === 'object') bindWith(core, port);
    else binding.bind(core, typeof address === 'function' ? '' : (address as string), port, false);
    return this;
  },

  bindSync(options = {}) {
    const core = this[kCore];
    core.checkRunning();
    validateObject(options, 'options');
    if (core.bindState !== 'unbound') throw errors.alreadyBound();
    const port = validatePort(options.port ?? 0, 'options.port', true);
    const address = options.address || core.family.any;
    validateLiteral(address, 'options.address', 'bindSync');
    binding.bindSync(core, address, port);
    return this.address();
  },

  close(callback) {
    if (typeof callback === 'function') this.on('close', callback);
    if (!this[kCore].deferClose(() => this.close())) this[kCore].close();
    return this;
  },

  [Symbol.asyncDispose]() {
    if (this[kCore].closed) return Promise.resolve();
    return new Promise<void>((resolve) => this.close(resolve));
  },

  ref() {
    this[kCore].ref(true);
    return this;
  },

  unref() {
    this[kCore].ref(false);
    return this;
  },

  connect(port: number, address: unknown, callback?: (error?: Error) => void) {
    const core = this[kCore];
    const checkedPort = validatePort(port, 'Port', false);
    const done = typeof address === 'function' ? (address as () => void) : callback;
    const host = typeof address === 'function' || address === undefined ? '' : address;
    validateString(host, 'address');
    connecting.checkMayConnect(core);
    core.connectState = 'connecting';
    binding.whenBound(core, () => connecting.connect(core, checkedPort, host, done));
  },

  connectSync(port: number, address?: string | null) {
    const core = this[kCore];
    core.checkRunning();
    const checkedPort = validatePort(port, 'Port', false);
    connecting.checkMayConnect(core);
    const host = address === undefined || address === null || address === '' ? core.family.loopback : address;
    validateLiteral(host, 'address', 'connectSync');
    if (core.bindState === 'unbound') this.bindSync();
    else if (core.bindState === 'binding') throw errors.alreadyBound();
    connecting.connectSync(core, checkedPort, host);
  },

  disconnect() {
    connecting.disconnect(this[kCore]);
  },

  remoteAddress() {
    const core = this[kCore];
    core.checkRunning();
    if (core.connectState !== 'connected') throw errors.notConnected();
    return core.name(true);
  },

  address() {
    this[kCore].checkRunning();
    return this[kCore].name(false);
  },

  send(msg: unknown, offset?: unknown, length?: unknown, port?: unknown, address?: unknown, callback?: unknown) {
    const core = this[kCore];
    const parsed = parseSendArguments(core.connectState === 'connected', msg, offset, length, port, address, callback);
    if (core.bindState === 'bound') sending.send(core, parsed);
    else {
      // What has to wait is sent by the method again, as in node:dgram: those who wrap it see both.
      const kept = { ...parsed, payload: keptPayload(parsed.payload) };
      const again = () =>
        kept.options === undefined
          ? this.send(kept.payload, kept.port as number, kept.address as string, kept.callback)
          : this.send(kept.payload, kept.options, kept.callback);
      binding.whenBound(core, () => sending.send(core, kept), again);
    }
  },

  sendto(msg, offset, length, port, address, callback) {
    for (const [name, value] of Object.entries({ offset, length, port })) {
      if (typeof value !== 'number') throw errors.invalidArgType(name, 'of type number', value);
    }
    validateString(address, 'address');
    this.send(msg, offset, length, port, address, callback);
  },

  sendMany(given: unknown, options?: unknown) {
    const core = this[kCore];
    if (Array.isArray(given)) {
      return options === undefined ? sending.sendMany(core, given) : sending.sendManyTo(core, given, options);
    }
    if (options === undefined) throw errors.invalidArgType('list', 'an instance of Array', given);
    return sending.sendSegments(core, given, options);
  },

  peer(address, port, options?: unknown) {
    return makePeer(this[kCore].family, address, port, options);
  },

  setSendDefaults(options) {
    const core = this[kCore];
    core.checkRunning();
    core.sendDefaults = options === null ? undefined : onlyMore(core.family, options);
    core.handOver();
    return this;
  },

  getSendQueueSize() {
    return sending.backlog(this[kCore])[1];
  },

  getSendQueueCount() {
    return sending.backlog(this[kCore])[0];
  },

  setBroadcast(on) {
    kernel.set(this[kCore], 'setBroadcast', SocketOption.broadcast, on ? 1 : 0);
  },

  setTTL(ttl) {
    return kernel.setHops(this[kCore], 'setTTL', SocketOption.ttl, ttl, 1);
  },

  setMulticastTTL(ttl) {
    return kernel.setHops(this[kCore], 'setMulticastTTL', SocketOption.multicastTtl, ttl, 0);
  },

  setMulticastLoopback(on) {
    kernel.set(this[kCore], 'setMulticastLoopback', SocketOption.multicastLoopback, on ? 1 : 0);
    return on;
  },

  setMulticastInterface(multicastInterface) {
    this[kCore].checkRunning();
    validateString(multicastInterface, 'interfaceAddress');
    kernel.multicastInterface(this[kCore], multicastInterface);
  },

  addMembership(multicastAddress, multicastInterface) {
    membership(this, 'addMembership', true, multicastAddress, multicastInterface);
  },

  dropMembership(multicastAddress, multicastInterface) {
    membership(this, 'dropMembership', false, multicastAddress, multicastInterface);
  },

  addSourceSpecificMembership(sourceAddress, groupAddress, multicastInterface) {
    sourceMembership(this, 'addSourceSpecificMembership', true, sourceAddress, groupAddress, multicastInterface);
  },

  dropSourceSpecificMembership(sourceAddress, groupAddress, multicastInterface) {
    sourceMembership(this, 'dropSourceSpecificMembership', false, sourceAddress, groupAddress, multicastInterface);
  },

  filter(filter, options) {
    setFilter(this[kCore], filter, options);
  },

  setRecvBufferSize(size) {
    kernel.bufferSize(this[kCore], 'recv', size);
  },

  setSendBufferSize(size) {
    kernel.bufferSize(this[kCore], 'send', size);
  },

  getRecvBufferSize() {
    return kernel.bufferSize(this[kCore], 'recv', 0);
  },

  getSendBufferSize() {
    return kernel.bufferSize(this[kCore], 'send', 0);
  },

  setMtuDiscover(mode) {
    mtu.setMtuDiscover(this[kCore], mode);
  },

  pathMtu(address) {
    return mtu.pathMtu(this[kCore], address);
  },

  setsockopt(level, name, value) {
    raw.setsockopt(this[kCore], level, name, value);
  },

  getsockopt(level, name, length) {
    return raw.getsockopt(this[kCore], level, name, length);
  },

  stats() {
    return this[kCore].stats();
  },

  shard(index) {
    return shardsOf(this).at(index);
  },

  async setShards(shards) {
    this[kCore].handOver();
    await shardsOf(this).resize(shards);
  },

  async handOver(path, options) {
    const core = this[kCore];
    const signal = checkHandOver(path, options);
    core.checkRunning();
    if (core.bindState !== 'bound') throw errors.invalidState('The socket is not bound');
    const { giveSocket } = await import('../hand-over/hand-over.js');
    await giveSocket(core, path, signal);
  },

  async takeOver(path) {
    const core = this[kCore];
    checkHandOver(path, {});
    core.checkRunning();
    if (core.bindState !== 'unbound') throw errors.alreadyBound();
    core.bindState = 'binding';
    const { takeSocket } = await import('../hand-over/hand-over.js');
    await takeSocket(core, path);
  },

  [Symbol.asyncIterator]() {
    return iterateMessages(this, this[kCore].closed, () => this[kCore].countLost('rxQueueDrops', 1));
  },
};
Object.assign(Socket.prototype, methods);
Object.defineProperties(Socket.prototype, deprecatedProperties());
function shardsOf(socket: OwnSocket): Shards {
  const { shards } = socket[kCore];
  if (shards === undefined) throw errors.invalidState('The socket was made without shards');
  return shards;
}

function validateLiteral(address: unknown, name: string, method: string): asserts address is string {
  validateString(address, name);
  if (isIP(address) === 0) {
    const reason = `must be a numeric IP address; ${method} does not perform DNS resolution`;
    throw errors.invalidArgValue(name, address, reason);
  }
}

function bindWith(core: SocketCore, options: BindOptions | UvHandle): void {
  if (isUvHandle(options)) {
    binding.adopt(core, options.fd, true);
    options.close();
    return;
  }
  const fd = fdOf(options);
  if (fd !== undefined) binding.bindFd(core, fd, Boolean((options as BindOptions).exclusive));
  else binding.bind(core, options.address, options.port, Boolean(options.exclusive));
}

// A bind callback is a 'listening' listener that a failed bind takes back. In older Nodes that makes the error a handled
// one, in newer ones it does not: https://github.com/nodejs/node/pull/62602. We do as the running one.
const bindError = String(dgram.Socket.prototype.bind).includes('errorMonitor') ? EventEmitter.errorMonitor : 'error';

function onceListening(socket: OwnSocket, callback: () => void): void {
  const remove = () => {
    socket.removeListener(bindError, remove);
    socket.removeListener('listening', onListening);
  };
  const onListening = () => {
    remove();
    callback.call(socket);
  };
  socket.on(bindError, remove);
  socket.on('listening', onListening);
}

function membership(
  socket: OwnSocket,
  syscall: string,
  join: boolean,
  group: string,
  multicastInterface: string | undefined,
): void {
  socket[kCore].checkRunning();
  if (!group) throw errors.missingArgument('multicastAddress');
  kernel.membership(socket[kCore], syscall, join, String(group), multicastInterface);
}

function sourceMembership(
  socket: OwnSocket,
  syscall: string,
  join: boolean,
  source: string,
  group: string,
  multicastInterface: string | undefined,
): void {
  socket[kCore].checkRunning();
  validateString(source, 'sourceAddress');
  validateString(group, 'groupAddress');
  kernel.membership(socket[kCore], syscall, join, group, multicastInterface, source);
}

/**
 * Makes a UDP socket, as node:dgram's createSocket does. Nothing is opened before it is bound or sends.
 *
 * @param type `'udp4'`, `'udp6'`, or options with such a `type`
 * @param listener for `'message'`
 * @throws ERR_SOCKET_BAD_TYPE, ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE
 */
export function createSocket(type: SocketType | SocketOptions, listener?: MessageListener): Socket {
  return new Socket(type, listener);
}
