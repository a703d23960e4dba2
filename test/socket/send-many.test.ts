// sendMany: exact counts, and the errors of its list.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createSocket } from '../../build-lib/socket/socket.js';
import { sharedThread } from '../../build-lib/thread/io-thread.js';
import { bound, Inbox, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { nextTurn, waitFor } from '../support/wait.js';

test('sendMany sends to every peer in order and counts what it took', async () => {
  await using sockets = new Sockets();
  const sender = sockets.make();
  await bound(sender);
  const receivers = Array.from({ length: 3 }, () => sockets.make());
  const ports = await Promise.all(receivers.map((receiver) => bound(receiver)));
  const inboxes = receivers.map((receiver) => new Inbox(receiver));
  const list = Array.from({ length: 60 }, (_, i) => [`datagram ${i}`, ports[i % 3], '127.0.0.1']).flat();
  assert.equal(sender.sendMany(list), 60);
  for (const [r, inbox] of inboxes.entries()) {
    await inbox.take(20);
    assert.deepEqual(
      inbox.texts,
      Array.from({ length: 20 }, (_, i) => `datagram ${i * 3 + r}`),
    );
  }
  assert.equal(sender.stats().txDatagrams, 60);
});

test('sendMany on a connected socket takes payloads only', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.make();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const sender = sockets.make();
  await new Promise<void>((resolve) => sender.connect(port, '127.0.0.1', () => resolve()));
  assert.equal(sender.sendMany(['a', Buffer.from('b'), new Uint16Array([0x6363]), '']), 4);
  await inbox.take(4);
  assert.deepEqual(inbox.texts, ['a', 'b', 'cc', '']);
});

test('sendMany before the bind takes nothing and says when to come back', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const sender = sockets.make();
  const list = ['x', port, '127.0.0.1'];
  const drained = once(sender, 'drain');
  assert.equal(sender.sendMany(list), 0);
  await drained;
  assert.equal(sender.sendMany(list), 1);
  await inbox.take(1);
});

test('where the backlog is empty again by the time that sendMany is told, drain comes all the same', async () => {
  await using sockets = new Sockets();
  const sender = sockets.add(createSocket('udp4'));
  await bound(sender);
  const { lists, native } = sharedThread();
  lists.sendTriples = () => 1; // the rest had no room
  Object.defineProperty(native, 'notifyDrained', { value: () => false, configurable: true }); // and now has
  try {
    const seen: string[] = [];
    sender.on('drain', () => seen.push('drain'));
    const list = ['x', 9, '127.0.0.1', 'y', 9, '127.0.0.1'];
    assert.equal(sender.sendMany(list), 1);
    assert.equal(seen.length, 0, 'not before sendMany has returned');
    await waitFor(() => seen.length === 1);
    sender.sendMany(list);
    sender.close();
    for (let i = 0; i < 2; i++) await nextTurn();
    assert.equal(seen.length, 1, 'nothing comes from a socket that has been closed');
  } finally {
    for (const [object, key] of [
      [lists, 'sendTriples'],
      [native, 'notifyDrained'],
    ] as const) {
      Reflect.deleteProperty(object, key);
    }
  }
});

test('sendMany goes behind what send() has staged before it', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.make();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const sender = sockets.make();
  await bound(sender);
  sender.send('first', port, '127.0.0.1');
  sender.sendMany(['second', port, '127.0.0.1']);
  sender.send('third', port, '127.0.0.1');
  await inbox.take(3);
  assert.deepEqual(inbox.texts, ['first', 'second', 'third']);
});

test('sendMany takes more than one flush holds', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.make({ type: 'udp4', recvBufferSize: 4 << 20 });
  let received = 0;
  receiver.on('message', () => received++);
  const port = await bound(receiver);
  const sender = sockets.make();
  await bound(sender);
  const list = Array.from({ length: 5000 }, () => ['x', port, '127.0.0.1']).flat();
  assert.equal(sender.sendMany(list), 5000);
  await waitFor(() => received + receiver.stats().rxKernelDrops === 5000);
  assert.equal(sender.stats().txDatagrams, 5000);
  assert.equal(received, 5000);
});

test('a datagram that the kernel refuses is taken, counted, and does not stop the others', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const sender = sockets.make();
  await bound(sender);
  const tooLong = Buffer.alloc(65508); // 65 507 is what IPv4 carries
  assert.equal(sender.sendMany(['a', port, '127.0.0.1', tooLong, port, '127.0.0.1', 'b', port, '127.0.0.1']), 3);
  await inbox.take(2);
  assert.deepEqual(inbox.texts, ['a', 'b']);
  assert.deepEqual([sender.stats().txDatagrams, sender.stats().txErrors], [2, 1]);
});

test('sendMany checks its list, after having sent what stands before', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const sender = sockets.make();
  await bound(sender);
  const bad: [unknown, string][] = [
    ['text', 'ERR_INVALID_ARG_TYPE'],
    [['x', port], 'ERR_INVALID_ARG_VALUE'],
    [['x', 0, '127.0.0.1'], 'ERR_SOCKET_BAD_PORT'],
    [['x', port, 'localhost'], 'ERR_INVALID_ARG_VALUE'],
    [['x', port, '::1'], 'ERR_INVALID_ARG_VALUE'],
    [['x', port, 5], 'ERR_INVALID_ARG_TYPE'],
    [[5, port, '127.0.0.1'], 'ERR_INVALID_ARG_TYPE'],
  ];
  for (const [list, code] of bad) assert.throws(() => sender.sendMany(list as never), { code });
  assert.throws(() => sender.sendMany(['good', port, '127.0.0.1', null as never, port, '127.0.0.1']), {
    code: 'ERR_INVALID_ARG_TYPE',
  });
  await inbox.take(1);
  assert.deepEqual(inbox.texts, ['good']);
  sender.close();
  assert.throws(() => sender.sendMany(['x', port, '127.0.0.1']), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' });
});

test('after a bad list the socket sends on', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const sender = sockets.make();
  await bound(sender);
  assert.throws(() => sender.sendMany([{} as never, port, '127.0.0.1']));
  await sent(sender, 'still here', port);
  await inbox.take(1);
  assert.deepEqual(inbox.texts, ['still here']);
});
