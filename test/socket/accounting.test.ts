// Who lost what: every datagram that was sent to a socket is in one place, whenever one looks, without another one coming.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, createSocket, type Socket, type SocketOptions, type Stats } from 'ksocket';
import { bound, closed } from '../support/peer.js';
import { type Sending, sendWhileBlocked } from '../support/programs.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

/** The event loop is blocked meanwhile. */
function flood(port: number, count: number, sending: Partial<Sending> = {}): void {
  sendWhileBlocked({ port, count, bytes: 64, ...sending });
}

/** What the kernel keeps when nobody reads; far fewer than are sent. */
const SMALL = 16_384;
const MANY = 5000;
/** The kernel keeps more than that, even if the I/O thread of a busy machine gets no turn while all are sent. */
const FEW = 20;

const kinds: Record<string, Partial<SocketOptions>> = {
  'a shared thread': {},
  'a small ring': { ringBytes: 256 * 1024 },
  'a small ring that drops': { ringBytes: 256 * 1024, onFull: 'drop' },
  'a long moderation': { thread: 'dedicated', rxUsecs: 10_000 },
};

function lost({ rxKernelDrops, rxRingDrops, rxQueueDrops, rxCloseDrops }: Stats): number {
  return rxKernelDrops + rxRingDrops + rxQueueDrops + rxCloseDrops;
}

async function open(options: Partial<SocketOptions>): Promise<{ socket: Socket; port: number }> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: SMALL, ...options });
  return { socket, port: await bound(socket) };
}

for (const [name, options] of Object.entries(kinds)) {
  test(`${name}: what was sent is received or in a counter, without another datagram`, async () => {
    const { socket, port } = await open(options);
    let received = 0;
    socket.on('message', () => received++);
    let sent = 0;
    for (let round = 0; round < 5; round++) {
      flood(port, MANY);
      sent += MANY;
      await waitFor(
        () => received + lost(socket.stats()) === sent,
        () => `${received} of ${sent}: ${JSON.stringify(socket.stats())}`,
      );
    }
    const stats = socket.stats();
    assert.equal(stats.rxDatagrams + stats.rxKernelDrops, sent);
    await closed(socket);
    assert.equal(received + lost(socket.stats()), sent, 'and after its end');
    assert.equal(socket.stats().rxCloseDrops, 0);
  });

  test(`${name}: closed at once, what was sent is in a counter`, async () => {
    const { socket, port } = await open(options);
    let received = 0;
    socket.on('message', () => received++);
    flood(port, MANY);
    await closed(socket);
    const stats = socket.stats();
    assert.equal(received, 0);
    assert.equal(lost(stats), MANY, JSON.stringify(stats));
    assert.equal(stats.rxDatagrams + stats.rxKernelDrops, MANY);
    assert.ok(stats.rxCloseDrops > 0);
  });

  test(`${name}: closed by a listener, what it has not seen is in a counter`, async () => {
    for (const event of ['message', 'batch'] as const) {
      const { socket, port } = await open(options);
      let received = 0;
      if (event === 'batch') {
        socket.on('batch', (batch) => {
          received += batch.length;
          socket.close();
        });
      } else {
        socket.on('message', () => {
          if (++received === FEW) socket.close();
        });
      }
      flood(port, MANY);
      await once(socket, 'close');
      const stats = socket.stats();
      assert.equal(received + lost(stats), MANY, JSON.stringify(stats));
      assert.equal(stats.rxDatagrams + stats.rxKernelDrops, MANY);
    }
  });
}

test('closed in the middle of a super-datagram', async () => {
  const { socket, port } = await open({});
  const sender = createSocket('udp4');
  await bound(sender);
  let received = 0;
  socket.on('message', () => {
    if (++received === 3) socket.close();
  });
  // Two batches, the second of which finds UDP_GRO on.
  for (let round = 0; round < 2; round++) {
    if (round === 1) received = 0;
    for (let i = 0; i < (round === 0 ? 2 : 40); i++) sender.send(Buffer.alloc(100), port, '127.0.0.1');
    if (round === 0) await waitFor(() => received === 2);
  }
  await once(socket, 'close');
  const stats = socket.stats();
  assert.equal(received + lost(stats), 40, JSON.stringify(stats));
  await closed(sender);
});

test('closed between two turns in the middle of a super-datagram, while another socket shares the thread', async () => {
  const { socket: other } = await open({});
  for (const close of [setImmediate, setTimeout]) {
    const { socket, port } = await open({});
    let received = 0;
    socket.on('message', () => {
      if (++received !== 5) return;
      close(() => socket.close());
      const until = performance.now() + 3; // the time is up
      while (performance.now() < until);
    });
    // Two batches, the second of which finds UDP_GRO on.
    for (const count of [2, 40]) {
      for (let i = 0; i < count; i++) other.send(Buffer.alloc(100), port, '127.0.0.1');
      if (count === 2) await waitFor(() => received === 2);
    }
    await once(socket, 'close');
    const stats = socket.stats();
    assert.equal(received + lost(stats), 42, JSON.stringify(stats));
    assert.ok(received < 42);
  }
  await closed(other);
});

test('a loop that falls behind, and the end of its socket', async () => {
  const { socket, port } = await open({});
  const iterator = socket[Symbol.asyncIterator]();
  let received = 0;
  flood(port, MANY);
  await iterator.next();
  received++;
  await closed(socket);
  while (!(await iterator.next()).done) received++;
  assert.equal(received + lost(socket.stats()), MANY, JSON.stringify(socket.stats()));
});

test('a loop that is left counts what it has not taken, whether its socket is open or closed', async () => {
  for (const closes of [false, true]) {
    const { socket, port } = await open({});
    let received = 0;
    flood(port, 3);
    for await (const _ of socket) {
      if (++received === 1) {
        flood(port, MANY);
        await waitFor(() => socket.stats().rxDatagrams + socket.stats().rxKernelDrops === MANY + 3);
        await new Promise((resolve) => setTimeout(resolve, 100)); // all of them wait for the loop
        if (closes) await closed(socket);
      } else if (received === 10) {
        break;
      }
    }
    if (!closes) await closed(socket);
    const stats = socket.stats();
    assert.ok(stats.rxQueueDrops > 0);
    assert.equal(received + lost(stats), MANY + 3, JSON.stringify(stats));
  }
});

test('stats() of a socket that nobody reads from', async () => {
  // Neither listener nor event loop: everything waits in the kernel, or was dropped there.
  const { socket, port } = await open({ thread: 'dedicated', ringBytes: 256 * 1024 });
  let stats = socket.stats();
  let sent = 0;
  while (stats.rxKernelDrops === 0) {
    flood(port, MANY);
    sent += MANY;
    stats = socket.stats(); // the event loop has not turned
  }
  await closed(socket);
  assert.equal(lost(socket.stats()), sent, JSON.stringify(socket.stats()));
});

test('a server: what was sent is received or in a counter, while it runs and after its end', async () => {
  for (const reply of ['echo', undefined] as const) {
    const server = createServer({ address: '127.0.0.1', port: 0, ...(reply && { reply }) });
    await server.start();
    const port = server.address()?.port as number;
    flood(port, MANY);
    await waitFor(
      () => server.stats().rxDatagrams + server.stats().rxKernelDrops === MANY,
      () => JSON.stringify(server.stats()),
    );
    flood(port, MANY);
    await server.stop();
    const { rxDatagrams, rxKernelDrops } = server.stats();
    assert.equal(rxDatagrams + rxKernelDrops, 2 * MANY, JSON.stringify(server.stats()));
  }
});
