// sendMany to one place: lists, memory that is cut, and prepared peers.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { BlockList } from 'node:net';
import { features, type Peer, type Socket } from 'ksocket';
import { bound, Inbox, Sockets } from '../support/peer.js';
import { test } from '../support/test.js';
import { nextTurn, waitFor } from '../support/wait.js';

async function pair(sockets: Sockets) {
  const receiver = sockets.make({ type: 'udp4', recvBufferSize: 4 << 20 });
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const sender = sockets.make();
  await bound(sender);
  return { sender, inbox, port, peer: sender.peer('127.0.0.1', port) };
}

/** Bytes of which no two datagrams begin alike. */
function numbered(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 7 + (i >> 8) * 13) & 255;
  return bytes;
}

function cut(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

const joins = () => features().engine === 'mmsg' && features().gso;

// ---- a list

type Payloads = (string | NodeJS.ArrayBufferView)[];
const ways: [string, (socket: Socket, list: Payloads, port: number) => number][] = [
  ['triples', (socket, list, port) => socket.sendMany(list.flatMap((data) => [data, port, '127.0.0.1']))],
  ['port and address', (socket, list, port) => socket.sendMany(list, { port, address: '127.0.0.1' })],
  ['a peer', (socket, list, port) => socket.sendMany(list, socket.peer('127.0.0.1', port))],
  ['a peer as an option', (socket, list, port) => socket.sendMany(list, { peer: socket.peer('127.0.0.1', port) })],
  ['pairs', (socket, list, port) => socket.sendMany(list.flatMap((data) => [data, socket.peer('127.0.0.1', port)]))],
];
for (const [name, send] of ways) {
  test(`sendMany to one place sends every kind of payload in order, each as it is: ${name}`, async () => {
    await using sockets = new Sockets();
    const { sender, inbox, port } = await pair(sockets);
    const text = 'äö';
    const list = [text, Buffer.from('b'), new Uint16Array([0x6363]), '', new DataView(new ArrayBuffer(3)), 'last'];
    assert.equal(send(sender, list, port), 6);
    await inbox.take(6);
    assert.deepEqual(inbox.texts, [text, 'b', 'cc', '', '\0\0\0', 'last']);
    assert.equal(sender.stats().txDatagrams, 6);
  });

  test(`sendMany to one place sends a payload as often as the list has it, among others of its size: ${name}`, async () => {
    await using sockets = new Sockets();
    const { sender, inbox, port } = await pair(sockets);
    const [a, b, c] = [0, 1, 2].map((n) => Buffer.alloc(24, n + 1));
    const like = Buffer.from(a); // another object with the same bytes
    const list = [
      ...[a, b, b, c, c, c, a],
      ...Array<Buffer>(500).fill(b),
      ...[a, like, a, like, like],
      ...Array<string>(5).fill('as long as a and b and c'),
      ...Array<string>(5).fill('shorter'),
      ...Array<string>(3).fill(''),
      ...Array<Buffer>(130).fill(c),
    ];
    assert.equal(send(sender, list, port), list.length);
    await inbox.take(list.length);
    for (const [i, { data }] of inbox.all.entries()) assert.ok(data.equals(Buffer.from(list[i])), `datagram ${i}`);
    assert.equal(sender.stats().txDatagrams, list.length);
  });

  test(`sendMany to one place counts each time what is too long, and sends nothing in its place: ${name}`, async () => {
    await using sockets = new Sockets();
    const { sender, inbox, port } = await pair(sockets);
    const long = Buffer.alloc(65_536, 'l');
    const text = 'x'.repeat(65_536);
    const list = ['one', long, long, long, 'two', text, text, Buffer.from('end'), long];
    assert.equal(send(sender, list, port), list.length);
    await inbox.take(3);
    assert.deepEqual(inbox.texts, ['one', 'two', 'end']);
    assert.deepEqual([sender.stats().txDatagrams, sender.stats().txErrors], [3, 6]);
  });

  test(`sendMany to one place joins runs of one size, of which the last may be shorter: ${name}`, async () => {
    await using sockets = new Sockets();
    const { sender, inbox, port } = await pair(sockets);
    const lengths = [...Array(300).fill(40), 10, 40, 40, 50, 0, 0, 9, 9, 9, 30_000, 30_000, 30_000, 65_507, 1];
    const payloads = lengths.map((length, i) => numbered(length + i).subarray(i));
    assert.equal(send(sender, payloads, port), payloads.length);
    await inbox.take(payloads.length);
    for (const [i, { data }] of inbox.all.entries()) assert.ok(data.equals(payloads[i]), `datagram ${i}`);
    const { txDatagrams, txBytes, txErrors, txGsoSegments } = sender.stats();
    assert.deepEqual([txDatagrams, txErrors], [payloads.length, 0]);
    assert.equal(
      txBytes,
      lengths.reduce((sum, length) => sum + length, 0),
    );
    if (joins()) assert.ok(txGsoSegments >= 300, `${txGsoSegments}`);
  });
}

test('sendMany sends what a list repeats to each of its places, whatever stands between', async () => {
  await using sockets = new Sockets();
  const receivers = [await pair(sockets), await pair(sockets)];
  const [{ sender }] = receivers;
  const payloads = [1, 24, 24, 24, 700, 1400, 30_000].map((size, i) => Buffer.alloc(size, i + 1));
  let state = 1;
  const random = () => {
    state = (state * 48_271) % 2_147_483_647; // Park and Miller's
    return state / 2_147_483_647;
  };
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)];
  const expected: Buffer[][] = [[], []];
  for (let round = 0; round < 40; round++) {
    const list: [Buffer, number, string][] = [];
    for (let runs = 0; runs < 6; runs++) {
      const data = pick(payloads);
      const to = pick([0, 1]);
      const times = data.length > 1400 ? 3 : Math.ceil(random() ** 3 * (data.length > 24 ? 70 : 400));
      for (let i = 0; i < times; i++) {
        list.push([data, receivers[to].port, '127.0.0.1']);
        expected[to].push(data);
      }
    }
    assert.equal(sender.sendMany(list.flat()), list.length);
    for (const [to, { inbox }] of receivers.entries()) await inbox.take(expected[to].length);
  }
  for (const [to, { inbox }] of receivers.entries()) {
    for (const [i, { data }] of inbox.all.entries()) assert.ok(data.equals(expected[to][i]), `datagram ${i} of ${to}`);
  }
  assert.equal(sender.stats().txDatagrams, expected[0].length + expected[1].length);
});

test('a list to one place takes more than one flush holds', async () => {
  await using sockets = new Sockets();
  const { sender, inbox, peer } = await pair(sockets);
  const list = Array.from({ length: 5000 }, (_, i) => `${i}`);
  assert.equal(sender.sendMany(list, peer), 5000);
  await inbox.take(5000);
  assert.deepEqual(inbox.texts, list);
});

test('what sendMany takes are the bytes that a view has, whatever it says', async () => {
  await using sockets = new Sockets();
  const { sender, inbox, peer } = await pair(sockets);
  const liar = new Uint8Array([1, 2, 3, 4]).subarray(1, 3);
  for (const name of ['length', 'byteLength', 'byteOffset']) Object.defineProperty(liar, name, { value: 4000 });
  const gone = new Uint8Array(8);
  structuredClone(gone, { transfer: [gone.buffer] });
  assert.equal(sender.sendMany([liar, gone, liar], peer), 3);
  assert.equal(sender.sendMany(liar, { segmentSize: 1, peer }), 2);
  assert.equal(sender.sendMany(gone, { segmentSize: 1, peer }), 0);
  await inbox.take(5);
  assert.deepEqual(
    inbox.all.map(({ data }) => [...data]),
    [[2, 3], [], [2, 3], [2], [3]],
  );
});

test('a getter in a list that sends itself: each datagram leaves once, in order', async () => {
  await using sockets = new Sockets();
  const { sender, inbox, peer } = await pair(sockets);
  const list = ['a0', 'a1', 'never', 'a3'];
  Object.defineProperty(list, 2, {
    get() {
      sender.sendMany(['b0', 'b1'], peer);
      return 'a2';
    },
  });
  assert.equal(sender.sendMany(list, peer), 4);
  await inbox.take(6);
  assert.deepEqual(inbox.texts, ['b0', 'b1', 'a0', 'a1', 'a2', 'a3']);
});

// ---- one piece of memory

for (const [length, segmentSize] of [
  [1, 1],
  [100, 100],
  [101, 100],
  [99, 100],
  [64 * 100, 100],
  [1000 * 64 + 7, 64],
  [300_000, 1400],
  [200_001, 32_744],
  [131_014, 65_507],
  [3000, 1],
]) {
  test(`${length} bytes are cut into datagrams of ${segmentSize}`, async () => {
    await using sockets = new Sockets();
    const { sender, inbox, peer } = await pair(sockets);
    const bytes = numbered(length + 3).subarray(3);
    const wanted = cut(bytes, segmentSize);
    assert.equal(sender.sendMany(bytes, { segmentSize, peer }), wanted.length);
    bytes.fill(0); // it was taken as it was
    await inbox.take(wanted.length);
    const expected = cut(numbered(length + 3).subarray(3), segmentSize);
    for (const [i, { data }] of inbox.all.entries()) assert.ok(data.equals(expected[i]), `datagram ${i}`);
    assert.equal(inbox.all.length, wanted.length);
    assert.deepEqual([sender.stats().txDatagrams, sender.stats().txBytes], [wanted.length, length]);
  });
}

test('a connected socket needs no destination, and refuses one', async () => {
  await using sockets = new Sockets();
  const { sender, inbox, port, peer } = await pair(sockets);
  await new Promise<void>((resolve) => sender.connect(port, '127.0.0.1', () => resolve()));
  assert.equal(sender.sendMany(['a', 'b']), 2);
  assert.equal(sender.sendMany(Buffer.from('cdef'), { segmentSize: 2 }), 2);
  const connected = { code: 'ERR_SOCKET_DGRAM_IS_CONNECTED' };
  assert.throws(() => sender.sendMany(['x'], peer), connected);
  assert.throws(() => sender.sendMany(['x'], { port, address: '127.0.0.1' }), connected);
  assert.throws(() => sender.sendMany(Buffer.from('x'), { segmentSize: 1, peer }), connected);
  assert.throws(() => sender.send('x', peer), connected);
  await inbox.take(4);
  assert.deepEqual(inbox.texts, ['a', 'b', 'cd', 'ef']);
});

test('what was sent before goes first, what is sent after behind', async () => {
  await using sockets = new Sockets();
  const { sender, inbox, port, peer } = await pair(sockets);
  sender.send('1', port, '127.0.0.1');
  sender.sendMany(['2', '3'], peer);
  sender.send('4', peer);
  sender.sendMany(Buffer.from('56'), { segmentSize: 1, peer });
  sender.sendMany(['7', peer, '8', peer]);
  await inbox.take(8);
  assert.deepEqual(inbox.texts, ['1', '2', '3', '4', '5', '6', '7', '8']);
});

test('before the bind nothing is taken, and drain says when to come back', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.make();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const sender = sockets.make();
  const peer = sender.peer('127.0.0.1', port);
  const drained = once(sender, 'drain');
  assert.equal(sender.sendMany(['x'], peer), 0);
  assert.equal(sender.sendMany(Buffer.from('xy'), { segmentSize: 1, peer }), 0);
  await drained;
  assert.equal(sender.sendMany(['x'], peer), 1);
  await inbox.take(1);
});

// ---- peers

test('send() takes a peer in the place of port and address', async () => {
  await using sockets = new Sockets();
  const { sender, inbox, peer } = await pair(sockets);
  const results: unknown[] = [];
  const note = (...result: unknown[]) => results.push(result);
  sender.send('one', peer, note);
  sender.send(['t', 'wo'], peer);
  sender.send('-three-', 1, 5, peer, note);
  sender.send(Buffer.from('four'), peer, undefined);
  await inbox.take(4);
  assert.deepEqual(inbox.texts, ['one', 'two', 'three', 'four']);
  await waitFor(() => results.length === 2);
  assert.deepEqual(results, [
    [null, 3],
    [null, 5],
  ]);
});

test('send() to a peer before the bind waits for it', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.make();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const sender = sockets.make();
  const sent = new Promise((resolve) => sender.send('early', sender.peer('127.0.0.1', port), (...all) => resolve(all)));
  await inbox.take(1);
  assert.deepEqual(await sent, [null, 5]);
});

test('close() takes back what the present tick has sent to a peer, as what it has sent to an address', async () => {
  await using sockets = new Sockets();
  const { sender, inbox, port, peer } = await pair(sockets);
  sender.send('an earlier tick', peer);
  await nextTurn();
  sender.send('taken back', peer, () => assert.fail('called back'));
  sender.close();
  await inbox.take(1);
  const other = sockets.make();
  await bound(other);
  other.send('the last', port, '127.0.0.1');
  await inbox.take(2);
  assert.deepEqual(inbox.texts, ['an earlier tick', 'the last']);
});

test('a peer says what it is, cannot be changed, and serves every socket of its family', async () => {
  await using sockets = new Sockets();
  const { sender, inbox, port, peer } = await pair(sockets);
  assert.deepEqual({ ...peer }, { address: '127.0.0.1', port, family: 'IPv4' });
  assert.throws(() => Object.assign(peer, { port: 1 }), TypeError);
  const other = sockets.make();
  await bound(other);
  assert.equal(other.sendMany(['from another'], peer), 1);
  await inbox.take(1);
  assert.equal(inbox.all[0].rinfo.port, other.address().port);
  const six = sockets.make('udp6');
  const foreign = six.peer('::1', port);
  assert.equal(foreign.family, 'IPv6');
  for (const send of [
    () => sender.sendMany(['x'], foreign),
    () => sender.sendMany(['x', foreign]),
    () => sender.sendMany(Buffer.from('x'), { segmentSize: 1, peer: foreign }),
    () => sender.send('x', foreign),
  ]) {
    assert.throws(send, { code: 'ERR_INVALID_ARG_VALUE' });
  }
});

test('pairs go where each says', async () => {
  await using sockets = new Sockets();
  const { sender, inbox, peer } = await pair(sockets);
  const receiver = sockets.make();
  const second = new Inbox(receiver);
  const other = sender.peer('127.0.0.1', await bound(receiver));
  const list = Array.from({ length: 50 }, (_, i) => [`${i}`, i % 3 === 0 ? other : peer]).flat();
  assert.equal(sender.sendMany(list), 50);
  await Promise.all([inbox.take(33), second.take(17)]);
  const all = Array.from({ length: 50 }, (_, i) => i);
  assert.deepEqual(
    second.texts.map(Number),
    all.filter((i) => i % 3 === 0),
  );
  assert.deepEqual(
    inbox.texts.map(Number),
    all.filter((i) => i % 3 !== 0),
  );
});

test('what is wrong is named', async () => {
  await using sockets = new Sockets();
  const { sender, inbox, port, peer } = await pair(sockets);
  const address = '127.0.0.1';
  const data = Buffer.from('data');
  const bad: [() => unknown, string, RegExp][] = [
    [() => sender.peer('localhost', port), 'ERR_INVALID_ARG_VALUE', /address/],
    [() => sender.peer('::1', port), 'ERR_INVALID_ARG_VALUE', /IPv4/],
    [() => sender.peer(5 as never, port), 'ERR_INVALID_ARG_TYPE', /address/],
    [() => sender.peer(address, 0), 'ERR_SOCKET_BAD_PORT', /Port/],
    [() => sender.peer(address, 65_536), 'ERR_SOCKET_BAD_PORT', /Port/],
    [() => sender.sendMany([data], { port, address: 'localhost' }), 'ERR_INVALID_ARG_VALUE', /options\.address/],
    [() => sender.sendMany([data], { port } as never), 'ERR_INVALID_ARG_TYPE', /options\.address/],
    [() => sender.sendMany([data], { address } as never), 'ERR_SOCKET_BAD_PORT', /Port/],
    [() => sender.sendMany([data], { peer: { ...peer } }), 'ERR_INVALID_ARG_TYPE', /options\.peer/],
    [() => sender.sendMany([data], { peer, port, address }), 'ERR_INVALID_ARG_VALUE', /options\.peer/],
    [() => sender.sendMany([data], { prt: port, address } as never), 'ERR_INVALID_ARG_VALUE', /'port'/],
    [() => sender.sendMany([data], { segmentSize: 2, peer } as never), 'ERR_INVALID_ARG_VALUE', /segmentSize/],
    [() => sender.sendMany([data], port as never), 'ERR_INVALID_ARG_TYPE', /options/],
    [() => sender.sendMany([data, peer, data] as never), 'ERR_INVALID_ARG_VALUE', /list\.length/],
    [() => sender.sendMany([data, peer, data, port] as never), 'ERR_INVALID_ARG_TYPE', /list\[3\]/],
    [() => sender.sendMany([5 as never], peer), 'ERR_INVALID_ARG_TYPE', /list/],
    [() => sender.sendMany(data as never), 'ERR_INVALID_ARG_TYPE', /list/],
    [() => sender.sendMany(data, peer as never), 'ERR_INVALID_ARG_VALUE', /segmentSize/],
    [() => sender.sendMany(5 as never, { segmentSize: 2, peer }), 'ERR_INVALID_ARG_TYPE', /bytes/],
    [() => sender.sendMany(data, { segmentSize: 0, peer }), 'ERR_OUT_OF_RANGE', /options\.segmentSize/],
    [() => sender.sendMany(data, { segmentSize: 65_508, peer }), 'ERR_OUT_OF_RANGE', /options\.segmentSize/],
    [() => sender.sendMany(data, { segmentSize: 1.5, peer }), 'ERR_OUT_OF_RANGE', /options\.segmentSize/],
    [() => sender.sendMany(data, { peer } as never), 'ERR_INVALID_ARG_TYPE', /options\.segmentSize/],
    [() => sender.send(data, peer as never, address as never), 'ERR_INVALID_ARG_VALUE', /address/],
    [() => sender.send(data, { ...peer } as never), 'ERR_INVALID_ARG_VALUE', /options\.family/],
    [() => sender.send(data, {} as never), 'ERR_SOCKET_BAD_PORT', /Port/],
  ];
  for (const [send, code, message] of bad) assert.throws(send, { code, message }, `${send}`);
  // The first of these has been sent before the second was looked at.
  assert.equal(sender.sendMany(['behind'], peer), 1);
  await inbox.take(2);
  assert.deepEqual(inbox.texts, ['data', 'behind']);
  sender.close();
  for (const send of [
    () => sender.sendMany(['x'], peer),
    () => sender.sendMany(data, { segmentSize: 1, peer }),
    () => sender.sendMany(['x', peer]),
  ]) {
    assert.throws(send, { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' });
  }
});

test('what goes to a blocked address is taken, counted as refused, and stays here', async () => {
  await using sockets = new Sockets();
  const sendBlockList = new BlockList();
  sendBlockList.addAddress('127.0.0.2');
  const { inbox, port, peer } = await pair(sockets);
  const sender = sockets.make({ type: 'udp4', sendBlockList });
  await bound(sender);
  const target = sockets.make();
  target.bind(port, '127.0.0.2');
  await once(target, 'listening');
  const lost = new Inbox(target);
  const blocked: Peer = sender.peer('127.0.0.2', port);
  assert.equal(sender.sendMany(['a', 'b'], blocked), 2);
  assert.equal(sender.sendMany(Buffer.from('abcde'), { segmentSize: 2, peer: blocked }), 3);
  assert.equal(sender.sendMany(['x', blocked, 'pair', peer]), 2);
  assert.equal(sender.sendMany(['x', port, '127.0.0.2', 'x', port, '127.0.0.2', 'triple', port, '127.0.0.1']), 3);
  await inbox.take(2);
  assert.deepEqual(inbox.texts, ['pair', 'triple']);
  assert.deepEqual([sender.stats().txErrors, sender.stats().txDatagrams], [8, 2]);
  const code = await new Promise((resolve) =>
    sender.send('x', blocked, (error) => resolve((error as { code?: string }).code)),
  );
  assert.equal(code, 'ERR_IP_BLOCKED');
  // That it would have arrived:
  const free = sockets.make();
  await bound(free);
  free.sendMany(['control'], blocked);
  await lost.take(1);
  assert.deepEqual(lost.texts, ['control']);
});
