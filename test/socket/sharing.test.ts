// Who receives: the event loop itself while it is idle, the I/O thread while it is busy.
import assert from 'node:assert/strict';
import { createSocket as createDgramSocket } from 'node:dgram';
import { once } from 'node:events';
import { createSocket, features } from 'ksocket';
import { startProgram } from '../support/child.js';
import { bound, closed, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

/** A process that sends `count` datagrams, one a `pauseMs`, from a port of its own or this one. */
function sender(port: number, count: number, pauseMs: number, from = 0) {
  return startProgram(
    async (to: number, total: number, pause: number, own: number) => {
      const { createSocket: create } = await import('node:dgram');
      const socket = create('udp4').bind(own, '127.0.0.1');
      for (let i = 0; i < total; i++) {
        await new Promise((resolve) => socket.send(`${i}`, to, '127.0.0.1', resolve));
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
      socket.close();
    },
    [port, count, pauseMs, from],
  );
}

test('an idle event loop receives by itself where the engine can share, else through the thread', async () => {
  const socket = createSocket('udp4');
  const got: string[] = [];
  socket.on('message', (data) => got.push(data.toString()));
  const port = await bound(socket);
  await using child = sender(port, 50, 2);
  await waitFor(() => got.length === 50);
  assert.equal((await child.end()).code, 0);
  assert.deepEqual(
    got,
    Array.from({ length: 50 }, (_, i) => `${i}`),
  );
  const { thread } = socket.stats();
  if (features().engine === 'mmsg') assert.ok(thread.loopRounds > 0, JSON.stringify(thread));
  else assert.equal(thread.loopRounds, 0);
  await closed(socket);
});

test('rxUsecs 0 and adaptiveRx false leave receiving to the thread alone', async () => {
  for (const options of [{ rxUsecs: 0 }, { adaptiveRx: false }]) {
    const socket = createSocket({ type: 'udp4', ...options });
    let received = 0;
    socket.on('message', () => received++);
    const port = await bound(socket);
    await using child = sender(port, 10, 1);
    await waitFor(() => received === 10);
    await child.end();
    const { thread } = socket.stats();
    assert.equal(thread.loopRounds, 0);
    assert.ok(thread.wakeups > 0);
    await closed(socket);
  }
});

test('the thread takes over while the event loop is busy', async () => {
  const socket = createSocket('udp4');
  let received = 0;
  socket.on('message', () => received++);
  const port = await bound(socket);
  await using child = sender(port, 600, 0);
  await waitFor(() => received > 0);
  // Busy until the thread has read what the kernel's buffer alone would not hold, or, if that never happens, too long.
  const until = performance.now() + 20_000;
  while (socket.stats().rxDatagrams < 500 && performance.now() < until);
  assert.ok(received < 500, 'the listener ran while the event loop was busy');
  assert.ok(socket.stats().rxDatagrams >= 500, `only ${socket.stats().rxDatagrams} were read meanwhile`);
  await waitFor(() => received === 600);
  await child.end();
  assert.equal(socket.stats().rxKernelDrops, 0);
  await closed(socket);
});

test('an ICMP error does not end the sharing', async () => {
  const socket = createSocket('udp4');
  let received = 0;
  socket.on('message', () => received++);
  const port = await bound(socket);
  const gone = createSocket('udp4');
  const nobody = await bound(gone);
  await closed(gone);
  const refused = once(socket, 'error', { signal: AbortSignal.timeout(20_000) });
  await new Promise<void>((resolve) => socket.connect(nobody, '127.0.0.1', () => resolve()));
  socket.send('anybody there?');
  assert.equal((await refused)[0].code, 'ECONNREFUSED');
  const before = socket.stats().thread.loopRounds;
  await using child = sender(port, 50, 2, nobody);
  await waitFor(() => received === 50);
  assert.equal((await child.end()).code, 0);
  if (features().engine === 'mmsg') assert.ok(socket.stats().thread.loopRounds > before);
  await closed(socket);
});

test('more sockets than the event loop looks after by itself all receive', async () => {
  const sockets = Array.from({ length: 100 }, () => createSocket('udp4'));
  const received = sockets.map(() => '');
  for (const [i, socket] of sockets.entries()) socket.on('message', (data) => (received[i] += data));
  const ports = await Promise.all(sockets.map((socket) => bound(socket)));
  // The shared ones come and go: others take their places.
  const goes = (i: number) => i % 3 === 0;
  for (const [i, socket] of sockets.entries()) if (goes(i)) await closed(socket);
  const peer = createDgramSocket('udp4');
  for (const text of ['a', 'b', 'c']) {
    for (const port of ports) await sent(peer, text, port);
    await waitFor(() => received.every((all, i) => goes(i) || all.endsWith(text)));
  }
  assert.deepEqual(
    received,
    sockets.map((_, i) => (goes(i) ? '' : 'abc')),
  );
  await closed(peer);
  for (const [i, socket] of sockets.entries()) if (!goes(i)) await closed(socket);
});
