import { atLeast, atMost } from '../harness/goals.mjs';
import { cWithGro, entry, others } from './entry.mjs';

/** @returns {import('./entry.mjs').Scenario[]} */
export function sending() {
  const sendOne = { size: 64, batch: 1024 };
  const sendThousand = { size: 64, batch: 1000 };
  return [
    {
      id: 'send/one-peer',
      title: 'send to one peer, sendMany',
      kind: 'send',
      show: ['rate', 'cpuNs', 'delivered'],
      sink: { gro: true },
      entries: [
        entry('ksocket', 'send-many', sendOne),
        entry('ksocket', 'send-list', sendOne, 'ksocket, a list'),
        entry('ksocket', 'send-list', { ...sendOne, distinct: true }, 'ksocket, a list of different payloads'),
        entry('ksocket', 'send-segments', sendOne, 'ksocket, segmentSize'),
        entry('dgram', 'send', sendOne),
        entry('dgram-newest', 'send', sendOne),
        entry('bun', 'send-many', sendOne),
        entry('deno', 'send', sendOne),
        entry('udx', 'send', sendOne),
        entry('c', 'sender-limit', { size: 64, gso: 128 }),
      ],
      goals: [
        atLeast(45, 'rate', 'ksocket', 'node:dgram'),
        atLeast(0.7, 'rate', 'ksocket', 'C'),
        atMost(60, 'cpuNs', 'ksocket'),
        atLeast(0.7, 'rate', 'ksocket, a list', 'C'),
        atMost(60, 'cpuNs', 'ksocket, a list'),
        atLeast(0.9, 'rate', 'ksocket, segmentSize', 'C'),
      ],
    },
    {
      id: 'send/metadata',
      title: 'send to one peer, sendMany of a list, each with DSCP, hop limit and source address',
      kind: 'send',
      show: ['cpuNs', 'rate', 'delivered'],
      sink: { gro: true },
      entries: [
        entry('ksocket', 'send-list', sendOne, 'ksocket, a list'),
        entry(
          'ksocket',
          'send-list',
          { ...sendOne, say: { dscp: 46, ttl: 9, local: '127.0.0.1' } },
          'ksocket, metadata',
        ),
      ],
      goals: [atMost(1.3, 'cpuNs', 'ksocket, metadata', 'ksocket, a list')],
    },
    {
      id: 'send/one-peer-connected',
      title: 'send to one peer, connected socket, sendMany',
      kind: 'send',
      show: ['rate', 'cpuNs', 'delivered'],
      sink: { gro: true },
      entries: [
        entry('ksocket', 'send-many', { ...sendOne, connected: true }),
        entry('dgram', 'send', { ...sendOne, connected: true }),
        entry('dgram-newest', 'send', { ...sendOne, connected: true }),
        entry('bun', 'send-many', { ...sendOne, connected: true }),
        entry('c', 'sender-limit', { size: 64, gso: 128, connect: true }),
      ],
      goals: [],
    },
    {
      id: 'send/callbacks',
      title: 'send to one peer, send() with callbacks, 64 outstanding',
      kind: 'send',
      show: ['rate', 'cpuNs', 'delivered'],
      sink: { gro: true },
      entries: [
        entry('ksocket', 'send-callbacks', { size: 64, outstanding: 64 }),
        ...others('send-callbacks', { size: 64, outstanding: 64 }),
      ],
      goals: [atLeast(8, 'rate', 'ksocket', 'node:dgram')],
    },
    {
      id: 'send/1000-peers',
      title: 'send to 1 000 peers round-robin',
      kind: 'send',
      show: ['rate', 'cpuNs', 'delivered'],
      sink: { sockets: 1000 },
      entries: [
        entry('ksocket', 'send-many', sendThousand),
        entry('dgram', 'send', sendThousand),
        entry('dgram-newest', 'send', sendThousand),
        entry('bun', 'send-many', sendThousand),
        entry('deno', 'send', sendThousand),
        entry('udx', 'send', sendThousand),
        entry('c', 'sender-limit', { size: 64, batch: 1000 }),
      ],
      goals: [atLeast(1.2, 'rate', 'ksocket', 'node:dgram'), atMost(0.75, 'cpuNs', 'ksocket', 'node:dgram')],
    },
    {
      id: 'pair/one-peer',
      title: 'JS to JS, two processes, one peer',
      kind: 'pair',
      show: ['rate', 'cpuNs', 'offered', 'cores'],
      entries: [
        pairOf(entry('ksocket', 'receive'), 'send-many', sendOne),
        pairOf(entry('ksocket', 'receive-batch', {}, "ksocket 'batch'"), 'send-many', sendOne),
        pairOf(entry('dgram', 'receive'), 'send', sendOne),
        pairOf(entry('dgram-newest', 'receive'), 'send', sendOne),
        pairOf(entry('bun', 'receive'), 'send-many', sendOne),
        pairOf(entry('deno', 'receive'), 'send', sendOne),
        pairOf(entry('udx', 'receive'), 'send', sendOne),
        pairOf(cWithGro(), 'sender-limit', { size: 64, gso: 128 }),
      ],
      goals: [atLeast(12, 'rate', 'ksocket', 'node:dgram')],
    },
  ];
}

/** @returns {import('./entry.mjs').Entry} */
function pairOf(receiver, senderRole, senderOptions) {
  return { ...receiver, senderRole, senderOptions };
}
