// The other sockets of one that has several: each with a descriptor on the same port, a thread and a ring, and everything that
// comes to them is the first one's. Who gets what: lib/thread/steering.ts.
import { OPEN_REUSE_PORT } from '../backend/layout.js';
import { EBADF, EINVAL } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { Turns } from '../base/turns.js';
import { validateInteger } from '../base/validate.js';
import { type Stats, sumStats, zeroStats } from '../thread/counters.js';
import {
  bindGroup,
  type CheckedShards,
  checkShardCount,
  join,
  leaveGroup,
  likedCpus,
  pause,
  steer,
  untilEmpty,
} from '../thread/shards.js';
import { steeringProgram } from '../thread/steering.js';
import { noFilter, type Place, type SocketFilter } from './place.js';
import { type Main, Shard, setUp } from './shard.js';

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

export class Shards {
  readonly #main: Main;
  #checked: CheckedShards;
  #count: number;
  #ip = '';
  #others: Shard[] = [];
  #leaving: Shard[] = [];
  #before: Stats | undefined; // of those that are gone
  #changed = false; // the kernel's own hash is of no use any more
  #handedOver = false;
  /** What the bound socket was told to set, in that order: for those that come later. */
  readonly #told = new Map<string, (place: Place) => number | string>();
  /** Of the calls that change how many there are. */
  readonly turns = new Turns();

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
      this.startReceiving();
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

  /** The first one has set this: each of the others does, and each that comes later. 0, or what the first says that is refused.
   * `what`: only the latest of its name counts. */
  set<Result extends number | string>(what: string, call: (place: Place) => Result): Result | 0 {
    const refused = this.each(call);
    if (refused !== 0) return refused;
    this.#told.delete(what);
    this.#told.set(what, call);
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
    this.#told.clear();
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
    let place: Place | undefined;
    const found = () => {
      place ??= index === 0 ? this.#main : this.#others[index - 1]; // undefined: not bound yet
      return place;
    };
    found();
    return {
      index,
      stats: () => found()?.ownStats() ?? zeroStats(),
      handOver: () => this.#handOver(found()),
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

  // ---- from another process, and to one (lib/hand-over/sockets.ts)

  /** How the kernel divides, whatever the options of a later one say. */
  get division(): Pick<CheckedShards, 'steering' | 'seed'> & { changed: boolean } {
    const { steering, seed } = this.#checked;
    return { steering, seed, changed: this.#changed };
  }

  /** Has a shard for each of these descriptors, short of receiving; the first one is the socket's own already. The descriptors stay
   * the caller's. */
  takeOver(fds: readonly number[], { changed, ...division }: Shards['division']): Error | undefined {
    this.#count = fds.length;
    this.#checked = { ...division, count: fds.length };
    this.#changed = changed;
    this.#ip = this.#main.name(false).address;
    this.#others = this.#make(1, fds.length);
    for (const [i, shard] of this.#others.entries()) {
      const errno = shard.takeOver(fds[i + 1]);
      if (errno !== 0) return errors.errnoException(errno, 'open');
    }
    return undefined;
  }

  /** They receive. @throws what is refused */
  startReceiving(): void {
    for (const shard of this.#others) shard.startReceiving();
  }

  // ---- while it runs

  /** Calls take effect one after the other. */
  async resize(given: unknown): Promise<void> {
    const count = checkShardCount(given, 'shards');
    await this.turns.change(() => this.#resize(count));
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
        this.#tell(shard);
        shard.changeFilter({ ...shard.guarded(this.#main.filter), lock: false });
      }
      const refused = join(this.#main, more, this.#ip);
      if (refused !== undefined) throw refused;
      for (const shard of more) shard.startReceiving();
      this.#steer(count);
    } catch (error) {
      for (const shard of more.reverse()) {
        leaveGroup(shard);
        this.#end(shard);
      }
      throw error;
    }
    this.#others.push(...more);
  }

  #tell(shard: Shard): void {
    for (const call of this.#told.values()) {
      const refused = call(shard);
      if (refused !== 0) throw errors.errnoException(typeof refused === 'number' ? refused : EINVAL, 'setsockopt');
    }
  }

  #steer(count: number): void {
    const { steering, seed } = this.#checked;
    const program = steeringProgram(steering, this.#main.family.number, seed, count, this.#changed);
    const refused = steer(this.#main, program);
    if (refused === undefined) return;
    throw this.#main.filter?.lock ? errors.invalidState('The filter is locked, and with it who gets what') : refused;
  }

  #steerAwayFrom(count: number): void {
    const before = this.#changed;
    this.#changed = true;
    try {
      this.#steer(count);
    } catch (error) {
      this.#changed = before;
      throw error;
    }
  }

  // Nothing comes to them any more; they close once all that they have is read.
  async #close(leaving: Shard[]): Promise<void> {
    this.#leaving = leaving;
    await Promise.all(leaving.map(isEmpty));
    leaving.reverse(); // the last one first: whoever is behind a socket that goes would take its place
    leaving.forEach(leaveGroup);
    await Promise.all(leaving.map(isEmpty));
    this.#leaving = [];
    for (const shard of leaving) this.#end(shard);
  }

  /** What it has counted stays. */
  #end(shard: Shard): void {
    shard.release();
    const stats = shard.stats();
    this.#before = this.#before === undefined ? stats : sumStats([this.#before, stats]);
  }
}

async function isEmpty(shard: Shard): Promise<void> {
  await untilEmpty(shard);
  await pause(); // the thread puts what it has read into the ring
  const { thread } = shard;
  if (thread !== undefined) await new Promise<void>((resolve) => thread.whenRead(resolve));
}
