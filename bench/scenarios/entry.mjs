// The shape of a scenario, and what several of them share.

/**
 * @typedef {object} Entry a compared program in one scenario
 * @property {string} name unique in its scenario; what tables and charts call it
 * @property {string} peer a key of ../harness/peers.mjs
 * @property {string} role of adapters/drivers, or a command of the load generator for the peer `c`
 * @property {object} options of that role
 * @property {string} [senderRole] the other end, in the kind `pair`
 * @property {object} [senderOptions]
 * @property {Record<string, string>} [env]
 *
 * @typedef {object} Scenario
 * @property {string} id
 * @property {string} title
 * @property {'alone' | 'receive' | 'blocked' | 'send' | 'pair' | 'echo' | 'forward' | 'startup' | 'tunnel'} kind
 * @property {string[]} show the metrics worth a column, the first is the headline
 * @property {object} [load] command and options of the load generator
 * @property {object} [sink] options of the receiving end of a send scenario
 * @property {Entry[]} entries
 * @property {import('../harness/goals.mjs').Goal[]} goals
 * @property {number} [seconds] a fixed length, for what needs one
 * @property {number} [warmupSeconds] 0: from the first datagram on
 * @property {number} [quickSeconds]
 * @property {number} [rounds]
 * @property {boolean} [watchMemory]
 * @property {boolean} [cable] over a virtual cable (harness/cable.mjs), and not over lo
 * @property {{ id: string, title: string, xLabel: string, x: number }} [series]
 */

const names = {
  ksocket: 'ksocket',
  dgram: 'node:dgram',
  'dgram-newest': 'node:dgram, newest',
  bun: 'Bun',
  deno: 'Deno',
  'deno-dgram': 'Deno node:dgram',
  udx: 'udx-native',
  'ksocket-unix-dgram': 'ksocket/unix-dgram',
  'unix-dgram': 'unix-dgram',
  nginx: 'nginx',
  'tap-dgram': 'JavaScript tunnel',
  socat: 'socat',
  n2n: 'n2n',
  c: 'C',
};

/** @returns {Entry} */
export function entry(peer, role, options = {}, name = names[peer]) {
  return { name, peer, role, options };
}

export const others = (role, options) =>
  ['dgram', 'dgram-newest', 'bun', 'deno', 'udx'].map((peer) => entry(peer, role, options));

// Connected, because that is the cheapest way to send: the flood must not be what limits the receivers.
export const plainFlood = { command: 'flood', size: 64, connect: true };
export const gsoFlood = (size) => ({ command: 'flood', size, gso: 64, connect: true });
export const cWithGro = () => entry('c', 'sink', { gro: true });
