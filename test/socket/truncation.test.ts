// `maxBytes`: the beginning of each datagram, and how long it was.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RemoteInfo, SocketOptions } from 'ksocket';
import { bound, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const ways: Record<string, Partial<SocketOptions>> = {
  'the shared thread': {},
  'a thread of its own': { thread: 'dedicated' },
  'no GRO': { gro: false },
  'copies of their own': { pooled: false },
};
const families = [
  ['udp4', '127.0.0.1'],
  ['udp6', '::1'],
] as const;
const SIZES = [0, 1, 9, 10, 11, 1400, 65_507];

const payload = (size: number) => Buffer.from(Array.from({ length: size }, (_, i) => (i * 7 + size) & 0xff));

for (const [way, options] of Object.entries(ways)) {
  test(`a message has the first bytes, and rinfo the whole size: ${way}`, async () => {
    for (const [type, address] of families) {
      await using sockets = new Sockets();
      const socket = sockets.make({ type, ...options, maxBytes: 10 });
      const port = await bound(socket, address);
      const heard: [Buffer, RemoteInfo][] = [];
      socket.on('message', (data, rinfo) => heard.push([Buffer.from(data), rinfo]));
      const peer = sockets.makePeer(type);
      // One at a time, which takes a path of its own, and all at once.
      for (const restMs of [3, 0]) {
        heard.length = 0;
        for (const [i, size] of SIZES.entries()) {
          await sent(peer, payload(size), port, address);
          if (restMs === 0) continue;
          await waitFor(() => heard.length === i + 1);
          await sleep(restMs);
        }
        await waitFor(() => heard.length === SIZES.length);
        for (const [i, [data, rinfo]] of heard.entries()) {
          const { truncated, size } = rinfo;
          assert.deepEqual(data, payload(SIZES[i]).subarray(0, 10));
          assert.deepEqual([size, truncated], [SIZES[i], SIZES[i] > 10]);
        }
      }
      const { rxTruncated, rxBytes } = socket.stats();
      const sum = SIZES.reduce((a, b) => a + b);
      assert.deepEqual([rxTruncated, rxBytes], [6, 2 * sum]);
    }
  });
}

test('datagrams that the kernel has joined are cut one by one, or stay as they are where they are short', async () => {
  for (const [each, maxBytes] of [
    [100, 33],
    [100, 99],
    [100, 100],
    [33, 50],
  ]) {
    await using sockets = new Sockets();
    const socket = sockets.make({ type: 'udp4', maxBytes, receiveTtl: 'auto' });
    const port = await bound(socket);
    const heard: string[] = [];
    socket.on('message', (data, { size, truncated, ttl }) => heard.push(`${data.length} ${size} ${truncated} ${ttl}`));
    const peer = sockets.make();
    await bound(peer);
    const bytes = payload(30 * each + 20);
    const one = (size: number) => `${Math.min(size, maxBytes)} ${size} ${size > maxBytes} ${64}`;
    for (let round = 0; round < 20; round++) {
      heard.length = 0;
      assert.equal(peer.sendMany(bytes, { segmentSize: each, port, address: '127.0.0.1' }), 31);
      await waitFor(() => heard.length === 31);
      const ttl = heard[0].split(' ')[3] === 'undefined' ? 'undefined' : '64'; // on node:dgram nobody says it
      const expected = [...Array(30).fill(one(each)), one(20)].map((line) => line.replace(/64$/, ttl));
      assert.deepEqual(heard, expected);
    }
    assert.equal(socket.stats().rxTruncated, each > maxBytes ? 20 * 30 : 0);
  }
});

test('batches and loops have it, too', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make({ type: 'udp4', maxBytes: 4 });
  const port = await bound(socket);
  const peer = sockets.makePeer();
  const seen: unknown[] = [];
  socket.on('batch', (batch) => {
    for (let i = 0; i < batch.length; i++) {
      assert.equal(batch.size(i), batch.data(i).length);
      seen.push([`${batch.data(i)}`, batch.truncated(i), batch.fullSize(i)]);
    }
    for (const { data, truncated, fullSize } of batch) seen.push([`${data}`, truncated, fullSize]);
    assert.throws(() => batch.truncated(batch.length), RangeError);
    assert.throws(() => batch.fullSize(-1), RangeError);
  });
  await sent(peer, 'abcdef', port);
  await waitFor(() => seen.length === 2);
  await sent(peer, 'abcd', port);
  await waitFor(() => seen.length === 4);
  const both = (entry: unknown) => [entry, entry];
  assert.deepEqual(seen, [...both(['abcd', true, 6]), ...both(['abcd', false, 4])]);

  socket.removeAllListeners('batch');
  const loop = (async () => {
    for await (const { data, size, truncated } of socket) return [`${data}`, size, truncated];
    return undefined;
  })();
  await sent(peer, 'abcdefgh', port);
  assert.deepEqual(await loop, ['abcd', 8, true]);
});

test('without it nothing is said, and nothing is cut', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const port = await bound(socket);
  const peer = sockets.makePeer();
  const heard = once(socket, 'message');
  await sent(peer, payload(65_507), port);
  const [data, rinfo] = await heard;
  assert.deepEqual([data.length, Object.keys(rinfo)], [65_507, ['address', 'family', 'port', 'size']]);
  assert.equal(socket.stats().rxTruncated, 0);
});

test('what is no number of bytes is refused', async () => {
  await using sockets = new Sockets();
  for (const maxBytes of [0, -1, 1.5, 65_536, Number.NaN, '10', null, true]) {
    const code = typeof maxBytes === 'number' ? 'ERR_OUT_OF_RANGE' : 'ERR_INVALID_ARG_TYPE';
    assert.throws(() => sockets.make({ type: 'udp4', maxBytes } as unknown as SocketOptions), { code });
  }
  for (const maxBytes of [1, 65_535]) sockets.make({ type: 'udp4', maxBytes });
});
