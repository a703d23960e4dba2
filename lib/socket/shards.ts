// The other sockets of one that has several: each with a descriptor on the same port, a thread and a ring, and everything that
// comes to them is the first one's. Who gets what: lib/thread/steering.ts.
import { OPEN_REUSE_PORT } from '../backend/layout.js';
import { EBADF } from '../base/errno.js';
import * as errors from '../base/errors.js';
import type { Payload, SendCallback } from '../base/payload.js';
import { setTimeout } from '../base/runtime.js';
import { validateInteger } from '../base/validate.js';
import type { Batch } from '../thread/batch.js';
import { type Stats, sumStats, zeroStats } from '../thread/counters.js';
import type { RemoteInfo, TakesBatches, TakesDatagrams, TakesPeerErrors } from '../thread/endpoint.js';
import type { MetadataKind } from '../thread/metadata.js';
import type { PeerError } from '../thread/peer-error.js';
import type { Question } from '../thread/records.js';
import {
  bindGroup,
  type CheckedShards,
  checkShardCount,
  join,
  likedCpus,
  shardThreadOptions,
  steer,
} from '../thread/shards.js';
import { steeringProgram, withoutCopies } from '../thread/steering.js';
import { bufferSize } from './kernel-options.js';
import { noFilter, Place, type SocketFilter } from './place.js';

/** One of a socket's shards. */
export interface SocketShard {
  /** 0 to one less than there are. Shard 0 is the one that sends, and that gets what is sent to groups and broadcast. */
  readonly index: number;
  /** What this shard has counted. */
  stats(): Stats;
  /**
   * The number of a new descriptor of this shard's, for a worker's `bind({ fd })`: from now on only the worker receives what comes
   * to the shard, from the next datagram in the kernel's buffer on. This process's socket keeps its own descriptor, so that the shard
   * stays when the worker ends.
   * @throws ERR_SOCKET_DGRAM_NOT_RUNNING, EBADF before bind(), EMFILE
   */
  handOver(): number;
}

type Main = Place & TakesDatagrams & TakesBatches & TakesPeerErrors;

// As getsockname(2) has them, the last of an IPv6 socket for IPv4 only.
const UNSPECIFIED = ['0.0.0.0', '::', '::ffff:0.0.0.0'];

class Shard extends Place implements TakesDatagrams, TakesBatches, TakesPeerErrors {
  readonly #main: Main;
  #isAny = false; // of a broadcast it would get a copy

  constructor(main: Main, shards: CheckedShards, index: number) {
    const { thread } = main.options;
    super(main.face, { ...main.options, thread: thread && shardThreadOptions(thread, shards, index) });
    this.#main = main;
    this.flags = main.flags | OPEN_REUSE_PORT;
  }

  get wantsBatches(): boolean {
    return this.#main.wantsBatches;
  }

  get metadata(): readonly MetadataKind[] | undefined {
    return this.#main.metadata;
  }

  get pooled(): boolean {
    return this.#main.pooled;
  }

  onDatagram(data: Buffer, rinfo: RemoteInfo): void {
    this.#main.onDatagram(data, rinfo);
  }

  onBatch(batch: Batch): void {
    this.#main.onBatch(batch);
  }

  reply(question: Question, payload: Payload, callback: SendCallback | undefined): void {
    this.#main.reply(question, payload, callback);
  }

  onReceiveError(errno: number): void {
    this.#main.onReceiveError(errno);
  }

  /** The kernel chooses among the group's sockets whom it tells. */
  onPeerError(error: PeerError): void {
    this.#main.onPeerError(error);
  }

  /** The first one is bound: this one does not take copies. */
  prepare(): void {
    this.#isAny = UNSPECIFIED.includes(this.#main.name(false).address);
  }

  /** Once it is bound, too. @throws what is refused */
  startReceiving(): void {
    setUp(this, this.guarded(this.#main.filter));
    this.running().attach(this);
    this.running().answerThrough(this.#main.running());
    this.hold(this.#main.holding);
  }

  /** The filter that this shard has where the program wants `filter`. */
  guarded(filter: SocketFilter = noFilter): SocketFilter {
    if (!this.#isAny) return filter;
    return { ...filter, program: withoutCopies(this.family.number, filter.program) };
  }
}

// The bound descriptor starts to receive. @throws what is refused
function setUp(place: Place, filter: SocketFilter): void {
  const { recvBufferSize, sendBufferSize, maxBytes } = place.options;
  const native = place.running().changing();
  let errno = native.setFilter(place.id, filter);
  if (errno !== 0) throw errors.errnoException(errno, 'setsockopt');
  if (recvBufferSize) bufferSize(place, 'recv', recvBufferSize);
  if (sendBufferSize) bufferSize(place, 'send', sendBufferSize);
  errno = native.watch(place.id, maxBytes);
  if (errno !== 0) throw errors.errnoException(errno, 'epoll_ctl');
}

const SOL_SOCKET = 1;
const SO_MEMINFO = 55;
const DRAIN_MS = 10;

export class Shards {
  readonly #main: Main;
  readonly #checked: CheckedShards;
  #count: number;
  #ip = '';
  #others: Shard[] = [];
  #leaving: Shard[] = [];
  #before: Stats | undefined; // of those that are gone
  #changed = false; // the kernel's own hash is of no use any more
  #handedOver = false;
  #latest: Promise<unknown> = Promise.resolve();

  constructor(main: Main, checked: CheckedShards) {
    this.#main = main;
    this.#checked = checked;
    this.#count = checked.count;
  }

  /** Those that have a descriptor, without the first. */
  get others(): readonly Place[] {
    return [...this.#others, ...this.#leaving];
  }

  /** Has the socket bound, with all others: undefined, or why nothing is open. */
  bind(ip: string, port: number): Error | undefined {
    const main = this.#main;
    this.#ip = ip;
    this.#changed = false;
    try {
      this.#others = this.#make(1, this.#count);
      const all = [main, ...this.#others];
      for (const place of all) {
        const errno = place.make();
        if (errno !== 0) throw errors.exceptionWithHostPort(errno, 'bind', ip, port);
      }
      const refused = bindGroup(all, this.#checkedNow(), main.family.number, ip, port);
      if (refused !== undefined) throw refused;
      setUp(main, main.filter ?? noFilter);
      for (const shard of this.#others) {
        shard.prepare();
        shard.startReceiving();
      }
      return undefined;
    } catch (error) {
      main.abandon();
      return error as Error;
    }
  }

  #make(first: number, end: number): Shard[] {
    const checked = this.#checkedNow();
    return Array.from({ length: end - first }, (_, i) => new Shard(this.#main, checked, first + i));
  }

  #checkedNow(): CheckedShards {
    return { ...this.#checked, count: this.#count };
  }

  /** 0, or what the first of the others says that does not say 0. */
  each<Result extends number | string>(call: (place: Place) => Result): Result | 0 {
    for (const place of this.others) {
      const result = call(place);
      if (result !== 0) return result;
    }
    return 0;
  }

  /** Gives each of the others this filter, or leaves them with the present one. 0, or -errno. */
  changeFilter(wanted: SocketFilter, present: SocketFilter | undefined): number {
    const errno = this.each((place) => place.changeFilter((place as Shard).guarded(wanted)));
    if (errno !== 0) this.each((place) => place.changeFilter((place as Shard).guarded(present)) && 0);
    return errno;
  }

  /** All are closed, with the first. */
  release(): void {
    for (const place of this.others) place.release();
  }

  abandon(): void {
    for (const place of this.others) place.abandon();
    this.#others = [];
  }

  /** What all have counted, with the first. */
  stats(first: Stats): Stats {
    const all = [first, ...this.others.map((place) => place.stats())];
    if (this.#before !== undefined) all.push(this.#before);
    return sumStats(all);
  }

  /** @throws ERR_OUT_OF_RANGE */
  at(index: number): SocketShard {
    validateInteger(index, 'index', 0, this.#count - 1);
    const place: Place | undefined = index === 0 ? this.#main : this.#others[index - 1]; // undefined: not bound yet
    return {
      index,
      stats: () => place?.ownStats() ?? zeroStats(),
      handOver: () => this.#handOver(place),
    };
  }

  #handOver(place: Place | undefined): number {
    this.#main.checkRunning();
    if (place?.thread === undefined) throw errors.errnoException(EBADF, 'dup');
    const native = place.thread.changing();
    const fd = native.copyFd(place.id);
    if (fd < 0) throw errors.errnoException(fd, 'dup');
    native.unwatch(place.id);
    this.#handedOver = true;
    return fd;
  }

  // ---- while it runs

  /** Calls take effect one after the other. */
  resize(given: unknown): Promise<void> {
    const count = checkShardCount(given, 'shards');
    const done = this.#latest.then(() => this.#resize(count));
    this.#latest = done.catch(() => {}); // the caller has the rejected promise
    return done;
  }

  async #resize(count: number): Promise<void> {
    const main = this.#main;
    main.checkRunning();
    const before = this.#count;
    if (this.#handedOver) throw errors.invalidState('A shard has been handed over');
    if (count < before && (main.flags & OPEN_REUSE_PORT) !== 0 && main.thread !== undefined) {
      throw errors.invalidState('With reusePort the port may have other sockets, which cannot be told from shards');
    }
    this.#count = count;
    if (main.thread === undefined || count === before) return;
    try {
      if (count > before) this.#grow(before, count);
      else this.#steerAwayFrom(count);
    } catch (error) {
      this.#count = before;
      throw error;
    }
    [main, ...this.#others].forEach((place, index) => {
      const { thread } = place.options;
      const cpus = thread && likedCpus(thread, this.#checkedNow(), index);
      if (cpus !== undefined) place.thread?.native.setCpus(cpus);
    });
    if (count < before) await this.#close(this.#others.splice(count - 1));
  }

  #grow(before: number, count: number): void {
    const more = this.#make(before, count);
    try {
      for (const shard of more) {
        const errno = shard.make();
        if (errno !== 0) throw errors.errnoException(errno, 'socket');
        shard.prepare();
        shard.changeFilter({ ...shard.guarded(this.#main.filter), lock: false });
      }
      const refused = join(this.#main, more, this.#ip);
      if (refused !== undefined) throw refused;
      for (const shard of more) shard.startReceiving();
      this.#steer(count);
    } catch (error) {
      for (const shard of more) shard.release();
      throw error;
    }
    this.#others.push(...more);
  }

  #steer(count: number): void {
    const { steering, seed } = this.#checked;
    const program = steeringProgram(steering, this.#main.family.number, seed, count, this.#changed);
    const refused = steer(this.#main, program);
    if (refused !== undefined) throw refused;
  }

  #steerAwayFrom(count: number): void {
    this.#changed = true;
    this.#steer(count);
  }

  // Nothing comes to them any more; they close once all that they have is read.
  async #close(leaving: Shard[]): Promise<void> {
    this.#leaving = leaving;
    await Promise.all(leaving.map(isEmpty));
    this.#leaving = [];
    for (const shard of leaving.reverse()) {
      shard.release(); // the last one first: whoever is behind a socket that closes would take its place
      const stats = shard.stats();
      this.#before = this.#before === undefined ? stats : sumStats([this.#before, stats]);
    }
  }
}

async function isEmpty(shard: Shard): Promise<void> {
  const pause = () => new Promise((resolve) => setTimeout(resolve, DRAIN_MS));
  do await pause();
  while (waitsInKernel(shard));
  await pause(); // the thread puts what it has read into the ring
  const { thread } = shard;
  if (thread !== undefined) await new Promise<void>((resolve) => thread.whenRead(resolve));
}

function waitsInKernel({ thread, id }: Shard): boolean {
  const memory = Buffer.alloc(4); // the first is what the receive buffer holds
  const result = thread?.native.getRawOption(id, SOL_SOCKET, SO_MEMINFO, memory);
  return typeof result === 'number' && result > 0 && memory.some((byte) => byte !== 0);
}
