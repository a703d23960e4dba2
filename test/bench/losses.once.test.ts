// Where the benchmark says that others are better.
import assert from 'node:assert/strict';
import { test } from '../support/test.js';

const { lossesOf } = await import(new URL('../../bench/harness/losses.mjs', import.meta.url).href);

interface Entry {
  name: string;
  peer: string;
  env?: Record<string, string>;
  [metric: string]: unknown;
}

const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1];

/** An entry with the figures of its rounds. */
function entry(name: string, peer: string, metrics: Record<string, number[]>, env?: Record<string, string>): Entry {
  const rounds = Object.values(metrics)[0].map((_, round) => ({
    round,
    ...Object.fromEntries(Object.entries(metrics).map(([metric, values]) => [metric, values[round]])),
  }));
  const summary = Object.fromEntries(
    Object.entries(metrics).map(([metric, values]) => [metric, { median: median(values) }]),
  );
  return { name, peer, env, summary, samples: rounds };
}

function losses(show: string[], entries: Entry[]): string[] {
  const found = lossesOf([{ id: 'x', title: 'X', show, entries }]);
  return found.map(({ metric, own, rival, factor }: { metric: string; own: string; rival: string; factor: number }) => {
    return `${metric}: ${rival} over ${own} by ${factor}`;
  });
}

test('what is better in every round is named, where more is better and where less is', () => {
  const entries = [
    entry('ksocket', 'ksocket', { rate: [100, 110, 90], cpuNs: [10, 12, 11], offered: [900, 900, 900] }),
    entry('Bun', 'bun', { rate: [200, 220, 180], cpuNs: [5, 6, 5.5], offered: [900, 900, 900] }),
  ];
  assert.deepEqual(losses(['rate', 'cpuNs', 'offered'], entries), [
    'rate: Bun over ksocket by 2',
    'cpuNs: Bun over ksocket by 2',
  ]);
});

test('one round in which ksocket is better is within the spread', () => {
  const entries = [
    entry('ksocket', 'ksocket', { cpuNs: [10, 12, 5] }),
    entry('node:dgram', 'dgram', { cpuNs: [8, 8, 8] }),
  ];
  assert.deepEqual(losses(['cpuNs'], entries), []);
});

test('the largest comes first, and each of our entries is judged, but not another build, and C is no rival', () => {
  const entries = [
    entry('ksocket', 'ksocket', { p50Us: [30, 30, 30] }),
    entry("ksocket 'batch'", 'ksocket', { p50Us: [40, 40, 40] }),
    entry('ksocket (other)', 'ksocket', { p50Us: [90, 90, 90] }, { KSOCKET_DIR: 'elsewhere' }),
    entry('udx-native', 'udx', { p50Us: [20, 20, 20] }),
    entry('C', 'c', { p50Us: [10, 10, 10] }),
  ];
  assert.deepEqual(losses(['p50Us'], entries), [
    "p50Us: udx-native over ksocket 'batch' by 2",
    'p50Us: udx-native over ksocket by 1.5',
  ]);
});

test('a rate that is the sender’s is no loss', () => {
  const entries = [
    entry('ksocket', 'ksocket', { rate: [99, 99, 99], offered: [100, 100, 100] }),
    entry('Deno', 'deno', { rate: [140, 140, 140], offered: [150, 150, 150] }),
  ];
  assert.deepEqual(losses(['rate'], entries), []);
});

test('datagrams lost where others lose none are a loss without bound', () => {
  const entries = [entry('ksocket', 'ksocket', { lost: [3, 4, 5] }), entry('node:dgram', 'dgram', { lost: [0, 0, 0] })];
  assert.deepEqual(losses(['lost'], entries), ['lost: node:dgram over ksocket by Infinity']);
});
