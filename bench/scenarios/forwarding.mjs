import { atLeast, atMost } from '../harness/goals.mjs';
import { entry } from './entry.mjs';

const entries = [entry('ksocket', 'forward', {}, 'ksocket Server'), entry('nginx', 'forward')];
const oneWay = (id, title, load, goals) => ({
  id: `forward/${id}`,
  title,
  kind: 'forward',
  show: ['rate', 'cpuNs', 'cores', 'offered'],
  load: { size: 64, ...load },
  entries,
  goals,
});
const delivers = [atLeast(2, 'rate', 'ksocket Server', 'nginx')];

/** A server between clients and one back end. @returns {import('./entry.mjs').Scenario[]} */
export function forwarding() {
  return [
    {
      id: 'forward/round-trip',
      title: 'forwarding a request and its answer',
      kind: 'forward',
      show: ['p50Us', 'p99Us', 'cpuNs', 'sameCpu'],
      load: { command: 'pingpong', size: 64 },
      entries,
      goals: [atMost(0.9, 'p50Us', 'ksocket Server', 'nginx')],
    },
    oneWay('paced-20000', 'forwarding, 20 000/s', { command: 'paced', rate: 20_000 }, []),
    oneWay('paced-60000', 'forwarding, 60 000/s', { command: 'paced', rate: 60_000 }, [
      atMost(0.4, 'cpuNs', 'ksocket Server', 'nginx'),
    ]),
    oneWay('flood-1', 'forwarding a flood of one client', { command: 'flood', connect: true }, delivers),
    oneWay('flood-1000', 'forwarding a flood of 1000 clients', { command: 'flood', sources: 1000 }, delivers),
  ];
}
