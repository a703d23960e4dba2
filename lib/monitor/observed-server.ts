// One server or collector, as the monitor's thread sees it. The memory of its latest run stays readable after it has stopped.
import { readFileSync } from 'node:fs';
import { C_HEAD, C_TAIL, C_THREAD_ID } from '../backend/layout.js';
import {
  readServerStats,
  readTunnelCounters,
  type ServerStats,
  sumStats,
  type TunnelCounters,
} from '../thread/counters.js';
import type { Counted, Observation, ObservedSocket } from '../thread/observation.js';
import type { CollectorFigures } from './collector-metrics.js';
import { Latencies } from './latency.js';

/** What the monitor's thread is told of a server. */
export interface ServerSource {
  /** `127.0.0.1:2325` */
  name: string;
  /** Is it one, and no server? */
  tunnel?: boolean;
  running: boolean;
  /** Of the latest run; null before the first. */
  observation: Observation | null;
  /** Of a collector: what it counts beside its socket, as it was a moment ago. */
  figures?: CollectorFigures;
}

/** proc(5) counts processor time in hundredths of a second, whatever the kernel's own clock does. */
const TICKS_PER_SECOND = 100;

export class ObservedServer {
  #source: ServerSource;
  readonly #cpuSeconds = new Map<number, number>(); // of the run's threads, by their numbers; also of those that have ended

  constructor(source: ServerSource) {
    this.#source = source;
  }

  set source(source: ServerSource) {
    if (source.observation?.run !== this.run) this.#cpuSeconds.clear();
    this.#source = source;
  }

  get name(): string {
    return this.#source.name;
  }

  get engine(): string | null {
    return this.#source.observation?.engine ?? null;
  }

  get isTunnel(): boolean {
    return this.#source.tunnel === true;
  }

  /** What a tunnel counts beside what its socket does; null: it is none, or was not started yet. */
  tunnel(): TunnelCounters | null {
    const cells = this.#source.observation?.tunnel;
    return cells === undefined ? null : readTunnelCounters(cells);
  }

  /** Has it been started, and not stopped? */
  get running(): boolean {
    return this.#source.running;
  }

  set figures(figures: CollectorFigures | undefined) {
    this.#source = { ...this.#source, figures };
  }

  /** Undefined of a server. */
  get figures(): CollectorFigures | undefined {
    return this.#source.figures;
  }

  /** A number for the run: what was counted in another run cannot be compared. */
  get run(): number | null {
    return this.#source.observation?.run ?? null;
  }

  stats(): ServerStats | null {
    const all = this.#counted();
    if (all.length === 0) return null;
    const rows = all.map(({ counters, thread }) => readServerStats(counters, thread));
    const kernel = this.#source.observation?.kernel;
    return sumStats(
      kernel === undefined ? rows : [...rows, readServerStats(kernel, new BigUint64Array(kernel.length))],
    );
  }

  latencies(): Latencies | null {
    const all = this.#counted();
    return all.length === 0 ? null : Latencies.read(...all.map(({ latency }) => latency));
  }

  /** Records that wait in the receive ring for JavaScript, and how many it can hold. */
  ring(): { records: number; capacity: number } | null {
    const all = this.#all();
    if (all.length === 0) return null;
    let [records, capacity] = [0, 0];
    for (const { control, ringSlots } of all) {
      const waiting = (Atomics.load(control, C_HEAD >> 2) - Atomics.load(control, C_TAIL >> 2)) >>> 0;
      if (this.running) records += Math.min(waiting, ringSlots);
      capacity += ringSlots;
    }
    return { records, capacity };
  }

  /** The native threads: do they live, and how much processor time have they had? */
  thread(): { alive: boolean; cpuSeconds: number } {
    const all = this.#all().map(({ control, ends }) => {
      const id = Atomics.load(control, C_THREAD_ID >> 2);
      const { alive, cpuSeconds } = threadTime(id);
      this.#cpuSeconds.set(id, Math.max(cpuSeconds, this.#cpuSeconds.get(id) ?? 0));
      return alive || ends;
    });
    const alive = all.length > 0 && all.every((each) => each);
    return { alive, cpuSeconds: [...this.#cpuSeconds.values()].reduce((sum, seconds) => sum + seconds, 0) };
  }

  /** What each shard has counted, and those that are gone. */
  #counted(): Counted[] {
    const past = this.#source.observation?.past;
    return past === undefined ? this.#all() : [...this.#all(), past];
  }

  /** Of each shard. */
  #all(): ObservedSocket[] {
    const { observation } = this.#source;
    return observation === null ? [] : [observation, ...(observation.others ?? [])];
  }
}

function threadTime(id: number): { alive: boolean; cpuSeconds: number } {
  if (id === 0) return { alive: false, cpuSeconds: 0 };
  try {
    const { state, cpuSeconds } = readStat(readFileSync(`/proc/self/task/${id}/stat`, 'latin1'));
    return { alive: !'ZXx'.includes(state), cpuSeconds };
  } catch (error) {
    // ESRCH, ENOENT: it has ended without saying so. Anything else is about /proc, not about the thread.
    const gone = ['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '');
    return { alive: !(gone && procIsThere()), cpuSeconds: 0 };
  }
}

/** proc(5), /proc/pid/stat. The name may have spaces; the state is what follows its parenthesis. */
export function readStat(stat: string): { state: string; cpuSeconds: number } {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [userTicks, systemTicks] = [Number(fields[11]), Number(fields[12])];
  return { state: fields[0], cpuSeconds: (userTicks + systemTicks) / TICKS_PER_SECOND };
}

function procIsThere(): boolean {
  try {
    return readFileSync('/proc/self/comm').length > 0;
  } catch {
    return false;
  }
}
