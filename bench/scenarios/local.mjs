import { atLeast, atMost } from '../harness/goals.mjs';
import { entry } from './entry.mjs';

/** Both ends are the same program, in two processes, through one path. @returns {import('./entry.mjs').Scenario[]} */
export function local() {
  const one = { size: 64, batch: 1024 };
  const pairOf = (receiver, senderRole) => ({ ...receiver, senderRole, senderOptions: one });
  const fast = "ksocket 'batch', sendMany";
  return [
    {
      id: 'unix/pair',
      title: 'local sockets, JS to JS, two processes, one path',
      kind: 'pair',
      show: ['rate', 'cpuNs', 'sendCpuNs', 'offered', 'cores'],
      entries: [
        pairOf(entry('ksocket', 'unix-receive'), 'unix-send'),
        pairOf(entry('ksocket', 'unix-receive-batch', {}, fast), 'unix-send-many'),
        pairOf(entry('ksocket-unix-dgram', 'receive'), 'send'),
        pairOf(entry('unix-dgram', 'receive'), 'send'),
      ],
      goals: [
        atLeast(5, 'rate', fast, 'unix-dgram'),
        atMost(0.2, 'cpuNs', fast, 'unix-dgram'),
        atMost(0.2, 'sendCpuNs', fast, 'unix-dgram'),
      ],
    },
  ];
}
