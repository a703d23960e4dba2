import { atLeast, atMost } from '../harness/goals.mjs';
import { entry, gsoFlood, plainFlood } from './entry.mjs';

// The flood's payload is 64 times 'k': the last of these rules is the one that decides.
const decides = { match: { prefix: 'kkkk' }, action: 'echo' };
const others = (count) => Array.from({ length: count }, (_, i) => ({ match: { prefix: `kk${i}k` }, action: 'drop' }));
const byRules = (rules, name) => entry('ksocket', 'answer', { serverOptions: { rules } }, name);
const serverEcho = entry('ksocket', 'answer', { serverOptions: { reply: 'echo' } }, 'ksocket Server');

const overCable = (from, senders) => ({
  title: `echo flood ${from} over a virtual cable, from the kernel (generic XDP) and from threads`,
  kind: 'receive',
  cable: true,
  show: ['rate', 'cpuNs', 'offered'],
  load: { ...gsoFlood(64), senders },
  entries: [
    entry('ksocket', 'answer-kernel', { serverOptions: { rules: [{ action: 'echo' }] } }, 'ksocket Server, kernel'),
    serverEcho,
    entry('dgram', 'echo'),
    entry('c', 'echo', { mode: 'batch' }),
  ],
});

/** @returns {import('./entry.mjs').Scenario[]} */
export function answering() {
  return [
    {
      id: 'answer/flood',
      title: "echo flood, the server's own thread",
      kind: 'receive',
      show: ['rate', 'cpuNs', 'offered'],
      load: plainFlood,
      entries: [serverEcho, entry('dgram', 'echo'), entry('c', 'echo', { mode: 'batch' })],
      goals: [atLeast(0.85, 'rate', 'ksocket Server', 'C')],
    },
    {
      // A virtual cable has no processor of its own: the kernel answers on the sender's, and one sender is never more than
      // it can answer. CPU is the program's own, which does nothing.
      ...overCable('of two senders', 2),
      id: 'answer/flood-kernel-veth',
      goals: [
        atLeast(3, 'rate', 'ksocket Server, kernel', 'ksocket Server'),
        atMost(0.33, 'cpuNs', 'ksocket Server, kernel', 'ksocket Server'),
      ],
    },
    {
      ...overCable('of one sender', 1),
      id: 'answer/flood-kernel-veth-1',
      goals: [atMost(0.33, 'cpuNs', 'ksocket Server, kernel', 'ksocket Server')],
    },
    {
      id: 'answer/flood-gso',
      title: "echo flood of joined datagrams, the server's own thread",
      kind: 'receive',
      show: ['rate', 'cpuNs', 'offered'],
      load: gsoFlood(64),
      entries: [serverEcho, entry('dgram', 'echo'), entry('c', 'echo', { mode: 'gro' })],
      goals: [atLeast(0.85, 'rate', 'ksocket Server', 'C'), atLeast(10, 'rate', 'ksocket Server', 'node:dgram')],
    },
    {
      id: 'answer/rules',
      title: 'echo by one rule and by the last of 1000',
      kind: 'receive',
      show: ['rate', 'cpuNs', 'offered'],
      load: gsoFlood(64),
      entries: [serverEcho, byRules([decides], '1 rule'), byRules([...others(999), decides], '1000 rules')],
      goals: [atMost(2, 'cpuNs', '1000 rules', '1 rule')],
    },
  ];
}
