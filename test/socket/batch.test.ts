// 'batch': many datagrams in borrowed memory.
import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { type Batch, createSocket } from 'ksocket';
import { addonTest } from '../support/backend.js';
import { runProgram } from '../support/child.js';
import { bound, Inbox, Sockets, sent } from '../support/peer.js';
import { AHEAD_BYTES, sendWhileBlocked } from '../support/programs.js';
import { test } from '../support/test.js';
import { blockUntil, nextTurn, waitFor } from '../support/wait.js';

test("'batch' hands out every datagram once, in order, with content and source", async () => {
  await using sockets = new Sockets();
  const receiver = sockets.make();
  const port = await bound(receiver);
  const peer = sockets.makePeer();
  const peerPort = await bound(peer);
  const got: string[] = [];
  receiver.on('batch', (batch) => {
    for (let i = 0; i < batch.length; i++) {
      assert.equal(batch.size(i), batch.data(i).length);
      assert.deepEqual(
        batch.bytes.subarray(batch.offset(i), batch.offset(i) + batch.size(i)),
        new Uint8Array(batch.data(i)),
      );
      assert.deepEqual([batch.address(i), batch.port(i)], ['127.0.0.1', peerPort]);
      got.push(batch.data(i).toString());
    }
  });
  for (let i = 0; i < 50; i++) await sent(peer, `datagram ${i}`, port);
  await sent(peer, '', port);
  await waitFor(() => got.length === 51);
  assert.deepEqual(got, [...Array.from({ length: 50 }, (_, i) => `datagram ${i}`), '']);
});

test("'batch' splits what the kernel joined, to the last short segment", async () => {
  await using sockets = new Sockets();
  const receiver = sockets.make();
  const port = await bound(receiver);
  const sender = sockets.make();
  await bound(sender);
  const payloads = Array.from({ length: 130 }, (_, i) => Buffer.alloc(i === 129 ? 7 : 400, i));
  const got: Buffer[] = [];
  receiver.on('batch', (batch) => {
    for (const { data, address, port: from } of batch) {
      assert.deepEqual([address, from], ['127.0.0.1', sender.address().port]);
      got.push(Buffer.from(data));
    }
  });
  assert.equal(sender.sendMany(payloads.flatMap((payload) => [payload, port, '127.0.0.1'])), payloads.length);
  await waitFor(() => got.length === payloads.length);
  assert.deepEqual(got, payloads);
});

for (const bytes of [0, 1]) {
  addonTest(
    'a thread of its own',
    `of many datagrams with ${bytes} bytes that wait, a batch has 2048 at most, each with its size`,
    async () => {
      await using sockets = new Sockets();
      const receiver = sockets.make();
      const port = await bound(receiver);
      const lengths: number[] = [];
      const wrong: unknown[] = [];
      receiver.on('batch', (batch) => {
        lengths.push(batch.length);
        for (let i = 0; i < batch.length; i++) {
          const seen = [batch.size(i), batch.data(i).length, batch.address(i)];
          if (seen.join() !== `${bytes},${bytes},127.0.0.1`) wrong.push(seen);
        }
      });
      const count = 2 * 2048 + 100;
      sendWhileBlocked({ port, count, bytes, ahead: AHEAD_BYTES });
      await waitFor(() => lengths.reduce((sum, length) => sum + length, 0) === count);
      assert.deepEqual([wrong, Math.max(...lengths)], [[], 2048]);
    },
  );
}

test("'batch' goes to its listeners instead of 'message', and back when they are gone", async () => {
  await using sockets = new Sockets();
  const receiver = sockets.make();
  const port = await bound(receiver);
  const inbox = new Inbox(receiver);
  const peer = sockets.makePeer();
  const batches: number[] = [];
  const onBatch = (batch: Batch) => batches.push(batch.length);
  receiver.on('batch', onBatch);
  await sent(peer, 'one', port);
  await waitFor(() => batches.length === 1);
  assert.equal(inbox.all.length, 0);
  receiver.off('batch', onBatch);
  await sent(peer, 'two', port);
  await inbox.take(1);
  assert.deepEqual(inbox.texts, ['two']);
});

test("'batch' has nothing from those whom receiveBlockList has, super-datagrams too, and answers the others", async () => {
  await using sockets = new Sockets();
  const blocked = new BlockList();
  blocked.addAddress('127.0.0.2');
  const receiver = sockets.make({ type: 'udp4', receiveBlockList: blocked });
  const port = await bound(receiver, '0.0.0.0');
  const got: string[] = [];
  let events = 0;
  receiver.on('batch', (batch) => {
    events++;
    assert.ok(batch.length > 0);
    assert.throws(() => batch.data(batch.length), RangeError);
    for (const [i, { data, address }] of [...batch].entries()) {
      assert.equal(address, '127.0.0.1');
      got.push(`${data}`);
      batch.reply(i, `to ${data}`);
    }
  });
  const good = sockets.make();
  await bound(good);
  const inbox = new Inbox(good);
  const bad = sockets.make();
  await bound(bad, '127.0.0.2');
  bad.on('message', () => assert.fail('answered'));
  const to = { port, address: '127.0.0.1' };
  for (let i = 0; i < 3; i++) {
    assert.equal(bad.sendMany([Buffer.from('bad'), Buffer.from('bad')], to), 2);
    assert.equal(good.sendMany([Buffer.from(`${2 * i}`), Buffer.from(`${2 * i + 1}`)], to), 2);
  }
  await inbox.take(6);
  assert.deepEqual(got, ['0', '1', '2', '3', '4', '5']);
  assert.deepEqual(
    inbox.texts,
    got.map((text) => `to ${text}`),
  );
  assert.equal(receiver.stats().rxBlocked, 6);
  const before = events;
  await sent(bad, 'bad', port);
  await waitFor(() => receiver.stats().rxDatagrams === 13, 'the last one');
  await nextTurn();
  assert.equal(events, before);
});

test('batch.reply answers each sender, and its callback says so', async () => {
  await using sockets = new Sockets();
  const server = sockets.make();
  const port = await bound(server);
  const results: unknown[] = [];
  server.on('batch', (batch) => {
    for (let i = 0; i < batch.length; i++) {
      batch.reply(i, `to ${batch.data(i)}`, (error, bytes) => results.push(error, bytes));
    }
  });
  const peers = Array.from({ length: 5 }, () => sockets.makePeer());
  const inboxes = peers.map((peer) => new Inbox(peer));
  for (const [i, peer] of peers.entries()) await sent(peer, `peer ${i}`, port);
  for (const [i, inbox] of inboxes.entries()) {
    await inbox.take(1);
    assert.deepEqual(inbox.texts, [`to peer ${i}`]);
  }
  await waitFor(() => results.length === 10);
  assert.deepEqual(
    results,
    peers.flatMap(() => [null, 9]),
  );
});

addonTest(
  'a thread of its own',
  'what a reply’s callback says is what became of it, also if ticks run before it leaves',
  async () => {
    await using sockets = new Sockets();
    const [server, other, client] = [sockets.make(), sockets.make(), sockets.make()];
    let seen: unknown[] = [];
    server.on('batch', (batch) => batch.reply(0, 'the answer', (...result) => seen.push(...result)));
    other.on('message', () => seen.push('the other socket'));
    await bound(client);
    for (const socket of [server, other]) await bound(socket);
    // On a slow machine the first of them may use up a drain's time, and the reply leaves before the second.
    for (let round = 1; round <= 20 && seen[0] !== 'the other socket'; round++) {
      seen = [];
      for (const socket of [server, other]) {
        client.sendMany(['x', socket.address().port, '127.0.0.1']);
        blockUntil(() => socket.stats().rxDatagrams === round, 'it to lie in the ring'); // so that one drain has both
      }
      await waitFor(() => seen.length === 3);
      assert.deepEqual(
        seen.filter((each) => each !== 'the other socket'),
        [null, 10],
      );
    }
    assert.deepEqual(seen, ['the other socket', null, 10]);
  },
);

test('batch.reply works for IPv6 and on a connected socket', async () => {
  await using sockets = new Sockets();
  const server = sockets.make('udp6');
  const port = await bound(server);
  server.on('batch', (batch) => batch.reply(0, 'pong'));
  const client = sockets.make('udp6');
  await new Promise<void>((resolve) => client.connect(port, '::1', () => resolve()));
  const echoed: string[] = [];
  client.on('batch', (batch) => {
    echoed.push(batch.data(0).toString());
    if (echoed.length === 1) batch.reply(0, 'again');
  });
  client.send('ping');
  await waitFor(() => echoed.length === 2);
  assert.deepEqual(echoed, ['pong', 'pong']);
});

test('a batch that is over, and an index outside of it, throw', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.make();
  const port = await bound(receiver);
  let kept: Batch | undefined;
  receiver.on('batch', (batch) => {
    assert.throws(() => batch.data(batch.length), RangeError);
    assert.throws(() => batch.size(-1), RangeError);
    kept = batch;
  });
  await sent(sockets.makePeer(), 'x', port);
  await waitFor(() => kept !== undefined);
  await new Promise(setImmediate);
  const over = kept as Batch;
  for (const touch of [
    () => over.length,
    () => over.data(0),
    () => over.reply(0, 'x'),
    () => over.port(0),
    () => [...over],
  ]) {
    assert.throws(touch, /This batch is over/);
  }
});

test('in development a Buffer taken out of a batch is empty afterwards', async () => {
  const { code, stdout, stderr } = await runProgram(
    async () => {
      const { createSocket } = await import('ksocket');
      const socket = createSocket('udp4');
      let kept: Buffer | undefined;
      socket.on('batch', (batch) => {
        kept = batch.data(0);
        console.log(kept.toString());
        setImmediate(() => {
          console.log(kept?.length);
          socket.close();
        });
      });
      socket.bind(0, '127.0.0.1', () => socket.send('lent', socket.address().port));
    },
    [],
    { env: { NODE_ENV: 'development' } },
  );
  assert.deepEqual([code, stdout, stderr], [0, 'lent\n0\n', '']);
});

test('a throwing batch listener loses nothing behind its batch', async () => {
  const { code, stdout } = await runProgram(async () => {
    const { createSocket } = await import('ksocket');
    const socket = createSocket('udp4');
    let received = 0;
    process.on('uncaughtException', (error) => console.log(error.message));
    socket.on('batch', (batch) => {
      const first = received === 0;
      received += batch.length;
      if (received === 20) socket.close();
      if (first) throw new Error('thrown');
    });
    socket.bind(0, '127.0.0.1', async () => {
      const send = () => new Promise((resolve) => socket.send('x', socket.address().port, '127.0.0.1', resolve));
      for (let i = 0; i < 20; i++) await send();
    });
    socket.on('close', () => console.log(received));
  }, []);
  assert.deepEqual([code, stdout], [0, 'thrown\n20\n']);
});

addonTest('few allocations', 'reading a batch by index allocates nothing per datagram', async () => {
  // A sampling heap profile of everything that is allocated while 200 000 datagrams go by, also what is garbage by now.
  const { code, stdout, stderr } = await runProgram(async () => {
    const { Session } = await import('node:inspector/promises');
    const { createSocket } = await import('ksocket');
    const session = new Session();
    session.connect();
    const receiver = createSocket('udp4');
    const sender = createSocket('udp4');
    let received = 0;
    let sum = 0;
    receiver.on('batch', (batch) => {
      for (let i = 0; i < batch.length; i++) {
        // Stays a small integer: a larger number would be an object of the test's own.
        sum = (sum + batch.data(i)[0] + batch.size(i) + batch.port(i) + batch.address(i).length) & 0xffff;
      }
      received += batch.length;
    });
    const bind = (socket: typeof receiver) =>
      new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', () => resolve()));
    await Promise.all([bind(receiver), bind(sender)]);
    const payload = Buffer.alloc(64, 1);
    const port = receiver.address().port;
    const list = Array.from({ length: 128 }, () => [payload, port, '127.0.0.1']).flat();
    const run = async (count: number) => {
      const until = received + count;
      while (received < until) {
        const before = received;
        sender.sendMany(list);
        while (received === before) await new Promise(setImmediate);
      }
    };
    await run(100_000); // the views are made, the code is compiled
    await session.post('HeapProfiler.startSampling', {
      samplingInterval: 512,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    } as never);
    const before = received;
    await run(200_000);
    const { profile } = await session.post('HeapProfiler.stopSampling');
    type Node = { callFrame: { functionName: string; url: string }; selfSize: number; children: Node[] };
    const sizes: Record<string, number> = {};
    const visit = (node: Node, inside: boolean) => {
      const here = inside || ['drain', 'onImmediate'].includes(node.callFrame.functionName);
      if (here) sizes[node.callFrame.functionName] = (sizes[node.callFrame.functionName] ?? 0) + node.selfSize;
      for (const child of node.children) visit(child, here);
    };
    visit(profile.head as Node, false);
    const bytes = Object.values(sizes).reduce((a, b) => a + b, 0);
    console.log(JSON.stringify({ perDatagram: bytes / (received - before), sizes, sum: sum >= 0 }));
    receiver.close();
    sender.close();
  }, []);
  assert.deepEqual([code, stderr], [0, '']);
  const { perDatagram, sizes } = JSON.parse(stdout);
  // The smallest object has 12 bytes or more; what a whole batch costs is spread over its datagrams.
  assert.ok(perDatagram < 5, `${perDatagram} bytes a datagram: ${JSON.stringify(sizes)}`);
});

addonTest(
  'a thread of its own',
  "a socket with a 'batch' listener can be closed inside it: there is no other batch",
  async () => {
    const socket = createSocket('udp4');
    const port = await bound(socket);
    const batches: number[] = [];
    const closedEvent = new Promise<void>((resolve) => socket.on('close', () => resolve()));
    socket.on('batch', (batch) => {
      batches.push(batch.length);
      if (batches.length === 1) socket.close();
    });
    const count = 5000;
    sendWhileBlocked({ port, count, bytes: 1, ahead: AHEAD_BYTES });
    blockUntil(() => socket.stats().rxDatagrams === count, 'all to lie in the ring');
    await closedEvent;
    for (let i = 0; i < 3; i++) await nextTurn();
    assert.deepEqual(batches, [2048]);
    assert.equal(socket.stats().rxCloseDrops, count - 2048);
  },
);
