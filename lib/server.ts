// The original kernel module's job as a class: a thread that owns a socket, receives, and answers by itself.
import dns from 'node:dns/promises';
import { EventEmitter } from 'node:events';
import { isIP } from 'node:net';
import { type Stats, zeroStats } from './counters.js';
import * as errors from './errors.js';
import { dedicatedThread, defaultThreadOptions, type IoThread } from './io-thread.js';
import { OPEN_DROP_WHEN_FULL, OPEN_GRO, OPEN_GSO } from './layout.js';
import { type Observer, Observers, observe } from './observation.js';
import { validateInteger, validatePort, validateString } from './options.js';
import type { Endpoint, RemoteInfo } from './receiver.js';
import type { AddressInfo } from './socket.js';

/** Where answers go: back to each sender, or all to one place. */
export type ReplyTarget = 'source' | { address: string; port: number };

export interface ServerOptions {
  /** Where to listen: an IP address or a host name. Default `0.0.0.0`, every IPv4 address. */
  address?: string;
  /** Default 2325; 0 lets the kernel pick one. */
  port?: number;
  /** What to answer: these bytes, `'echo'` for the datagram itself, `null` for nothing. Default `testing...`. */
  reply?: string | Uint8Array | null;
  /** Default `{ address: '127.0.0.1', port: 23 }`, as the original; with `reply: 'echo'` it is `'source'`. */
  replyTo?: ReplyTarget;
  /** Size of the receive buffer, 1 to 65535: longer datagrams are cut. Default 10, as the original; with
   * `reply: 'echo'` nothing is cut. */
  maxBytes?: number;
  /** Microseconds (0 to 1 000 000) that the thread looks for datagrams before it sleeps. */
  busyPoll?: number;
}

export interface ServerEvents {
  listening: [];
  /** `data` is cut to `maxBytes`, `source.size` is the datagram's full length. */
  datagram: [data: Buffer, source: RemoteInfo];
  error: [error: Error];
  close: [];
}

const DEFAULT_PORT = 2325;
const DEFAULT_REPLY = 'testing...';
const DEFAULT_TARGET = { address: '127.0.0.1', port: 23 };
const DEFAULT_MAX_BYTES = 10;
const MAX_BYTES_MAX = 65535;
const REPLY_BYTES_MAX = 65507;

interface CheckedServerOptions {
  address: string;
  port: number;
  echo: boolean;
  reply: Uint8Array | undefined;
  target: { address: string; port: number } | undefined;
  maxBytes: number;
  busyPoll: number;
}

function checkReply(reply: unknown): Uint8Array | undefined {
  if (reply === null || reply === 'echo') return undefined;
  if (typeof reply !== 'string' && !(reply instanceof Uint8Array)) {
    throw errors.invalidArgType('options.reply', "of type string, an instance of Uint8Array, 'echo' or null", reply);
  }
  const bytes = Uint8Array.from(Buffer.from(reply as string));
  if (bytes.byteLength > REPLY_BYTES_MAX) {
    throw errors.outOfRange('options.reply.length', `<= ${REPLY_BYTES_MAX}`, bytes.byteLength);
  }
  return bytes;
}

function checkTarget(target: unknown, name: string): { address: string; port: number } | undefined {
  if (target === 'source') return undefined;
  if (target === null || typeof target !== 'object') {
    throw errors.invalidArgType(name, "'source' or an object with address and port", target);
  }
  const { address, port } = target as { address?: unknown; port?: unknown };
  validateString(address, `${name}.address`);
  return { address, port: validatePort(port, `${name}.port`, false) };
}

function checkServerOptions(options: ServerOptions): CheckedServerOptions {
  if (options === null || typeof options !== 'object') {
    throw errors.invalidArgType('options', 'of type object', options);
  }
  const { address = '0.0.0.0', port = DEFAULT_PORT, reply = DEFAULT_REPLY, busyPoll = 0 } = options;
  validateString(address, 'options.address');
  const echo = reply === 'echo';
  const maxBytes = options.maxBytes === undefined ? (echo ? MAX_BYTES_MAX : DEFAULT_MAX_BYTES) : options.maxBytes;
  validateInteger(maxBytes, 'options.maxBytes', 1, MAX_BYTES_MAX);
  validateInteger(busyPoll, 'options.busyPoll', 0, 1_000_000);
  return {
    address,
    port: validatePort(port, 'options.port', true),
    echo,
    reply: checkReply(reply),
    target: checkTarget(
      options.replyTo === undefined ? (echo ? 'source' : DEFAULT_TARGET) : options.replyTo,
      'options.replyTo',
    ),
    maxBytes,
    busyPoll,
  };
}

async function resolve(host: string): Promise<{ address: string; family: 4 | 6 }> {
  const family = isIP(host);
  if (family !== 0) return { address: host, family: family as 4 | 6 };
  return (await dns.lookup(host)) as { address: string; family: 4 | 6 };
}

/**
 * A UDP server on a native thread of its own. It answers from that thread, so also while JavaScript is busy, blocked
 * or collecting garbage.
 *
 * Events: `'listening'`, `'datagram'` (data, source), `'error'`, `'close'`. Without a `'datagram'` listener nothing
 * is copied to JavaScript; with one, datagrams that JavaScript is too slow for are dropped from the events (never
 * from being answered) and counted in `stats().rxRingDrops`.
 */
export class Server extends EventEmitter<ServerEvents> {
  readonly #options: CheckedServerOptions;
  #thread: IoThread | undefined;
  #endpoint: (Endpoint & { id: number }) | undefined;
  // Calls of start() and stop() take effect one after the other.
  #latest: Promise<unknown> = Promise.resolve();
  #finalStats: Stats = zeroStats();
  #refd = true;
  readonly #observers = new Observers();

  constructor(options: ServerOptions = {}) {
    super();
    this.#options = checkServerOptions(options);
  }

  /** Is the thread receiving? */
  get running(): boolean {
    return this.#thread !== undefined;
  }

  /** Resolves when the socket is bound and the thread receives. Rejects with `code`, `syscall`, `address`, `port`
   * (EADDRINUSE, EACCES, EADDRNOTAVAIL, …) and leaves nothing open. A running server stays as it is. */
  start(): Promise<void> {
    return this.#afterwards(async () => {
      if (this.#thread === undefined) await this.#start();
    });
  }

  /** Resolves when the thread has ended and its descriptors are closed. */
  stop(): Promise<void> {
    return this.#afterwards(() => {
      const thread = this.#thread;
      if (thread === undefined || this.#endpoint === undefined) return;
      const { id } = this.#endpoint;
      this.#thread = undefined;
      if (this.#refd) thread.unhold();
      thread.release(id);
      this.#finalStats = thread.stats(id);
      this.#observers.stopped();
      this.emit('close');
    });
  }

  /** Where the server listens, or null when it does not run. */
  address(): AddressInfo | null {
    if (this.#thread === undefined || this.#endpoint === undefined) return null;
    const name = this.#thread.native.name(this.#endpoint.id, false);
    if (typeof name === 'number') throw errors.errnoException(name, 'getsockname');
    return { address: name[0], family: isIP(name[0]) === 6 ? 'IPv6' : 'IPv4', port: name[1] };
  }

  /** The counters since the last start(). */
  stats(): Stats {
    if (this.#thread === undefined || this.#endpoint === undefined) return this.#finalStats;
    return this.#thread.stats(this.#endpoint.id);
  }

  /** Lets the server keep the event loop running (the default). */
  ref(): this {
    if (!this.#refd) this.#thread?.hold();
    this.#refd = true;
    return this;
  }

  /** Lets the program end though the server runs. */
  unref(): this {
    if (this.#refd) this.#thread?.unhold();
    this.#refd = false;
    return this;
  }

  /** For monitors. @internal */
  [observe](observer: Observer): () => void {
    return this.#observers.add(observer);
  }

  #afterwards(action: () => void | Promise<void>): Promise<void> {
    const done = this.#latest.then(action);
    this.#latest = done.catch(() => {}); // whoever called has been told
    return done;
  }

  async #start(): Promise<void> {
    const { target } = this.#options;
    const local = await resolve(this.#options.address);
    const remote = target && (await resolve(target.address));
    const thread = dedicatedThread({
      ...defaultThreadOptions,
      busyPoll: this.#options.busyPoll,
      rxUsecs: 0, // answers do not wait for a fuller batch
    });
    const id = thread.reserve();
    try {
      this.#open(thread, id, local, remote && target && { ...remote, port: target.port });
    } catch (error) {
      thread.release(id);
      throw error;
    }
    this.#endpoint = {
      id,
      pooled: true,
      wantsBatches: false,
      onBatch: () => {},
      reply: () => {},
      onDrained: () => {},
      onDatagram: (data, source) => void this.emit('datagram', data, source),
      onReceiveError: (errno) => void this.emit('error', errors.errnoException(errno, 'recvmsg')),
      onSent: () => {},
    };
    thread.attach(this.#endpoint);
    if (this.#refd) thread.hold();
    this.#thread = thread;
    this.#finalStats = zeroStats();
    this.#observers.started(thread, id);
    this.emit('listening');
  }

  // The thread may receive when this returns; JavaScript sees nothing of it before it returns to the event loop.
  #open(
    thread: IoThread,
    id: number,
    local: { address: string; family: 4 | 6 },
    target: { address: string; family: 4 | 6; port: number } | undefined,
  ): void {
    const { native } = thread;
    const { port, echo, reply, maxBytes } = this.#options;
    const check = (errno: number, syscall: string, address: string, port: number) => {
      if (errno !== 0) throw errors.exceptionWithHostPort(errno, syscall, address, port);
    };
    check(native.open(id, local.family, OPEN_GRO | OPEN_GSO | OPEN_DROP_WHEN_FULL), 'socket', local.address, port);
    check(native.bind(id, local.address, port), 'bind', local.address, port);
    if (echo || reply) {
      const to = target ?? { family: 0, address: '', port: 0 };
      const errno = native.respond(id, echo, reply ?? new Uint8Array(0), maxBytes, to.family, to.address, to.port);
      check(errno, 'connect', to.address, to.port);
    }
    native.deliver(id, this.listenerCount('datagram') > 0);
    check(native.watch(id, maxBytes), 'epoll_ctl', local.address, port);
  }

  // Datagrams are copied to JavaScript only while somebody listens, so whatever changes the listeners looks.
  static {
    for (const name of [
      'on',
      'addListener',
      'prependListener',
      'off',
      'removeListener',
      'removeAllListeners',
    ] as const) {
      const original = EventEmitter.prototype[name] as (...args: unknown[]) => unknown;
      Object.defineProperty(Server.prototype, name, {
        configurable: true,
        writable: true,
        value(this: Server, ...args: unknown[]) {
          const result = original.apply(this, args);
          this.#lookForListeners();
          return result;
        },
      });
    }
  }

  #lookForListeners(): void {
    if (this.#thread === undefined || this.#endpoint === undefined) return;
    this.#thread.native.deliver(this.#endpoint.id, this.listenerCount('datagram') > 0);
  }
}

/**
 * Makes a server; `start()` starts it.
 * @throws ERR_INVALID_ARG_TYPE, ERR_SOCKET_BAD_PORT, ERR_OUT_OF_RANGE
 */
export function createServer(options?: ServerOptions): Server {
  return new Server(options);
}
