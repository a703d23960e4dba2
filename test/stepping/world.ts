// What is around lib/thread/ while it is stepped: the event loop, the clock, and between any two things that the other
// side could see, the steps of the I/O thread.
import { C_BASE, C_CROWDING, C_HEAD, C_TAIL, C_WAKE_PENDING } from '../../build-lib/backend/layout.js';
import { stepping } from './native.js';

/** What listeners throw on purpose. */
export class Thrown extends Error {}

/** Something does not hold. */
export class Failure extends Error {}

export function fail(message: string): never {
  world.failure ??= new Failure(message);
  throw world.failure;
}

/** What has to happen in a run: where one of these never does, it shows nothing of it. */
const SITUATIONS = [
  'steps',
  'datagrams',
  'batches',
  'batches of several',
  'errors',
  'answers',
  'results through the ring',
  'deferred',
  'joined for the kernel',
  'sent again singly',
  'taken back',
  'runs not taken whole',
  'waits for drain',
  'drained',
  'dropped',
  'dropped by close()',
  'full rings',
  'a lone datagram is taken',
  'a lone datagram is for the ring',
  'a lone datagram is taken as a batch',
  'rings that start over',
  'received into memory of a listener',
  'given up for the ring',
  'in pieces, with others in between',
  'detached',
  'sockets in turn',
  'thrown to the event loop',
  'event loop turned by a listener',
  'received by the event loop',
  'found by a second look',
  'closed by a listener',
  'closed',
  'stopped at some moment',
] as const;
export type Situation = (typeof SITUATIONS)[number];

type Callback = () => void;

const STARTS_AT_NS = 1e12;
const NS_PER_MS = 1e6;

class World {
  /** The shared cursors and flags; accesses to it are steps. */
  control: Int32Array | undefined;
  failure: Failure | undefined;
  /** What is sent at one stage may still be taken back: it ends when something leaves, and with the event. */
  stage = 0;
  /** How often what has happened. */
  readonly seen = Object.fromEntries(SITUATIONS.map((what) => [what, 0])) as Record<Situation, number>;
  #ns = STARTS_AT_NS;
  #ticks: Callback[] = [];
  #immediates: Callback[] = [];
  #pauses: readonly number[] = [];
  #pause = 0;

  /** `pauses`: how many steps the thread takes before each step of JavaScript's, over and over. */
  begin(pauses: readonly number[]): void {
    this.failure = undefined;
    this.stage = 0;
    this.#ns = STARTS_AT_NS;
    this.#ticks = [];
    this.#immediates = [];
    this.#pauses = pauses;
    this.#pause = 0;
    stepping.setClock(this.#ns);
  }

  see(what: Situation, times = 1): void {
    this.seen[what] += times;
  }

  /** Before whatever the thread could notice, or have done something about. */
  point(): void {
    if (this.#pauses.length === 0) return;
    const steps = this.#pauses[this.#pause++ % this.#pauses.length];
    if (steps > 0) this.step(steps);
  }

  step(count: number): number {
    const taken = stepping.step(count);
    this.see('steps', taken);
    return taken;
  }

  /** No step between two of JavaScript's any more. */
  hush(): void {
    this.#pauses = [];
  }

  // ---- the clock

  get ms(): number {
    return this.#ns / NS_PER_MS;
  }

  get ns(): number {
    return this.#ns;
  }

  advance(ns: number): void {
    this.#ns += Math.ceil(ns);
    stepping.setClock(this.#ns);
  }

  // ---- the event loop

  nextTick(callback: Callback): void {
    this.#ticks.push(callback);
  }

  runTicks(): void {
    for (let next = this.#ticks.shift(); next !== undefined; next = this.#ticks.shift()) next();
  }

  setImmediate(callback: Callback): void {
    this.#immediates.push(callback);
  }

  /** As the event loop calls: what is thrown on purpose goes to 'uncaughtException', and ticks run behind it. */
  call(callback: Callback): void {
    try {
      callback();
    } catch (error) {
      if (!(error instanceof Thrown)) throw error;
      this.see('thrown to the event loop');
    }
    if (this.failure) throw this.failure;
    this.runTicks();
  }

  /** A wake-up arrives, if one is under way. */
  wake(): boolean {
    if (!stepping.takeWake()) return false;
    this.call(stepping.read);
    return true;
  }

  /** Those immediates that are set by now; then the event loop is about to wait. */
  turn(): boolean {
    const { length } = this.#immediates;
    for (const callback of this.#immediates.splice(0)) this.call(callback);
    this.point();
    stepping.beforePoll();
    return length > 0;
  }

  /** The event loop is told of each socket that it shares with the thread. */
  poll(): void {
    for (let place = 0; place < stepping.places(); place++) {
      this.point();
      this.see('received by the event loop');
      if (!stepping.receiveOnLoop(place)) continue;
      this.call(stepping.read);
      while (stepping.lookNow()) {
        this.see('found by a second look');
        this.call(stepping.read);
      }
    }
  }

  /** Nothing of the last schedule comes into the next. */
  clear(): void {
    this.#ticks = [];
    for (let n = 0; this.#immediates.length > 0 && n < 100; n++) {
      for (const callback of this.#immediates.splice(0)) {
        try {
          callback();
        } catch {}
      }
    }
  }
}

export const world = new World();

// lib/ takes these functions from the global object at each call.
type Access = (typeof Atomics)['load'];
const { load, store, exchange } = Atomics;
Atomics.load = ((array: Int32Array, at: number) => {
  if (array === world.control) world.point();
  return load(array, at);
}) as Access;
Atomics.store = ((array: Int32Array, at: number, value: number) => {
  if (array === world.control) world.point();
  return store(array, at, value);
}) as typeof Atomics.store;
Atomics.exchange = ((array: Int32Array, at: number, value: number) => {
  if (array === world.control) world.point();
  return exchange(array, at, value);
}) as typeof Atomics.exchange;

/** What the two sides have told each other, without a step. */
export function shared(at: 'head' | 'base' | 'tail' | 'crowding' | 'wakePending'): number {
  return (world.control as Int32Array)[PLACES[at] >> 2];
}

const PLACES = { head: C_HEAD, base: C_BASE, tail: C_TAIL, crowding: C_CROWDING, wakePending: C_WAKE_PENDING };
