// What the kernel says beside a datagram, where a socket asks for it.
import assert from 'node:assert/strict';
import { createSocket as createDgramSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Batch, RemoteInfo, Socket, SocketOptions } from 'ksocket';
import { addonTest } from '../support/backend.js';
import { bound, Sockets } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

async function receiver(sockets: Sockets, options: Partial<SocketOptions>, address = '127.0.0.1'): Promise<Socket> {
  const socket = sockets.make({ type: 'udp4', ...options });
  socket.bind(0, address);
  await once(socket, 'listening');
  return socket;
}

/** `rinfo` of what `send` sends. */
async function rinfosOf(socket: Socket, count: number, send: () => unknown): Promise<RemoteInfo[]> {
  const rinfos: RemoteInfo[] = [];
  socket.on('message', (_, rinfo) => rinfos.push(rinfo));
  await send();
  await waitFor(
    () => rinfos.length === count,
    () => `${rinfos.length} of ${count} datagrams`,
  );
  return rinfos;
}

for (const [kind, options, address, to] of [
  ['udp4', { type: 'udp4' }, '127.0.0.1', '127.0.0.1'],
  ['udp6', { type: 'udp6' }, '::1', '::1'],
  ['udp6, from IPv4', { type: 'udp6' }, '::', '127.0.0.1'],
  ['a dedicated thread', { type: 'udp4', thread: 'dedicated' }, '127.0.0.1', '127.0.0.1'],
] as const) {
  addonTest('kernel features', `receiveTtl: rinfo.ttl is the hop limit of each datagram: ${kind}`, async () => {
    await using sockets = new Sockets();
    const socket = await receiver(sockets, { ...options, receiveTtl: true }, address);
    const sender = sockets.make(to.includes(':') ? 'udp6' : 'udp4');
    await bound(sender);
    const ttls = [1, 64, 255, 7];
    const rinfos = await rinfosOf(socket, ttls.length, async () => {
      for (const ttl of ttls) {
        sender.setTTL(ttl);
        await new Promise((sent) => sender.send('x', socket.address().port, to, sent));
      }
    });
    assert.deepEqual(
      rinfos.map((rinfo) => rinfo.ttl),
      ttls,
    );
    assert.deepEqual(Object.keys(rinfos[0]), ['address', 'family', 'port', 'size', 'ttl']);
  });
}

test('without the option rinfo is what node:dgram’s is, and a batch says undefined', async () => {
  await using sockets = new Sockets();
  for (const options of [{}, { receiveTtl: false }]) {
    const socket = await receiver(sockets, options);
    const sender = sockets.make();
    const [rinfo] = await rinfosOf(socket, 1, () => sender.send('x', socket.address().port, '127.0.0.1'));
    assert.deepEqual(Object.keys(rinfo), ['address', 'family', 'port', 'size']);
    const ttls: unknown[] = [];
    socket.on('batch', (batch: Batch) => {
      for (let i = 0; i < batch.length; i++) ttls.push(batch.ttl(i));
      for (const datagram of batch) assert.equal('ttl' in datagram, false);
    });
    sender.send('y', socket.address().port, '127.0.0.1');
    await waitFor(() => ttls.length === 1);
    assert.deepEqual(ttls, [undefined]);
  }
});

addonTest('kernel features', 'receiveTtl: batch.ttl(i), also of joined datagrams, of several hop limits', async () => {
  await using sockets = new Sockets();
  const socket = await receiver(sockets, { receiveTtl: true });
  const senders = [10, 20].map((ttl) => ({ ttl, socket: sockets.make() }));
  const seen: [port: number, ttl: number | undefined][] = [];
  let iterated = 0;
  socket.on('batch', (batch: Batch) => {
    for (let i = 0; i < batch.length; i++) seen.push([batch.port(i), batch.ttl(i)]);
    for (const { port, ttl } of batch) assert.deepEqual([port, ttl], seen[iterated++]);
    assert.throws(() => batch.ttl(batch.length), RangeError);
  });
  for (const sender of senders) {
    await bound(sender.socket);
    sender.socket.setTTL(sender.ttl);
  }
  for (let round = 0; round < 10; round++) {
    for (const sender of senders) {
      const list = Array.from({ length: 30 }, () => ['x'.repeat(100), socket.address().port, '127.0.0.1']).flat();
      assert.equal(sender.socket.sendMany(list), 30);
    }
    await waitFor(() => seen.length === (round + 1) * 60);
  }
  for (const sender of senders) {
    const own = seen.filter(([port]) => port === sender.socket.address().port);
    assert.equal(own.length, 300);
    assert.ok(own.every(([, ttl]) => ttl === sender.ttl));
  }
});

addonTest('kernel features', 'receiveTtl: for await says it, too', async () => {
  await using sockets = new Sockets();
  const socket = await receiver(sockets, { receiveTtl: true });
  const sender = sockets.make();
  await bound(sender);
  sender.setTTL(33);
  sender.send('x', socket.address().port, '127.0.0.1');
  for await (const datagram of socket) {
    assert.equal(datagram.ttl, 33);
    assert.equal(String(datagram.data), 'x');
    break;
  }
});

test('receiveTtl: a value that is no boolean is refused as Node refuses it', async () => {
  await using sockets = new Sockets();
  for (const receiveTtl of [1, 'yes', null, {}]) {
    assert.throws(() => sockets.make({ type: 'udp4', receiveTtl } as unknown as SocketOptions), {
      code: 'ERR_INVALID_ARG_TYPE',
      name: 'TypeError',
      message: /"options\.receiveTtl" property must be of type boolean/,
    });
  }
  // node:dgram ignores options that it does not know.
  createDgramSocket({ type: 'udp4', receiveTtl: 1 } as unknown as SocketOptions).close();
});

test('a batch shows nothing of the ring that it reads', async () => {
  await using sockets = new Sockets();
  const socket = await receiver(sockets, { receiveTtl: 'auto' });
  const batches: Batch[] = [];
  socket.on('batch', (batch: Batch) => batches.push(batch));
  sockets.make().send('x', socket.address().port, '127.0.0.1');
  await waitFor(() => batches.length === 1);
  assert.deepEqual(Reflect.ownKeys(batches[0]), []);
  const methods = ['address', 'bytes', 'data', 'fullSize', 'length', 'offset', 'port', 'reply', 'size', 'truncated'];
  methods.push('dscp', 'ecn', 'ifindex', 'local', 'originalDst', 'receivedNs', 'receivedUs', 'ttl', 'path');
  methods.push('credentials', 'descriptors', 'descriptorsTruncated');
  const internal = ['add', 'constructor', 'dropDescriptors', 'leaveOut', 'open', 'release'];
  const names = Object.getOwnPropertyNames(Object.getPrototypeOf(batches[0]));
  assert.deepEqual(names.sort(), [...methods, ...internal].sort());
});

test('a batch has no datagram at what is no index', async () => {
  await using sockets = new Sockets();
  const socket = await receiver(sockets, { receiveTtl: 'auto' });
  const sender = sockets.make();
  let tried = 0;
  socket.on('batch', (batch: Batch) => {
    for (const i of [
      -1,
      0.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      batch.length,
      2 ** 32,
      '0',
      undefined,
    ] as number[]) {
      for (const read of [
        () => batch.data(i),
        () => batch.size(i),
        () => batch.offset(i),
        () => batch.address(i),
        () => batch.port(i),
        () => batch.ttl(i),
        () => batch.reply(i, 'x'),
      ]) {
        assert.throws(read, RangeError, `${read} of ${String(i)}`);
        tried++;
      }
    }
  });
  sender.send('x', socket.address().port, '127.0.0.1');
  await waitFor(() => tried > 0);
  assert.equal(tried, 56);
});
