// More shards of a server that runs, or fewer. The last ones go: nothing comes to them any more, and each ends when what it has
// is answered and its flows to back ends are idle. Until then they are in the kernel's group, where the number of a socket is its
// place; so when there are to be more again, these come first.
import type { NativeAddress, NativeForward } from '../backend/contract.js';
import { backend } from '../backend/load.js';
import * as errors from '../base/errors.js';
import { clearInterval, now, setInterval } from '../base/runtime.js';
import { type ServerStats, sumStats } from '../thread/counters.js';
import type { Observers } from '../thread/observers.js';
import { type CheckedShards, checkShards, join, leaveGroup, steer, untilEmpty } from '../thread/shards.js';
import { steeringProgram } from '../thread/steering.js';
import { checkOpened } from './opening.js';
import type { CheckedServerOptions } from './options.js';
import { ServerPart } from './part.js';
import type { Resolved } from './places.js';

/** Flows that are idle are closed about as often. */
const LOOK_MS = 1000;

export interface ResizedOptions extends CheckedServerOptions {
  readonly shards: CheckedShards;
}

/** The same with so many shards. @throws ERR_KSOCKET_NEEDS_ADDON, ERR_INVALID_STATE */
export function withShards(options: CheckedServerOptions, count: number): ResizedOptions {
  if (backend === 'dgram') throw errors.needsAddon('setShards()');
  if (options.fd !== undefined) throw errors.invalidState('The server was made with fd, and has that one socket');
  const usual = options.protection.perSource === undefined ? 'flow' : 'source';
  const shards = options.shards ?? (checkShards({ shards: count }, usual) as CheckedShards);
  return { ...options, shards: { ...shards, count } };
}

/** One that gets nothing any more. */
interface Leaving {
  readonly part: ServerPart;
  /** Has it answered all that it had? */
  emptied: boolean;
  /** What its back ends had answered by then, and when that has changed. */
  returned: number;
  since: number;
}

/** Resolves when it has answered all that it had, and what it delivers is handed out. */
async function emptied(part: ServerPart): Promise<void> {
  await untilEmpty(part);
  part.settle();
  await new Promise<void>((resolve) => part.thread.whenRead(resolve));
}

export class Resizing {
  readonly #observers: Observers;
  readonly #afterwards: (action: () => Promise<void>) => void;
  #leaving: Leaving[] = []; // as the kernel has them, behind those that get something
  #past: ServerStats[] = []; // of those that are gone
  readonly #pastHits = new Map<string, number>();
  #local: Resolved | number = -1;
  #target: NativeAddress | undefined;
  #forwards: NativeForward[] = [];
  #names: readonly string[] = [];
  #idleMs = 0;
  #hashed = false; // by our own hash: the kernel's knows all sockets of a group, or none
  #timer: NodeJS.Timeout | undefined;

  /** `afterwards`: when no other call is under way. */
  constructor(observers: Observers, afterwards: (action: () => Promise<void>) => void) {
    this.#observers = observers;
    this.#afterwards = afterwards;
  }

  /** Does the kernel divide by our hash, where the steering is 'flow'? */
  get hashed(): boolean {
    return this.#hashed;
  }

  get leaving(): ServerPart[] {
    return this.#leaving.map(({ part }) => part);
  }

  /** A run begins, with what names have been looked up for it. */
  begin(
    local: Resolved | number,
    target: NativeAddress | undefined,
    names: readonly string[],
    forwards: NativeForward[],
    hashed: boolean,
  ): void {
    this.#local = local;
    this.#target = target;
    this.#past = [];
    this.#pastHits.clear();
    this.#idleMs = 0;
    this.#hashed = hashed;
    this.heed(names, forwards);
  }

  /** The run is over. */
  end(): void {
    for (const { part } of this.#leaving.splice(0).reverse()) this.#release(part);
    this.#lookAgain();
  }

  /** These rules hold from now on. */
  heed(names: readonly string[], forwards: NativeForward[]): void {
    this.#names = names;
    this.#forwards = forwards;
    for (const { idleMs } of forwards) this.#idleMs = Math.max(this.#idleMs, idleMs);
    const known = new Set(names);
    for (const name of this.#pastHits.keys()) if (!known.has(name)) this.#pastHits.delete(name);
  }

  /** What those have counted that are no shards any more. */
  stats(): ServerStats[] {
    return [...this.leaving.map((part) => part.stats()), ...this.#past];
  }

  /** How often a rule has matched in those that are gone. */
  pastHits(name: string): number {
    return this.#pastHits.get(name) ?? 0;
  }

  /** The same of all, with those that are about to go. */
  allPastHits(): Map<string, number> {
    const all = this.leaving.map((part) => part.ruleHits());
    return new Map(this.#names.map((name, i) => [name, all.reduce((sum, hits) => sum + hits[i], this.pastHits(name))]));
  }

  /** Those that get datagrams from now on. `guarded`: by lists or limits, also empty ones. `watch`: one is to receive.
   * @throws what is refused; then they are who they were */
  resize(
    active: readonly ServerPart[],
    options: ResizedOptions,
    guarded: boolean,
    watch: (part: ServerPart) => void,
  ): readonly ServerPart[] {
    const { shards, protection } = options;
    const { count } = shards;
    if (count === active.length) return active;
    const protect = (part: ServerPart, index: number) => {
      if (guarded) part.protect(protection, index, count);
    };
    const made = new Set<ServerPart>();
    const setUp = (part: ServerPart, index: number) => {
      made.add(part);
      part.answer(this.#target, this.#forwards);
      protect(part, index);
      watch(part);
    };
    const next = count < active.length ? this.#shrink(active, shards) : this.#grow(active, options, setUp);
    next.forEach((part, index) => {
      if (!made.has(part)) protect(part, index);
      part.moveTo(shards, index);
    });
    this.#observers.resized(next, this.leaving);
    return next;
  }

  #shrink(active: readonly ServerPart[], shards: CheckedShards): ServerPart[] {
    this.#steer(active[0], shards, true);
    const going = active.slice(shards.count);
    this.#leaving.unshift(...going.map((part) => ({ part, emptied: false, returned: -1, since: 0 })));
    return active.slice(0, shards.count);
  }

  #grow(
    active: readonly ServerPart[],
    options: ResizedOptions,
    setUp: (part: ServerPart, index: number) => void,
  ): ServerPart[] {
    const { shards } = options;
    const back = this.leaving.slice(0, shards.count - active.length);
    const present = [...active, ...back];
    const made: ServerPart[] = [];
    try {
      for (let i = present.length; i < shards.count; i++) made.push(new ServerPart(options, i));
      if (made.length > 0) this.#join(active, made, shards);
      made.forEach((part, i) => {
        setUp(part, present.length + i);
      });
      this.#steer(active[0], shards, this.#hashed);
    } catch (error) {
      for (const part of made.reverse()) {
        leaveGroup(part);
        this.#release(part);
      }
      throw error;
    }
    this.#leaving.splice(0, back.length);
    this.#lookAgain();
    return [...present, ...made];
  }

  // They are of the group then, and get nothing before they answer; where the kernel takes no program, its hash divides at once.
  #join(active: readonly ServerPart[], made: readonly ServerPart[], shards: CheckedShards): void {
    const { address, family } = this.#local as Resolved; // with a descriptor there is one part
    for (const part of made) {
      checkOpened(part.open(family), 'socket', address, 0);
      part.hear();
    }
    const present = { ...shards, count: active.length };
    const isHeld = this.#tryToSteer(active[0], present);
    const refused = join(active[0], made, address);
    if (refused !== undefined) throw refused;
    if (!isHeld) this.#tryToSteer(active[0], present); // a socket alone was no group
  }

  #tryToSteer(first: ServerPart, shards: CheckedShards): boolean {
    try {
      this.#steer(first, shards, true);
      return true;
    } catch {
      return false;
    }
  }

  #steer(first: ServerPart, { steering, seed, count }: CheckedShards, hashed: boolean): void {
    const refused = steer(first, steeringProgram(steering, first.family, seed, count, hashed));
    if (refused !== undefined) throw refused;
    this.#hashed = hashed;
  }

  /** Resolves when those that have just left are gone, or wait for back ends. */
  async settled(): Promise<void> {
    const going = this.#leaving.filter(({ emptied }) => !emptied);
    if (going.length === 0) return;
    await Promise.all(going.map(({ part }) => emptied(part)));
    for (const leaving of going) leaving.emptied = true;
    await this.#endIdle();
  }

  async #endIdle(): Promise<void> {
    const idle = this.#leaving.filter((leaving) => this.#isIdle(leaving)).reverse();
    for (const { part } of idle) leaveGroup(part);
    await Promise.all(idle.map(({ part }) => emptied(part)));
    for (const leaving of idle) this.#close(leaving);
    this.#lookAgain();
  }

  // Its thread closes the flows that nobody has used for idleMs, and so does a back end that refuses.
  #isIdle(leaving: Leaving): boolean {
    const { flowsOpened, flowsExpired, flowsEvicted, returned } = leaving.part.stats().answering;
    if (flowsOpened <= flowsExpired + flowsEvicted) return true;
    if (returned === leaving.returned) return now() - leaving.since > this.#idleMs;
    Object.assign(leaving, { returned, since: now() });
    return false;
  }

  // The kernel has put the last one in its place.
  #close(leaving: Leaving): void {
    const last = this.#leaving.pop();
    if (last !== undefined && last !== leaving) this.#leaving[this.#leaving.indexOf(leaving)] = last;
    this.#release(leaving.part);
    this.#observers.ended(leaving.part);
  }

  #release(part: ServerPart): void {
    const hits = part.ruleHits();
    this.#names.forEach((name, i) => {
      if (hits[i] > 0) this.#pastHits.set(name, this.pastHits(name) + hits[i]);
    });
    this.#past = [sumStats([...this.#past, part.release().serverStats])];
  }

  #lookAgain(): void {
    if (this.#leaving.length === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    } else {
      this.#timer ??= setInterval(() => this.#afterwards(() => this.#endIdle()), LOOK_MS).unref();
    }
  }
}
