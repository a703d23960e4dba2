import { atLeast, atMost } from '../harness/goals.mjs';
import { cWithGro, entry, gsoFlood, others, plainFlood } from './entry.mjs';

/** @returns {import('./entry.mjs').Scenario[]} */
export function receiving() {
  const plainGoals = [
    atLeast(2.5, 'rate', 'ksocket', 'node:dgram'),
    atLeast(1, 'rate', 'ksocket', 'Bun'),
    atMost(1, 'cpuNs', 'ksocket', 'Bun'),
    atMost(1.7, 'cpuNs', 'ksocket', 'C'),
  ];
  return [
    {
      id: 'receive/flood-plain',
      title: "flood to 'message', plain receive path (GRO off)",
      kind: 'receive',
      show: ['rate', 'cpuNs', 'offered'],
      load: plainFlood,
      entries: [
        entry('ksocket', 'receive', { socketOptions: { gro: false } }),
        ...others('receive'),
        entry('deno-dgram', 'receive'),
        entry('c', 'sink'),
      ],
      goals: plainGoals,
    },
    {
      // On a machine where sending costs more than receiving, everybody receives all of a plain flood, and
      // the row above compares nothing. Here the sender joins and the kernel splits before the socket: the
      // receive path is the same, one buffer a datagram, and the receiver is what is at its limit.
      id: 'receive/flood-split-by-kernel',
      title: "flood to 'message', GRO off, sender uses GSO (the kernel splits)",
      kind: 'receive',
      show: ['rate', 'cpuNs', 'offered'],
      load: gsoFlood(64),
      entries: [
        entry('ksocket', 'receive', { socketOptions: { gro: false } }),
        ...others('receive'),
        entry('c', 'sink'),
      ],
      goals: [
        atLeast(2.5, 'rate', 'ksocket', 'node:dgram'),
        atLeast(1, 'rate', 'ksocket', 'Bun'),
        atMost(0.8, 'cpuNs', 'ksocket', 'Bun'),
        atMost(1.5, 'cpuNs', 'ksocket', 'C'),
      ],
    },
    {
      id: 'receive/flood-gro',
      title: "flood to 'message' with GRO (sender uses GSO)",
      kind: 'receive',
      show: ['rate', 'cpuNs', 'offered'],
      load: gsoFlood(64),
      entries: [entry('ksocket', 'receive'), ...others('receive'), cWithGro()],
      goals: [atLeast(24, 'rate', 'ksocket', 'node:dgram')],
    },
    {
      id: 'receive/batch-gro',
      title: "flood to 'batch' with GRO",
      kind: 'receive',
      show: ['rate', 'cpuNs', 'offered'],
      load: gsoFlood(64),
      entries: [
        entry('ksocket', 'receive-batch', {}, "ksocket 'batch'"),
        entry('ksocket', 'receive-batch-data', {}, "ksocket 'batch', data(i)"),
        entry('dgram', 'receive'),
        cWithGro(),
      ],
      goals: [atLeast(0.95, 'rate', "ksocket 'batch'", 'C')],
    },
    {
      // Two senders and two threads that receive want four processors, and the event loop a fifth.
      id: 'receive/shards',
      title: 'flood of two senders, 64 sources, GRO off: one thread, and two shards',
      kind: 'receive',
      show: ['rate', 'cpuNs', 'cores', 'offered'],
      load: { ...plainFlood, sources: 32, senders: 2 },
      entries: ['receive', 'receive-batch'].flatMap((role) =>
        Object.entries({ 'one thread': { thread: 'dedicated' }, 'shards: 2': { shards: 2 } }).map(([name, options]) =>
          entry(
            'ksocket',
            role,
            { socketOptions: { gro: false, ...options } },
            `${role === 'receive' ? "'message'" : "'batch'"}, ${name}`,
          ),
        ),
      ),
      goals: [],
    },
    metadata('receive/metadata', 'all metadata asked for, GRO off', { gro: false }, gsoFlood(64)),
    metadata('receive/metadata-gro', 'all metadata asked for, with GRO', {}, gsoFlood(64)),
    {
      id: 'receive/flood-1400-gro',
      title: "1400 B with GRO, 'message'",
      kind: 'receive',
      show: ['rate', 'cpuNs', 'offered'],
      load: gsoFlood(1400),
      entries: [
        entry('ksocket', 'receive'),
        entry('ksocket', 'receive-batch', {}, "ksocket 'batch'"),
        ...others('receive'),
        cWithGro(),
      ],
      goals: [atLeast(8, 'rate', 'ksocket', 'node:dgram'), atLeast(0.8, 'rate', 'ksocket', 'C')],
    },
  ];
}

const allMetadata = {
  receiveLocal: true,
  receiveTos: true,
  receiveTtl: true,
  receiveTimes: true,
  receiveOriginalDst: true,
};

// What it costs that the kernel says more beside each datagram: the same socket with and without.
function metadata(id, title, socketOptions, load) {
  const asked = { socketOptions: { ...socketOptions, ...allMetadata } };
  return {
    id,
    title,
    kind: 'receive',
    show: ['cpuNs', 'rate', 'offered'],
    load,
    entries: [
      entry('ksocket', 'receive', { socketOptions }, "ksocket 'message'"),
      entry('ksocket', 'receive', asked, "ksocket 'message', metadata"),
      entry('ksocket', 'receive-batch', { socketOptions }, "ksocket 'batch'"),
      entry('ksocket', 'receive-batch', asked, "ksocket 'batch', metadata"),
    ],
    goals: [
      atMost(1.3, 'cpuNs', "ksocket 'message', metadata", "ksocket 'message'"),
      atMost(1.3, 'cpuNs', "ksocket 'batch', metadata", "ksocket 'batch'"),
    ],
  };
}
