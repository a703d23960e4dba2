// A socket that has several: which of them gets what, that everything comes once and in order, and their life. Which bytes
// steer where: steering.test.ts.
import assert from 'node:assert/strict';
import type dgram from 'node:dgram';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { createSocket, type RemoteInfo, type Socket, type SocketOptions } from 'ksocket';
import { Flood } from '../support/askers.js';
import { root, runProgram } from '../support/child.js';
import { descriptorsOf, refuseAt } from '../support/kernel-options.js';
import { inNamespace } from '../support/namespace.js';
import { bound, closed, Inbox, Sockets, sent, unusedPort } from '../support/peer.js';
import { heldAtRest, ioThreadCount, untilHeldIs } from '../support/process.js';
import { test } from '../support/test.js';
import { nextTurn, waitFor } from '../support/wait.js';

const two: SocketOptions = { type: 'udp4', shards: 2 };

const received = (socket: Socket, shards: number) =>
  Array.from({ length: shards }, (_, i) => socket.shard(i).stats().rxDatagrams);

/** So many sources, each with a port of its own. */
async function sources(sockets: Sockets, count: number): Promise<dgram.Socket[]> {
  const made = Array.from({ length: count }, () => sockets.makePeer());
  await Promise.all(made.map((source) => bound(source)));
  return made;
}

test('each of 512 sources is one shard’s, two shards have at least 40 of 100 each, and every datagram comes once', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make(two);
  const got = new Map<string, number[]>();
  socket.on('message', (data, { port }) => {
    const [name, n] = `${data}`.split(':');
    const key = `${name}@${port}`;
    got.set(key, [...(got.get(key) ?? []), Number(n)]);
  });
  const port = await bound(socket);
  const senders = await sources(sockets, 512);
  for (const [i, sender] of senders.entries()) {
    const before = received(socket, 2);
    for (let n = 0; n < 4; n++) sender.send(`${i}:${n}`, port, '127.0.0.1');
    const news = () => received(socket, 2).map((count, shard) => count - before[shard]);
    await waitFor(() => news()[0] + news()[1] === 4, 'four datagrams');
    assert.deepEqual(
      news().sort((a, b) => a - b),
      [0, 4],
      'the same shard',
    );
  }
  await waitFor(() => got.size === 512 && [...got.values()].every((all) => all.length >= 4), 'everything');
  await sleep(20);
  for (const [who, all] of got) assert.deepEqual(all, [0, 1, 2, 3], who);
  const split = received(socket, 2);
  assert.equal(split[0] + split[1], 2048);
  // 512 fair coins are farther from the middle once in 200 000 times.
  assert.ok(Math.min(...split) >= 0.4 * 2048, `${split}`);
  assert.equal(socket.stats().rxDatagrams, 2048, 'stats() has them all');
});

test('a flood from 64 sources at once: each datagram once, each source in its order', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make({ ...two, shards: 3, recvBufferSize: 1 << 21 });
  const next = new Map<number, number>();
  let all = 0;
  socket.on('message', (data, { port }) => {
    assert.equal(data.readUInt32LE(), next.get(port) ?? 0, 'in order');
    next.set(port, data.readUInt32LE() + 1);
    all++;
  });
  const port = await bound(socket);
  const senders = Array.from({ length: 64 }, () => sockets.make());
  await Promise.all(senders.map((sender) => bound(sender)));
  const peer = senders[0].peer('127.0.0.1', port);
  for (let round = 0; round < 20; round++) {
    for (const sender of senders) {
      const list = Array.from({ length: 25 }, (_, i) => {
        const data = Buffer.alloc(8);
        data.writeUInt32LE(round * 25 + i);
        return data;
      });
      assert.equal(sender.sendMany(list, peer), 25);
    }
    await waitFor(
      () => all === (round + 1) * 64 * 25,
      () => `${all}`,
    );
  }
  assert.equal(next.size, 64);
  assert.equal(received(socket, 3).filter((count) => count > 0).length, 3);
  assert.equal(socket.stats().rxKernelDrops + socket.stats().rxRingDrops, 0);
});

test('batches of every shard come to one listener, and are answered from the one port', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make({ ...two, shards: 4 });
  socket.on('batch', (batch) => {
    for (let i = 0; i < batch.length; i++) batch.reply(i, batch.data(i));
  });
  const port = await bound(socket, '0.0.0.0');
  const senders = await sources(sockets, 64);
  const answers: [string, RemoteInfo][] = [];
  for (const [i, sender] of senders.entries()) {
    sender.on('message', (data, rinfo) => answers.push([`${i} ${data}`, rinfo as RemoteInfo]));
    sender.send(`${i}`, port, '127.0.0.1');
  }
  await waitFor(() => answers.length === 64, 'answers');
  for (const [text, rinfo] of answers) {
    const [who, what] = text.split(' ');
    assert.deepEqual([who, rinfo.port, rinfo.address], [what, port, '127.0.0.1']);
  }
  assert.ok(received(socket, 4).filter((count) => count > 0).length > 1);
  assert.equal(socket.stats().txDatagrams, 64);
  assert.equal(socket.shard(0).stats().txDatagrams, 64, 'shard 0 is the one that sends');
});

test('what listeners of other shards send leaves together, behind them', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make({ ...two, steering: { offset: 0, length: 1, by: 'index' } });
  const port = await bound(socket);
  const peer = sockets.makePeer();
  const inbox = new Inbox(peer);
  await bound(peer);
  socket.on('message', (data, rinfo) => socket.send(data, rinfo.port, rinfo.address));
  const all = Array.from({ length: 200 }, (_, i) => Buffer.from([1, i]));
  const end = performance.now() + 100;
  for (const data of all) peer.send(data, port, '127.0.0.1');
  await nextTurn();
  while (performance.now() < end); // meanwhile the thread receives
  const got = await inbox.take(200);
  assert.deepEqual(
    got.map(({ data }) => data[1]),
    all.map((data) => data[1]),
  );
  assert.deepEqual(received(socket, 2), [0, 200]);
  const { txCalls } = socket.stats();
  assert.ok(txCalls < 100, `${txCalls} calls for 200 answers`);
});

test('the event loop does not receive for them', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make(two);
  const inbox = new Inbox(socket);
  const port = await bound(socket);
  const sender = sockets.makePeer();
  await bound(sender);
  for (let n = 1; n <= 20; n++) {
    sender.send('light', port, '127.0.0.1');
    await inbox.take(n);
  }
  assert.equal(socket.stats().thread.loopRounds, 0);
  assert.ok(socket.stats().thread.waits > 0);
});

test('bound to a broadcast address, or told to hear all groups, it gets no copies either', async () => {
  await using sockets = new Sockets();
  const sender = sockets.makePeer();
  await bound(sender);
  sender.setBroadcast(true);
  sender.setMulticastInterface('127.0.0.1');

  const cast = sockets.make({ ...two, shards: 3 });
  const casts = new Inbox(cast);
  sender.send('broadcast', await bound(cast, '127.255.255.255'), '127.255.255.255');
  await casts.take(1);

  const socket = sockets.make({ ...two, shards: 3 });
  const inbox = new Inbox(socket);
  const port = await bound(socket, '0.0.0.0');
  const other = sockets.makePeer(); // as long as somebody is in the group, the machine takes what is sent to it
  await bound(other);
  other.addMembership('239.255.7.8', '127.0.0.1');
  socket.setsockopt(0, 49, 1); // IP_MULTICAST_ALL
  await socket.setShards(4);
  sender.send('group', port, '239.255.7.8');
  await inbox.take(1);

  await sleep(50);
  assert.deepEqual([casts.texts, inbox.texts], [['broadcast'], ['group']]);
});

test('a broadcast comes once, and so does what is sent to a group', async () => {
  await using sockets = new Sockets();
  for (const type of ['udp4', 'udp6'] as const) {
    const socket = sockets.make({ ...two, type, shards: 4 });
    const inbox = new Inbox(socket);
    const port = await bound(socket, type === 'udp4' ? '0.0.0.0' : '::');
    const sender = sockets.makePeer();
    await bound(sender);
    sender.setBroadcast(true);
    sender.send('broadcast', port, '127.255.255.255');
    if (type === 'udp4') {
      socket.addMembership('239.255.7.7', '127.0.0.1');
      sender.setMulticastInterface('127.0.0.1');
      sender.send('group', port, '239.255.7.7');
      await inbox.take(2);
    }
    await inbox.take(1);
    await sleep(50);
    assert.deepEqual(inbox.texts.sort(), type === 'udp4' ? ['broadcast', 'group'] : ['broadcast']);
    assert.deepEqual(received(socket, 4), [inbox.all.length, 0, 0, 0], 'shard 0 has them');
  }
});

test('so does what is sent to a group of IPv6', async () => {
  const program = async () => {
    const { createSocket } = await import('ksocket');
    const { default: dgram } = await import('node:dgram');
    const texts: string[] = [];
    const socket = createSocket({ type: 'udp6', shards: 4 }, (data) => texts.push(`${data}`));
    await new Promise<void>((resolve) => socket.bind(0, '::', resolve));
    socket.addMembership('ff02::7:7', '::%v0');
    const member = createSocket({ type: 'udp6' });
    await new Promise<void>((resolve) => member.bind(0, '::', resolve));
    member.addMembership('ff02::7:8', '::%v0');
    const sender = dgram.createSocket('udp6');
    await new Promise<void>((resolve) => sender.bind(0, '::', resolve));
    sender.setMulticastInterface('::%v0');
    const { port } = socket.address();
    for (const group of ['ff02::7:7', 'ff02::7:8']) {
      await new Promise<void>((resolve, reject) => {
        sender.send(group, port, group, (error) => (error ? reject(error) : resolve()));
      });
    }
    while (texts.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 50));
    console.log(texts.filter((text) => text === 'ff02::7:7').length, texts.length <= 2);
    for (const each of [socket, member, sender]) each.close();
  };
  const under = inNamespace(
    'ip link set lo up && ip link add v0 type veth peer name v1 && ip link set v1 up && ip link set v0 up && ' +
      'ip address add fe80::77/64 dev v0 nodad',
  );
  const { code, stdout, stderr } = await runProgram(program, [], { under });
  assert.deepEqual([code, stdout, stderr], [0, '1 true\n', '']);
});

test('a group that somebody else has joined does not come several times', async () => {
  await using sockets = new Sockets();
  const member = sockets.make({ type: 'udp4', reuseAddr: true });
  await bound(member, '0.0.0.0');
  member.addMembership('239.255.7.8', '127.0.0.1');
  const socket = sockets.make({ ...two, shards: 3 });
  const inbox = new Inbox(socket);
  const port = await bound(socket, '0.0.0.0');
  const sender = sockets.makePeer();
  await bound(sender);
  sender.setMulticastInterface('127.0.0.1');
  sender.send('group', port, '239.255.7.8');
  await inbox.take(1);
  await sleep(50);
  assert.deepEqual(inbox.texts, ['group']);
});

test('a filter is every shard’s, before and after bind(), and goes again', async () => {
  await using sockets = new Sockets();
  for (const before of [true, false]) {
    const socket = sockets.make({ ...two, shards: 3, steering: { offset: 0, length: 1, by: 'index' } });
    const inbox = new Inbox(socket);
    if (before) socket.filter('payload[1] = 1');
    const port = await bound(socket, '0.0.0.0');
    if (!before) socket.filter('payload[1] = 1');
    const sender = sockets.makePeer();
    await bound(sender);
    const send = async () => {
      for (let shard = 0; shard < 3; shard++)
        for (const pass of [0, 1]) await sent(sender, Buffer.from([shard, pass]), port);
    };
    await send();
    await inbox.take(3);
    await sleep(20);
    assert.deepEqual(inbox.all.map(({ data }) => data.join()).sort(), ['0,1', '1,1', '2,1']);
    socket.filter(null);
    await send();
    await inbox.take(9);
    assert.throws(() => socket.filter([{ code: 0xffff, jt: 0, jf: 0, k: 0 }]), { code: 'ERR_INVALID_ARG_VALUE' });
    socket.filter('payload[1] = 0', { lock: true });
    await send();
    await inbox.take(12);
    assert.throws(() => socket.filter(null), { code: 'EPERM' });
    await closed(sender);
  }
});

test('options are every shard’s', async () => {
  await using sockets = new Sockets();
  const SO_RCVBUF = 8;
  const socket = sockets.make({ ...two, steering: { offset: 0, length: 1, by: 'index' } });
  const port = await bound(socket);
  const sender = sockets.makePeer();
  await bound(sender);
  const burst = async (shard: number) => {
    const before = socket.shard(shard).stats();
    for (let i = 0; i < 100; i++) sender.send(Buffer.alloc(1000, shard), port, '127.0.0.1');
    await sleep(100);
    return socket.shard(shard).stats().rxDatagrams - before.rxDatagrams;
  };
  socket.setRecvBufferSize(1); // the least that the kernel gives
  assert.equal(socket.getRecvBufferSize(), 2304);
  socket.setsockopt(1, SO_RCVBUF, 1 << 19);
  assert.ok(socket.getRecvBufferSize() >= 2 ** 18);
  for (const shard of [0, 1]) assert.equal(await burst(shard), 100);
});

test('what receiving fails with is an error of the socket, whichever shard it is', async () => {
  await using sockets = new Sockets();
  const closedPort = await unusedPort();
  const socket = sockets.make({ ...two, shards: 3 });
  const told: string[] = [];
  socket.on('error', (error) => told.push(error.message));
  const port = await bound(socket);
  const descriptors = descriptorsOf(port);
  assert.equal(descriptors.length, 3);
  for (const [i, fd] of descriptors.entries()) {
    refuseAt(fd, closedPort);
    await waitFor(() => told.length === i + 1, `error ${i}`);
  }
  assert.deepEqual(told, Array(3).fill('recvmsg ECONNREFUSED'));
  for (const i of [0, 1, 2]) assert.equal(socket.shard(i).stats().rxErrors, 1);
});

test('what was not handed out when it closes is counted, of each shard', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make({ ...two, steering: { offset: 0, length: 1, by: 'index' } });
  let got = 0;
  socket.on('message', () => got++);
  const port = await bound(socket);
  const sender = sockets.make({ type: 'udp4', gso: false }); // joined they would all be one shard's
  await bound(sender);
  const list = Array.from({ length: 500 }, (_, i) => Buffer.from([i % 2]));
  sender.sendMany(list, sender.peer('127.0.0.1', port));
  const shards = [socket.shard(0), socket.shard(1)];
  socket.close();
  await once(socket, 'close');
  const stats = socket.stats();
  assert.equal(got + stats.rxCloseDrops + stats.rxKernelDrops, 500);
  assert.ok(stats.rxCloseDrops > 0);
  assert.equal(shards[0].stats().rxCloseDrops + shards[1].stats().rxCloseDrops, stats.rxCloseDrops);
  assert.ok(shards[1].stats().rxCloseDrops > 0, 'shard 1 has counted, too');
});

test('a thread for each shard, which ends with it, whatever has failed', async () => {
  const before = await heldAtRest();
  await using sockets = new Sockets();
  const socket = sockets.make({ ...two, shards: 5 });
  const port = await bound(socket);
  await waitFor(() => ioThreadCount() === 5, 'five threads');
  const other = createSocket({ ...two, shards: 3 });
  const refused = once(other, 'error');
  other.bind(port, '127.0.0.1');
  assert.equal(((await refused)[0] as NodeJS.ErrnoException).code, 'EADDRINUSE', 'the port is ours');
  assert.equal(((await refused)[0] as { port: number }).port, port);
  await waitFor(() => ioThreadCount() === 5, 'those of the other have ended');
  await bound(other);
  await closed(other);
  await closed(socket);
  await untilHeldIs(before);
});

test('with reusePort others may share the port', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make({ ...two, reusePort: true });
  const other = sockets.make({ ...two, reusePort: true });
  const inboxes = [new Inbox(socket), new Inbox(other)];
  const port = await bound(socket);
  const listening = once(other, 'listening');
  other.bind(port, '127.0.0.1');
  await listening;
  for (const sender of await sources(sockets, 64)) sender.send('x', port, '127.0.0.1');
  await waitFor(() => inboxes[0].all.length + inboxes[1].all.length === 64, 'all');
  assert.ok(inboxes.every(({ all }) => all.length > 0));
  await assert.rejects(socket.setShards(1), { code: 'ERR_INVALID_STATE' });
});

test('bindSync(), udp6 for both families, a single shard', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make({ type: 'udp6', shards: 2, steering: 'source' });
  const inbox = new Inbox(socket);
  const { port } = socket.bindSync({ address: '::' });
  const [four, six] = [sockets.makePeer(), sockets.makePeer('udp6')];
  await Promise.all([bound(four), bound(six)]);
  await sent(four, 'four', port);
  await sent(six, 'six', port, '::1');
  await inbox.take(2);
  assert.deepEqual(inbox.texts.sort(), ['four', 'six']);

  const single = sockets.make({ ...two, shards: 1, steering: { offset: 0, length: 4 } });
  const one = new Inbox(single);
  await sent(four, 'single', await bound(single));
  await one.take(1);
});

test('unref() lets the program end, ref() does not', async () => {
  const program = async (on: string) => {
    const { createSocket } = await import('ksocket');
    const socket = createSocket({ type: 'udp4', shards: 3 }).bind(0, '127.0.0.1', () => {
      socket.unref();
      if (on === 'ref') {
        socket.ref();
        setTimeout(() => socket.close(() => console.log('closed')), 100).unref();
      }
    });
  };
  for (const [on, says] of [
    ['unref', ''],
    ['ref', 'closed\n'],
  ]) {
    const { code, stdout, stderr } = await runProgram(program, [on]);
    assert.deepEqual([code, stdout, stderr], [0, says, '']);
  }
});

test('one socket is what process.getActiveResourcesInfo() and a cluster see', async () => {
  const { code, stdout, stderr } = await runProgram(async () => {
    await import('ksocket/register' as string);
    const { createSocket } = await import('ksocket');
    const socket = createSocket({ type: 'udp4', shards: 3 });
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    console.log(process.getActiveResourcesInfo().filter((name) => name === 'UDPWrap').length);
    socket.close();
  }, []);
  assert.deepEqual([code, stdout, stderr], [0, '1\n', '']);
});

/** Sends on until it is told to end, never more than a kernel's buffer holds; resolves to how many. */
function flood(senders: dgram.Socket[], port: number, received: () => number): { end(): Promise<number> } {
  let going = true;
  const done = (async () => {
    let n = 0;
    while (going) {
      for (const sender of senders) {
        sender.send(Buffer.from(`${n % senders.length}:${Math.floor(n / senders.length)}`), port, '127.0.0.1');
        n++;
      }
      do await sleep(1);
      while (going && n - received() > 100);
    }
    await Promise.all(senders.map((sender) => sent(sender, 'last', port)));
    return n + senders.length;
  })();
  return {
    end() {
      going = false;
      return done;
    },
  };
}

for (const steering of ['flow', 'source', { offset: 0, length: 2 }] as const) {
  test(`setShards() while datagrams come in, steering ${JSON.stringify(steering)}: nothing is lost, nothing comes twice`, async () => {
    await using sockets = new Sockets();
    const socket = sockets.make({ ...two, steering });
    const seen = new Set<string>();
    let all = 0;
    socket.on('message', (data, rinfo) => {
      all++;
      if (`${data}` !== 'last') seen.add(`${rinfo.port} ${data}`);
      else seen.add(`${rinfo.port} last`);
    });
    const port = await bound(socket);
    const senders = await sources(sockets, 32);
    const flooding = flood(senders, port, () => all);
    for (const count of [5, 3, 1, 4, 2]) {
      await sleep(30);
      await socket.setShards(count);
      await waitFor(() => ioThreadCount() >= count, 'the threads');
      assert.equal(socket.shard(count - 1).index, count - 1);
      assert.throws(() => socket.shard(count), { code: 'ERR_OUT_OF_RANGE' });
    }
    const total = await flooding.end();
    await waitFor(
      () => all === total,
      () => `${all} of ${total}: ${JSON.stringify(socket.stats())}`,
    );
    await sleep(20);
    assert.deepEqual([all, seen.size], [total, total]);
    const stats = socket.stats();
    assert.deepEqual(
      [stats.rxDatagrams, stats.rxKernelDrops, stats.rxRingDrops, stats.rxCloseDrops],
      [total, 0, 0, 0],
      'with those of the shards that are gone',
    );
  });
}

test('a socket that closes takes nothing of what the others get', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make({ ...two, shards: 1, recvBufferSize: 1 << 20 });
  let all = 0;
  socket.on('batch', ({ length }) => {
    all += length;
  });
  const flood = new Flood(sockets, await bound(socket));
  await waitFor(() => all > 0, 'the first');
  for (let i = 0; i < 30; i++) {
    await socket.setShards(6);
    await socket.setShards(1);
  }
  const count = await flood.end();
  await waitFor(
    () => socket.stats().rxDatagrams + socket.stats().rxKernelDrops >= count,
    () => `${count}, ${JSON.stringify(socket.stats())}`,
    5000,
  );
  const { rxDatagrams, rxKernelDrops, rxCloseDrops } = socket.stats();
  assert.deepEqual([rxDatagrams + rxKernelDrops, rxCloseDrops], [count, 0]);
});

test('nothing comes to a shard that goes', async () => {
  for (const steering of ['flow', 'source', 'cpu', { offset: 0, length: 1 }] as const) {
    await using sockets = new Sockets();
    const socket = sockets.make({ ...two, shards: 3, steering });
    const inbox = new Inbox(socket);
    const port = await bound(socket);
    const senders = await sources(sockets, 64);
    for (const [i, sender] of senders.entries()) sender.send(Buffer.from([i]), port, '127.0.0.1');
    await inbox.take(64);
    const leaving = [socket.shard(1), socket.shard(2)];
    const before = leaving.map((shard) => shard.stats().rxDatagrams);
    const shrinking = socket.setShards(1);
    await nextTurn();
    for (const [i, sender] of senders.entries()) sender.send(Buffer.from([i]), port, '127.0.0.1');
    await shrinking;
    await inbox.take(128);
    assert.deepEqual(
      leaving.map((shard) => shard.stats().rxDatagrams),
      before,
    );
    assert.equal(socket.stats().rxDatagrams, 128);
  }
});

test('what a slow listener leaves of another shard comes though nothing else wakes the loop', async () => {
  const program = async (first: string) => {
    const { createSocket } = await import('ksocket');
    const steering = { offset: 0, length: 1, by: 'index' } as const;
    const socket = createSocket({ type: 'udp4', shards: Number(first), steering });
    const sender = createSocket({ type: 'udp4', gso: false });
    let left = 60;
    socket.on('message', () => {
      const end = performance.now() + 1;
      while (performance.now() < end);
      if (--left === 0) socket.close(() => console.log('all'));
    });
    socket.bind(0, '127.0.0.1', async () => {
      const { port } = socket.address();
      await socket.setShards(2);
      sender.bind(0, '127.0.0.1', () => {
        sender.sendMany(
          Array.from({ length: left }, () => Buffer.from([1])),
          sender.peer('127.0.0.1', port),
        );
        sender.close();
      });
    });
  };
  for (const first of ['2', '1']) {
    const { code, stdout, stderr } = await runProgram(program, [first]);
    assert.deepEqual([code, stdout, stderr], [0, 'all\n', '']);
  }
});

test('setShards() before bind() says how many there will be; close() does not wait for it', async () => {
  const before = await heldAtRest();
  const socket = createSocket(two);
  await socket.setShards(3);
  await bound(socket);
  await waitFor(() => ioThreadCount() === 3, 'three threads');
  const shrinking = socket.setShards(1);
  await nextTurn();
  await closed(socket);
  await shrinking;
  await assert.rejects(socket.setShards(2), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' });
  await untilHeldIs(before);
});

test('a shard that is handed over is a worker’s, with what waits in the kernel, and stays when the worker ends', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make({ ...two, steering: { offset: 0, length: 1, by: 'index' } });
  const inbox = new Inbox(socket);
  assert.throws(() => socket.shard(1).handOver(), { code: 'EBADF' });
  const port = await bound(socket);
  const sender = sockets.makePeer();
  await bound(sender);
  await sent(sender, Buffer.from([1, 1]), port);
  await inbox.take(1);

  const source = `
    import { parentPort, workerData } from 'node:worker_threads';
    import { createSocket } from ${JSON.stringify(pathToFileURL(`${root}/dist/index.js`))};
    const socket = createSocket('udp4', (data) => parentPort.postMessage([...data]));
    socket.bind({ fd: workerData }, () => parentPort.postMessage(socket.address().port));
  `;
  for (let turn = 0; turn < 2; turn++) {
    const fd = socket.shard(1).handOver();
    await sent(sender, Buffer.from([1, 2, turn]), port); // before the worker is there
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { workerData: fd });
    const heard: unknown[] = [];
    worker.on('message', (message) => heard.push(message));
    await waitFor(() => heard.length === 2, 'the worker');
    await sent(sender, Buffer.from([0, turn]), port);
    await sent(sender, Buffer.from([1, 3, turn]), port);
    await waitFor(() => heard.length === 3, 'a datagram of the worker’s');
    assert.deepEqual(heard, [port, [1, 2, turn], [1, 3, turn]]);
    await worker.terminate();
  }
  await inbox.take(3);
  assert.deepEqual(
    inbox.all.map(({ data }) => [...data]),
    [
      [1, 1],
      [0, 0],
      [0, 1],
    ],
  );
  await assert.rejects(socket.setShards(3), { code: 'ERR_INVALID_STATE' });
});

test('errors', async () => {
  await using sockets = new Sockets();
  const make = (options: object) => () => createSocket({ type: 'udp4', ...options } as SocketOptions);
  for (const shards of [0, 65, -1, 1.5, Number.NaN, 2 ** 40]) {
    assert.throws(make({ shards }), { code: 'ERR_OUT_OF_RANGE', message: /options\.shards/ });
  }
  for (const shards of ['2', 'all', null, true, {}, 2n])
    assert.throws(make({ shards }), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(make({ steering: 'flow' }), { code: 'ERR_INVALID_ARG_VALUE', message: /without shards/ });
  assert.throws(make({ shards: 2, thread: 'shared' }), { code: 'ERR_INVALID_ARG_VALUE', message: /'dedicated'/ });
  assert.throws(make({ shards: 2, reusePort: false }), { code: 'ERR_INVALID_ARG_VALUE', message: /reusePort/ });
  assert.throws(make({ shards: 2, reusePort: true, steering: 'source' }), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(make({ shards: 2, gro: true, steering: { offset: 0, length: 1 } }), { code: 'ERR_INVALID_ARG_VALUE' });

  const socket = sockets.make(two);
  assert.throws(() => socket.connect(9, '127.0.0.1'), { code: 'ERR_INVALID_STATE' });
  assert.throws(() => socket.connectSync(9, '127.0.0.1'), { code: 'ERR_INVALID_STATE' });
  for (const index of [-1, 2, 0.5]) assert.throws(() => socket.shard(index), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => socket.shard('0' as never), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.equal(socket.shard(1).stats().rxDatagrams, 0, 'before bind()');
  await assert.rejects(socket.setShards(0), { code: 'ERR_OUT_OF_RANGE' });
  const plain = sockets.make();
  assert.throws(() => plain.shard(0), { code: 'ERR_INVALID_STATE' });
  await assert.rejects(plain.setShards(2), { code: 'ERR_INVALID_STATE' });

  assert.throws(() => socket.bind({ fd: 1 }), { code: 'ERR_INVALID_ARG_VALUE', message: /shards/ });
  await bound(socket);
  const cores = sockets.make({ type: 'udp4', shards: 'cores' });
  await bound(cores);
  assert.equal(cores.shard(Math.min(availableParallelism(), 64) - 1).stats().rxDatagrams, 0);
  assert.throws(() => cores.shard(Math.min(availableParallelism(), 64)), { code: 'ERR_OUT_OF_RANGE' });
});

test('shards that come later are set as the others have been', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make({ ...two, shards: 1 });
  await bound(socket);
  socket.setRecvBufferSize(50_000);
  const mark = Buffer.from([9, 0, 0, 0]);
  socket.setsockopt(1, 12, mark); // SO_PRIORITY
  mark.fill(0);
  await socket.setShards(2);

  const copy = sockets.make('udp4'); // as a worker has it
  copy.bind({ fd: socket.shard(1).handOver() });
  assert.deepEqual([copy.getRecvBufferSize(), copy.getsockopt(1, 12)[0]], [100_000, 9]);
  await closed(copy);
});

test('what listeners of batches answer leaves from the address that was asked, of shards that came later, too', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make({ ...two, shards: 1, steering: { offset: 0, length: 1, by: 'index' } });
  const port = await bound(socket, '0.0.0.0');
  socket.on('batch', (batch) => {
    for (let i = 0; i < batch.length; i++) batch.reply(i, batch.data(i));
  });
  await socket.setShards(2);
  const peer = sockets.makePeer();
  const inbox = new Inbox(peer);
  await bound(peer);
  for (const shard of [0, 1]) peer.send(Buffer.from([shard]), port, '127.0.0.5');
  await inbox.take(2);
  assert.deepEqual(
    inbox.all.map(({ rinfo }) => rinfo.address),
    ['127.0.0.5', '127.0.0.5'],
  );
});

test('what shard() returns before bind() is that shard afterwards', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make({ ...two, steering: { offset: 0, length: 1, by: 'index' } });
  const shard = socket.shard(1);
  assert.equal(shard.stats().rxDatagrams, 0);
  assert.throws(() => shard.handOver(), { code: 'EBADF', syscall: 'dup' });
  const inbox = new Inbox(socket);
  const port = await bound(socket);
  const peer = sockets.makePeer();
  await bound(peer);
  peer.send(Buffer.from([1]), port, '127.0.0.1');
  await inbox.take(1);
  assert.equal(shard.stats().rxDatagrams, 1);
});

test('a locked filter keeps the steering as it is, and setShards() says so', async () => {
  await using sockets = new Sockets();
  const locked = { code: 'ERR_INVALID_STATE', message: /The filter is locked/ };
  const socket = sockets.make(two);
  const port = await bound(socket);
  const inbox = new Inbox(socket);
  socket.filter('payload len < 100', { lock: true });
  await socket.setShards(3);
  await assert.rejects(socket.setShards(1), locked);
  await socket.setShards(4); // which the kernel's own hash divides, as before
  const steered = sockets.make({ ...two, steering: 'source' });
  await bound(steered);
  steered.filter('payload len < 100', { lock: true });
  await assert.rejects(steered.setShards(3), locked);
  assert.throws(() => steered.shard(2), { code: 'ERR_OUT_OF_RANGE' });
  const peers = await sources(sockets, 32);
  for (const peer of peers) for (const bytes of [100, 99]) peer.send(Buffer.alloc(bytes), port, '127.0.0.1');
  await inbox.take(32);
  assert.ok(received(socket, 4).filter((count) => count > 0).length >= 3);
  assert.equal(socket.stats().rxKernelDrops, 32);
});
