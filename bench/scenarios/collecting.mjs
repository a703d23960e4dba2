import { atLeast, atMost } from '../harness/goals.mjs';
import { entry } from './entry.mjs';

const collector = 'collector';
const each = 'a message a datagram';
const alone = "'batch' alone";

/** From the socket to the acknowledgement of a stream on the same machine. @returns {import('./entry.mjs').Scenario[]} */
export function collecting() {
  const faster = atLeast(10, 'rate', collector, each);
  const cheap = atMost(2, 'cpuNs', collector, alone);
  const row = (id, title, load, goals) => ({
    id,
    title,
    kind: 'receive',
    show: ['rate', 'cpuNs', 'cores', 'offered'],
    load,
    entries: [
      entry('ksocket-collect', 'collect', {}, collector),
      entry('ksocket-collect', 'collect-each', {}, each),
      entry('ksocket-collect', 'batch-alone', {}, alone),
    ],
    goals,
  });
  const plain = { size: 100, connect: true };
  return [
    row(
      'collect/300000',
      '300 000 datagrams/s of 100 B, one by one, to a stream',
      { command: 'paced', rate: 300_000, size: 100 },
      [faster, cheap],
    ),
    row('collect/flood', 'flood of 100 B to a stream', { command: 'flood', ...plain }, [
      atLeast(300_000, 'rate', collector),
      faster,
      cheap,
    ]),
    // Receiving costs a tenth here, and what is published is a stream of bytes as before.
    row('collect/flood-gso', 'the same, joined by the sender', { command: 'flood', ...plain, gso: 64 }, [faster]),
  ];
}
