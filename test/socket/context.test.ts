// Async contexts (AsyncLocalStorage), as node:dgram keeps them.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { createSocket } from 'ksocket';
import { addonTest } from '../support/backend.js';
import { runProgram } from '../support/child.js';
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

addonTest('a thread of its own', 'the thread tells async_hooks whether it keeps the program running', async () => {
  const { code, stdout, stderr } = await runProgram(async () => {
    const { createHook } = await import('node:async_hooks');
    const { createSocket } = await import('ksocket');
    const resources: { hasRef?(): boolean }[] = [];
    createHook({ init: (_, type, __, resource) => void (type === 'ksocket' && resources.push(resource)) }).enable();
    const answers = () => [...new Set(resources.map((resource) => resource.hasRef?.()))];
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const bound = answers();
    socket.unref();
    const unrefd = answers();
    socket.ref();
    await new Promise<void>((resolve) => socket.close(resolve));
    console.log(JSON.stringify({ bound, unrefd, closed: answers() }));
  }, []);
  assert.deepEqual([code, stderr], [0, '']);
  assert.deepEqual(JSON.parse(stdout), { bound: [true], unrefd: [false], closed: [false] });
});
