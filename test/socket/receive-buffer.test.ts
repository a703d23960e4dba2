// The kernel's receive buffer grows where datagrams come faster than they are read, unless the program has said how
// large it is.
import assert from 'node:assert/strict';
import type { Socket } from 'ksocket';
import { boundHandle } from '../dgram/handles.js';
import { addonTest } from '../support/backend.js';
import { bound, Sockets } from '../support/peer.js';
import { sendWhileBlocked } from '../support/programs.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const CHOSEN = 50_000;

/** Datagrams come faster than they are read until some are lost; the buffer's sizes before and after. */
async function flooded(socket: Socket, choose?: () => void): Promise<[before: number, after: number]> {
  await bound(socket);
  choose?.();
  return overflown(socket);
}

async function overflown(socket: Socket): Promise<[before: number, after: number]> {
  let received = 0;
  socket.on('message', () => received++);
  const { port } = socket.address();
  const before = socket.getRecvBufferSize();
  for (let round = 0; round < 4 && socket.getRecvBufferSize() === before; round++) {
    sendWhileBlocked({ port, count: 20_000, bytes: 64 });
    await waitFor(() => received + socket.stats().rxKernelDrops >= (round + 1) * 20_000);
  }
  return [before, socket.getRecvBufferSize()];
}

test('the receive buffer grows when datagrams come faster than they are read', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const [before, after] = await flooded(socket);
  assert.ok(after > before, `${before} bytes, and then ${after}`);
});

test('a receive buffer whose size the program has chosen stays as it is', async () => {
  await using sockets = new Sockets();
  const asOption = sockets.make({ type: 'udp4', recvBufferSize: CHOSEN });
  assert.deepEqual(await flooded(asOption), [2 * CHOSEN, 2 * CHOSEN], 'the kernel doubles it');
  const bySetting = sockets.make();
  assert.deepEqual(await flooded(bySetting, () => bySetting.setRecvBufferSize(CHOSEN)), [2 * CHOSEN, 2 * CHOSEN]);
  const SO_RCVBUF = 8;
  const byName = sockets.make();
  assert.deepEqual(await flooded(byName, () => byName.setsockopt(1, SO_RCVBUF, CHOSEN)), [2 * CHOSEN, 2 * CHOSEN]);
  for (const { rxKernelDrops } of [asOption.stats(), bySetting.stats()]) assert.ok(rxKernelDrops > 0, 'it overflowed');
});

addonTest(
  'kernel features',
  'bursts of large datagrams make it grow, too, and as large as reads are they leave it large',
  async () => {
    await using sockets = new Sockets();
    const socket = sockets.make();
    let received = 0;
    socket.on('message', () => received++);
    const port = await bound(socket);
    const before = socket.getRecvBufferSize();
    let sent = 0;
    const lost = () => socket.stats().rxKernelDrops;
    const burst = async (count: number, bytes: number) => {
      sendWhileBlocked({ port, count, bytes });
      sent += count;
      await waitFor(() => received + lost() >= sent);
    };
    for (let round = 0; round < 5; round++) await burst(60, 16_384);
    const grown = socket.getRecvBufferSize();
    assert.ok(grown > before, `${before} bytes, and then ${grown}`);
    const dropped = lost();
    for (let round = 0; round < 100; round++) await burst(8, 60_000);
    assert.deepEqual([lost(), socket.getRecvBufferSize()], [dropped, grown]);
  },
);

addonTest('kernel features', 'a size that is refused is not a choice', async () => {
  await using sockets = new Sockets();
  const SO_RCVBUF = 8;
  const socket = sockets.make();
  const [before, after] = await flooded(socket, () => {
    assert.throws(() => socket.setsockopt(1, SO_RCVBUF, Buffer.alloc(1)), { code: 'EINVAL' });
  });
  assert.ok(after > before, `${before} bytes, and then ${after}`);
});

addonTest('kernel features', 'a size that somebody else has chosen stays, too', async () => {
  await using sockets = new Sockets();
  const path = `\0ksocket-receive-buffer-${process.pid}`;
  const handle = boundHandle('udp4'); // kept: its descriptor is the socket's from now on
  handle.bufferSize(CHOSEN, true, {});
  const adopted = sockets.make();
  adopted.bind({ fd: handle.fd });
  const handedOver = async (given: Socket) => {
    const socket = sockets.make();
    await Promise.all([given.handOver(path), socket.takeOver(path)]);
    return socket;
  };
  const chosen = sockets.make();
  await bound(chosen);
  chosen.setRecvBufferSize(CHOSEN);
  for (const socket of [adopted, await handedOver(chosen)]) {
    assert.deepEqual(await overflown(socket), [2 * CHOSEN, 2 * CHOSEN]);
  }
  const grown = sockets.make();
  const [before, after] = await flooded(grown);
  assert.ok(after > before);
  const SO_BUF_LOCK = 72;
  assert.equal((await handedOver(grown)).getsockopt(1, SO_BUF_LOCK).readInt32LE(), 0, 'nobody has chosen that');
});
