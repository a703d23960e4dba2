// The line that `ksocket collect` keeps on a terminal.
import { MultiBar } from 'cli-progress';
import type { CollectorStats } from '../collect/index.js';

const EVERY_MS = 1000;
const FORMAT =
  '{received}/s, {bytes}/s | in flight {batches} batches, {datagrams} datagrams | dropped {dropped}{state}';

/** 950, 1.25 k, 12.5 M */
export function scaled(value: number, unit = ''): string {
  let rest = value;
  let step = 0;
  for (; rest >= 999.5 && step < 4; step++) rest /= 1000;
  const digits = rest >= 99.95 || step === 0 ? 0 : rest >= 9.995 ? 1 : 2;
  const prefix = ['', 'k', 'M', 'G', 'T'][step];
  return `${rest.toFixed(digits)}${prefix || unit ? ' ' : ''}${prefix}${unit}`;
}

/** What has been lost, for whatever reason. */
export function droppedOf({ socket, refusedDatagrams, unsortedDatagrams, abandonedDatagrams }: CollectorStats): number {
  const { rxKernelDrops, rxRingDrops, rxQueueDrops, rxCloseDrops } = socket;
  return (
    rxKernelDrops +
    rxRingDrops +
    rxQueueDrops +
    rxCloseDrops +
    refusedDatagrams +
    unsortedDatagrams +
    abandonedDatagrams
  );
}

/** What the line says of the time since `before`. */
export function progressOf(stats: CollectorStats, before: CollectorStats, seconds: number): Record<string, string> {
  const rate = (name: 'receivedDatagrams' | 'receivedBytes') => Math.max(0, stats[name] - before[name]) / seconds;
  const { openDatagrams, inFlightDatagrams, inFlightBatches, failing } = stats;
  const losing = (droppedOf(stats) - droppedOf(before)) / seconds;
  return {
    received: scaled(rate('receivedDatagrams')),
    bytes: scaled(rate('receivedBytes'), 'B'),
    batches: `${inFlightBatches}`,
    datagrams: scaled(openDatagrams + inFlightDatagrams),
    dropped: `${scaled(droppedOf(stats))}${losing > 0 ? ` (${scaled(losing)}/s)` : ''}`,
    state: failing > 0 ? ' | NOT WRITING' : stats.pauses > before.pauses ? ' | window full' : '',
  };
}

/** One line at the bottom, above which log() writes. */
export class Progress {
  readonly #bars = new MultiBar({
    format: FORMAT,
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
    fps: 4,
  });
  readonly #timer: NodeJS.Timeout;

  constructor(read: () => CollectorStats) {
    let [before, at] = [read(), performance.now()];
    const bar = this.#bars.create(1, 0, progressOf(before, before, 1));
    this.#timer = setInterval(() => {
      const [stats, now] = [read(), performance.now()];
      bar.update(progressOf(stats, before, Math.max(0.001, (now - at) / 1000)));
      [before, at] = [stats, now];
    }, EVERY_MS).unref();
  }

  log(line: string): void {
    this.#bars.log(`${line}\n`);
  }

  /** The terminal is as it was before. */
  stop(): void {
    clearInterval(this.#timer);
    this.#bars.update(); // what has been logged
    this.#bars.stop();
  }
}
