// What was sent leaves before a setting changes: under the one that was in force, as node:dgram's would have.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createSocket, Socket } from 'ksocket';
import { onDgram } from '../support/backend.js';
import { bound, Inbox, kinds, Sockets } from '../support/peer.js';
import { test } from '../support/test.js';
import { ttlWitness } from '../support/ttl-witness.js';
import { nextTurn, waitFor } from '../support/wait.js';

const GROUP = '224.0.0.114';

async function connected(socket: Socket, port: number): Promise<void> {
  await bound(socket);
  const done = once(socket, 'connect');
  socket.connect(port, '127.0.0.1');
  await done;
}

/** Sends to it come in one batch, and so do their events. */
async function asked(socket: Socket, count: number, onRequest: (n: number, port: number) => void): Promise<void> {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  await bound(client);
  let n = 0;
  socket.on('message', (_, { port }) => onRequest(++n, port));
  for (let i = 0; i < count; i++) client.send('?', socket.address().port, '127.0.0.1');
  await waitFor(() => n === count, 'requests');
}

const texts = (count: number, ttl: (n: number) => number) =>
  Array.from({ length: count }, (_, i) => `${i + 1}@${ttl(i + 1)}`);

for (const [name, make] of kinds) {
  test(`${name}: each send of a connected socket has the hop limit that was set before it`, async () => {
    await using sockets = new Sockets();
    const peer = await ttlWitness(sockets);
    const socket = sockets.add(make());
    await connected(socket, peer.port);
    for (let n = 1; n <= 5; n++) {
      socket.setTTL(n);
      socket.send(`${n}`);
    }
    socket.setTTL(64);
    assert.deepEqual(
      await peer.take(5),
      texts(5, (n) => n),
    );
  });

  test(`${name}: what one tick sends to an address leaves behind it, under the last hop limit`, async () => {
    await using sockets = new Sockets();
    const peer = await ttlWitness(sockets);
    const socket = sockets.add(make());
    await bound(socket);
    const called: number[] = [];
    for (let n = 1; n <= 5; n++) {
      socket.setTTL(n);
      socket.send(`${n}`, peer.port, '127.0.0.1', () => called.push(n));
    }
    assert.deepEqual(
      await peer.take(5),
      texts(5, () => 5),
    );
    await waitFor(() => called.length === 5, 'callbacks');
    assert.deepEqual(called, [1, 2, 3, 4, 5]);
  });

  test(`${name}: a setting takes along what a connected socket has sent, and leaves what another is about to`, async () => {
    await using sockets = new Sockets();
    const peer = await ttlWitness(sockets);
    const [one, other] = [sockets.add(make()), sockets.add(make())];
    await bound(one);
    await connected(other, peer.port);
    const called: string[] = [];
    one.send('1', peer.port, '127.0.0.1', () => called.push('1'));
    other.send('2', () => called.push('2'));
    one.send('3', peer.port, '127.0.0.1', () => called.push('3'));
    other.setTTL(7);
    one.setTTL(9);
    other.send('4', () => called.push('4'));
    assert.deepEqual((await peer.take(4)).sort(), ['1@9', '2@64', '3@9', '4@7']);
    await waitFor(() => called.length === 4, 'callbacks');
  });

  for (const answering of ['at once', 'in a tick', 'in a microtask'] as const) {
    test(`${name}: in a 'message' listener every answer has its own hop limit (${answering})`, async () => {
      await using sockets = new Sockets();
      const peer = await ttlWitness(sockets);
      const socket = sockets.add(make());
      await bound(socket);
      await asked(socket, 40, (n) => {
        const answer = () => {
          socket.setTTL(n);
          socket.send(`${n}`, peer.port, '127.0.0.1');
        };
        if (answering === 'at once') answer();
        else if (answering === 'in a tick') process.nextTick(answer);
        else queueMicrotask(answer);
      });
      assert.deepEqual(
        await peer.take(40),
        texts(40, (n) => n),
      );
    });
  }

  test(`${name}: in a 'message' listener an answer leaves before the tick that changes the hop limit`, async () => {
    await using sockets = new Sockets();
    const peer = await ttlWitness(sockets);
    const socket = sockets.add(make());
    await bound(socket);
    await asked(socket, 40, (n) => {
      socket.setTTL(n);
      socket.send(`${n}`, peer.port, '127.0.0.1');
      process.nextTick(() => socket.setTTL(99));
    });
    assert.deepEqual(
      await peer.take(40),
      texts(40, (n) => n),
    );
  });

  test(`${name}: in a 'message' listener every answer leaves through the interface that was set for it`, async () => {
    await using sockets = new Sockets();
    const group = sockets.makePeer();
    const inbox = new Inbox(group);
    const port = await bound(group, GROUP);
    group.addMembership(GROUP, '127.0.0.1');
    const socket = sockets.add(make());
    await bound(socket, '0.0.0.0');
    await asked(socket, 40, (n) => {
      socket.setMulticastInterface(`127.0.0.${n}`); // the datagram's source, as the socket is bound to none
      socket.send(`${n}`, port, GROUP);
    });
    const all = await inbox.take(40);
    assert.deepEqual(
      all.map(({ data, rinfo }) => `${data} ${rinfo.address}`),
      Array.from({ length: 40 }, (_, i) => `${i + 1} 127.0.0.${i + 1}`),
    );
  });

  test(`${name}: what was permitted when it was sent stays so`, async () => {
    await using sockets = new Sockets();
    const socket = sockets.add(make());
    await bound(socket, '0.0.0.0');
    const results: (string | undefined)[] = [];
    await asked(socket, 20, (n) => {
      socket.setBroadcast(n % 2 === 1);
      socket.send('x', 9, '127.255.255.255', (error) => {
        results[n - 1] = (error as NodeJS.ErrnoException | null)?.code;
      });
    });
    await waitFor(() => results.length === 20 && Object.keys(results).length === 20, 'results');
    assert.deepEqual(
      results,
      Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? undefined : 'EACCES')),
    );
  });

  for (const thread of ['shared', 'dedicated'] as const) {
    test(`${name}: a member of a group gets what was sent before it left (${thread} thread)`, async () => {
      await using sockets = new Sockets();
      const member = sockets.add(make({ type: 'udp4', thread }));
      const inbox = new Inbox(member);
      const port = await bound(member, GROUP);
      member.addMembership(GROUP, '127.0.0.1');
      const socket = sockets.add(make());
      await bound(socket, '0.0.0.0');
      socket.setMulticastInterface('127.0.0.1');
      const done = once(socket, 'connect');
      socket.connect(port, GROUP);
      await done;
      socket.send('before');
      member.dropMembership(GROUP, '127.0.0.1');
      socket.send('between');
      await nextTurn();
      member.addMembership(GROUP, '127.0.0.1');
      socket.send('after');
      await inbox.take(2);
      assert.deepEqual(inbox.texts, ['before', 'after']);
    });
  }
}

/** How to call each method behind which what was sent must have left. */
const calls: Record<string, (socket: Socket) => unknown> = {
  setBroadcast: (socket) => socket.setBroadcast(true),
  setTTL: (socket) => socket.setTTL(5),
  setMulticastTTL: (socket) => socket.setMulticastTTL(5),
  setMulticastLoopback: (socket) => socket.setMulticastLoopback(true),
  setMulticastInterface: (socket) => socket.setMulticastInterface('127.0.0.1'),
  setRecvBufferSize: (socket) => socket.setRecvBufferSize(50_000),
  setSendBufferSize: (socket) => socket.setSendBufferSize(50_000),
  addMembership: (socket) => socket.addMembership(GROUP, '127.0.0.1'),
  dropMembership: (socket) => assert.throws(() => socket.dropMembership(GROUP, '127.0.0.1')),
  addSourceSpecificMembership: (socket) => socket.addSourceSpecificMembership('127.0.0.1', '232.1.1.1', '127.0.0.1'),
  dropSourceSpecificMembership: (socket) =>
    assert.throws(() => socket.dropSourceSpecificMembership('127.0.0.1', '232.1.1.1', '127.0.0.1')),
  disconnect: (socket) => socket.disconnect(),
  address: (socket) => socket.address(),
  remoteAddress: (socket) => socket.remoteAddress(),
  setMtuDiscover: (socket) => socket.setMtuDiscover('do'),
  setShards: (socket) => void assert.rejects(socket.setShards(2), { code: 'ERR_INVALID_STATE' }),
  setSendDefaults: (socket) => socket.setSendDefaults({ ttl: 5 }),
  getSendQueueSize: (socket) => socket.getSendQueueSize(),
  getSendQueueCount: (socket) => socket.getSendQueueCount(),
  stats: (socket) => assert.equal(socket.stats().txDatagrams, 1),
  close: (socket) => socket.close(),
  'the handle': (socket) => {
    const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
    const state = symbol && (socket as unknown as Record<symbol, { handle: { setTTL(ttl: number): number } }>)[symbol];
    state?.handle.setTTL(5);
  },
};

const changing = Object.keys(Socket.prototype).filter((name) =>
  /^(set|add|drop)[A-Z]|^(dis|remoteA)|^close$/.test(name),
);
for (const name of ['setMulticastTTL', 'dropMembership', 'disconnect', 'close']) assert.ok(changing.includes(name));

function waitingIn(port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of readFileSync('/proc/net/udp', 'utf8').split('\n')) {
    const [, address, , , queues] = line.trim().split(/\s+/);
    if (address?.endsWith(local)) return Number.parseInt(queues.split(':')[1], 16);
  }
  throw new Error('no such socket');
}

const needAddon = ['setSendDefaults', 'setMtuDiscover'];
for (const name of new Set([...changing, ...Object.keys(calls)])) {
  if (onDgram && needAddon.includes(name)) continue;
  test(`what a connected socket has sent has left when ${name} is done, also of another socket`, async () => {
    assert.ok(calls[name], 'this test is to say how it is called');
    await using sockets = new Sockets();
    for (const own of [true, false]) {
      const peer = sockets.makePeer();
      const port = await bound(peer);
      const socket = sockets.make();
      await connected(socket, port);
      let target = socket;
      if (!own && name !== 'stats') {
        target = sockets.make({ type: 'udp4', thread: 'dedicated' });
        await connected(target, port);
      }
      assert.equal(waitingIn(port), 0);
      socket.send('x');
      calls[name](target);
      assert.ok(waitingIn(port) > 0);
    }
  });
}

test('what a connected socket has sent reaches one that is connected elsewhere, or bound, behind it', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.make();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const socket = sockets.make().on('error', () => {}); // of what nobody was there for
  await connected(socket, port);
  socket.send('before');
  receiver.connectSync(9, '127.0.0.1'); // gets nothing from anybody else
  socket.send('behind');
  await inbox.take(1);
  await nextTurn();
  assert.deepEqual(inbox.texts, ['before']);
  receiver.close();

  socket.send('too early');
  const late = sockets.add(createSocket('udp4'));
  const lateInbox = new Inbox(late);
  late.bindSync({ port, address: '127.0.0.1' });
  await nextTurn();
  for (let i = 0; i < 2; i++) socket.send('now');
  await lateInbox.take(1);
  assert.equal(lateInbox.texts[0], 'now');
});
