// Counters, and what becomes of datagrams when there is no room: every one is in a counter.
import assert from 'node:assert/strict';
import { createSocket, type Socket, type SocketOptions } from 'ksocket';
import { addonTest } from '../support/backend.js';
import { bound, closed, Inbox, Sockets, sent } from '../support/peer.js';
import { AHEAD_BYTES, checkNumbered, sendWhileBlocked } from '../support/programs.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

test('a socket that was never bound has counted nothing', () => {
  const socket = createSocket('udp4');
  for (const [name, value] of Object.entries(socket.stats())) {
    if (typeof value === 'number') assert.equal(value, 0, name);
  }
  assert.equal(socket.stats().rxDatagrams, 0);
  socket.close();
});

test('datagrams and bytes are counted in both directions, on sockets of one thread apart', async () => {
  await using sockets = new Sockets();
  const one = sockets.make();
  const two = sockets.make();
  const inbox = new Inbox(two);
  await bound(one);
  const port = await bound(two);
  let bytes = 0;
  for (let i = 0; i < 300; i++) {
    const size = (i * 37) % 1500;
    bytes += size;
    await sent(one, Buffer.alloc(size), port);
    if (i % 50 === 49) await inbox.take(i + 1);
  }
  const from = one.stats();
  const to = two.stats();
  assert.deepEqual([from.txDatagrams, from.txBytes, from.txErrors, from.txDropped], [300, bytes, 0, 0]);
  assert.deepEqual([to.rxDatagrams, to.rxBytes, to.rxErrors, to.rxKernelDrops, to.rxRingDrops], [300, bytes, 0, 0, 0]);
  assert.deepEqual([from.rxDatagrams, to.txDatagrams], [0, 0]);
  assert.ok(from.txCalls > 0 && to.rxCalls > 0 && to.rxBatches > 0);
});

test('a new socket in the place of a closed one begins at nothing', async () => {
  for (let i = 0; i < 3; i++) {
    const socket = createSocket('udp4');
    assert.equal(socket.stats().txDatagrams, 0);
    await bound(socket);
    assert.equal(socket.stats().txDatagrams, 0);
    await sent(socket, 'x', 9);
    assert.equal(socket.stats().txDatagrams, 1);
    await closed(socket);
    assert.equal(socket.stats().txDatagrams, 1);
  }
});

addonTest(
  'a thread of its own',
  'an event loop blocked for half a second and more loses none of 100 000 datagrams a second',
  async () => {
    await using sockets = new Sockets();
    const socket = sockets.make();
    const seen = new Inbox(socket);
    const port = await bound(socket);
    const count = 60_000;
    const started = performance.now();
    sendWhileBlocked({ port, count, bytes: 64, rate: 100_000, ahead: AHEAD_BYTES });
    assert.ok(performance.now() - started >= 500, 'the loop was blocked for half a second');
    assert.equal(seen.all.length, 0, 'and nothing was delivered meanwhile');
    await waitFor(
      () => seen.all.length === count,
      () => `${seen.all.length} of ${count}: ${JSON.stringify(socket.stats())}`,
    );
    for (const [i, { data }] of seen.all.entries()) assert.equal(checkNumbered(data, 64), i);
    const { rxDatagrams, rxKernelDrops, rxRingDrops } = socket.stats();
    assert.deepEqual([rxDatagrams, rxKernelDrops, rxRingDrops], [count, 0, 0]);
  },
);

/** Sends more than the ring holds (and the kernel's buffer, unless `ahead` spares it) while the event loop is blocked,
 * then looks where everything is. */
async function overflow(options: Partial<SocketOptions>, sending: { bytes: number; ahead?: number }) {
  const socket: Socket = createSocket({ type: 'udp4', ringBytes: 256 * 1024, ...options });
  const numbers: number[] = [];
  socket.on('message', (data) => numbers.push(checkNumbered(data, sending.bytes)));
  const port = await bound(socket);
  let count = 0;
  const isFull = () => {
    const { rxPauses, rxRingDrops, rxKernelDrops } = socket.stats();
    return rxPauses > 0 || (rxRingDrops > 0 && rxKernelDrops === 0);
  };
  // As long as it takes: how much reaches the ring is up to the thread, and the machine may be busy.
  for (let i = 0; i < 100 && !isFull(); i++) {
    sendWhileBlocked({ port, count: 5000, first: count, ...sending });
    count += 5000;
  }
  if (options.onFull === 'block') {
    sendWhileBlocked({ port, count: 1000, first: count, ...sending }); // and now the kernel's buffer
    count += 1000;
  }
  // The kernel says how many it dropped with the next datagram that it takes: one at a time until all is accounted for.
  const marker = createSocket('udp4');
  let markers = 0;
  const accounted = () => {
    const { rxKernelDrops, rxRingDrops } = socket.stats();
    return numbers.length + rxKernelDrops + rxRingDrops;
  };
  await waitFor(
    async () => {
      if (accounted() >= count + markers) return true;
      const data = Buffer.alloc(sending.bytes);
      data.writeUInt32LE(count + markers);
      for (let i = 4; i < data.length; i++) data[i] = (count + markers + i) & 255;
      markers++;
      await sent(marker, data, port);
      return false;
    },
    () => `${accounted()} of ${count + markers} are accounted for: ${JSON.stringify(socket.stats())}`,
  );
  await waitFor(
    () => accounted() === count + markers,
    () => `${accounted()} of ${count + markers} are accounted for: ${JSON.stringify(socket.stats())}`,
  );
  await closed(marker);
  const stats = socket.stats();
  // It goes on as if nothing had been.
  const fresh = createSocket('udp4');
  const before = numbers.length;
  const again = Buffer.alloc(sending.bytes);
  for (let i = 4; i < again.length; i++) again[i] = i & 255;
  await sent(fresh, again, port);
  await waitFor(() => numbers.length > before, 'a datagram after the overflow');
  await closed(fresh);
  await closed(socket);
  const inOrder = numbers.slice(0, before).every((number, i) => i === 0 || number > numbers[i - 1]);
  return { received: before, stats, total: count + markers, inOrder };
}

for (const bytes of [8, 64, 1400, 9000]) {
  addonTest(
    'a thread of its own',
    `a full ring, onFull block, ${bytes} bytes: the kernel drops, and every datagram is in a counter`,
    async () => {
      const { received, stats, total, inOrder } = await overflow({ onFull: 'block' }, { bytes });
      assert.equal(received + stats.rxKernelDrops, total);
      assert.equal(stats.rxRingDrops, 0);
      assert.equal(stats.rxDatagrams, received);
      assert.ok(stats.rxKernelDrops > 0, 'something was dropped');
      assert.ok(stats.rxPauses > 0, 'receiving paused');
      assert.ok(inOrder);
    },
  );

  addonTest(
    'a thread of its own',
    `a full ring, onFull drop, ${bytes} bytes: the thread drops, and every datagram is in a counter`,
    async () => {
      // Slowly enough for the kernel's buffer, so that what is lost is lost in the ring.
      const { received, stats, total, inOrder } = await overflow({ onFull: 'drop' }, { bytes, ahead: AHEAD_BYTES });
      assert.equal(received + stats.rxKernelDrops + stats.rxRingDrops, total);
      assert.ok(stats.rxRingDrops > 0, 'something was dropped');
      assert.equal(stats.rxDatagrams, received + stats.rxRingDrops, 'rxDatagrams are all that were read');
      assert.equal(stats.rxKernelDrops, 0);
      assert.equal(stats.rxPauses, 0);
      assert.ok(inOrder);
    },
  );
}

addonTest('a thread of its own', 'block is the default, on the shared thread too', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make({ type: 'udp4', recvBufferSize: 106_496 }); // or it would grow
  const inbox = new Inbox(socket);
  const port = await bound(socket);
  // 12 MiB of payload fit into its ring.
  let count = 8000;
  sendWhileBlocked({ port, count, bytes: 1400, ahead: AHEAD_BYTES });
  for (let i = 0; i < 100 && socket.stats().rxPauses === 0; i++) {
    sendWhileBlocked({ port, count: 1000, bytes: 1400, rate: 20_000 });
    count += 1000;
  }
  sendWhileBlocked({ port, count: 1000, bytes: 1400 }); // more than the kernel's buffer holds
  count += 1000;
  await waitFor(async () => {
    await sent(socket, Buffer.alloc(0), port);
    const { rxKernelDrops } = socket.stats();
    return inbox.all.filter(({ data }) => data.length > 0).length + rxKernelDrops >= count;
  }, 'all accounted for');
  const { rxPauses, rxRingDrops, rxKernelDrops } = socket.stats();
  assert.equal(rxRingDrops, 0);
  assert.ok(rxPauses > 0, 'receiving paused');
  assert.ok(rxKernelDrops > 0, 'the kernel dropped');
});

addonTest('a thread of its own', 'one socket’s full ring does not stop a socket with a thread of its own', async () => {
  await using sockets = new Sockets();
  const full = sockets.make({ type: 'udp4', ringBytes: 256 * 1024 });
  const other = sockets.make({ type: 'udp4', thread: 'dedicated' });
  new Inbox(full);
  const inbox = new Inbox(other);
  const fullPort = await bound(full);
  const port = await bound(other);
  sendWhileBlocked({ port: fullPort, count: 5000, bytes: 1400 });
  sendWhileBlocked({ port, count: 5000, bytes: 64, ahead: AHEAD_BYTES });
  await inbox.take(5000);
  assert.equal(other.stats().rxKernelDrops, 0);
});
