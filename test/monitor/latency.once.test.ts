// What is read from a latency histogram: eight buckets to each power of two of microseconds.
import assert from 'node:assert/strict';
import { LATENCY_CELLS, LATENCY_SUM } from '../../build-lib/backend/layout.js';
import { LATENCY_US_MAX, Latencies } from '../../build-lib/monitor/latency.js';
import { test } from '../support/test.js';

/** So many datagrams in each of these buckets. */
function latencies(counts: Record<number, number>, sumNs = 0): Latencies {
  const cells = new BigUint64Array(LATENCY_CELLS);
  for (const [bucket, count] of Object.entries(counts)) cells[Number(bucket)] = BigInt(count);
  cells[LATENCY_SUM] = BigInt(sumNs);
  return Latencies.read(cells);
}

test('buckets begin at each microsecond, then eight to a power of two, up to 16.8 s', () => {
  const starts = [0, 1, 7, 8, 9, 15, 16, 17, 24, 31, 32, 40].map((bucket) => latencies({ [bucket]: 1 }).filled[0]);
  assert.deepEqual(
    starts.map(([startUs]) => startUs),
    [0, 1, 7, 8, 9, 15, 16, 18, 32, 60, 64, 128],
  );
  assert.equal(LATENCY_US_MAX, 2 ** 24);
});

test('a quantile is the end of the bucket that has the last of its share', () => {
  const four = latencies({ 2: 1, 5: 2, 17: 1 });
  assert.equal(four.count, 4);
  const quantiles: [number, number][] = [
    [0, 3],
    [0.25, 3],
    [0.26, 6],
    [0.75, 6],
    [0.76, 20],
    [1, 20],
  ];
  for (const [share, us] of quantiles) assert.equal(four.quantileUs(share), us, `${share}`);
  assert.equal(latencies({}).quantileUs(0.5), null);
  const last = latencies({}).counts.length - 1;
  assert.equal(latencies({ [last]: 1 }).quantileUs(0.5), LATENCY_US_MAX);
  assert.equal(latencies({ [last - 1]: 1 }).quantileUs(0.5), LATENCY_US_MAX);
});

test('below counts whole buckets, filled lists those that have something', () => {
  const three = latencies({ 2: 1, 5: 2, 17: 1 });
  assert.deepEqual(
    [0, 2, 3, 5, 6, 18, 20].map((us) => three.below(us)),
    [0, 0, 1, 1, 3, 3, 4],
  );
  assert.deepEqual(three.filled, [
    [2, 1],
    [5, 2],
    [18, 1],
  ]);
});

test('since says what was added, and nothing less than nothing', () => {
  const added = latencies({ 2: 5, 5: 2 }, 9000).since(latencies({ 2: 1, 5: 2, 6: 1 }, 4000));
  assert.deepEqual([added.filled, added.sumNs], [[[2, 4]], 5000]);
  assert.equal(latencies({}, 1).since(latencies({}, 2)).sumNs, 0);
});
