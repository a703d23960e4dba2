import assert from 'node:assert/strict';
import { sayLine } from '../support/clients.js';
import { startBlocked } from '../support/examples.js';
import { bound, Sockets } from '../support/peer.js';
import { test } from '../support/test.js';

// Each says its number before what it was told.
async function startBackEnds(sockets: Sockets, count: number) {
  const backEnds: { address: string; port: number }[] = [];
  for (let i = 0; i < count; i++) {
    const socket = sockets.makePeer();
    socket.on('message', (data, { port, address }) => socket.send(`${i} ${data}`, port, address));
    backEnds.push({ address: '127.0.0.1', port: await bound(socket) });
  }
  return backEnds;
}

for (const balance of ['round-robin', 'source']) {
  test(`clients of a load balancer whose loop is blocked come to back ends by ${balance}`, async () => {
    await using sockets = new Sockets();
    const backEnds = await startBackEnds(sockets, 3);
    const { child, port } = await startBlocked('load-balancer', 'loadBalancer', { backEnds, balance });
    await using _ = child;
    const seen: string[] = [];
    for (let i = 0; i < 6; i++) seen.push(await sayLine(`client ${i}`, port));
    const first = Number(seen[0][0]);
    const step = balance === 'source' ? 0 : 1; // each run of socat has a port of its own, and all one address
    assert.deepEqual(
      seen,
      seen.map((_, i) => `${(first + i * step) % 3} client ${i}`),
    );
  });
}
