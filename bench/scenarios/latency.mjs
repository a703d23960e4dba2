import { atMost } from '../harness/goals.mjs';
import { entry, gsoFlood, others, plainFlood } from './entry.mjs';

// As long as its request, and with the number that the client waits for.
const numbered = { match: {}, action: { reply: [{ slot: 'request', start: 0, end: 8 }, 'k'.repeat(56)] } };

/** @returns {import('./entry.mjs').Scenario[]} */
export function latency() {
  const busyPoll = { socketOptions: { busyPoll: 100 } };
  const columns = ['p50Us', 'p99Us', 'p999Us', 'cpuNs', 'sameCpu'];
  return [
    {
      id: 'echo/defaults',
      title: 'echo in JavaScript, defaults',
      kind: 'echo',
      show: columns,
      load: { size: 64 },
      entries: [
        entry('ksocket', 'echo'),
        entry('ksocket', 'echo-batch', {}, "ksocket 'batch' + reply"),
        ...others('echo'),
        entry('c', 'echo'),
      ],
      goals: [atMost(0.9, 'p50Us', 'ksocket', 'node:dgram'), atMost(1, 'p50Us', 'ksocket', 'Bun')],
    },
    {
      id: 'echo/busy-poll',
      title: 'echo in JavaScript, busyPoll',
      kind: 'echo',
      show: [...columns, 'cores'],
      load: { size: 64 },
      entries: [
        entry('ksocket', 'echo', busyPoll),
        entry('ksocket', 'echo-batch', busyPoll, "ksocket 'batch' + reply"),
        entry('dgram', 'echo'),
        entry('c', 'echo', { spin: true }, 'C, spinning'),
      ],
      goals: [atMost(1.3, 'p50Us', 'ksocket', 'C, spinning'), atMost(1.1, 'cores', 'ksocket')],
    },
    {
      id: 'echo/server',
      title: "echo from the server's own thread",
      kind: 'echo',
      show: columns,
      load: { size: 64 },
      entries: [
        entry('ksocket', 'echo-server', {}, 'ksocket Server'),
        entry('ksocket', 'answer', { serverOptions: { rules: [numbered] } }, 'ksocket Server, a reply by rule'),
        entry('c', 'echo'),
        entry('dgram', 'echo'),
      ],
      goals: [
        atMost(1.05, 'p50Us', 'ksocket Server', 'C'),
        atMost(1.05, 'p50Us', 'ksocket Server, a reply by rule', 'C'),
      ],
    },
    {
      // Nobody wakes up: the request is answered where the sender sends it. What that costs is the sender's.
      id: 'echo/kernel',
      title: 'echo from the kernel, by a rule (lo, generic XDP)',
      kind: 'echo',
      show: ['p50Us', 'p99Us', 'p999Us'],
      load: { size: 64 },
      ...echoOfKernel(),
    },
    {
      id: 'echo/kernel-veth',
      title: 'echo from the kernel, by a rule (a virtual cable, generic XDP)',
      kind: 'echo',
      cable: true,
      show: ['p50Us', 'p99Us', 'p999Us'],
      load: { size: 64 },
      ...echoOfKernel(),
    },
    {
      id: 'timers/flood',
      title: 'a 10 ms timer during a flood',
      kind: 'receive',
      show: ['lagWorstMs', 'lagMedianMs', 'rate'],
      load: plainFlood,
      entries: timed(),
      goals: [atMost(1.2, 'lagWorstMs', 'ksocket', 'node:dgram'), atMost(50, 'lagWorstMs', 'ksocket')],
    },
    {
      id: 'timers/flood-gso',
      title: 'a 10 ms timer during a flood of joined datagrams',
      kind: 'receive',
      show: ['lagWorstMs', 'lagMedianMs', 'rate'],
      load: gsoFlood(64),
      entries: timed(),
      goals: [],
    },
    {
      id: 'blocked/500ms',
      title: 'loop blocked 500 ms at 100 000/s',
      kind: 'blocked',
      show: ['lost', 'rate', 'cpuNs'],
      load: { command: 'paced', size: 64, rate: 100_000 },
      seconds: 1.5,
      entries: probed('blocked-loop', ['ksocket', 'dgram', 'dgram-newest', 'bun', 'deno', 'udx']),
      goals: [atMost(0, 'lost', 'ksocket')],
    },
    {
      id: 'memory/flood',
      title: 'memory after 60 s of flood',
      kind: 'receive',
      show: ['rssGrowth', 'rssPeakBytes', 'rssAddedBytes', 'rate'],
      load: gsoFlood(64),
      seconds: 60,
      quickSeconds: 9,
      rounds: 1,
      watchMemory: true,
      entries: [
        entry('ksocket', 'receive'),
        entry('ksocket', 'receive-batch', {}, "ksocket 'batch'"),
        entry('dgram', 'receive'),
        entry('bun', 'receive'),
      ],
      goals: [atMost(1.1, 'rssGrowth', 'ksocket')],
    },
  ];
}

/** The same rule in the kernel and on a thread, and programs that answer themselves. */
function echoOfKernel() {
  const serverOptions = { rules: [{ action: 'echo' }] };
  return {
    entries: [
      entry('ksocket', 'answer-kernel', { serverOptions }, 'ksocket Server, kernel'),
      entry('ksocket', 'answer', { serverOptions }, 'ksocket Server'),
      entry('c', 'echo'),
      entry('dgram', 'echo'),
    ],
    goals: [atMost(0.4, 'p50Us', 'ksocket Server, kernel', 'C')],
  };
}

function probed(probe, peers) {
  return peers.map((peer) => entry(peer, 'receive', { probes: [probe] }));
}

function timed() {
  return probed('timer-lag', ['ksocket', 'dgram', 'dgram-newest', 'bun', 'deno', 'udx']);
}
