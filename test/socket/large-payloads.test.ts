// Large datagrams of a 'message' listener are received into memory that the listener may keep, where the event loop
// receives by itself.
import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { CHUNKS } from '../../build-lib/backend/layout.js';
import { backend, binding, engineWanted } from '../../build-lib/backend/load.js';
import { createSocket, type Socket } from '../../build-lib/index.js';
import { bound, Sockets } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

/** Does the event loop receive by itself? */
const byLoop = backend === 'addon' && engineWanted !== 'posix';

/** How often native code has got memory to receive into: as often as a payload was taken over, and CHUNKS times. */
let given = 0;
if (backend === 'addon') {
  type GiveChunk = (chunks: ArrayBuffer[], place: number, id: number) => number;
  const { IoThread } = binding as unknown as { IoThread: new (options: object) => { giveChunk: GiveChunk } };
  class CountingIoThread extends IoThread {
    override giveChunk = (...[chunks, place, id]: Parameters<GiveChunk>) => {
      if (place < CHUNKS) given++;
      return super.giveChunk(chunks, place, id);
    };
  }
  Object.assign(binding, { IoThread: CountingIoThread });
}

/** Bytes that tell which datagram they are of, and where. */
function payloadOf(n: number, size: number): Buffer {
  const payload = Buffer.alloc(size);
  payload.writeUInt32LE(n);
  for (let i = 4; i < size; i++) payload[i] = (n * 31 + i * 7 + (i >> 8)) & 255;
  return payload;
}
const isWhole = (payload: Buffer) => payload.equals(payloadOf(payload.readUInt32LE(), payload.length));

/** Sends so many datagrams of so many bytes, with `segment` each cut into as many as it takes. */
type SendSome = (count: number, size: number, segment?: number) => Promise<unknown>;

/** A sender and a receiver with room for some hundred large ones. */
async function pair(sockets: Sockets, options: object = {}): Promise<{ receiver: Socket; send: SendSome }> {
  const receiver = sockets.add(createSocket({ type: 'udp4', recvBufferSize: 4 << 20, ...options }));
  const port = await bound(receiver);
  const sender = sockets.make();
  await bound(sender);
  let n = 0;
  const one = (size: number, segment = size) => {
    const parts = Array.from({ length: size / segment }, () => payloadOf(n++, segment));
    return new Promise<void>((resolve) => {
      sender.sendMany(Buffer.concat(parts), { segmentSize: segment, port, address: '127.0.0.1' });
      setImmediate(resolve);
    });
  };
  return {
    receiver,
    send: (count, size, segment) => Promise.all(Array.from({ length: count }, () => one(size, segment))),
  };
}

test('large datagrams are whole, also those that were kept while hundreds came behind them', async () => {
  await using sockets = new Sockets();
  const { receiver, send } = await pair(sockets);
  const kept: Buffer[] = [];
  receiver.on('message', (message: Buffer) => kept.push(message));
  let sent = 0;
  for (const size of [65_507, 40_000, 100, 65_507, 20_000, 33_000, 16_384, 65_507]) {
    for (let round = 0; round < 6; round++) {
      sent += 8;
      await send(8, size);
      await waitFor(() => kept.length === sent);
    }
  }
  assert.ok(kept.every(isWhole));
  assert.deepEqual(
    kept.map((message) => message.readUInt32LE()),
    kept.map((_, i) => i),
  );
});

test('a loop that is idle receives them into memory that the listener gets', async () => {
  await using sockets = new Sockets();
  const { receiver, send } = await pair(sockets);
  let seen = 0;
  let whole = 0;
  receiver.on('message', (message: Buffer) => {
    seen++;
    whole += Number(isWhole(message));
  });
  const before = given;
  const enough = () => given - before > CHUNKS + 20;
  let sent = 0;
  // Making and looking at so many bytes is work too: a loop that was not idle enough is given the socket back.
  await waitFor(async () => {
    await send(2, 65_507);
    sent += 2;
    await waitFor(() => seen === sent);
    return byLoop ? enough() : sent === 200;
  });
  assert.equal(enough(), byLoop, `${given - before}`);
  assert.equal(whole, sent);
});

for (const [what, size, segment] of [
  ['single ones', 50_000, 50_000],
  ['joined ones', 46 * 1400, 1400],
] as const) {
  test(`what came into memory of its own is read by batches, and by messages again: ${what}`, async () => {
    await using sockets = new Sockets();
    const { receiver, send } = await pair(sockets);
    let seen = 0;
    let whole = 0;
    let batches = 0;
    const take = (data: Buffer) => {
      seen++;
      whole += Number(isWhole(data));
    };
    const onMessage = (message: Buffer) => {
      take(message);
      // In the middle of what has been received: the other listener reads the rest.
      if (seen % (segment === size ? 23 : 997) === 0) swap();
    };
    const swap = () => {
      receiver.removeListener('message', onMessage);
      receiver.once('batch', (batch) => {
        batches++;
        for (let i = 0; i < batch.length; i++) {
          take(batch.data(i));
          const at = batch.offset(i);
          assert.ok(Buffer.from(batch.bytes.slice(at, at + batch.size(i))).equals(batch.data(i)));
        }
        receiver.on('message', onMessage);
      });
    };
    receiver.on('message', onMessage);
    let sent = 0;
    for (let round = 0; round < 40; round++) {
      sent += (6 * size) / segment;
      await send(6, size, segment);
      await waitFor(() => seen === sent);
    }
    assert.equal(whole, sent);
    assert.ok(batches > 5);
  });
}

test('joined ones that a slow listener has time for in pieces are whole, whatever other sockets have in between', async () => {
  await using sockets = new Sockets();
  const slow = await pair(sockets);
  const quick = await pair(sockets);
  const segment = 8_000;
  const train = Buffer.concat(Array.from({ length: 8 }, (_, n) => payloadOf(n, segment)));
  let seen = 0;
  let whole = 0;
  let pauseMs = 0;
  slow.receiver.on('message', (message: Buffer) => {
    seen++;
    whole += Number(message.equals(train.subarray(message[0] * segment, (message[0] + 1) * segment)));
    for (const until = performance.now() + pauseMs; performance.now() < until; );
  });
  let between = 0;
  quick.receiver.on('message', () => {
    if (seen % 8 !== 0) between++;
  });
  const sender = sockets.make();
  await bound(sender);
  const send = (to: typeof slow, bytes: Buffer) =>
    sender.sendMany(bytes, { segmentSize: segment, port: to.receiver.address().port, address: '127.0.0.1' });
  const round = async (ms: number) => {
    pauseMs = ms;
    const before = given;
    const sent = seen + 16;
    for (let i = 0; i < 2; i++) {
      send(slow, train);
      send(quick, train.subarray(0, 100));
    }
    await waitFor(() => seen === sent, 'two trains');
    assert.equal(whole, seen);
    await setTimeout(2);
    return given - before;
  };
  // A loop with little to do receives into memory of the listener's.
  let owned = 0;
  await waitFor(async () => {
    await round(0);
    owned += await round(0.5);
    return owned > (byLoop ? 40 : -1) && between > 20;
  }, 'pieces');
});

test('pooled: false: a large datagram has memory of its own size, whoever has the others', async () => {
  await using sockets = new Sockets();
  const pooled = await pair(sockets);
  const alone = await pair(sockets, { pooled: false });
  const kept: [Buffer[], Buffer[]] = [[], []];
  pooled.receiver.on('message', (message: Buffer) => kept[0].push(message));
  alone.receiver.on('message', (message: Buffer) => kept[1].push(message));
  for (let round = 1; round <= 20; round++) {
    await Promise.all([pooled.send(4, 60_000), alone.send(4, 60_000)]);
    await waitFor(() => kept.every(({ length }) => length === round * 4));
  }
  assert.ok(kept.flat().every(isWhole));
  assert.ok(kept[1].every(({ length, buffer }) => buffer.byteLength === length));
});

test('a listener may empty the memory of its message; those to come are whole', async () => {
  await using sockets = new Sockets();
  const { receiver, send } = await pair(sockets);
  let seen = 0;
  let whole = 0;
  receiver.on('message', (message: Buffer) => {
    seen++;
    whole += Number(isWhole(message));
    const { buffer } = message as unknown as { buffer: ArrayBuffer & { transfer?(): ArrayBuffer } };
    buffer.transfer?.(); // since Node 21
    try {
      structuredClone(buffer, { transfer: [buffer] });
    } catch {} // refused since Node 21
  });
  for (let round = 1; round <= 20; round++) {
    await send(4, 60_000);
    await waitFor(() => seen === round * 4);
  }
  assert.equal(whole, 80);
});

test('a socket that closes with large datagrams unread leaves the others theirs', async () => {
  await using sockets = new Sockets();
  const staying = await pair(sockets);
  let whole = 0;
  staying.receiver.on('message', (message: Buffer) => {
    whole += Number(isWhole(message));
  });
  for (let round = 1; round <= 10; round++) {
    const going = await pair(sockets);
    going.receiver.on('message', () => going.receiver.close());
    await Promise.all([going.send(8, 60_000), staying.send(8, 60_000)]);
    await waitFor(() => whole === round * 8);
  }
});
