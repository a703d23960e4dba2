// Who watches a server, a tunnel or a collector: each is told what to read while it runs.
import { LATENCY_CELLS } from '../backend/layout.js';
import type { IoThread } from './io-thread.js';
import type { Counted, Observation, ObservedSocket } from './observation.js';

/** One of its sockets: a place on a thread. */
export interface ObservedPart {
  readonly thread: IoThread;
  readonly id: number;
}

/** Is told what to read when it starts, when it has other shards, and null when it has stopped. */
export type Observer = (observation: Observation | null) => void;

/** Servers, tunnels and collectors have a method of this name: it adds an observer, tells it how things are, and returns what removes
 * it. */
export const observe: unique symbol = Symbol('ksocket.observe');

/** Who counts more than its sockets do (collectors) has a method of this name that says it. */
export const figures: unique symbol = Symbol('ksocket.figures');

const sum = (one: BigUint64Array, other: BigUint64Array) => one.map((count, i) => count + other[i]);

/** The observers of one of them. Latencies are measured while there is one. */
export class Observers {
  readonly #all = new Set<Observer>();
  readonly #observed = new Map<ObservedPart, ObservedSocket>();
  #parts: readonly ObservedPart[] = []; // while it runs
  #leaving: readonly ObservedPart[] = [];
  #past: Counted | undefined; // of those that have ended
  #more: Pick<Observation, 'kernel' | 'tunnel'> = {};
  #run = 0;

  started(parts: readonly ObservedPart[], more: Pick<Observation, 'kernel' | 'tunnel'>): void {
    this.#run++;
    this.#more = more;
    this.resized(parts, []);
  }

  /** `leaving`: shards that go. */
  resized(parts: readonly ObservedPart[], leaving: readonly ObservedPart[]): void {
    this.#parts = parts;
    this.#leaving = leaving;
    for (const part of parts) {
      if (this.#observed.has(part)) continue;
      const latency = new BigUint64Array(new SharedArrayBuffer(LATENCY_CELLS * 8));
      this.#observed.set(part, { ...part.thread.shared(part.id), latency });
      if (this.#all.size > 0) this.#measure(part, true);
    }
    this.#tell();
  }

  /** A shard that goes is gone. */
  ended(part: ObservedPart): void {
    const own = this.#observed.get(part);
    if (own === undefined) return;
    this.#observed.delete(part);
    const past = this.#past;
    this.#past = past && {
      counters: sum(past.counters, own.counters),
      thread: sum(past.thread, own.thread),
      latency: sum(past.latency, own.latency),
    };
    this.#past ??= own;
    this.#leaving = this.#leaving.filter((other) => other !== part);
    this.#tell();
  }

  stopped(): void {
    this.#parts = [];
    this.#leaving = [];
    this.#past = undefined;
    this.#observed.clear();
    this.#tell();
  }

  add(observer: Observer): () => void {
    if (this.#all.size === 0) this.#measureAll(true);
    this.#all.add(observer);
    observer(this.#observation());
    return () => {
      if (this.#all.delete(observer) && this.#all.size === 0) this.#measureAll(false);
    };
  }

  #tell(): void {
    const observation = this.#observation();
    for (const observer of this.#all) observer(observation);
  }

  #observation(): Observation | null {
    const [first, ...others] = [...this.#parts, ...this.#leaving].map((part) => {
      const ends = this.#leaving.includes(part);
      return { ...(this.#observed.get(part) as ObservedSocket), ends };
    });
    return first === undefined ? null : { ...first, run: this.#run, others, past: this.#past, ...this.#more };
  }

  #measureAll(wanted: boolean): void {
    for (const part of this.#observed.keys()) this.#measure(part, wanted);
  }

  // Where the kernel refuses SO_TIMESTAMPNS, the histogram stays empty.
  #measure(part: ObservedPart, wanted: boolean): void {
    part.thread.native.measureLatency(part.id, wanted ? (this.#observed.get(part)?.latency ?? null) : null);
  }
}
