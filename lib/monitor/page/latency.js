// The distribution of latencies: a bar for each bucket between the shortest and the longest.
import { axis, axisWidth, card, colour, fit, PADDING, steer } from '/charts.js';
import * as format from '/format.js';
import uPlot from '/uplot.js';

const EIGHTHS = 8;

/** In which bucket `us` is, with how far into it as its fraction, and back: native/core/memory/latency_histogram.h has the
 * drawing. */
function bucketOf(us) {
  if (us < EIGHTHS) return us;
  const octave = Math.floor(Math.log2(us));
  return (octave - 2) * EIGHTHS + us / 2 ** (octave - 3) - EIGHTHS;
}
function startOf(bucket) {
  if (bucket < EIGHTHS) return bucket;
  return (EIGHTHS + (bucket % EIGHTHS)) * 2 ** (Math.floor(bucket / EIGHTHS) - 1);
}

const text = (us) => format.joined(format.microseconds(us));

/** Round figures by their place on the axis: powers of ten, and where those are few, 2 and 5 of them. */
function labelsBetween(first, last) {
  for (const steps of [[1], [1, 2, 5]]) {
    const labels = new Map();
    for (let power = 1; power < 1e8; power *= 10) {
      for (const step of steps) {
        const place = bucketOf(power * step);
        if (place >= first && place <= last) labels.set(place, power * step);
      }
    }
    if (labels.size > 2 || steps.length > 1) return labels;
  }
}

export class LatencyChart {
  #parts;
  #plot;
  #range = [0, 8];
  #labels = new Map();

  constructor(parent) {
    const series = [{ label: 'datagrams', colour: 'blue' }];
    this.#parts = card({ title: 'Latency distribution', series });
    parent.append(this.#parts.figure);
    const { plot: room } = this.#parts;
    this.#plot = new uPlot(
      {
        width: room.clientWidth || 300,
        height: room.clientHeight || 168,
        legend: { show: false },
        padding: [PADDING[0], 22, 0, 0], // half of a label of the last bar
        cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
        scales: {
          x: { time: false, range: () => [this.#range[0] - 0.5, this.#range[1] + 0.5] },
          y: { range: (_, _min, max) => [0, Math.max(1, (max ?? 0) * 1.08)] },
        },
        axes: [
          axis((_, places) => places.map((place) => text(this.#labels.get(place))), {
            splits: () => [...this.#labels.keys()],
            size: 26,
            grid: { show: false },
          }),
          axis((_, splits) => splits.map((n) => format.joined(format.count(n))), { space: 36, size: axisWidth }),
        ],
        series: [
          {},
          {
            stroke: () => colour('blue'),
            fill: () => `${colour('blue')}b0`,
            width: 0,
            paths: uPlot.paths.bars({ size: [0.86, 60] }),
            points: { show: false },
          },
        ],
        hooks: { setCursor: [() => this.#tell()] },
      },
      [[], []],
      room,
    );
    fit(this.#plot, room);
    steer(this.#plot, room, () => {
      const counts = this.#plot.data[1];
      return { first: 0, last: counts.length - 1, start: counts.indexOf(Math.max(...counts)) };
    });
  }

  /** `latency` as in /stats.json, or null. */
  update(latency) {
    const filled = (latency?.buckets ?? []).map(([us, count]) => [bucketOf(us), count]);
    // A few on each side, so that a single bar does not fill the chart.
    const first = Math.max(0, (filled[0]?.[0] ?? 0) - 2);
    const last = Math.max(first + 8, (filled.at(-1)?.[0] ?? 0) + 2);
    this.#range = [first, last];
    this.#labels = labelsBetween(first, last);
    const counts = new Map(filled);
    const buckets = Array.from({ length: last - first + 1 }, (_, i) => first + i);
    this.#plot.setData([buckets, buckets.map((bucket) => counts.get(bucket) ?? 0)]);
    this.#tell();
  }

  redraw() {
    this.#plot.redraw(false);
  }

  #tell() {
    const [buckets, counts] = this.#plot.data;
    const at = this.#plot.cursor.left >= 0 ? this.#plot.cursor.idx : null;
    const all = counts.reduce((sum, count) => sum + count, 0);
    const said =
      at === null || at === undefined
        ? `${format.joined(format.count(all))}`
        : `${format.joined(format.count(counts[at]))} from ${text(startOf(buckets[at]))} to ${text(startOf(buckets[at] + 1))}`;
    this.#parts.values[0].textContent = said;
    this.#parts.plot.setAttribute('aria-label', `Latency distribution: datagrams ${said}`);
  }
}
