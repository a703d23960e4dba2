// The original kernel module's job as a class: a thread that owns a socket, receives, and answers by itself.
import { EventEmitter } from 'node:events';
import type { NativeAddress, NativeForward } from '../backend/contract.js';
import * as errors from '../base/errors.js';
import { familyOfAddress } from '../base/family.js';
import { refuseUnknown } from '../base/known-keys.js';
import { validateObject } from '../base/validate.js';
import type { AddressInfo } from '../socket/types.js';
import { type ServerStats, zeroCounters } from '../thread/counters.js';
import type { Endpoint, RemoteInfo } from '../thread/endpoint.js';
import { dedicatedThread, type IoThread } from '../thread/io-thread.js';
import { defaultThreadOptions } from '../thread/options.js';
import { askKernel, askKernelNoMore } from './ask-kernel.js';
import { type Observer, Observers, observe } from './observers.js';
import { checkOpened, clearFilter, openAt, openCopy } from './opening.js';
import { type CheckedServerOptions, checkServerOptions, type ServerOptions } from './options.js';
import { type Resolved, resolve, resolveForwards, toNative } from './places.js';
import { type CheckedProtection, checkProtection, PROTECTION_KEYS, type ProtectionOptions } from './protection.js';
import { type EncodedRules, encodeRules } from './rules/encode.js';
import type { DefaultAction, Rule } from './rules/types.js';

/** The events of a {@link Server}, and what their listeners get. */
export interface ServerEvents {
  /** The socket is bound and the thread receives; `address()` says where. */
  listening: [];
  /** A datagram was received; with rules, one that a rule `deliver`s. `data` is cut to `maxBytes`, `source.size` is the datagram's full length. */
  datagram: [data: Buffer, source: RemoteInfo];
  /** A receive call failed: `code`, `errno` and `syscall` are those of recvmsg(2). The server goes on. */
  error: [error: Error];
  /** stop() has closed the socket. */
  close: [];
}

/** A server that sends to itself answers its answers for ever, or forwards what it has forwarded. */
function refuseOwn(thread: IoThread, id: number, targets: NativeAddress[], name: string): void {
  const own = targets[thread.native.findOwn(id, targets)];
  if (own === undefined) return;
  const { family, address, port } = own;
  const target = family === 6 ? `[${address}]:${port}` : `${address}:${port}`;
  throw errors.invalidArgValue(name, target, 'is an address that the server itself listens on');
}

function setRules(thread: IoThread, id: number, rules: EncodedRules, forwards: NativeForward[]): void {
  forwards.forEach(({ targets }, i) => {
    try {
      refuseOwn(thread, id, targets, 'action.forward');
    } catch (error) {
      throw errors.withContext(error as Error, rules.forwarding[i]);
    }
  });
  askKernel(thread, id, rules);
  const errno = thread.native.setRules(id, { bytes: rules.bytes, names: rules.names, forwards });
  if (errno !== 0) throw errors.errnoException(errno, 'rules');
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
  #options: CheckedServerOptions;
  #thread: IoThread | undefined;
  #endpoint: Endpoint | undefined;
  // Calls of start() and stop() take effect one after the other.
  #latest: Promise<unknown> = Promise.resolve();
  #finalCounters = zeroCounters();
  #refd = true;
  readonly #guarded: boolean; // by lists or limits, also empty ones
  readonly #observers = new Observers();

  /** As {@link createServer}. */
  constructor(options: ServerOptions = {}) {
    super();
    this.#options = checkServerOptions(options);
    this.#guarded = PROTECTION_KEYS.some((key) => options[key] !== undefined);
  }

  /** Is the thread receiving? */
  get running(): boolean {
    return this.#thread !== undefined;
  }

  /** Resolves when the socket is bound and the thread receives. Rejects with `code`, `syscall`, `address`, `port`
   * (EADDRINUSE, EACCES, EADDRNOTAVAIL, …), or ERR_INVALID_ARG_VALUE when it would send to itself; on a descriptor that is
   * no UDP socket's with ERR_INVALID_FD_TYPE, on one that a socket of this process has with EEXIST, on one without a port with
   * EINVAL. Then nothing is left open. A running server stays as it is. */
  start(): Promise<void> {
    return this.#afterwards(async () => {
      if (this.#thread === undefined) await this.#start();
    });
  }

  /** Resolves when the thread has ended and its descriptors are closed; the one that it was given stays open. */
  stop(): Promise<void> {
    return this.#afterwards(() => {
      const thread = this.#thread;
      if (thread === undefined || this.#endpoint === undefined) return;
      const { id } = this.#endpoint;
      this.#thread = undefined;
      if (this.#refd) thread.unhold();
      if (this.#options.fd !== undefined) clearFilter(thread, id);
      thread.release(id);
      this.#finalCounters = thread.snapshot(id);
      this.#observers.stopped();
      this.emit('close');
    });
  }

  /** Where the server listens, or null when it does not run. */
  address(): AddressInfo | null {
    if (this.#thread === undefined || this.#endpoint === undefined) return null;
    const name = this.#thread.native.getName(this.#endpoint.id, false);
    if (typeof name === 'number') throw errors.errnoException(name, 'getsockname');
    return { address: name[0], family: familyOfAddress(name[0]).name, port: name[1] };
  }

  /** The counters since the last start(); `answering` is what rules, handlers, lists and limits have done. */
  stats(): ServerStats {
    if (this.#thread === undefined || this.#endpoint === undefined) return this.#finalCounters.serverStats;
    return this.#thread.snapshot(this.#endpoint.id).serverStats;
  }

  /**
   * Swaps the rules. Resolves when they are in force: every batch of datagrams is answered by one set of rules, whole,
   * and none is lost on the way from one to the next. Rules keep their counts by their names, forwarding rules their
   * flows as long as nothing else of them changes. A server that does not run has them from its next start on.
   * @throws as createServer, and as start() where a target is the server itself or the kernel refuses to say what the rules
   * need: then the rules have not changed
   */
  async update(rules: readonly Rule[], otherwise?: DefaultAction): Promise<void> {
    if (this.#options.answering.by !== 'rules') throw errors.invalidState('The server was made without rules');
    const encoded = encodeRules(rules, otherwise);
    await this.#afterwards(async () => {
      const forwards = await resolveForwards(encoded);
      if (this.#thread !== undefined && this.#endpoint !== undefined) {
        this.#swapRules(this.#thread, this.#endpoint.id, encoded, forwards);
      }
      this.#options = { ...this.#options, answering: { by: 'rules', rules: encoded } };
    });
  }

  // Whichever rules hold afterwards, the kernel is asked for what they need, and for no more.
  #swapRules(thread: IoThread, id: number, rules: EncodedRules, forwards: NativeForward[]): void {
    const { answering } = this.#options;
    const present = answering.by === 'rules' ? answering.rules : rules;
    try {
      setRules(thread, id, rules, forwards);
    } catch (error) {
      askKernelNoMore(thread, id, rules, present);
      throw error;
    }
    askKernelNoMore(thread, id, present, rules);
  }

  /**
   * Swaps lists and limits: what is not given is none. Resolves when they are in force, from the next batch of datagrams on.
   * Rates that are as they were keep what has been counted. A server that does not run has them from its next start on.
   * @throws as createServer; ERR_INVALID_STATE where the server was made with none of `allow`, `deny` and `limits`
   */
  async protect(options: ProtectionOptions): Promise<void> {
    validateObject(options, 'options');
    refuseUnknown(options, 'options', PROTECTION_KEYS);
    const protection = checkProtection(options);
    if (!this.#guarded) throw errors.invalidState('The server was made without lists and limits');
    await this.#afterwards(() => {
      if (this.#thread !== undefined && this.#endpoint !== undefined) {
        this.#protect(this.#thread, this.#endpoint.id, protection);
      }
      this.#options = { ...this.#options, protection };
    });
  }

  /** How often each rule has matched since the last start(), by its name. Empty when the server does not run. */
  ruleHits(): Record<string, number> {
    const { answering } = this.#options;
    if (answering.by !== 'rules' || this.#thread === undefined || this.#endpoint === undefined) return {};
    const hits = this.#thread.native.getRuleHits(this.#endpoint.id);
    return Object.fromEntries(answering.rules.names.map((name, i) => [name, hits[i]]));
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
    this.#latest = done.catch(() => {}); // the caller has the rejected promise
    return done;
  }

  async #start(): Promise<void> {
    const { answering } = this.#options;
    const local = this.#options.fd ?? (await resolve(this.#options.address));
    const target = 'target' in answering && answering.target !== 'source' ? answering.target : undefined;
    const remote = target && toNative({ ...(await resolve(target.address)), port: target.port });
    const forwards = answering.by === 'rules' ? await resolveForwards(answering.rules) : [];
    const thread = dedicatedThread({
      ...defaultThreadOptions,
      busyPoll: this.#options.busyPoll,
      ...this.#options.schedule,
      rxUsecs: 0, // answers do not wait for a fuller batch (what is forwarded: native/core/thread/forward_pace.h)
    });
    const id = thread.reserve();
    try {
      this.#open(thread, id, local, remote, forwards);
    } catch (error) {
      if (this.#options.fd !== undefined) clearFilter(thread, id);
      thread.release(id);
      throw error;
    }
    this.#endpoint = {
      id,
      pooled: true,
      onDatagram: (data, source) => void this.emit('datagram', data, source),
      onReceiveError: (errno) => void this.emit('error', errors.errnoException(errno, 'recvmsg')),
    };
    thread.attach(this.#endpoint);
    if (this.#refd) thread.hold();
    this.#thread = thread;
    this.#finalCounters = zeroCounters();
    this.#observers.started(thread, id);
    this.emit('listening');
  }

  // The thread may receive when this returns; JavaScript sees nothing of it before it returns to the event loop.
  #open(
    thread: IoThread,
    id: number,
    local: Resolved | number,
    target: NativeAddress | undefined,
    forwards: NativeForward[],
  ): void {
    const { maxBytes } = this.#options;
    const [address, port] = this.#bind(thread, id, local);
    this.#answer(thread, id, target, forwards);
    if (this.#guarded) this.#protect(thread, id, this.#options.protection);
    thread.native.deliver(id, this.listenerCount('datagram') > 0);
    checkOpened(thread.changing().watch(id, maxBytes), 'epoll_ctl', address, port);
  }

  #bind(thread: IoThread, id: number, local: Resolved | number): [address: string, port: number] {
    if (typeof local === 'number') return openCopy(thread, id, local);
    const { port } = this.#options;
    openAt(thread, id, local, port);
    return [local.address, port];
  }

  #answer(thread: IoThread, id: number, target: NativeAddress | undefined, forwards: NativeForward[]): void {
    const { answering, loops, maxBytes } = this.#options;
    if (loops !== undefined) {
      const errno = thread.native.guardLoops(id, loops);
      if (errno !== 0) throw errors.errnoException(errno, 'getsockname');
    }
    if (target !== undefined) refuseOwn(thread, id, [target], 'options.replyTo');
    if (answering.by === 'rules') {
      setRules(thread, id, answering.rules, forwards);
    } else if (answering.by === 'handler') {
      const failure = thread.native.loadHandler(id, { path: answering.path, argument: answering.argument });
      if (failure !== '') throw errors.dlopenFailed(failure);
    } else if (answering.by !== 'nobody') {
      const reply = answering.by === 'reply' ? answering.reply : new Uint8Array(0);
      const errno = thread.native.respond(id, { echo: answering.by === 'echo', reply, keepBytesMax: maxBytes, target });
      if (errno !== 0) throw errors.exceptionWithHostPort(errno, 'connect', target?.address ?? '', target?.port ?? 0);
    }
  }

  #protect(thread: IoThread, id: number, { allow, deny, perSource, total }: CheckedProtection): void {
    const errno = thread.changing().protect(id, { deny: deny ?? new Uint8Array(0), allow, perSource, total });
    if (errno !== 0) throw errors.errnoException(errno, 'protect');
  }

  // Datagrams are copied to JavaScript only while somebody listens, so every method that changes the listeners looks.
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
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_SOCKET_BAD_PORT, ERR_OUT_OF_RANGE
 */
export function createServer(options?: ServerOptions): Server {
  return new Server(options);
}
