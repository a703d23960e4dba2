// Which shard a datagram comes to: exactly as documented, of every length of what steers, and by whomever it was sent.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createSocket, features, type PayloadSteering, type Socket, type SocketOptions, type Steering } from 'ksocket';
import { runProgram } from '../support/child.js';
import { bound, Sockets } from '../support/peer.js';
import { heldAtRest } from '../support/process.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

/** As the documentation says it: FNV-1a, folded. */
function hash(bytes: Uint8Array): number {
  let h = 0x811c9dc5;
  for (const byte of bytes) h = Math.imul(h ^ byte, 0x01000193);
  return (h ^ (h >>> 16)) >>> 0;
}

function shardOf(steering: PayloadSteering, payload: Buffer, shards: number): number {
  const { by, quic, length } = steering;
  const start = quic ? (((payload[0] ?? 0) & 0x80) === 0 ? 1 : 6) : 0;
  const bytes = payload.subarray(start + steering.offset, start + steering.offset + length);
  if (bytes.length < length) return 0;
  return (by === 'index' ? bytes.readUIntBE(0, length) : hash(bytes)) % shards;
}

let state = 1;
/** The same ones in each run. */
function random(limit: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
}
const randomBytes = (length: number) => Buffer.from(Array.from({ length }, () => random(256)));

const received = (socket: Socket, shards: number) =>
  Array.from({ length: shards }, (_, i) => socket.shard(i).stats().rxDatagrams);

/** Sends the payloads, each from one of several sources; how many have come to each shard. */
async function split(options: SocketOptions, payloads: Buffer[], address = '127.0.0.1'): Promise<number[]> {
  await using sockets = new Sockets();
  const shards = options.shards as number;
  const socket = sockets.make({ ...options, recvBufferSize: 1 << 22 });
  const port = await bound(socket, options.type === 'udp6' ? '::' : '0.0.0.0');
  const senders = Array.from({ length: 8 }, () =>
    sockets.make({ type: address.includes(':') ? 'udp6' : 'udp4', gso: false }),
  );
  await Promise.all(senders.map((sender) => bound(sender)));
  for (const [i, payload] of payloads.entries()) senders[i % 8].send(payload, port, address);
  const all = () => received(socket, shards).reduce((a, b) => a + b);
  await waitFor(
    () => all() === payloads.length,
    () => `${all()} of ${payloads.length}`,
  );
  return received(socket, shards);
}

function expected(steering: PayloadSteering, payloads: Buffer[], shards: number): number[] {
  const counts = Array<number>(shards).fill(0);
  for (const payload of payloads) counts[shardOf(steering, payload, shards)]++;
  return counts;
}

test('bytes of the payload: the shard is the documented one, for each length, place and number of shards', async () => {
  const cases: [PayloadSteering, number][] = [
    [{ offset: 0, length: 1 }, 2],
    [{ offset: 1, length: 8 }, 3],
    [{ offset: 3, length: 20 }, 7],
    [{ offset: 0, length: 4, by: 'hash' }, 64],
    [{ offset: 0, length: 1, by: 'index' }, 2],
    [{ offset: 2, length: 2, by: 'index' }, 5],
    [{ offset: 1, length: 3, by: 'index' }, 4],
    [{ offset: 5, length: 4, by: 'index' }, 6],
    [{ offset: 0, length: 8, quic: true }, 4],
    [{ offset: 1, length: 1, quic: true, by: 'index' }, 3],
    [{ offset: 0, length: 20, quic: true }, 3],
  ];
  for (const [steering, shards] of cases) {
    const payloads = Array.from({ length: 200 }, () => randomBytes(random(40)));
    const want = expected(steering, payloads, shards);
    assert.deepEqual(
      await split({ type: 'udp4', shards, steering }, payloads),
      want,
      JSON.stringify([steering, shards]),
    );
    assert.ok(want.filter((count) => count > 0).length > 1);
  }
});

test('one payload at a time: these bytes, this shard, whoever sends them', async () => {
  await using sockets = new Sockets();
  const steering: PayloadSteering = { offset: 1, length: 4 };
  const socket = sockets.make({ type: 'udp6', shards: 3, steering });
  const port = await bound(socket, '::');
  for (let i = 0; i < 40; i++) {
    const payload = randomBytes(5 + random(20));
    for (const [type, address] of [
      ['udp4', '127.0.0.1'],
      ['udp6', '::1'],
    ] as const) {
      const before = received(socket, 3);
      const sender = sockets.make(type);
      sender.send(payload, port, address);
      const news = () => received(socket, 3).map((count, shard) => count - before[shard]);
      await waitFor(() => news().includes(1), 'it');
      assert.equal(news().indexOf(1), shardOf(steering, payload, 3));
    }
  }
});

test('what is joined is not looked at: GRO is off where the payload steers, and else on', async () => {
  if (features().engine !== 'mmsg') return;
  for (const [steering, joins] of [
    ['flow', true],
    [{ offset: 0, length: 1 }, false],
  ] as const) {
    await using sockets = new Sockets();
    const socket = sockets.make({ type: 'udp4', shards: 1, steering });
    let all = 0;
    socket.on('message', () => all++);
    const port = await bound(socket);
    const sender = sockets.make();
    await bound(sender);
    const list = Array.from({ length: 100 }, (_, i) => Buffer.from([i]));
    for (let round = 1; round <= 5; round++) {
      sender.sendMany(list, sender.peer('127.0.0.1', port));
      await waitFor(() => all === round * 100, 'the datagrams');
    }
    assert.equal(socket.stats().rxGroBatches > 0, joins);
  }
});

test('a payload that is too short comes to shard 0, and is not lost', async () => {
  for (const steering of [
    { offset: 4, length: 4 },
    { offset: 7, length: 1, by: 'index' },
    { offset: 1000, length: 20 },
    { offset: 0, length: 7, quic: true },
  ] as const) {
    const payloads = Array.from({ length: 64 }, (_, i) => Buffer.alloc(i % 8, 0x01));
    const counts = await split({ type: 'udp4', shards: 2, steering }, payloads);
    assert.ok(counts[0] >= 56, `${counts}`);
    assert.deepEqual(counts, expected(steering, payloads, 2));
  }
});

test('a datagram of the largest size is steered by its bytes, too', async () => {
  const payloads = Array.from({ length: 8 }, (_, i) => Buffer.alloc(65_507, i));
  const steering = { offset: 65_000, length: 1, by: 'index' } as const;
  assert.deepEqual(await split({ type: 'udp4', shards: 4, steering }, payloads), [2, 2, 2, 2]);
});

test("'source': an address is one shard's whatever its port, IPv4 and a /64 of IPv6", async () => {
  await using sockets = new Sockets();
  for (const type of ['udp4', 'udp6'] as const) {
    const socket = sockets.make({ type, shards: 4, steering: 'source' });
    const port = await bound(socket, type === 'udp4' ? '0.0.0.0' : '::');
    const used = new Set<number>();
    for (let host = 1; host <= 32; host++) {
      const before = received(socket, 4);
      for (let i = 0; i < 4; i++) {
        const sender = sockets.make();
        await bound(sender, `127.0.0.${host}`);
        sender.send('x', port, '127.0.0.1');
      }
      const news = () => received(socket, 4).map((count, shard) => count - before[shard]);
      await waitFor(() => news().reduce((a, b) => a + b) === 4, 'four');
      assert.deepEqual(
        news().filter((count) => count > 0),
        [4],
      );
      used.add(news().indexOf(4));
    }
    assert.ok(used.size >= 3, `${[...used]}`); // 32 addresses leave two of four out once in a billion times
  }
});

const cpus = (text: string) =>
  text.split(',').flatMap((part) => {
    const [first, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });

function ioThreads(): string[] {
  const found: string[] = [];
  for (const task of readdirSync('/proc/self/task')) {
    const read = (name: string) => readFileSync(`/proc/self/task/${task}/${name}`, 'utf8');
    try {
      if (read('comm') === 'ksocket-io\n') found.push(/^Cpus_allowed_list:\s*(\S+)$/m.exec(read('status'))?.[1] ?? '');
    } catch {} // ended meanwhile
  }
  return found;
}

test("'cpu': what a processor receives is the shard's of its number, whose thread runs there", async () => {
  const mine = cpus(/^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0');
  await heldAtRest();
  await using sockets = new Sockets();
  const socket = sockets.make({ type: 'udp4', shards: 2, steering: 'cpu' });
  const port = await bound(socket);
  await waitFor(() => ioThreads().length === 2, 'two threads');
  const allowed = ioThreads().map(cpus);
  for (const shard of [0, 1]) {
    const own = mine.filter((cpu) => cpu % 2 === shard);
    const found = allowed.some((list) => list.join() === (own.length > 0 ? own : mine).join());
    assert.ok(found, `${allowed.join(' | ')} of ${mine}`);
  }
  for (const cpu of mine.slice(0, 4)) {
    const before = received(socket, 2);
    const program = async (port: string) => {
      const { default: dgram } = await import('node:dgram');
      const sender = dgram.createSocket('udp4');
      let left = 10;
      for (let i = 0; i < 10; i++) sender.send('x', Number(port), '127.0.0.1', () => --left === 0 && sender.close());
    };
    // Loopback hands a datagram to the processor that has sent it.
    const { code, stderr } = await runProgram(program, [`${port}`], { under: ['taskset', '-c', `${cpu}`] });
    assert.deepEqual([code, stderr], [0, '']);
    const news = () => received(socket, 2).map((count, shard) => count - before[shard]);
    await waitFor(() => news()[0] + news()[1] === 10, 'ten');
    assert.equal(news()[cpu % 2], 10, `of processor ${cpu}`);
  }
});

test('what is no steering', () => {
  const make = (steering: unknown) => () => createSocket({ type: 'udp4', shards: 2, steering: steering as Steering });
  const value = { code: 'ERR_INVALID_ARG_VALUE' };
  const type = { code: 'ERR_INVALID_ARG_TYPE' };
  const range = { code: 'ERR_OUT_OF_RANGE' };
  assert.throws(make('hash'), value);
  for (const wrong of [null, 7, [0, 4], new Map()]) assert.throws(make(wrong), type);
  assert.throws(make({ offset: 0 }), type);
  assert.throws(make({ length: 4 }), type);
  assert.throws(make({ offset: 0, length: 4, of: 'quic' }), { ...value, message: /not known/ });
  for (const [offset, length] of [
    [-1, 1],
    [0.5, 1],
    [65_001, 1],
    [0, 0],
    [0, 21],
  ]) {
    assert.throws(make({ offset, length }), range);
  }
  assert.throws(make({ offset: 0, length: 5, by: 'index' }), range);
  assert.throws(make({ offset: 0, length: 4, by: 'crc' }), value);
  assert.throws(make({ offset: 0, length: 4, quic: 1 }), type);
});
