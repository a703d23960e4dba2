// How cost grows: one scenario for each point of each chart.
import { atLeast, atMost } from '../harness/goals.mjs';
import { entry } from './entry.mjs';

/** @param {object} [options] of the roles, `sink` of the C program */
function compared(options = {}, sink = {}) {
  return [
    entry('ksocket', 'receive', options),
    entry('ksocket', 'receive-batch', options, "ksocket 'batch'"),
    entry('dgram', 'receive', options),
    entry('bun', 'receive', options),
    entry('c', 'sink', sink),
  ];
}

/**
 * @param {{ id: string, title: string, xLabel: string }} series
 * @param {number[]} points
 * @param {(x: number) => { load: object, entries?: import('./entry.mjs').Entry[] }} at
 * @returns {import('./entry.mjs').Scenario[]}
 */
function grow(series, points, at) {
  return points.map((x) => ({
    id: `series/${series.id}/${x}`,
    title: `${series.title}: ${x}`,
    kind: 'receive',
    show: ['rate', 'cpuNs', 'offered'],
    entries: compared(),
    goals: [],
    series: { ...series, x },
    ...at(x),
  }));
}

/** @type {import('./entry.mjs').Scenario[]} */
export const series = [
  ...grow(
    { id: 'payload', title: 'payload', xLabel: 'payload bytes' },
    [0, 16, 64, 256, 512, 1024, 1472, 4096, 8192, 16384, 32768, 65507],
    (size) => ({
      load: { command: 'flood', size, connect: true },
      goals:
        size >= 4096
          ? [
              atLeast(1, 'rate', 'ksocket', 'node:dgram'),
              atLeast(1, 'rate', 'ksocket', 'Bun'),
              atMost(1, 'cpuNs', 'ksocket', 'Bun'),
            ]
          : [],
    }),
  ),
  ...grow(
    { id: 'sources', title: 'source addresses', xLabel: 'source addresses' },
    [1, 10, 100, 1000, 10_000],
    (sources) => ({ load: { command: 'flood', size: 64, sources } }),
  ),
  ...grow(
    { id: 'sockets', title: 'sockets in one process', xLabel: 'sockets' },
    [1, 10, 100, 1000, 10_000],
    (sockets) => ({
      load: { command: 'flood', size: 64 },
      entries: compared({ sockets }, { sockets }),
    }),
  ),
  ...grow(
    { id: 'segments', title: 'GSO segments of a send', xLabel: 'segments' },
    [1, 2, 4, 8, 16, 32, 64, 128],
    (gso) => ({
      load: { command: 'flood', size: 64, gso, connect: true },
      entries: compared({}, { gro: true }),
    }),
  ),
  ...grow(
    { id: 'paced', title: 'paced rate', xLabel: 'datagrams/s sent' },
    [10, 100, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000],
    (rate) => ({
      load: { command: 'paced', size: 64, rate },
      show: ['cpuNs', 'rate', 'offered'],
    }),
  ),
  // A program's first seconds: most of what is measured is code that has just been compiled, or not yet.
  ...grow(
    { id: 'paced-first', title: 'paced, the first 3 s', xLabel: 'datagrams/s sent' },
    [10, 100, 1000, 5000],
    (rate) => ({
      load: { command: 'paced', size: 64, rate },
      show: ['cpuNs', 'rate', 'offered'],
      warmupSeconds: 0,
      seconds: 3,
      goals: rate >= 100 ? [atMost(1.1, 'cpuNs', 'ksocket', 'node:dgram')] : [],
    }),
  ),
  ...grow({ id: 'paced-warm', title: 'paced, after 10 s', xLabel: 'datagrams/s sent' }, [100, 1000, 5000], (rate) => ({
    load: { command: 'paced', size: 64, rate },
    show: ['cpuNs', 'rate', 'offered'],
    warmupSeconds: 10,
    seconds: 3,
    goals: [atMost(0.9, 'cpuNs', 'ksocket', 'node:dgram'), atMost(1.2, 'cpuNs', 'ksocket', 'Bun')],
  })),
  ...grow(
    { id: 'echo-paced', title: 'echo in JavaScript, paced', xLabel: 'questions/s' },
    [100, 1000, 10_000],
    (rate) => ({
      kind: 'echo',
      load: { size: 64, rate },
      show: ['p50Us', 'cpuNs', 'p99Us'],
      entries: ['ksocket', 'dgram', 'bun', 'c'].map((peer) => entry(peer, 'echo')),
      goals: [atMost(0.9, 'p50Us', 'ksocket', 'node:dgram'), atMost(1, 'p50Us', 'ksocket', 'Bun')],
    }),
  ),
];
