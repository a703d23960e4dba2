// Many datagrams at once: what the kernel joins (GRO, GSO) must look as if it had not.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createSocket, features, type Socket } from 'ksocket';
import { runProgram } from '../support/child.js';
import { bound, Inbox, kinds, Sockets } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor, within } from '../support/wait.js';

/** A receive buffer of 212 992 bytes must never overflow, whatever the receiver is kept from: the kernel charges up to
 * 1280 bytes for a small datagram, twice its length for a longer one, and takes a quarter of the buffer for itself (what
 * was read is given back in steps of that size). */
const WINDOW_DATAGRAMS = 60;
const WINDOW_BYTES = 32 * 1024;

/** Content that shows where it belongs and what is damaged. */
function payload(number: number, size: number): Buffer {
  const data = Buffer.alloc(size);
  for (let i = 0; i < size; i++) data[i] = (number * 31 + i * 7 + (i >> 8)) & 255;
  if (size >= 4) data.writeUInt32LE(number, 0);
  return data;
}

/** Sends datagrams of these sizes through sockets to one receiver each, never too many at once, and checks that each
 * receiver gets its own, in order and intact. `to`: which receiver gets datagram i. */
async function transfer(sender: Socket, receivers: Socket[], sizes: number[], to: number[]): Promise<void> {
  const ports = receivers.map((receiver) => receiver.address().port);
  const expected: [number, number][][] = receivers.map(() => []);
  for (const [i, size] of sizes.entries()) expected[to[i]].push([i, size]);
  let received = 0;
  let receivedBytes = 0;
  let next = 0;
  let nextBytes = 0;
  const wrong: string[] = [];
  const next_of = receivers.map(() => 0);
  await within(
    new Promise<void>((resolve) => {
      const pump = () => {
        if (received === sizes.length || wrong.length > 0) return resolve();
        while (
          next < sizes.length &&
          next - received < WINDOW_DATAGRAMS &&
          (next === received || nextBytes - receivedBytes + sizes[next] < WINDOW_BYTES)
        ) {
          sender.send(payload(next, sizes[next]), ports[to[next]], '127.0.0.1');
          nextBytes += sizes[next++];
        }
      };
      for (const [r, receiver] of receivers.entries()) {
        receiver.on('message', (data, rinfo) => {
          const [number, size] = expected[r][next_of[r]++] ?? [-1, -1];
          if (data.length !== size || rinfo.size !== size) {
            wrong.push(`receiver ${r}: ${data.length} bytes (size ${rinfo.size}) instead of ${size}, number ${number}`);
          } else if (!data.equals(payload(number, size))) wrong.push(`receiver ${r}: datagram ${number} is damaged`);
          received++;
          receivedBytes += size;
          pump();
        });
      }
      pump();
    }),
    'all datagrams',
  ).catch((error) => {
    throw new Error(`${received} of ${sizes.length}: ${error.message}`);
  });
  for (const receiver of receivers) {
    receiver.removeAllListeners('message');
    assert.equal(receiver.stats?.().rxKernelDrops ?? 0, 0, 'the kernel had no room');
  }
  assert.deepEqual(wrong, []);
}

/** A pseudo-random number generator: the same numbers in every run. */
function* random(seed: number): Generator<number, never> {
  for (let x = seed; ; ) {
    x = (Math.imul(x, 1664525) + 1013904223) | 0;
    yield (x >>> 8) / 2 ** 24;
  }
}

/** Sizes as traffic has them: runs of the same size, each with a shorter end, and all kinds in between. */
function trafficSizes(count: number, seed: number): number[] {
  const numbers = random(seed);
  const pick = (max: number) => Math.floor(numbers.next().value * max);
  const sizes: number[] = [];
  while (sizes.length < count) {
    const kind = pick(6);
    const size = [0, 1 + pick(64), 64, 1200, 1472, 1 + pick(9000)][kind];
    const run = kind === 5 ? 1 : 1 + pick(150);
    for (let i = 0; i < run; i++) sizes.push(size);
    if (pick(2)) sizes.push(pick(size + 1));
  }
  return sizes.slice(0, count);
}

for (const [from, makeSender] of kinds) {
  for (const [to, makeReceiver] of kinds) {
    if (from === 'node:dgram' && to === 'node:dgram') continue;
    test(`from ${from} to ${to}: bursts of all sizes arrive in order and intact`, async () => {
      await using sockets = new Sockets();
      const receiver = sockets.add(makeReceiver());
      await bound(receiver);
      const sender = sockets.add(makeSender());
      await bound(sender);
      const sizes = trafficSizes(5000, 1);
      await transfer(
        sender,
        [receiver],
        sizes,
        sizes.map(() => 0),
      );
    });
  }
}

test('small rings that are never empty wrap as they should', async () => {
  for (const options of [{ ringBytes: 256 * 1024 }, { ringBytes: 300_007 }, { ringBytes: 256 * 1024, gro: false }]) {
    await using sockets = new Sockets();
    const receiver = sockets.make({ type: 'udp4', ...options });
    await bound(receiver);
    const sender = sockets.make();
    await bound(sender);
    let received = 0;
    receiver.on('message', () => {
      // Slower than the sender, so that something is always left in the ring.
      if (++received % 16 !== 0) return;
      const until = performance.now() + 0.2;
      while (performance.now() < until);
    });
    const sizes = trafficSizes(6000, 5);
    await transfer(
      sender,
      [receiver],
      sizes,
      sizes.map(() => 0),
    );
  }
});

test('a burst warns of nothing where Node warns of its own old names', async () => {
  const program = async () => {
    const { createSocket } = await import('ksocket');
    const socket = createSocket('udp4');
    let heard = 0;
    socket.on('message', () => ++heard === 9 && socket.close());
    socket.bind(0, '127.0.0.1', () => {
      const { port } = socket.address();
      socket.sendMany(Array(9).fill(['x', port, '127.0.0.1']).flat());
    });
  };
  const result = await runProgram(program, [], { execArgv: ['--pending-deprecation'] });
  assert.deepEqual(result, { code: 0, signal: null, stdout: '', stderr: '' });
});

test('bursts to several receivers at once keep the order of each', async () => {
  await using sockets = new Sockets();
  const receivers = [sockets.make(), sockets.makePeer() as never as Socket, sockets.make(), sockets.make()];
  for (const receiver of receivers) await bound(receiver);
  const sender = sockets.make();
  await bound(sender);
  const sizes = trafficSizes(5000, 2);
  const numbers = random(3);
  await transfer(
    sender,
    receivers,
    sizes,
    sizes.map(() => Math.floor(numbers.next().value * receivers.length)),
  );
});

test('any sequence of sizes and receivers arrives as it was sent (property)', async () => {
  await using sockets = new Sockets();
  const receivers = [sockets.make(), sockets.make(), sockets.makePeer() as never as Socket];
  for (const receiver of receivers) await bound(receiver);
  const sender = sockets.make();
  await bound(sender);
  const size = fc.oneof(
    fc.constantFrom(0, 1, 2, 64, 1471, 1472, 1473, 1500, 32768, 65506, 65507),
    fc.integer({ min: 0, max: 300 }),
    fc.integer({ min: 0, max: 65507 }),
  );
  const run = fc.record({ size, count: fc.integer({ min: 1, max: 140 }), to: fc.nat({ max: 2 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(run, { minLength: 1, maxLength: 12 }), async (runs) => {
      // Long runs of large datagrams prove no more than short ones.
      const all = runs.flatMap(({ size, count, to }) =>
        Array.from({ length: size > 9000 ? Math.min(count, 3) : count }, () => ({ size, to })),
      );
      await transfer(
        sender,
        receivers,
        all.map(({ size }) => size),
        all.map(({ to }) => to),
      );
    }),
    { numRuns: 60, seed: 20_24, endOnFailure: true },
  );
});

test('every payload size of interest, from 0 to 65507, goes through in both directions', async () => {
  const sizes = [0, 1, 2, 3, 4, 7, 8, 9, 10, 63, 64, 65, 127, 128, 255, 256, 511, 512, 1023, 1024, 1399, 1400, 1471];
  sizes.push(1472, 1473, 1499, 1500, 1501, 2047, 2048, 4095, 4096, 8191, 8192, 8972, 9000, 16383, 16384, 32767, 32768);
  sizes.push(40_000, 50_000, 60_000, 65_000, 65_506, 65_507);
  for (const [from, makeSender] of kinds) {
    await using sockets = new Sockets();
    const receiver = sockets.add(from === 'ksocket' ? kinds[0][1]() : kinds[1][1]());
    await bound(receiver);
    const sender = sockets.add(makeSender());
    await bound(sender);
    // Up, down, and each twice, so that neighbours are sometimes joined.
    const all = [...sizes, ...sizes.toReversed().flatMap((size) => [size, size])];
    await transfer(
      sender,
      [receiver],
      all,
      all.map(() => 0),
    );
  }
});

test('without gro and gso the same bursts arrive the same way, and nothing is joined', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.make({ type: 'udp4', gro: false });
  await bound(receiver);
  const sender = sockets.make({ type: 'udp4', gso: false });
  await bound(sender);
  const sizes = trafficSizes(3000, 4);
  await transfer(
    sender,
    [receiver],
    sizes,
    sizes.map(() => 0),
  );
  assert.equal(sender.stats().txGsoBatches, 0);
  assert.equal(receiver.stats().rxGroBatches, 0);
});

test('with the mmsg engine a burst to one peer leaves and arrives joined', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.make();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const sender = sockets.make();
  await bound(sender);
  // The option that joins is set when there is traffic: with the second batch, or the first of more than one.
  for (let i = 0; i < 2; i++) {
    sender.send(payload(i, 100), port);
    await inbox.take(i + 1);
  }
  for (let i = 2; i < 64; i++) sender.send(payload(i, 100), port);
  await inbox.take(64);
  for (const [i, { data }] of inbox.all.entries()) assert.ok(data.equals(payload(i, 100)));
  const { engine, gso, gro } = features();
  const joins = engine === 'mmsg' && gso;
  const { txCalls, txGsoSegments, txDatagrams } = sender.stats();
  assert.equal(txDatagrams, 64);
  assert.equal(txGsoSegments, joins ? 62 : 0);
  if (joins) assert.equal(txCalls, 3, 'one system call for the whole tick');
  assert.equal(receiver.stats().rxDatagrams, 64);
  assert.equal(receiver.stats().rxGroSegments, joins && gro ? 62 : 0);
});

test('a super-datagram has as many datagrams as the kernel joins, and arrives as such', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.make({ type: 'udp4', recvBufferSize: 1 << 20 });
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const sender = sockets.make();
  await bound(sender);
  const { engine, gsoSegments } = features();
  const each = engine === 'mmsg' ? gsoSegments : 0;
  for (let round = 0; round < 4; round++) {
    const list = Array.from({ length: 512 }, (_, i) => [payload(i & 255, 32), port, '127.0.0.1']).flat();
    assert.equal(sender.sendMany(list), 512);
    await inbox.take(512 * (round + 1));
  }
  for (const [i, { data }] of inbox.all.entries()) assert.ok(data.equals(payload(i & 255, 32)), `${i}`);
  assert.equal(sender.stats().txGsoBatches, each === 0 ? 0 : (4 * 512) / each);
  assert.equal(receiver.stats().rxDatagrams, 2048);
  assert.equal(receiver.stats().rxKernelDrops, 0);
});

test('a socket that gets a burst of super-datagrams and closes in the middle leaves its neighbours alone', async () => {
  await using sockets = new Sockets();
  const neighbour = sockets.make();
  const inbox = new Inbox(neighbour);
  const neighbourPort = await bound(neighbour);
  const sender = sockets.make();
  await bound(sender);
  for (let round = 0; round < 20; round++) {
    const victim = createSocket('udp4');
    const port = await bound(victim);
    let got = 0;
    const closing = new Promise<void>((resolve) => {
      victim.on('message', () => {
        if (++got === 1 + round) victim.close(resolve);
      });
    });
    for (let i = 0; i < 64; i++) {
      sender.send(payload(i, 50), port);
      if (i % 2 === 0) sender.send(payload(i, 50), neighbourPort);
    }
    await within(closing, 'close');
    await inbox.take(32);
    assert.equal(got, 1 + round);
    for (const [i, { data }] of inbox.all.entries()) assert.ok(data.equals(payload(2 * i, 50)));
    inbox.all.length = 0;
  }
});

test('datagrams from many sources keep their addresses and each source’s order', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.make();
  const port = await bound(receiver, '0.0.0.0');
  const sources: { socket: Socket; name: string }[] = [];
  for (let i = 0; i < 200; i++) {
    const socket = sockets.add(kinds[i % 2][1]());
    // All of 127.0.0.0/8 is the loopback device.
    const own = await bound(socket, `127.0.${i % 5}.${1 + (i % 100)}`);
    sources.push({ socket, name: `127.0.${i % 5}.${1 + (i % 100)}:${own}` });
  }
  const rounds = 20;
  const seen = new Map<string, string[]>();
  let got = 0;
  receiver.on('message', (data, { address, port, family }) => {
    assert.equal(family, 'IPv4');
    const name = `${address}:${port}`;
    const texts = seen.get(name) ?? [];
    seen.set(name, texts);
    texts.push(`${data}`);
    got++;
  });
  for (let round = 0; round < rounds; round++) {
    for (const { socket, name } of sources) socket.send(`${name} ${round}`, port, '127.0.0.1');
    await waitFor(
      () => got === (round + 1) * sources.length,
      () => `${got} datagrams`,
    );
  }
  assert.equal(seen.size, sources.length);
  for (const { name } of sources) {
    assert.deepEqual(
      seen.get(name),
      Array.from({ length: rounds }, (_, round) => `${name} ${round}`),
    );
  }
});

test('more sources than the peer table has places keep their addresses too', async () => {
  // A socket that moves from port to port is many sources.
  await using sockets = new Sockets();
  const receiver = sockets.make();
  const port = await bound(receiver);
  let got = 0;
  let wrong = 0;
  receiver.on('message', (data, rinfo) => {
    got++;
    if (data.toString() !== `${rinfo.address}:${rinfo.port}`) wrong++;
  });
  // 127.a.b.c: 20 000 addresses, more than the 16 384 places.
  const all = 20_000;
  const perTurn = 50;
  for (let i = 0; i < all; i += perTurn) {
    const turn: Socket[] = [];
    for (let k = i; k < i + perTurn; k++) {
      const socket = createSocket('udp4');
      turn.push(socket);
      const address = `127.${1 + (k >> 14)}.${(k >> 7) & 127}.${1 + (k & 127)}`;
      socket.bind(0, address, () => socket.send(`${address}:${socket.address().port}`, port, '127.0.0.1'));
    }
    await waitFor(
      () => got === Math.min(all, i + perTurn),
      () => `${got} datagrams`,
    );
    for (const socket of turn) socket.close();
  }
  assert.equal(wrong, 0);
});
