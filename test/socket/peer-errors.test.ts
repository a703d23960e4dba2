// 'peererror': what is said of datagrams that were sent. What routers say: wire.ts.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import type { PeerError, Socket, SocketOptions } from 'ksocket';
import { addonTest, onDgram } from '../support/backend.js';
import { bound, Inbox, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

/** Ports where nobody is. */
async function closedPorts(count: number): Promise<number[]> {
  await using sockets = new Sockets();
  const ports: number[] = [];
  for (let i = 0; i < count; i++) ports.push(await bound(sockets.make()));
  return ports;
}

function listen(socket: Socket): { told: PeerError[]; errors: Error[] } {
  const told: PeerError[] = [];
  const errors: Error[] = [];
  socket.on('peererror', (error) => told.push(error));
  socket.on('error', (error) => errors.push(error));
  return { told, errors };
}

for (const thread of ['shared', 'dedicated'] as const) {
  addonTest('kernel features', `one peer that is not there: no send to another fails (${thread} thread)`, async () => {
    await using sockets = new Sockets();
    const [closed] = await closedPorts(1);
    const sink = sockets.make();
    const inbox = new Inbox(sink);
    const port = await bound(sink);
    const socket = sockets.make({ type: 'udp4', receiveErrors: true, thread });
    await bound(socket);
    const { told, errors } = listen(socket);
    let failed = 0;
    let done = 0;
    const count = 10_000;
    for (let i = 0; i < count; i += 100) {
      socket.send('nobody', closed, '127.0.0.1');
      const all = Array.from({ length: 100 }, (_, k) => sent(socket, `${i + k}`, port));
      for (const result of await Promise.allSettled(all)) {
        done++;
        if (result.status === 'rejected') failed++;
      }
      await waitFor(() => inbox.all.length === done);
    }
    assert.deepEqual([done, failed, errors], [count, 0, []]);
    await waitFor(
      () => told.length === count / 100,
      () => `${told.length} told`,
    );
    for (const error of told) {
      const { code, errno, syscall, address, port: at, data } = error;
      assert.ok(error instanceof Error);
      assert.deepEqual(
        [code, errno, syscall, address, at, String(data)],
        ['ECONNREFUSED', -111, 'send', '127.0.0.1', closed, 'nobody'],
      );
      assert.equal(error.message, `send ECONNREFUSED 127.0.0.1:${closed}`);
    }
    const { rxPeerErrors, rxErrors, txErrors, txDatagrams } = socket.stats();
    assert.deepEqual([rxPeerErrors, rxErrors, txErrors, txDatagrams], [count / 100, 0, 0, count + count / 100]);
  });
}

addonTest('kernel features', 'of many at once each is told of its own peer, with sendMany, too', async () => {
  await using sockets = new Sockets();
  const ports = await closedPorts(20);
  const sink = sockets.make();
  const inbox = new Inbox(sink);
  const port = await bound(sink);
  const socket = sockets.make({ type: 'udp4', receiveErrors: true });
  await bound(socket);
  const { told, errors } = listen(socket);
  const list = ports.flatMap((closed, i) => [`to ${closed}`, closed, '127.0.0.1', `good ${i}`, port, '127.0.0.1']);
  for (let round = 0; round < 5; round++) {
    assert.equal(socket.sendMany(list), 40);
    await inbox.take(20 * (round + 1));
    await waitFor(() => told.length === 20 * (round + 1));
  }
  assert.deepEqual(errors, []);
  for (const error of told) assert.equal(String(error.data), `to ${error.port}`);
  const heard = told.map((error) => error.port).sort((a, b) => a - b);
  assert.deepEqual(
    heard,
    ports.flatMap((closed) => Array(5).fill(closed)).sort((a, b) => a - b),
  );
  assert.equal(socket.stats().txErrors, 0);
});

addonTest('kernel features', 'a connected socket is told as well, and its sends go on', async () => {
  await using sockets = new Sockets();
  const [closed] = await closedPorts(1);
  const socket = sockets.make({ type: 'udp4', receiveErrors: true });
  const { told, errors } = listen(socket);
  await new Promise<void>((resolve) => socket.connect(closed, '127.0.0.1', () => resolve()));
  for (let i = 0; i < 20; i++) {
    await new Promise<void>((resolve, reject) => socket.send(`${i}`, (error) => (error ? reject(error) : resolve())));
    await waitFor(() => told.length === i + 1);
  }
  assert.deepEqual(
    told.map(({ data }) => String(data)),
    Array.from({ length: 20 }, (_, i) => String(i)),
  );
  assert.deepEqual(errors, []);
});

addonTest('kernel features', 'what a datagram itself is refused for is still its own result', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make({ type: 'udp4', receiveErrors: true });
  await bound(socket);
  const { told, errors } = listen(socket);
  await assert.rejects(sent(socket, 'x', 9, '255.255.255.255'), { code: 'EACCES' });
  await assert.rejects(sent(socket, Buffer.alloc(65_508), 9), { code: 'EMSGSIZE' });
  assert.deepEqual([told, errors], [[], []]);
  assert.equal(socket.stats().txErrors, 2);
});

addonTest('kernel features', 'nobody has to listen, datagrams arrive between them, and close() ends them', async () => {
  await using sockets = new Sockets();
  const [closed] = await closedPorts(1);
  const socket = sockets.make({ type: 'udp4', receiveErrors: true });
  const inbox = new Inbox(socket);
  const port = await bound(socket);
  const peer = sockets.make();
  // What waits of either kind shares the receive buffer: not more of both than it holds.
  for (let i = 0; i < 40; i++) {
    socket.send('nobody', closed, '127.0.0.1');
    peer.send(`${i}`, port, '127.0.0.1');
  }
  await inbox.take(40);
  await waitFor(() => socket.stats().rxPeerErrors > 0); // what the kernel has joined it says something of once
  socket.on('peererror', () => {
    assert.equal(inbox.all.length, 40);
    socket.close();
    socket.on('peererror', () => assert.fail('it is closed'));
  });
  for (let i = 0; i < 20; i++) socket.sendMany(['nobody', closed, '127.0.0.1']);
  await once(socket, 'close');
  await new Promise((resolve) => setTimeout(resolve, 50));
});

addonTest('kernel features', 'listeners run in the async context of the socket', async () => {
  await using sockets = new Sockets();
  const [closed] = await closedPorts(1);
  const storage = new AsyncLocalStorage<string>();
  const socket = storage.run('its own', () => sockets.make({ type: 'udp4', receiveErrors: true }));
  const store = new Promise((resolve) => socket.on('peererror', () => resolve(storage.getStore())));
  storage.run('another', () => socket.send('x', closed, '127.0.0.1'));
  assert.equal(await store, 'its own');
});

test('without the option an unconnected socket hears nothing, as in node:dgram', async () => {
  await using sockets = new Sockets();
  const [closed] = await closedPorts(1);
  const socket = sockets.make();
  await bound(socket);
  const { told, errors } = listen(socket);
  for (let i = 0; i < 5; i++) await sent(socket, 'x', closed);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual([told, errors], [[], []]);
});

test('receiveErrors is a boolean or auto', async () => {
  await using sockets = new Sockets();
  const make = (receiveErrors: unknown) => sockets.make({ type: 'udp4', receiveErrors } as SocketOptions);
  for (const wrong of ['yes', 1, null]) assert.throws(() => make(wrong), { code: 'ERR_INVALID_ARG_TYPE' });
  if (onDgram) assert.throws(() => make(true), { code: 'ERR_KSOCKET_NEEDS_ADDON', message: /receiveErrors/ });
  await bound(make('auto'));
});
