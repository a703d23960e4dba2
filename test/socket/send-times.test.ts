// 'sendtime': when the kernel has sent a datagram, and departure times. Between hosts: wire.ts.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { features, type SendTime, type Socket, type SocketOptions } from 'ksocket';
import { addonTest, onDgram } from '../support/backend.js';
import { runProgram } from '../support/child.js';
import { fdOf, kernelBytesOf, kernelOptions } from '../support/kernel-options.js';
import { bound, Inbox, Sockets, unusedPort } from '../support/peer.js';
import { kernelPreload } from '../support/programs.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const ECANCELED = 125;
const EINVAL = 22;

function listen(socket: Socket): SendTime[] {
  const told: SendTime[] = [];
  socket.on('sendtime', (time) => told.push(time));
  socket.on('error', (error) => assert.fail(error));
  return told;
}

const numbers = (count: number, first = 0) => Array.from({ length: count }, (_, i) => first + i);

/** What the kernel has said of when they were sent, by id: each once, between these two times, in order. */
function checkTimes(told: SendTime[], ids: number[], since: number): void {
  const until = (Date.now() + 1) * 1000;
  assert.deepEqual(
    told.map(({ id }) => id),
    ids,
  );
  let latest = BigInt(since) * 1_000_000n;
  for (const { kind, timeUs, timeNs } of told) {
    assert.equal(kind, 'software');
    assert.ok(timeNs >= latest && timeUs <= until, `${latest} ${timeNs} ${until}`);
    assert.ok(Math.abs(Number(timeNs % 1_000_000_000_000n) / 1000 - (timeUs % 1e9)) < 0.3);
    latest = timeNs;
  }
}

for (const [name, options, address] of [
  ['udp4', { type: 'udp4' }, '127.0.0.1'],
  ['udp6', { type: 'udp6' }, '::1'],
  ['udp6, to IPv4', { type: 'udp6' }, '::ffff:127.0.0.1'],
  ['a dedicated thread', { type: 'udp4', thread: 'dedicated' }, '127.0.0.1'],
] as const) {
  addonTest(
    'kernel features',
    `100 datagrams: each is told its own time, before it was received: ${name}`,
    async () => {
      await using sockets = new Sockets();
      const sink = sockets.make({ type: address === '::1' ? 'udp6' : 'udp4', receiveTimes: true });
      const inbox = new Inbox(sink);
      const port = await bound(sink);
      const socket = sockets.make({ ...options, sendTimes: true });
      await bound(socket, options.type === 'udp6' ? '::' : undefined);
      const told = listen(socket);
      const since = Date.now();
      for (let i = 0; i < 100; i++) {
        socket.send(`${i}`, { port, address, id: 4_294_967_200 + i - (i > 95 ? 2 ** 32 : 0) });
        socket.send('of no interest', { port, address });
      }
      await inbox.take(200);
      await waitFor(() => told.length === 100);
      checkTimes(told, [...numbers(96, 4_294_967_200), ...numbers(4)], since);
      const received = inbox.all.filter(({ data }) => data.length < 3);
      for (const [i, { data, rinfo }] of received.entries()) {
        assert.equal(`${data}`, `${i}`);
        assert.ok((rinfo.receivedNs as bigint) >= told[i].timeNs);
      }
      const { txTimed, rxSendTimes, rxPeerErrors, txErrors } = socket.stats();
      assert.deepEqual([txTimed, rxSendTimes, rxPeerErrors, txErrors], [100, 100, 0, 0]);
    },
  );
}

addonTest('kernel features', 'of lists each has the next number, and leaves alone', async () => {
  await using sockets = new Sockets();
  const sink = sockets.make();
  const inbox = new Inbox(sink);
  const port = await bound(sink);
  const to = { port, address: '127.0.0.1' };
  const socket = sockets.make({ type: 'udp4', sendTimes: true });
  await bound(socket);
  const told = listen(socket);
  const since = Date.now();
  const list = numbers(50).map((i) => `list ${i % 10}`);
  list[7] = 'x'.repeat(65_536); // has its number, and no time
  assert.equal(socket.sendMany(list, { ...to, id: 1000 }), 50);
  assert.equal(socket.sendMany(Buffer.alloc(95), { ...to, id: 0xffff_fffe, segmentSize: 10 }), 10);
  assert.equal(socket.sendMany(['a', 'b'], { peer: socket.peer(to.address, port), id: 5, dscp: 1 }), 2);
  await new Promise((done) => socket.send('c', socket.peer(to.address, port), done));
  await inbox.take(62);
  await waitFor(() => told.length === 61);
  const ofList = numbers(50, 1000).filter((id) => id !== 1007);
  checkTimes(told, [...ofList, 0xffff_fffe, 0xffff_ffff, ...numbers(8), 5, 6], since);
  assert.equal(socket.stats().txGsoBatches, 0);
  // What asks for no time is joined as ever.
  assert.equal(socket.sendMany(Buffer.alloc(100), { ...to, segmentSize: 10 }), 10);
  await inbox.take(72);
  const { txTimed, txGsoSegments, txErrors } = socket.stats();
  assert.deepEqual(
    [txTimed, txGsoSegments, txErrors],
    [61, features().gso && features().engine === 'mmsg' ? 10 : 0, 1],
  );
});

addonTest('kernel features', 'a connected socket, and one that says other things besides', async () => {
  await using sockets = new Sockets();
  const sink = sockets.make({ type: 'udp4', receiveTos: true });
  const inbox = new Inbox(sink);
  const port = await bound(sink);
  const socket = sockets.make({ type: 'udp4', sendTimes: true, receiveTimes: true });
  await new Promise<void>((resolve) => socket.connect(port, '127.0.0.1', () => resolve()));
  // SOF_TIMESTAMPING_SOFTWARE, OPT_ID, OPT_TSONLY, OPT_RX_FILTER: of what is received it says nothing.
  assert.deepEqual(kernelOptions(fdOf(socket), ['s.SOL_SOCKET, 37']), [0x20890]);
  const told = listen(socket);
  const answers = new Inbox(socket);
  const since = Date.now();
  socket.setSendDefaults({ dscp: 46 });
  socket.send('1', { id: 1 });
  socket.send('2', { id: 2, dscp: 8, local: '127.0.0.1' });
  socket.sendMany(['3', '4'], { id: 3 });
  const rinfos = (await inbox.take(4)).map(({ rinfo }) => rinfo.dscp);
  assert.deepEqual(rinfos, [46, 8, 46, 46]);
  await waitFor(() => told.length === 4);
  checkTimes(told, [1, 2, 3, 4], since);
  sink.send('answer', inbox.all[0].rinfo.port, '127.0.0.1');
  const [{ rinfo }] = await answers.take(1);
  assert.ok((rinfo.receivedNs as bigint) > told[3].timeNs);
});

addonTest('kernel features', 'times and errors of peers come from one queue, each as its own event', async () => {
  await using sockets = new Sockets();
  const sink = sockets.make();
  const inbox = new Inbox(sink);
  const port = await bound(sink);
  const closed = await unusedPort();
  const socket = sockets.make({ type: 'udp4', sendTimes: true, receiveErrors: true });
  await bound(socket);
  const told = listen(socket);
  const refused: string[] = [];
  socket.on('peererror', ({ code, port: of, data }) => refused.push(`${code} ${of === closed} ${data}`));
  const since = Date.now();
  const expected: string[] = [];
  for (let i = 0; i < 20; i++) {
    socket.send(`${i}`, { port: closed, address: '127.0.0.1', id: 2 * i });
    socket.send('good', { port, address: '127.0.0.1', id: 2 * i + 1 });
    expected.push(`ECONNREFUSED true ${i}`);
    await waitFor(() => told.length === 2 * i + 2 && refused.length === i + 1);
  }
  await inbox.take(20);
  checkTimes(told, numbers(40), since);
  assert.deepEqual(refused, expected);
  const { txTimed, rxSendTimes, rxPeerErrors, rxErrors, txErrors } = socket.stats();
  assert.deepEqual([txTimed, rxSendTimes, rxPeerErrors, rxErrors, txErrors], [40, 40, 20, 0, 0]);
});

addonTest('kernel features', 'without receiveErrors a connected socket hears of its peer as ever', async () => {
  await using sockets = new Sockets();
  const closed = await unusedPort();
  const socket = sockets.make({ type: 'udp4', sendTimes: true });
  await new Promise<void>((resolve) => socket.connect(closed, '127.0.0.1', () => resolve()));
  const told: SendTime[] = [];
  socket.on('sendtime', (time) => told.push(time));
  const failed = once(socket, 'error');
  socket.send('x', { id: 9 });
  assert.equal((await failed)[0].code, 'ECONNREFUSED');
  await waitFor(() => told.length === 1);
  assert.equal(told[0].id, 9);
});

addonTest('kernel features', 'times for which the receive buffer has no room are missing in the count', async () => {
  await using sockets = new Sockets();
  const port = await bound(sockets.make());
  const socket = sockets.make({ type: 'udp4', sendTimes: true, recvBufferSize: 1 });
  await bound(socket);
  const told = listen(socket);
  assert.equal(socket.sendMany(Array(1000).fill('x'), { port, address: '127.0.0.1', id: 0 }), 1000);
  socket.send('last', { port, address: '127.0.0.1' });
  let before = -1;
  while (before !== told.length) {
    before = told.length;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { txTimed, rxSendTimes } = socket.stats();
  assert.deepEqual([txTimed, rxSendTimes], [1000, told.length]);
  assert.ok(told.length > 0 && told.length < 1000, `${told.length}`);
  assert.equal(new Set(told.map(({ id }) => id)).size, told.length);
});

addonTest('kernel features', 'listeners run in the async context of the socket, and none after close()', async () => {
  await using sockets = new Sockets();
  const port = await bound(sockets.make());
  const storage = new AsyncLocalStorage<string>();
  const socket = storage.run('its own', () => sockets.make({ type: 'udp4', sendTimes: true }));
  const stores: unknown[] = [];
  socket.on('sendtime', () => {
    stores.push(storage.getStore());
    socket.close();
  });
  storage.run('another', () => socket.sendMany([]));
  await once(socket, 'listening');
  socket.sendMany(['a', 'b', 'c'], { port, address: '127.0.0.1', id: 0 });
  await once(socket, 'close');
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(stores, ['its own']);
});

addonTest(
  'kernel features',
  'txTime: the kernel has the clock, and takes datagrams with a departure time',
  async () => {
    await using sockets = new Sockets();
    const sink = sockets.make();
    const inbox = new Inbox(sink);
    const port = await bound(sink);
    const clocks = [true, 'auto', 'monotonic', 'tai'] as const;
    const made = clocks.map((txTime) => sockets.make({ type: 'udp4', txTime }));
    for (const socket of made) await bound(socket);
    const had = kernelBytesOf(made.map(fdOf), 's.SOL_SOCKET, 61', 8);
    // struct sock_txtime: the clock, and SOF_TXTIME_REPORT_ERRORS
    assert.deepEqual(
      had.map((bytes) => [bytes.readInt32LE(), bytes.readUInt32LE(4)]),
      [1, 1, 1, 11].map((clock) => [clock, 2]),
    );
    for (const socket of made) {
      const txTimeNs = process.hrtime.bigint() + 1_000_000n;
      await new Promise<void>((resolve, reject) =>
        socket.send('x', { port, address: '127.0.0.1', txTimeNs, dscp: 3 }, (error) =>
          error ? reject(error) : resolve(),
        ),
      );
      assert.equal(socket.sendMany(['y', 'y'], { port, address: '127.0.0.1', txTimeNs }), 2);
    }
    await inbox.take(12);
  },
);

for (const [errno, kind] of [
  [ECANCELED, 'missed'],
  [EINVAL, 'invalid'],
] as const) {
  addonTest('kernel features', `a departure time that was ${kind} is reported with that time (simulated)`, async () => {
    const { code, stdout, stderr } = await runProgram(
      async () => {
        const { createSocket } = await import('ksocket');
        const socket = createSocket({ type: 'udp4', sendTimes: true, txTime: true });
        socket.on('sendtime', ({ kind, id, timeUs, timeNs }) => {
          const { rxMissedTxTimes, rxSendTimes } = socket.stats();
          console.log(kind, id, timeUs, `${timeNs}`, rxMissedTxTimes, rxSendTimes);
          socket.close();
        });
        socket.bindSync({ address: '127.0.0.1' });
        const { port } = socket.address();
        socket.send('x', { port, address: '127.0.0.1', local: '127.0.0.1', id: 1, txTimeNs: 0x1234_5678_9abc_def0n });
      },
      [],
      { env: { LD_PRELOAD: kernelPreload, KERNEL_MISSES: `${errno}` } },
    );
    assert.deepEqual([code, stderr], [0, '']);
    const us = Number(0x1234_5678_9abc_def0n / 1000n);
    assert.match(stdout, new RegExp(`^${kind} undefined ${`${us}`.slice(0, 12)}\\S+ ${0x1234_5678_9abc_def0n} 1 0\n$`));
  });
}

addonTest('kernel features', 'a kernel that takes no ids: features, bind(), and auto (simulated)', async () => {
  const { code, stdout, stderr } = await runProgram(
    async () => {
      const { createSocket, features } = await import('ksocket');
      console.log(features().sendTimes, features().missing.sendTimes);
      try {
        createSocket({ type: 'udp4', sendTimes: true }).bindSync();
      } catch (error) {
        console.log((error as Error).message);
      }
      const socket = createSocket({ type: 'udp4', sendTimes: 'auto' });
      socket.bindSync({ address: '127.0.0.1' });
      socket.on('message', (data) => {
        console.log(`${data}`, socket.stats().txTimed);
        socket.close();
      });
      socket.send('sent all the same', { port: socket.address().port, address: '127.0.0.1', id: 1 });
    },
    [],
    { env: { LD_PRELOAD: kernelPreload, KERNEL_LACKS_IDS: '1' } },
  );
  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(
    stdout,
    'false ENOPROTOOPT: needs Linux 6.13\n' +
      'setsockopt ENOPROTOOPT: options.sendTimes true (SO_TIMESTAMPING) needs Linux 6.13\n' +
      'sent all the same 0\n',
  );
});

addonTest('kernel features', 'CLOCK_TAI needs a capability, and says so', async () => {
  const { code, stdout, stderr } = await runProgram(
    async () => {
      const { createSocket } = await import('ksocket');
      try {
        createSocket({ type: 'udp4', txTime: 'tai' }).bindSync();
      } catch (error) {
        console.log((error as Error).message);
      }
    },
    [],
    { under: ['setpriv', '--bounding-set=-net_admin', '--'] },
  );
  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(stdout, "setsockopt EPERM: options.txTime 'tai' (SO_TXTIME) needs CAP_NET_ADMIN\n");
});

addonTest(
  'kernel features',
  'ids and departure times are checked, and are of sockets that have asked for them',
  async () => {
    await using sockets = new Sockets();
    const plain = sockets.make();
    const timed = sockets.make({ type: 'udp4', sendTimes: true, txTime: true });
    for (const socket of [plain, timed]) await bound(socket);
    const to = { port: 9, address: '127.0.0.1' };
    const refuses = (socket: Socket, more: object, code: string, message: RegExp) => {
      const options = { ...to, ...more };
      assert.throws(() => socket.send('x', options), { code, message });
      assert.throws(() => socket.sendMany(['x'], options), { code, message });
      assert.throws(() => socket.send('x', { peer: socket.peer('127.0.0.1', 9), ...more }), { code, message });
    };
    refuses(timed, { id: -1 }, 'ERR_OUT_OF_RANGE', /options\.id/);
    refuses(timed, { id: 2 ** 32 }, 'ERR_OUT_OF_RANGE', /options\.id/);
    refuses(timed, { id: '1' }, 'ERR_INVALID_ARG_TYPE', /options\.id/);
    refuses(timed, { txTimeNs: 1 }, 'ERR_INVALID_ARG_TYPE', /options\.txTimeNs/);
    refuses(timed, { txTimeNs: 0n }, 'ERR_INVALID_ARG_VALUE', /options\.txTimeNs/);
    refuses(timed, { txTimeNs: 2n ** 64n }, 'ERR_INVALID_ARG_VALUE', /options\.txTimeNs/);
    refuses(plain, { id: 1 }, 'ERR_INVALID_ARG_VALUE', /options\.id.* sendTimes/);
    refuses(plain, { txTimeNs: 1n }, 'ERR_INVALID_ARG_VALUE', /options\.txTimeNs.* txTime/);
    // Of no single datagram.
    for (const wrong of [{ id: 1 }, { txTimeNs: 1n }]) {
      assert.throws(() => timed.setSendDefaults(wrong as object), { code: 'ERR_INVALID_ARG_VALUE' });
      assert.throws(() => timed.peer('127.0.0.1', 9, wrong as object), { code: 'ERR_INVALID_ARG_VALUE' });
    }
    assert.equal(timed.stats().txDatagrams, 0);
  },
);

test('without the addon they are refused, and auto does without', async () => {
  await using sockets = new Sockets();
  const make = (options: object) => sockets.make({ type: 'udp4', ...options } as SocketOptions);
  for (const wrong of [{ sendTimes: 1 }, { sendTimes: 'yes' }, { sendTimes: null }]) {
    assert.throws(() => make(wrong), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  for (const wrong of [{ txTime: 1 }, { txTime: 'realtime' }]) {
    assert.throws(() => make(wrong), { code: 'ERR_INVALID_ARG_VALUE' });
  }
  for (const option of ['sendTimes', 'txTime']) {
    if (onDgram) assert.throws(() => make({ [option]: true }), { code: 'ERR_KSOCKET_NEEDS_ADDON' });
    else await bound(make({ [option]: true }));
    await bound(make({ [option]: false }));
  }
  const socket = make({ sendTimes: 'auto', txTime: 'auto' });
  const inbox = new Inbox(socket);
  const port = await bound(socket);
  socket.send('x', { port, address: '127.0.0.1', id: 1, txTimeNs: process.hrtime.bigint() });
  await inbox.take(1);
});
