// Async contexts (AsyncLocalStorage), as node:dgram keeps them.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { createSocket } from 'ksocket';
import { bound, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const storage = new AsyncLocalStorage<string>();

test('a callback of send() runs in the context of its send()', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  await bound(socket);
  const seen: unknown[] = [];
  for (const name of ['a', 'b', 'c']) {
    storage.run(name, () => socket.send(name, 9, '127.0.0.1', () => seen.push(storage.getStore())));
  }
  await waitFor(() => seen.length === 3, 'callbacks');
  assert.deepEqual(seen, ['a', 'b', 'c']);
});

test('a message listener runs in the context of createSocket()', async () => {
  await using sockets = new Sockets();
  const peer = sockets.makePeer();
  const seen: unknown[] = [];
  const ports: number[] = [];
  for (const name of ['a', 'b']) {
    const socket = storage.run(name, () => createSocket('udp4'));
    sockets.add(socket);
    ports.push(await storage.run('bind', () => bound(socket)));
    storage.run('on', () => socket.on('message', () => seen.push(storage.getStore())));
  }
  for (const port of ports) await storage.run('send', () => sent(peer, 'x', port));
  await waitFor(() => seen.length === 2, 'messages');
  assert.deepEqual(seen.sort(), ['a', 'b']);
});
