// Datagrams come in, batches go out: lib/collect/packer.ts makes them, window.ts has them written, receiving.ts is paused meanwhile.
import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { emitAsNode } from '../base/emit.js';
import * as errors from '../base/errors.js';
import { refuseUnknown } from '../base/known-keys.js';
import { clearTimeout, nextTick, now, setTimeout } from '../base/runtime.js';
import { validateInteger, validateObject } from '../base/validate.js';
import type { Socket } from '../socket/socket.js';
import type { AddressInfo } from '../socket/types.js';
import { partsOf } from '../thread/batch.js';
import { type Stats, zeroStats } from '../thread/counters.js';
import { figures, type Observer, Observers, observe } from '../thread/observers.js';
import { type CheckedCollectorOptions, type CollectorOptions, checkCollectorOptions } from './options.js';
import type { Pack } from './pack.js';
import { Packer } from './packer.js';
import { Receiving } from './receiving.js';
import type { Sink } from './sink.js';
import { type CollectorStats, statsOf } from './stats.js';
import { within } from './time.js';
import { Window } from './window.js';

/** A sink is one collector's as long as that uses it. */
const sinksInUse = new WeakSet<Sink>();
const STOP_MS = 10_000;
const STOP_MS_MAX = 2 ** 31 - 1;
/** After it has been told to, a sink gives up what it writes. */
const ABORT_MS = 1000;

/** The events of a {@link Collector}, and what their listeners get. */
export interface CollectorEvents {
  /** The sink is open and the socket is bound; `address()` says where. */
  listening: [];
  /** Batches are not written, for this reason; each is tried again until it is. */
  failing: [error: Error];
  /** After `failing`: one was written. */
  recovered: [];
  /** So many datagrams are given up: the sink refuses their batch for good, or they have no subject. `code` says why. */
  refused: [error: Error, datagrams: number];
  /** Receiving has failed: `code`, `errno` and `syscall` are those of recvmsg(2). The collector goes on. */
  error: [error: Error];
  /** stop() has closed all. */
  close: [];
}

/** How stop() ends. */
export interface StopOptions {
  /** Milliseconds, 0 to 2 147 483 647, in which what was received has to be written; 10 000 by default. */
  timeoutMs?: number;
}

/** What became of what was received before stop(). */
export interface StopResult {
  /** All of it is durable, or was refused. */
  drained: boolean;
  /** Datagrams that were not: they were in batches, of which the sink may have some all the same, or still in the socket. */
  abandonedDatagrams: number;
}

/**
 * Receives datagrams, packs them into batches, and hands these to a sink until it says that they are durable. Made by
 * {@link createCollector}. What happens when the sink is slow or away: docs/collect.md.
 */
export class Collector extends EventEmitter<CollectorEvents> {
  readonly #options: CheckedCollectorOptions;
  #state: 'stopped' | 'starting' | 'running' | 'stopping' = 'stopped';
  #receiving: Receiving | undefined;
  #packer: Packer | undefined;
  #window: Window | undefined;
  #pauses = { count: 0, ms: 0, abandoned: 0, unsorted: 0 };
  #pausedAt: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #finalStats: Stats = zeroStats();
  #opening = new AbortController();
  #started: Promise<void> = Promise.resolve();
  #stopped: Promise<StopResult> | undefined;
  readonly #observers = new Observers();

  /** As {@link createCollector}. */
  constructor(options: CollectorOptions) {
    super();
    this.#options = checkCollectorOptions(options);
  }

  /** Does it receive? */
  get running(): boolean {
    return this.#state === 'running';
  }

  /** Its socket while it runs, for groups to join and options to set; it is not to be closed, nor to be listened to. */
  get socket(): Socket | undefined {
    return this.#receiving?.socket;
  }

  /** Where it receives. @throws EBADF while it does not run */
  address(): AddressInfo {
    if (this.#receiving === undefined) throw errors.errnoException(-9, 'getsockname');
    return this.#receiving.socket.address();
  }

  /**
   * Opens the sink, then binds the socket. Rejects with what either says (ECONNREFUSED, ERR_KSOCKET_STREAM, EADDRINUSE, …); then
   * nothing is open, and it may be started again. ERR_INVALID_STATE while it runs, or while another collector has its sink.
   */
  async start(): Promise<void> {
    if (this.#state !== 'stopped') throw errors.invalidState(`The collector is ${this.#state}`);
    if (sinksInUse.has(this.#options.sink)) throw errors.invalidState('Another collector has the sink');
    this.#state = 'starting';
    sinksInUse.add(this.#options.sink);
    this.#started = this.#start();
    await this.#started;
  }

  async #start(): Promise<void> {
    const { sink, batchBytes, inFlight } = this.#options;
    this.#opening = new AbortController();
    try {
      await sink.open({ signal: this.#opening.signal, batchBytes, inFlight });
      try {
        this.#receiving = await Receiving.bind(this.#options);
        this.#opening.signal.throwIfAborted();
      } catch (error) {
        await this.#receiving?.close();
        this.#receiving = undefined;
        await closed(sink);
        throw error;
      }
    } catch (error) {
      this.#state = 'stopped';
      sinksInUse.delete(sink);
      throw error;
    }
    this.#begin(this.#receiving);
  }

  #begin(receiving: Receiving): void {
    const { sink, batchBytes, batchMs, inFlight, subject, lanes } = this.#options;
    this.#pauses = { count: 0, ms: 0, abandoned: 0, unsorted: 0 };
    this.#stopped = undefined;
    const window = new Window({
      sink,
      inFlight,
      onFull: (full) => this.#pause(full),
      onWritten: (pack: Pack) => {
        if (!pack.tried) packer.reuse(pack);
      },
      onRefused: (pack, error) => this.#say('refused', error, pack.count),
      onTrouble: (error) => (error === undefined ? this.#say('recovered') : this.#say('failing', error)),
      onIdle: (lane) => packer.closeIfDue(lane, batchMs),
    });
    const { address, port } = receiving.socket.address();
    let told: Error | undefined;
    const packer = new Packer({
      collector: randomBytes(8).readBigUInt64LE(),
      batchBytes,
      openBytes: inFlight * batchBytes,
      subject,
      lanes,
      local: { port, address },
      onPack: (lane) => window.push(lane),
      onOpen: () => this.#arm(),
      onUnsorted: (count, error) => {
        this.#pauses.unsorted += count;
        if (error !== told) this.#say('refused', error, count);
        told = error;
      },
    });
    this.#packer = packer;
    this.#window = window;
    receiving.socket.on('error', (error) => this.emit('error', error));
    receiving.begin((batch) => {
      packer.take(partsOf(batch), batch.length);
      if (window.full) receiving.pause(true); // also a shard that was not there when it was paused
    });
    this.#state = 'running';
    this.#observers.started(receiving.parts, {});
    emitAsNode(() => this.emit('listening'));
  }

  // Not from within what counts: a listener that throws is the program's, and ends nothing here.
  #say(...event: ['refused', Error, number] | ['failing', Error] | ['recovered']): void {
    const [name, ...told] = event;
    nextTick(() => this.emit(name, ...(told as [])));
  }

  #arm(): void {
    const { batchMs } = this.#options;
    this.#timer ??= setTimeout(
      () => {
        this.#timer = undefined;
        this.#packer?.closeDue(batchMs);
        if (this.#packer?.hasOpen) this.#arm();
      },
      Math.max(1, batchMs >> 1),
    );
  }

  #pause(on: boolean): void {
    this.#receiving?.pause(on);
    if (on) {
      this.#pauses.count++;
      this.#pausedAt = now();
    } else if (this.#pausedAt !== undefined) {
      this.#pauses.ms += now() - this.#pausedAt;
      this.#pausedAt = undefined;
    }
  }

  /** What it has counted since its latest start. */
  stats(): CollectorStats {
    const paused = this.#pausedAt === undefined ? 0 : now() - this.#pausedAt;
    const pauses = { ...this.#pauses, ms: Math.round(this.#pauses.ms + paused) };
    const socket = this.#receiving?.socket.stats() ?? this.#finalStats;
    return statsOf(this.#packer, this.#window, pauses, socket, this.#options.sink.stats?.() ?? {});
  }

  /**
   * Receives no more, writes what was received, and closes all: resolves with what became of it. What is not durable after
   * `timeoutMs` is given up and counted. A second call gets the result of the first. Before start() has resolved it makes that reject
   * with ERR_INVALID_STATE, and waits for it. Rejects with what the sink's close() says; then all else is closed.
   * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE
   */
  stop(options: StopOptions = {}): Promise<StopResult> {
    validateObject(options, 'options');
    refuseUnknown(options, 'options', ['timeoutMs']);
    const { timeoutMs = STOP_MS } = options;
    validateInteger(timeoutMs, 'options.timeoutMs', 0, STOP_MS_MAX);
    const nothing = { drained: true, abandonedDatagrams: 0 };
    if (this.#state === 'starting') {
      this.#opening.abort(errors.invalidState('The collector is stopped'));
      return this.#started.then(
        () => this.stop(options),
        () => nothing,
      );
    }
    if (this.#state === 'running') {
      this.#state = 'stopping';
      this.#stopped = this.#stop(timeoutMs);
    }
    return this.#stopped ?? Promise.resolve(nothing);
  }

  async #stop(timeoutMs: number): Promise<StopResult> {
    const [receiving, packer, window] = [this.#receiving, this.#packer, this.#window] as [Receiving, Packer, Window];
    const deadline = now() + timeoutMs;
    await receiving.readToEnd(deadline);
    packer.closeAll();
    await within(deadline - now(), window.drained());
    this.#observers.stopped();
    const before = receiving.socket.stats().rxCloseDrops;
    await receiving.close();
    this.#finalStats = receiving.socket.stats();
    this.#receiving = undefined;
    packer.closeAll(); // what came behind the time limit
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const unread = this.#finalStats.rxCloseDrops - before;
    this.#pauses.abandoned = await window.giveUp(ABORT_MS);
    const failure = await closed(this.#options.sink);
    sinksInUse.delete(this.#options.sink);
    this.#state = 'stopped';
    emitAsNode(() => this.emit('close'));
    if (failure !== undefined) throw failure.error;
    const abandonedDatagrams = this.#pauses.abandoned + unread;
    return { drained: abandonedDatagrams === 0, abandonedDatagrams };
  }

  /** For monitors. @internal */
  [observe](observer: Observer): () => void {
    return this.#observers.add(observer);
  }

  /** For monitors, as it does not change while the event loop is stuck. @internal */
  [figures](): Omit<CollectorStats, 'socket'> {
    const { socket: _, ...rest } = this.stats();
    return rest;
  }

  /** `await using`: as stop(). */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** What its close() says, if that is not that it is closed. */
async function closed(sink: Sink): Promise<{ error: unknown } | undefined> {
  try {
    await sink.close();
    return undefined;
  } catch (error) {
    return { error };
  }
}

/**
 * Makes a collector, which receives when it is started.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_BAD_PORT, ERR_KSOCKET_NEEDS_ADDON
 */
export function createCollector(options: CollectorOptions): Collector {
  return new Collector(options);
}
