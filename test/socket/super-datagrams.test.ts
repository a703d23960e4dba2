// Large datagrams that the kernel joins: received straight into the ring, copied to memory that the messages keep.
import assert from 'node:assert/strict';
import type { Batch, Socket } from 'ksocket';
import { bound, Sockets } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const SIZE = 1400;
const JOINED = 46;

function payload(number: number): Buffer {
  const data = Buffer.alloc(SIZE, number & 255);
  data.writeUInt32LE(number, 0);
  return data;
}

/** A socket whose datagrams are numbered. */
async function numberedSender(sockets: Sockets) {
  const socket = sockets.make();
  await bound(socket);
  let next = 0;
  return {
    get sent() {
      return next;
    },
    send(count: number, to: Socket) {
      const list = Array.from({ length: count }, () => [payload(next++), to.address().port, '127.0.0.1']).flat();
      assert.equal(socket.sendMany(list), count);
    },
  };
}

for (const [kind, options] of [
  ['a shared thread', {}],
  ['a dedicated thread', { thread: 'dedicated' }],
  ['memory of their own', { pooled: false }],
  ['a small ring', { ringBytes: 256 * 1024 }],
] as const) {
  test(`kept messages stay as they were, whoever else listens in between: ${kind}`, async () => {
    await using sockets = new Sockets();
    const sender = await numberedSender(sockets);
    const receiver = sockets.make({ type: 'udp4', ...options });
    await bound(receiver);
    const kept: Buffer[] = [];
    const onMessage = (data: Buffer) => kept.push(data);
    const onBatch = (batch: Batch) => {
      for (let i = 0; i < batch.length; i++) kept.push(Buffer.from(batch.data(i)));
    };
    receiver.on('message', onMessage);
    for (let round = 0; round < 150; round++) {
      if (round % 10 === 5) receiver.on('batch', onBatch);
      if (round % 10 === 8) receiver.off('batch', onBatch);
      sender.send(round % 7 === 0 ? 3 : JOINED, receiver);
      await waitFor(
        () => kept.length === sender.sent,
        () => `${kept.length} of ${sender.sent}: ${JSON.stringify(receiver.stats())}`,
      );
    }
    const damaged = kept.filter((data, i) => !data.equals(payload(i))).length;
    assert.equal(damaged, 0);
  });
}

test('the kind of listener changes in the middle of a super-datagram', async () => {
  await using sockets = new Sockets();
  const sender = await numberedSender(sockets);
  const receiver = sockets.make();
  await bound(receiver);
  const kept: Buffer[] = [];
  const onBatch = (batch: Batch) => {
    for (const { data } of batch) kept.push(Buffer.from(data));
    if (kept.length % 3 !== 0) receiver.off('batch', onBatch);
  };
  receiver.on('message', (data) => {
    kept.push(data);
    if (kept.length % 31 === 0) receiver.on('batch', onBatch);
  });
  for (let round = 0; round < 150; round++) {
    sender.send(JOINED, receiver);
    await waitFor(
      () => kept.length === sender.sent,
      () => `${kept.length} of ${sender.sent}`,
    );
  }
  assert.deepEqual(
    kept.map((data) => data.equals(payload(data.readUInt32LE(0))) && data.readUInt32LE(0)),
    kept.map((_, i) => i),
  );
});

test('close() in the middle of super-datagrams leaves what was delivered, and the next socket gets its own', async () => {
  await using sockets = new Sockets();
  const sender = await numberedSender(sockets);
  const kept: Buffer[] = [];
  const numbers: number[] = [];
  const other = sockets.make(); // keeps the thread
  await bound(other);
  for (let round = 0; round < 40; round++) {
    const receiver = sockets.make();
    await bound(receiver);
    const first = sender.sent;
    let received = 0;
    receiver.on('message', (data) => {
      kept.push(data);
      numbers.push(first + received++);
      // Not with the first: where those came from the next ones need not.
      if (received === 2 * JOINED + round) receiver.close();
    });
    for (let i = 0; i < 4; i++) {
      sender.send(JOINED, receiver);
      await waitFor(
        () => received === Math.min((i + 1) * JOINED, 2 * JOINED + round),
        () => `${received} in round ${round}`,
      );
      if (received === 2 * JOINED + round) break;
    }
    assert.equal(received, 2 * JOINED + round);
  }
  assert.equal(kept.filter((data, i) => !data.equals(payload(numbers[i]))).length, 0);
});
