// Reads the histogram that native/core/memory/latency_histogram.h fills: eight buckets to each power of two of microseconds.
import { LATENCY_BUCKETS, LATENCY_SUB_BUCKET_BITS, LATENCY_SUM } from '../backend/layout.js';

const PER_OCTAVE = 1 << LATENCY_SUB_BUCKET_BITS;

/** Where a bucket begins, in microseconds; it ends where the next one begins. */
function bucketStartUs(bucket: number): number {
  if (bucket < PER_OCTAVE) return bucket;
  const shift = (bucket >> LATENCY_SUB_BUCKET_BITS) - 1;
  return (PER_OCTAVE + (bucket & (PER_OCTAVE - 1))) * 2 ** shift;
}

/** 16.8 s: the last bucket has all that took longer. */
export const LATENCY_US_MAX = bucketStartUs(LATENCY_BUCKETS - 1);

/** What a histogram said at some time. */
export class Latencies {
  readonly counts: Float64Array;
  readonly sumNs: number;

  private constructor(counts: Float64Array, sumNs: number) {
    this.counts = counts;
    this.sumNs = sumNs;
  }

  /** What all of these have counted together. */
  static read(...all: BigUint64Array[]): Latencies {
    const sum = (cell: number) => all.reduce((total, cells) => total + Number(cells[cell]), 0);
    return new Latencies(
      Float64Array.from({ length: LATENCY_BUCKETS }, (_, i) => sum(i)),
      sum(LATENCY_SUM),
    );
  }

  /** What has been added since `earlier`. */
  since(earlier: Latencies): Latencies {
    return new Latencies(
      this.counts.map((count, i) => Math.max(0, count - earlier.counts[i])),
      Math.max(0, this.sumNs - earlier.sumNs),
    );
  }

  get count(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  /** Microseconds that a share `q` (0 to 1) of the datagrams did not exceed, to an eighth: the end of the bucket in
   * which the last of them lies. Null when there are none. */
  quantileUs(q: number): number | null {
    const { count } = this;
    if (count === 0) return null;
    const rank = Math.max(1, Math.ceil(q * count));
    let seen = 0;
    for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
      seen += this.counts[bucket];
      if (seen >= rank) return bucketStartUs(Math.min(bucket + 1, LATENCY_BUCKETS - 1));
    }
    return LATENCY_US_MAX;
  }

  /** How many took less than `us`, which has to be where a bucket begins. */
  below(us: number): number {
    let sum = 0;
    for (let bucket = 0; bucket < LATENCY_BUCKETS && bucketStartUs(bucket) < us; bucket++) sum += this.counts[bucket];
    return sum;
  }

  /** The buckets with something in them. */
  get filled(): [startUs: number, count: number][] {
    const out: [number, number][] = [];
    this.counts.forEach((count, bucket) => {
      if (count > 0) out.push([bucketStartUs(bucket), count]);
    });
    return out;
  }
}
