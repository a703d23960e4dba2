// Who watches a server: each is told what to read while it runs.
import { LATENCY_CELLS } from '../backend/layout.js';
import type { Observation } from '../thread/observation.js';
import type { ServerPart } from './part.js';

/** Is told what to read when the server starts, and null when it has stopped. */
export type Observer = (observation: Observation | null) => void;

/** Servers have a method of this name: it adds an observer, tells it how things are, and returns what removes it. */
export const observe: unique symbol = Symbol('ksocket.observe');

/** The observers of one server. Latencies are measured while there is one. */
export class Observers {
  readonly #all = new Set<Observer>();
  #running: { parts: readonly ServerPart[]; observation: Observation } | undefined;

  started(parts: readonly ServerPart[]): void {
    const [first, ...others] = parts.map(({ thread, id }): Observation => {
      const latency = new BigUint64Array(new SharedArrayBuffer(LATENCY_CELLS * 8));
      return { ...thread.shared(id), latency };
    });
    this.#running = { parts, observation: { ...first, others } };
    if (this.#all.size > 0) this.#measure(true);
    for (const observer of this.#all) observer(this.#running.observation);
  }

  stopped(): void {
    this.#running = undefined;
    for (const observer of this.#all) observer(null);
  }

  add(observer: Observer): () => void {
    if (this.#all.size === 0) this.#measure(true);
    this.#all.add(observer);
    observer(this.#running?.observation ?? null);
    return () => {
      if (this.#all.delete(observer) && this.#all.size === 0) this.#measure(false);
    };
  }

  // Where the kernel refuses SO_TIMESTAMPNS, the histogram stays empty.
  #measure(wanted: boolean): void {
    if (this.#running === undefined) return;
    const { parts, observation } = this.#running;
    const all = [observation, ...(observation.others ?? [])];
    parts.forEach(({ thread, id }, i) => void thread.native.measureLatency(id, wanted ? all[i].latency : null));
  }
}
