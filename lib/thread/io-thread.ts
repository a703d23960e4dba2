// The JavaScript half of a native I/O thread: owns the memory the two share, gives out socket ids, and decides
// how long the thread lives. One thread is shared by all sockets of an environment (the main thread or a worker)
// that did not ask for their own.
import type { NativeIoThread, SteadyCall, ThreadMemory } from '../backend/contract.js';
import { C_HEAD, DESCRIPTOR_BYTES, SOCKET_SLOT_BITS } from '../backend/layout.js';
import { binding, engineWanted } from '../backend/load.js';
import { EINVAL, EMFILE, meansUnsupported } from '../base/errno.js';
import { errnoException, invalidArgValue, noEngine } from '../base/errors.js';
import { hasLibuv, setImmediate, setTimeout } from '../base/runtime.js';
import { CounterPages, type Snapshot, type Stats } from './counters.js';
import type { Endpoint } from './endpoint.js';
import { Lists } from './lists.js';
import { allocateThreadMemory, sharedBuffer } from './memory.js';
import type { ObservedSocket } from './observation.js';
import { defaultThreadOptions, type IoThreadOptions } from './options.js';
import { PacketInfos, packetInfoBytes } from './packet-info.js';
import { Receiver } from './receiver.js';
import type { ReceiverTools } from './receiver-tools.js';
import { isScheduled, schedule } from './schedule.js';
import { Sender } from './sender.js';
import { STAGED_BYTES_MAX, STAGED_DATAGRAMS_MAX, Staging } from './staging.js';

const engineRule = `must be ${binding.engineNames.map((name) => `'${name}'`).join(' or ')}`;

/** What is wrong when native code has not started a thread. */
function whyNoThread(errno: number): Error {
  const refused = binding.probeEngine(engineWanted);
  if (!meansUnsupported(refused)) return errnoException(errno, 'pthread_create');
  const needs = binding.engineNames
    .map((name, i) => `${name}: ${binding.engineNeeds[i]}`)
    .filter((need) => need.startsWith(engineWanted));
  return noEngine(refused, needs.join('; '));
}

const SLOTS_MAX = 1 << SOCKET_SLOT_BITS;
const GENERATIONS = 1 << (32 - SOCKET_SLOT_BITS);
/** An idle thread waits this long for the next socket before it ends: programs that use a socket for one query
 * after the other do not pay for a thread each time. */
const LINGER_MS = 50;

function descriptorSlots(ringBytes: number): number {
  let slots = 1024;
  while (slots * 2 * DESCRIPTOR_BYTES <= ringBytes / 4) slots *= 2;
  return slots;
}

export class IoThread {
  readonly #native: NativeIoThread;
  readonly sender: Sender;
  readonly lists: Lists;
  readonly #receiver: Receiver;
  readonly #endpoints: (Endpoint | undefined)[] = [undefined];
  readonly #generations: number[] = [0];
  readonly #free: number[] = [];
  readonly #counters: CounterPages;
  readonly #memory: ThreadMemory;
  readonly #slots: number;
  readonly #onIdle: () => void;
  #open = 0;
  #holds = 0;
  #stopped = false;
  #hasPacketInfos = false;
  readonly #tools: ReceiverTools;
  /** Threads whose listeners answer through this one's sender. */
  readonly #askers: IoThread[] = [];
  #answerer: IoThread | undefined;

  /** Starts the thread. Throws when the system has no descriptor or thread for it. `onIdle` runs whenever the last
   * socket has closed. */
  constructor(options: IoThreadOptions, onIdle: () => void) {
    const slots = descriptorSlots(options.ringBytes);
    const arenaBytes = options.ringBytes - slots * DESCRIPTOR_BYTES;
    const memory = allocateThreadMemory(slots, arenaBytes, STAGED_DATAGRAMS_MAX, STAGED_BYTES_MAX);
    this.#memory = memory;
    this.#slots = slots;
    this.#native = new binding.IoThread({
      ...memory,
      engine: engineWanted,
      busyPoll: options.busyPoll,
      rxUsecs: options.rxUsecs,
      rxFrames: options.rxFrames,
      adaptiveRx: options.adaptiveRx,
      libuv: hasLibuv,
      shareLoop: hasLibuv && options.adaptiveRx && options.rxUsecs > 0 && !isScheduled(options) && !options.sharded,
    });
    this.#counters = new CounterPages((page) => this.#native.addCounters(page));
    this.#counters.reserve(0); // slot 0 counts for the thread itself
    const staging = new Staging(memory);
    const countRefused = (id: number) => this.#counters.add(id & (SLOTS_MAX - 1), 'txErrors', 1);
    const deferFlush = () => this.#receiver.draining || (this.#askers.length > 0 && this.#askers.some(isDraining));
    this.sender = new Sender(this.#native, memory.control, staging, deferFlush, countRefused);
    const flush = () => this.sender.flush();
    this.lists = new Lists(this.#native, staging, flush, countRefused, (id) => this.sender.defer(id));
    this.#tools = {
      answers: this.sender,
      resume: () => this.#native.resume(),
      giveChunk: this.#native.giveChunk?.bind(this.#native),
      alone: () => this.#open === 1,
      held: () => this.#holds > 0,
    };
    this.#receiver = new Receiver(memory, this.#endpoints, this.#tools);
    this.#onIdle = onIdle;
    // Who lists what keeps a program running (Jest) asks it: the thread goes on for a while behind its last socket.
    const resource = { hasRef: () => this.#holds > 0 };
    const { takeLone, takeLoneBatch } = this.#receiver;
    const error = this.#native.start(() => this.#receiver.drain(), takeLone, takeLoneBatch, resource);
    if (error === EINVAL) throw invalidArgValue('KSOCKET_ENGINE', engineWanted, engineRule);
    if (error !== 0) throw whyNoThread(error);
    const refused = schedule(this.#native, options);
    if (refused !== undefined) {
      this.#native.stop();
      throw refused;
    }
    if (options.likedCpus !== undefined) this.#native.setCpus(options.likedCpus); // or it runs where it may
  }

  get native(): Pick<NativeIoThread, SteadyCall> {
    return this.#native;
  }

  /** All of its calls, the ones that change something, too: what was sent before has left, as things were then. */
  changing(): NativeIoThread {
    handOver();
    return this.#native;
  }

  get engine(): string {
    return this.native.getEngineName();
  }

  /** Before a socket is opened that wants PacketInfos. */
  providePacketInfos(): void {
    if (this.#hasPacketInfos || this.#native.lendPacketInfos === undefined) return;
    const memory = new Uint8Array(sharedBuffer(packetInfoBytes(this.#slots)));
    this.#native.lendPacketInfos(memory);
    this.#receiver.records.usePacketInfos(new PacketInfos(memory));
    this.#hasPacketInfos = true;
  }

  /** What this thread's listeners send is sent by that one's socket, which sends it when they are through. */
  answerThrough(other: IoThread): void {
    this.#answerer = other;
    this.#tools.answers = other.sender;
    other.#askers.push(this);
  }

  get draining(): boolean {
    return this.#receiver.draining;
  }

  get idle(): boolean {
    return this.#open === 0;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** A new id, to be opened in native code and then given to `attach`. */
  reserve(): number {
    let slot = this.#free.pop();
    if (slot === undefined) {
      if (this.#generations.length === SLOTS_MAX) throw errnoException(EMFILE, 'socket');
      slot = this.#generations.push(0) - 1;
      this.#counters.reserve(slot);
    }
    this.#open++;
    return ((this.#generations[slot] << SOCKET_SLOT_BITS) | slot) >>> 0;
  }

  /** From now on this endpoint gets what arrives for its id. */
  attach(endpoint: Endpoint): void {
    this.#endpoints[endpoint.id & (SLOTS_MAX - 1)] = endpoint;
  }

  /** Closes the id's descriptor, if it has one, and forgets it: nothing is delivered after this. */
  release(id: number): void {
    const slot = id & (SLOTS_MAX - 1);
    this.changing().close(id);
    this.#counters.add(slot, 'rxCloseDrops', this.#receiver.waiting(id));
    this.#endpoints[slot] = undefined;
    this.#generations[slot] = (this.#generations[slot] + 1) % GENERATIONS;
    this.#free.push(slot);
    this.#open--;
    if (this.#open === 0) this.#onIdle();
  }

  /** Calls back, at once or later, when what is in the ring now has been handed out. */
  whenRead(done: () => void): void {
    const head = Atomics.load(this.#memory.control, C_HEAD >> 2);
    const look = () => {
      if (this.#stopped || ((this.#receiver.tail - head) | 0) >= 0) done();
      else setImmediate(look);
    };
    look();
  }

  /** Hands out no more batches, or goes on: `Receiver.pause`. Of a thread with one socket. */
  pause(on: boolean): void {
    this.#receiver.pause(on);
  }

  /** Datagrams of this socket in the ring. */
  waiting(id: number): number {
    return this.#receiver.waiting(id);
  }

  /** Keeps the event loop running until as many calls of `unhold`. */
  hold(): void {
    if (this.#holds++ === 0) this.native.ref();
  }

  unhold(): void {
    if (--this.#holds === 0) this.native.unref();
  }

  endpoints(): Endpoint[] {
    return this.#endpoints.filter((endpoint) => endpoint !== undefined);
  }

  /** Is this descriptor one of this thread's sockets? */
  owns(fd: number): boolean {
    return this.endpoints().some((endpoint) => this.native.getFd(endpoint.id) === fd);
  }

  stats(id: number): Stats {
    this.native.countKernelDrops(id);
    return this.#counters.read(id & (SLOTS_MAX - 1));
  }

  /** The same for later. */
  snapshot(id: number): Snapshot {
    this.native.countKernelDrops(id);
    return this.#counters.snapshot(id & (SLOTS_MAX - 1));
  }

  /** What other threads may read of this socket and its thread. */
  shared(id: number): Omit<ObservedSocket, 'latency'> {
    return {
      engine: this.engine,
      counters: this.#counters.row(id & (SLOTS_MAX - 1)),
      thread: this.#counters.row(0),
      control: this.#memory.control,
      ringSlots: this.#slots,
    };
  }

  /** Counts `n` datagrams that reach nobody: JavaScript had no place for them, or does not want them. */
  countLost(id: number, name: 'rxQueueDrops' | 'rxBlocked', n: number): void {
    this.#counters.add(id & (SLOTS_MAX - 1), name, n);
  }

  /** Returns when the thread has ended and every descriptor is closed. */
  stop(): void {
    if (this.#stopped) return;
    this.sender.flush();
    this.#stopped = true;
    if (this.#answerer !== undefined) {
      const askers = this.#answerer.#askers;
      askers.splice(askers.indexOf(this), 1);
    }
    this.#receiver.stop();
    this.native.stop();
    live.splice(live.indexOf(this), 1);
  }

  static start(options: IoThreadOptions, onIdle: () => void): IoThread {
    const thread = new IoThread(options, onIdle);
    live.push(thread);
    return thread;
  }
}

const live: IoThread[] = [];

const isDraining = (thread: IoThread) => thread.draining;

/** What node:dgram would have handed to the kernel by now leaves, of all sockets: one may send to another. */
export function handOver(): void {
  // Before each call that changes something: an iterator would be garbage, several times a socket.
  for (let i = 0; i < live.length; i++) live[i].sender.handOver();
}

/** All that is open. */
export function openEndpoints(): Endpoint[] {
  return live.flatMap((thread) => thread.endpoints());
}

/** Is this descriptor a ksocket's already? */
export function isOurs(fd: number): boolean {
  return live.some((thread) => thread.owns(fd));
}

let shared: IoThread | undefined;

function stopIdle(): void {
  if (shared?.idle) {
    shared.stop();
    shared = undefined;
  }
}

/** The thread for sockets without one of their own; started when there is none. */
export function sharedThread(): IoThread {
  shared ??= IoThread.start(defaultThreadOptions, () => {
    setTimeout(stopIdle, LINGER_MS).unref();
  });
  return shared;
}

/** A thread for one socket; it ends with it. */
export function dedicatedThread(options: IoThreadOptions): IoThread {
  const thread: IoThread = IoThread.start(options, () => thread.stop());
  return thread;
}
