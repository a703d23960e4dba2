import { atLeast, atMost } from '../harness/goals.mjs';
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
  ];
}
