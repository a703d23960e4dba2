import { atLeast, atMost, atMostMore } from '../harness/goals.mjs';
import { entry } from './entry.mjs';

/** @returns {import('./entry.mjs').Scenario[]} */
export function manySockets() {
  return [
    {
      // As DNS clients do: a socket a query.
      id: 'sockets/in-turn',
      title: 'sockets one after the other: create, bind, ask, hear, close',
      kind: 'alone',
      show: ['socketRate', 'cores'],
      entries: ['ksocket', 'dgram', 'dgram-newest'].map((peer) => entry(peer, 'sockets-in-turn')),
      goals: [atLeast(1, 'socketRate', 'ksocket', 'node:dgram')],
    },
    {
      id: 'sockets/open',
      title: '10 000 sockets open at once',
      kind: 'alone',
      show: ['openUs', 'socketBytes', 'cores'],
      entries: ['ksocket', 'dgram', 'dgram-newest'].map((peer) => entry(peer, 'open-sockets', { sockets: 10_000 })),
      goals: [atMost(1, 'openUs', 'ksocket', 'node:dgram'), atMost(1, 'socketBytes', 'ksocket', 'node:dgram')],
    },
    {
      id: 'startup',
      title: 'a process that starts: import, then a first datagram to itself',
      kind: 'startup',
      show: ['firstMs', 'importMs', 'rssBytes'],
      rounds: 15,
      entries: ['ksocket', 'dgram', 'dgram-newest', 'bun', 'deno'].map((peer) => entry(peer, 'startup')),
      goals: [
        atMostMore(15, 'firstMs', 'ksocket', 'node:dgram'),
        atMostMore(4 * 2 ** 20, 'rssBytes', 'ksocket', 'node:dgram'),
      ],
    },
  ];
}
