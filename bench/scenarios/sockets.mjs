import { atLeast } from '../harness/goals.mjs';
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
  ];
}
