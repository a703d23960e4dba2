import { atLeast } from '../harness/goals.mjs';
import { entry } from './entry.mjs';

/** The role is what stands at both ends: ../adapters/tunnel/hosts.mjs. */
const entries = [
  entry('ksocket', 'ksocket', {}, 'ksocket tunnel'),
  entry('linux', 'vxlan', {}, 'Linux vxlan'),
  entry('tap-dgram', 'javascript'),
  entry('socat', 'socat'),
  entry('n2n', 'n2n'),
];
const scenario = (id, title, show, load, goals) => ({
  id: `tunnel/${id}`,
  title,
  kind: 'tunnel',
  seconds: 5,
  quickSeconds: 1,
  show,
  load,
  entries,
  goals,
});

/** Two network namespaces joined by veth, a tunnel between them, iperf3 through it. @returns {import('./entry.mjs').Scenario[]} */
export function tunnels() {
  const tcp = scenario('tcp', 'one TCP stream through a tunnel', ['gbits', 'cores'], {}, [
    atLeast(0.6, 'gbits', 'ksocket tunnel', 'Linux vxlan'),
    atLeast(8, 'gbits', 'ksocket tunnel', 'JavaScript tunnel'),
  ]);
  return [
    { ...tcp, entries: [...entries, entry('linux', 'veth', {}, 'no tunnel (veth)')] },
    scenario(
      'udp',
      'datagrams of 1400 B through a tunnel',
      ['rate', 'cpuNs', 'cores', 'offered'],
      { udpBytes: 1400 },
      [],
    ),
    scenario('small', 'frames of 64 B through a tunnel', ['rate', 'cpuNs', 'cores', 'offered'], { udpBytes: 22 }, []),
  ];
}
