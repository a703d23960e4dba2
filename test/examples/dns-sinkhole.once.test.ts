import assert from 'node:assert/strict';
import { runClient } from '../support/clients.js';
import { startBlocked } from '../support/examples.js';
import { bound, Sockets } from '../support/peer.js';
import { test } from '../support/test.js';

// Answers every query for an address with 192.0.2.7.
async function startResolver(sockets: Sockets) {
  const asked: string[] = [];
  const socket = sockets.makePeer();
  socket.on('message', (query, { port, address }) => {
    const questionEnd = query.indexOf(0, 12) + 5;
    asked.push(query.toString('latin1', 13, questionEnd - 5));
    const header = Buffer.from([query[0], query[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
    socket.send(Buffer.concat([header, query.subarray(12, questionEnd), answer]), port, address);
  });
  return { asked, resolver: { address: '127.0.0.1', port: await bound(socket) } };
}

async function dig(port: number, ...args: string[]) {
  const { code, stdout } = await runClient('bind9-dnsutils', 'dig', '-r', '@127.0.0.1', '-p', `${port}`, ...args);
  assert.equal(code, 0, stdout);
  assert.doesNotMatch(stdout, /warning|malformed|mismatch|extra bytes/i);
  const status = /status: (\w+)/.exec(stdout)?.[1];
  const flags = /flags: ([\w ]*);/.exec(stdout)?.[1];
  const addresses = [...stdout.matchAll(/^[^;\s]\S*\s+\d+\s+IN\s+(?:A|AAAA)\s+(\S+)$/gm)].map((match) => match[1]);
  return { status, flags, addresses, edns: /EDNS: version: 0/.test(stdout) };
}

test('dig gets null addresses for names of the list, and all others from the resolver', async () => {
  await using sockets = new Sockets();
  const { asked, resolver } = await startResolver(sockets);
  const options = { resolver, names: ['ads.example', 'tracker-1.example'] };
  const { child, port } = await startBlocked('dns-sinkhole', 'dnsSinkhole', options);
  await using _ = child;
  const sunk = { status: 'NOERROR', flags: 'qr rd ra', addresses: ['0.0.0.0'], edns: true };
  assert.deepEqual(await dig(port, 'ads.example'), sunk);
  assert.deepEqual(await dig(port, 'aDs.EXAMPLE'), sunk);
  assert.deepEqual(await dig(port, '+noedns', 'TRACKER-1.example'), { ...sunk, edns: false });
  assert.deepEqual(await dig(port, '+norecurse', 'ads.example'), { ...sunk, flags: 'qr ra' });
  assert.deepEqual(await dig(port, 'ads.example', 'AAAA'), { ...sunk, addresses: ['::'] });
  assert.deepEqual(await dig(port, 'ads.example', 'MX'), { ...sunk, addresses: [] });
  assert.deepEqual(asked, []);
  for (const name of ['www.example', 'x.ads.example', 'ads.example.org']) {
    assert.deepEqual((await dig(port, '+noedns', name)).addresses, ['192.0.2.7']);
  }
  assert.equal(asked.length, 3);
});

test('dig is told that names of the list do not exist, with and without EDNS', async () => {
  await using sockets = new Sockets();
  const { asked, resolver } = await startResolver(sockets);
  const options = { resolver, names: ['ads.example'], sink: 'nxdomain' };
  const { child, port } = await startBlocked('dns-sinkhole', 'dnsSinkhole', options);
  await using _ = child;
  const absent = { status: 'NXDOMAIN', flags: 'qr rd ra', addresses: [], edns: true };
  assert.deepEqual(await dig(port, 'Ads.Example'), absent);
  assert.deepEqual(await dig(port, '+noedns', 'ads.example', 'AAAA'), { ...absent, edns: false });
  assert.deepEqual(asked, []);
});
