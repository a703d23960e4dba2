// for await (const datagram of socket)
import assert from 'node:assert/strict';
import { runProgram } from '../support/child.js';
import { bound, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { within } from '../support/wait.js';

test('a loop over a socket gets every datagram with its source, and ends when the socket closes', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const port = await bound(socket);
  const peer = sockets.makePeer();
  const peerPort = await bound(peer);
  const got: string[] = [];
  const loop = (async () => {
    for await (const { data, address, port: from, size, family } of socket) {
      assert.deepEqual([address, from, size, family], ['127.0.0.1', peerPort, data.length, 'IPv4']);
      got.push(data.toString());
      if (got.length === 3) socket.close();
    }
  })();
  for (const text of ['one', 'two', 'three']) await sent(peer, text, port);
  await within(loop, 'the end of the loop');
  assert.deepEqual(got, ['one', 'two', 'three']);
});

test('what came before the loop asked waits for it', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const port = await bound(socket);
  const iterator = socket[Symbol.asyncIterator]();
  const peer = sockets.makePeer();
  for (const text of ['a', 'b']) await sent(peer, text, port);
  const first = await within(iterator.next(), 'a datagram');
  const second = await within(iterator.next(), 'a datagram');
  assert.deepEqual([first.value?.data.toString(), second.value?.data.toString()], ['a', 'b']);
});

test('break lets go of the socket and leaves it open', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const port = await bound(socket);
  const peer = sockets.makePeer();
  const loop = (async () => {
    for await (const { data } of socket) return data.toString();
  })();
  await sent(peer, 'x', port);
  assert.equal(await within(loop, 'the first datagram'), 'x');
  assert.equal(socket.listenerCount('message'), 0);
  assert.equal(socket.address().port, port);
});

test('what a loop has had is not kept', async () => {
  const program = async () => {
    const { createSocket } = await import('ksocket');
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const { port } = socket.address();
    const had: WeakRef<object>[] = [];
    const take = async (iterator: AsyncIterator<{ data: object }>) => {
      had.push(new WeakRef((await iterator.next()).value.data));
    };
    const iterator = socket[Symbol.asyncIterator]() as unknown as AsyncIterator<{ data: object }>;
    for (let i = 0; i < 20; i++) socket.send('x', port, '127.0.0.1');
    let heard = 0;
    socket.on('message', () => heard++);
    while (heard < 20) await new Promise((resolve) => setTimeout(resolve, 5));
    for (let i = 0; i < 20; i++) await take(iterator);
    for (let i = 0; i < 4; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      (globalThis.gc as () => void)();
    }
    console.log(had.filter((data) => data.deref() !== undefined).length < 5, had.length);
    socket.close();
  };
  const result = await runProgram(program, [], { execArgv: ['--expose-gc'] });
  assert.deepEqual(result, { code: 0, signal: null, stdout: 'true 20\n', stderr: '' });
});

test("the socket's error comes out of the loop", async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  await bound(socket);
  const next = socket[Symbol.asyncIterator]().next();
  socket.emit('error', new Error('made up'));
  await assert.rejects(next, /made up/);
});

test('a loop over a closed socket ends at once', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  await bound(socket);
  socket.close();
  for await (const _ of socket) assert.fail('there is nothing to receive');
});

test('beyond 65 536 that wait for a loop the newest are dropped, and counted', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  await bound(socket);
  const iterator = socket[Symbol.asyncIterator]();
  const rinfo = { address: '127.0.0.1', family: 'IPv4' as const, port: 1, size: 1 };
  const arrive = (from: number, to: number) => {
    for (let i = from; i < to; i++) socket.emit('message', Buffer.from(`${i}`), rinfo);
  };
  const next = async () => Number((await iterator.next()).value?.data);
  arrive(0, 65_536);
  assert.equal(socket.stats().rxQueueDrops, 0);
  arrive(65_536, 65_546);
  assert.equal(socket.stats().rxQueueDrops, 10);
  assert.equal(await next(), 0);
  arrive(65_546, 65_548); // room for one
  assert.equal(socket.stats().rxQueueDrops, 11);
  for (let i = 1; i < 65_536; i++) assert.equal(await next(), i);
  assert.equal(await next(), 65_546);
});
