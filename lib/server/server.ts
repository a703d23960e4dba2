// The original kernel module's job as a class: a thread that owns a socket, receives, and answers by itself.
import { EventEmitter } from 'node:events';
import { emitAsNode } from '../base/emit.js';
import * as errors from '../base/errors.js';
import { familyOfAddress } from '../base/family.js';
import { refuseUnknown } from '../base/known-keys.js';
import { whenListenersChange } from '../base/listeners.js';
import { Turns } from '../base/turns.js';
import { validateObject } from '../base/validate.js';
import type { AddressInfo } from '../socket/types.js';
import { type ServerStats, sumStats, zeroCounters } from '../thread/counters.js';
import { type Observer, Observers, observe } from '../thread/observers.js';
import { checkShardCount } from '../thread/shards.js';
import type { ServerEvents } from './events.js';
import { handOver, hasStopped, takeOver } from './handing-over.js';
import { inside, type ServerInside } from './inside.js';
import { KernelPart, type KernelState } from './kernel.js';
import { checkOpened } from './opening.js';
import { type CheckedServerOptions, checkServerOptions, type ServerOptions } from './options.js';
import type { ServerPart } from './part.js';
import { type Started, startParts } from './parts.js';
import { checkProtection, PROTECTION_KEYS, type ProtectionOptions } from './protection.js';
import { type ResizedOptions, Resizing, withShards } from './resizing.js';
import { encodeRules } from './rules/encode.js';
import type { DefaultAction, Rule } from './rules/types.js';
import { Swapping } from './swapping.js';

const ANSWERING_KEYS = ['reply', 'replyTo', 'rules', 'handler'] as const;

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
  #parts: readonly ServerPart[] = []; // while it runs
  readonly #turns = new Turns();
  #finalStats: ServerStats[] = [zeroCounters().serverStats];
  #refd = true;
  #guarded: boolean; // by lists or limits, also empty ones
  readonly #kernel: KernelPart;
  readonly #observers = new Observers();
  readonly #swapping: Swapping;
  readonly #resizing = new Resizing(this.#observers, (action) => void this.#turns.run(action));

  /** What hand-over works on. */
  /** @internal */
  readonly [inside]: ServerInside;

  /** As {@link createServer}. */
  constructor(options: ServerOptions = {}) {
    super();
    this.#options = checkServerOptions(options);
    this.#kernel = new KernelPart(this.#options.kernel);
    this.#guarded = PROTECTION_KEYS.some((key) => options[key] !== undefined);
    const says = ANSWERING_KEYS.some((key) => options[key] !== undefined);
    this[inside] = {
      says,
      parts: () => this.#parts,
      kernel: this.#kernel,
      options: () => this.#options,
      guarded: () => this.#guarded,
      delivers: () => this.#delivers,
      hashed: () => this.#resizing.hashed,
      pastHits: () => this.#resizing.allPastHits(),
      become: (changed, guarded) => {
        this.#options = { ...this.#options, ...changed };
        this.#guarded = guarded;
      },
      turns: this.#turns,
      giving: undefined,
      begin: (started, hashed) => this.#begin(started, false, hashed), // the other process may have its interfaces for a moment
      end: () => this.#stop(true),
    };
    this.#swapping = new Swapping(this[inside], this.#resizing);
  }

  /** Is the thread receiving? */
  get running(): boolean {
    return this.#parts.length > 0;
  }

  /** Resolves when the socket is bound and the thread receives. Rejects with `code`, `syscall`, `address`, `port`
   * (EADDRINUSE, EACCES, EADDRNOTAVAIL, …), or ERR_INVALID_ARG_VALUE when it would send to itself; on a descriptor that is
   * no UDP socket's with ERR_INVALID_FD_TYPE, on one that a socket of this process has with EEXIST, on one without a port with
   * EINVAL; where `kernel` is required and something is missing with the kernel's code (EPERM, EBUSY, …). Then nothing is left open. A
   * running server stays as it is. */
  start(): Promise<void> {
    return this.#turns.change(async () => {
      if (this.running) return;
      this.#kernel.look(this.#options.fd);
      await this.#begin(await startParts(this.#options, this.#guarded, () => this.#delivers), true);
    });
  }

  /** Resolves when the thread has ended and its descriptors are closed; the one that it was given stays open. */
  stop(): Promise<void> {
    this[inside].giving?.abort(hasStopped()); // or it would wait for a taker that says nothing
    return this.#turns.change(() => this.#stop(false));
  }

  #stop(isAnothers: boolean): void {
    if (!this.#end(isAnothers)) return;
    this.#observers.stopped();
    emitAsNode(() => this.emit('close'));
  }

  #end(isAnothers: boolean): boolean {
    const parts = this.#parts;
    if (parts.length === 0) return false;
    this.#parts = [];
    this.#kernel.stop();
    if (this.#refd) for (const { thread } of parts) thread.unhold();
    this.#resizing.end();
    this.#finalStats = parts.map((part) => part.release(isAnothers).serverStats);
    return true;
  }

  /**
   * Waits at a path of the file system (or an abstract name, unix(7)) until another process of the same user calls `takeOver()`
   * with it, and gives it this server: its sockets, what it answers by, what its rules have counted, and the flows of those that forward.
   * Nothing is lost and no client's flow changes; then this server has stopped and the promise resolves. Until then it goes on as
   * ever, also where the other process fails.
   *
   * Rejects with ERR_INVALID_STATE when the server does not run, or stops meanwhile; as `bind()` of a local socket (EADDRINUSE,
   * EACCES, …); with the reason of `signal`.
   */
  handOver(path: string, options?: { signal?: AbortSignal }): Promise<void> {
    return handOver([this], path, options);
  }

  /**
   * Takes over, in the place of `start()`, the server that another process hands over at this path. `address`, `port`, `fd` and
   * `shards` are as they were there. A server that was made without `rules`, `reply`, `replyTo` and `handler` answers as the other
   * did, one without lists and limits has the other's. Counts go on by the rules' names; flows of a rule with the same name and the same
   * targets go on, others end.
   *
   * Rejects with ENOENT or ECONNREFUSED where nobody hands over, ERR_INVALID_STATE where it is something else, or this
   * server runs; ECONNRESET or ETIMEDOUT where the other process fails; and as `start()`. Then this server does not run.
   */
  takeOver(path: string): Promise<void> {
    return takeOver([this], path);
  }

  /** Where the server listens, or null when it does not run. */
  address(): AddressInfo | null {
    const [first] = this.#parts;
    if (first === undefined) return null;
    const name = first.thread.native.getName(first.id, false);
    if (typeof name === 'number') throw errors.errnoException(name, 'getsockname');
    return { address: name[0], family: familyOfAddress(name[0]).name, port: name[1] };
  }

  /** The counters since the last start(); `answering` is what rules, handlers, lists and limits have done. */
  stats(): ServerStats {
    return sumStats([...this.shardStats(), ...this.#resizing.stats(), ...this.#kernel.stats()]);
  }

  /** What is answered in the kernel, where, and why not (docs/kernel.md). */
  get kernel(): KernelState {
    return this.#kernel.state();
  }

  /** The same of each of its shards; a server without `shards` has one. What shards have counted that `setShards()` has ended is in
   * `stats()` alone. */
  shardStats(): ServerStats[] {
    return this.running ? this.#parts.map((part) => part.stats()) : this.#finalStats;
  }

  /**
   * Swaps the rules. Resolves when they are in force: every batch of datagrams is answered by one set of rules, whole,
   * and none is lost on the way from one to the next. Of calls of `update()` and `protect()` that come while others load, the latest
   * takes the place of those before it: all of them resolve when it is in force. Rules keep their counts by their names, forwarding rules their
   * flows as long as nothing else of them changes. A server that does not run has them from its next start on.
   * @throws as createServer, and as start() where a target is the server itself or the kernel refuses to say what the rules
   * need: then the rules have not changed
   */
  async update(rules: readonly Rule[], otherwise?: DefaultAction): Promise<void> {
    if (this.#options.answering.by !== 'rules') throw errors.invalidState('The server was made without rules');
    await this.#swapping.change({ rules: encodeRules(rules, otherwise) });
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
    await this.#swapping.change({ protection });
  }

  /** How often each rule has matched since the last start(), by its name. Empty when the server does not run. */
  ruleHits(): Record<string, number> {
    const { answering } = this.#options;
    if (answering.by !== 'rules' || !this.running) return {};
    const all = [...this.#all.map((part) => part.ruleHits()), this.#kernel.hits()];
    const hitsOf = (name: string, i: number) =>
      all.reduce((sum, hits) => sum + (hits[i] ?? 0), this.#resizing.pastHits(name));
    return Object.fromEntries(answering.rules.names.map((name, i) => [name, hitsOf(name, i)]));
  }

  /**
   * Has so many shards from now on, 1 to 64 or `'cores'` (docs/shards.md); also a server that was made without. Resolves when those
   * that come answer, and those that go have answered all that they had: no datagram is lost. One with flows to back ends stays,
   * besides, until they are idle. A server that does not run has so many from its next start on.
   * Rejects with ERR_OUT_OF_RANGE, as start(), with ERR_INVALID_STATE for a server with `fd`, and without the addon with
   * ERR_KSOCKET_NEEDS_ADDON: then there are as many as before.
   */
  async setShards(shards: number | 'cores'): Promise<void> {
    const count = checkShardCount(shards, 'shards');
    await this.#turns.change(async () => {
      const options = withShards(this.#options, count);
      if (this.running) this.#resize(options);
      this.#options = options;
      await this.#resizing.settled();
    });
  }

  #resize(options: ResizedOptions): void {
    const before = this.#parts;
    const delivers = this.#delivers;
    this.#parts = this.#resizing.resize(before, options, this.#guarded, (part) => {
      checkOpened(part.watch(delivers), 'epoll_ctl', options.address, options.port);
      this.#attach(part);
    });
    if (!this.#refd) return;
    for (const { thread } of this.#parts) thread.hold();
    for (const { thread } of before) thread.unhold();
  }

  // In the kernel's order.
  get #all(): readonly ServerPart[] {
    return [...this.#parts, ...this.#resizing.leaving];
  }

  /** Lets the server keep the event loop running (the default). */
  ref(): this {
    if (!this.#refd) for (const { thread } of this.#parts) thread.hold();
    this.#refd = true;
    return this;
  }

  /** Lets the program end though the server runs. */
  unref(): this {
    if (this.#refd) for (const { thread } of this.#parts) thread.unhold();
    this.#refd = false;
    return this;
  }

  /** For monitors. @internal */
  [observe](observer: Observer): () => void {
    return this.#observers.add(observer);
  }

  get #delivers(): boolean {
    return this.listenerCount('datagram') > 0;
  }

  // They receive: what comes is this server's from now on.
  async #begin({ parts, local, target, forwards }: Started, strict: boolean, hashed = false): Promise<void> {
    const { answering } = this.#options;
    this.#resizing.begin(local, target, answering.by === 'rules' ? answering.rules.names : [], forwards, hashed);
    for (const part of parts) {
      this.#attach(part);
      if (this.#refd) part.thread.hold();
    }
    this.#parts = parts;
    if (this.#options.kernel !== undefined) {
      try {
        await this.#kernel.start(parts, this.#options, strict);
      } catch (error) {
        this.#end(false);
        throw error;
      }
    }
    this.#observers.started(parts, { kernel: this.#kernel.row });
    emitAsNode(() => this.emit('listening'));
  }

  #attach(part: ServerPart): void {
    part.attach(
      (data, source) => void this.emit('datagram', data, source),
      (errno) => void this.emit('error', errors.errnoException(errno, 'recvmsg')),
    );
  }

  // Datagrams are copied to JavaScript only while somebody listens.
  static {
    whenListenersChange(Server.prototype, (server) => server.#lookForListeners());
  }

  #lookForListeners(): void {
    for (const part of this.#all) part.deliver(this.#delivers);
  }
}

/**
 * Makes a server; `start()` starts it.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_SOCKET_BAD_PORT, ERR_OUT_OF_RANGE
 */
export function createServer(options?: ServerOptions): Server {
  return new Server(options);
}
