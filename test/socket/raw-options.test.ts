// setsockopt and getsockopt, of any level and name.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { endianness } from 'node:os';
import { runProgram } from '../support/child.js';
import { fdOf, kernelOptions } from '../support/kernel-options.js';
import { inNamespace } from '../support/namespace.js';
import { bound, Inbox, Sockets } from '../support/peer.js';
import { test } from '../support/test.js';
import { ttlWitness } from '../support/ttl-witness.js';

const SOL_IP = 0;
const SOL_SOCKET = 1;
const SOL_UDP = 17;
const SOL_IPV6 = 41;
const IP_TOS = 1;
const IP_TTL = 2;
const SO_RCVBUF = 8;
const SO_PRIORITY = 12;
const SO_MEMINFO = 55;
const SO_COOKIE = 57;

const int = (value: number) => Buffer.from(new Int32Array([value]).buffer);
const ofInt = (bytes: Buffer) => (endianness() === 'LE' ? bytes.readInt32LE() : bytes.readInt32BE());

for (const value of [5, int(5), new Uint8Array(int(5)), int(5).subarray()] as const) {
  test(`setsockopt: the kernel has it, given ${value.constructor.name}`, async () => {
    await using sockets = new Sockets();
    const socket = sockets.make();
    await bound(socket);
    assert.equal(socket.setsockopt(SOL_SOCKET, SO_PRIORITY, value), undefined);
    socket.setsockopt(SOL_IP, IP_TTL, 33);
    assert.deepEqual(kernelOptions(fdOf(socket), ['s.SOL_SOCKET, 12', 's.IPPROTO_IP, s.IP_TTL']), [5, 33]);
    assert.deepEqual(socket.getsockopt(SOL_SOCKET, SO_PRIORITY), int(5));
    assert.equal(ofInt(socket.getsockopt(SOL_IP, IP_TTL)), 33);
  });
}

test('setsockopt: an int may be negative, or have all 32 bits', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  await bound(socket);
  const SO_MAX_PACING_RATE = 47;
  socket.setsockopt(SOL_SOCKET, SO_MAX_PACING_RATE, 0xfffffffe);
  assert.deepEqual(socket.getsockopt(SOL_SOCKET, SO_MAX_PACING_RATE, 4), int(-2));
  socket.setsockopt(SOL_IP, IP_TTL, -1); // ip(7): the system's default
  assert.equal(ofInt(socket.getsockopt(SOL_IP, IP_TTL)), 64);
});

test('getsockopt: as many bytes as the value has, and no more than asked for', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  await bound(socket);
  assert.equal(socket.getsockopt(SOL_SOCKET, SO_COOKIE).length, 8);
  assert.equal(socket.getsockopt(SOL_SOCKET, SO_RCVBUF).length, 4);
  const all = socket.getsockopt(SOL_SOCKET, SO_MEMINFO);
  assert.ok(all.length >= 32 && all.length % 4 === 0, `${all.length} bytes`);
  assert.equal(all.readUInt32LE(4), ofInt(socket.getsockopt(SOL_SOCKET, SO_RCVBUF)));
  for (const length of [0, 1, 4, 13, 65_536]) {
    const some = socket.getsockopt(SOL_SOCKET, SO_MEMINFO, length);
    assert.ok(Buffer.isBuffer(some));
    assert.equal(some.length, Math.min(length, all.length));
  }
  // Each call has memory of its own.
  const first = socket.getsockopt(SOL_SOCKET, SO_RCVBUF);
  first.fill(0);
  assert.notDeepEqual(socket.getsockopt(SOL_SOCKET, SO_RCVBUF), first);
});

test('on udp6 both families’ levels', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make('udp6');
  await bound(socket);
  const IPV6_TCLASS = 67;
  socket.setsockopt(SOL_IPV6, IPV6_TCLASS, 0xb8);
  socket.setsockopt(SOL_IP, IP_TOS, 0x20);
  assert.deepEqual(
    kernelOptions(fdOf(socket), ['s.IPPROTO_IPV6, s.IPV6_TCLASS', 's.IPPROTO_IP, s.IP_TOS']),
    [0xb8, 0x20],
  );
});

test('what the kernel refuses is an error with code and syscall', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  await bound(socket);
  const set = (level: number, name: number, value: number | Uint8Array) => () => socket.setsockopt(level, name, value);
  const fails = (call: () => unknown, code: string, syscall: string) =>
    assert.throws(call, (error: NodeJS.ErrnoException) => {
      assert.deepEqual([error.code, error.syscall, error.message], [code, syscall, `${syscall} ${code}`]);
      assert.ok((error.errno ?? 0) < 0);
      return true;
    });
  fails(set(SOL_IP, IP_TTL, 256), 'EINVAL', 'setsockopt');
  fails(set(SOL_SOCKET, SO_PRIORITY, new Uint8Array(3)), 'EINVAL', 'setsockopt');
  fails(set(SOL_SOCKET, SO_PRIORITY, new Uint8Array(0)), 'EINVAL', 'setsockopt');
  fails(set(SOL_SOCKET, 9999, 1), 'ENOPROTOOPT', 'setsockopt');
  fails(set(SOL_SOCKET, -1, 1), 'ENOPROTOOPT', 'setsockopt');
  fails(set(6, 1, 1), 'ENOPROTOOPT', 'setsockopt'); // TCP_NODELAY
  fails(set(SOL_IPV6, 67, 1), 'ENOPROTOOPT', 'setsockopt');
  fails(() => socket.getsockopt(SOL_SOCKET, 9999), 'ENOPROTOOPT', 'getsockopt');
  fails(() => socket.getsockopt(6, 1), 'ENOPROTOOPT', 'getsockopt');
  fails(() => socket.getsockopt(SOL_SOCKET, SO_COOKIE, 7), 'EINVAL', 'getsockopt');
});

test('before bind() there is no descriptor, after close() no socket', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  assert.throws(() => socket.setsockopt(SOL_SOCKET, SO_PRIORITY, 1), { code: 'EBADF', syscall: 'setsockopt' });
  assert.throws(() => socket.getsockopt(SOL_SOCKET, SO_PRIORITY), { code: 'EBADF', syscall: 'getsockopt' });
  await bound(socket);
  const done = once(socket, 'close');
  socket.close();
  await done;
  for (const call of [() => socket.setsockopt(1, 12, 1), () => socket.getsockopt(1, 12)]) {
    assert.throws(call, { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' });
  }
});

test('arguments are checked', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  await bound(socket);
  const set = socket.setsockopt.bind(socket) as (...args: unknown[]) => void;
  const get = socket.getsockopt.bind(socket) as (...args: unknown[]) => Buffer;
  const type = { code: 'ERR_INVALID_ARG_TYPE', name: 'TypeError' };
  const range = { code: 'ERR_OUT_OF_RANGE', name: 'RangeError' };
  for (const wrong of ['1', null, undefined, {}, 1n]) {
    assert.throws(() => set(wrong, 12, 1), type);
    assert.throws(() => set(1, wrong, 1), type);
    assert.throws(() => get(wrong, 12), type);
    assert.throws(() => get(1, wrong), type);
    if (wrong !== undefined) assert.throws(() => get(1, 12, wrong), type);
    assert.throws(() => set(1, 12, wrong), type);
  }
  for (const wrong of [true, [1], new ArrayBuffer(4), new Uint16Array(2), new DataView(new ArrayBuffer(4))]) {
    assert.throws(() => set(1, 12, wrong), type);
  }
  for (const wrong of [0.5, Number.NaN, Infinity, 2 ** 32, -(2 ** 31) - 1]) {
    assert.throws(() => set(1, 12, wrong), range);
    assert.throws(() => set(wrong, 12, 1), range);
    assert.throws(() => get(1, wrong), range);
    assert.throws(() => get(1, 12, wrong), range);
  }
  for (const wrong of [-1, 65_537]) assert.throws(() => get(1, 12, wrong), range);
  // What says that it is longer than it is.
  const short = Object.defineProperty(new Uint8Array(1), 'byteLength', { value: 4 });
  assert.throws(() => set(1, SO_PRIORITY, short), { code: 'EINVAL' });
});

/** level, name: what says where in memory the kernel is to read or write. */
const pointers: [level: number, name: number][] = [
  [SOL_SOCKET, 26], // SO_ATTACH_FILTER
  [SOL_SOCKET, 51], // SO_ATTACH_REUSEPORT_CBPF
  [SOL_IP, 64], // IPT_SO_SET_REPLACE
  [SOL_IP, 96], // ARPT_SO_SET_REPLACE
  [SOL_IP, 128], // EBT_SO_SET_ENTRIES
  [SOL_IPV6, 64], // IP6T_SO_SET_REPLACE
];
/** What adds control messages, cuts or joins datagrams, waits, or makes another socket of it. */
const owned: [level: number, name: number][] = [
  ...[29, 35, 37, 63, 64, 65, 40, 41, 75, 82, 34, 20, 21, 66, 67, 44].map((name): [number, number] => [
    SOL_SOCKET,
    name,
  ]),
  ...[1, 103, 104].map((name): [number, number] => [SOL_UDP, name]),
  ...[6, 7, 8, 11, 12, 13, 18, 20, 23, 25, 26].map((name): [number, number] => [SOL_IP, name]),
  ...[1, 2, 3, 4, 5, 8, 11, 25, 31, 49, 51, 53, 56, 58, 60, 66, 74, 77].map((name): [number, number] => [
    SOL_IPV6,
    name,
  ]),
];

test('values that hold pointers, and what ksocket rests on, are refused by name', async () => {
  await using sockets = new Sockets();
  for (const type of ['udp4', 'udp6'] as const) {
    const socket = sockets.make(type);
    await bound(socket);
    const refused = (call: () => unknown, name: number, reason: RegExp) =>
      assert.throws(call, (error: NodeJS.ErrnoException) => {
        assert.equal(error.code, 'ERR_INVALID_ARG_VALUE', `${name}: ${error.message}`);
        assert.match(error.message, reason);
        assert.match(error.message, new RegExp(`The argument 'name' is .*Received ${name}$`));
        return true;
      });
    for (const [level, name] of pointers) {
      for (const value of [1, Buffer.alloc(16, 0x41), Buffer.alloc(96, 0x41), Buffer.alloc(0)]) {
        refused(() => socket.setsockopt(level, name, value), name, /pointer/);
      }
    }
    for (const [level, name] of owned) refused(() => socket.setsockopt(level, name, 1), name, /is [A-Z]/);
    // The kernel takes the length for a number of instructions, and writes eight times as much.
    refused(() => socket.getsockopt(SOL_SOCKET, 26, 8), 26, /SO_GET_FILTER/);
    for (const name of [64, 65, 83, 129, 130, 1152]) refused(() => socket.getsockopt(SOL_IP, name), name, /Netfilter/);
    for (const name of [64, 65, 68, 69]) refused(() => socket.getsockopt(SOL_IPV6, name), name, /Netfilter/);
    // Nothing of it has reached the kernel.
    const asked = ['1, 40', '1, 35', '1, 44', '0, 12', '0, 8', '17, 1', '17, 103'];
    assert.deepEqual(
      kernelOptions(fdOf(socket), asked),
      asked.map(() => 0),
    );
  }
});

test('where Netfilter has its tables they are as they were', async () => {
  const { code, stdout, stderr } = await runProgram(
    async () => {
      const { createSocket } = await import('ksocket');
      const socket = createSocket('udp4');
      socket.bindSync({ address: '127.0.0.1' });
      const codes: (string | undefined)[] = [];
      for (const name of [64, 65, 128, 129]) {
        try {
          socket.setsockopt(0, name, Buffer.alloc(200, 0x41));
        } catch (error) {
          codes.push((error as NodeJS.ErrnoException).code);
        }
      }
      console.log(codes.join());
      socket.close();
    },
    [],
    { under: inNamespace('ip link set lo up') }, // with all capabilities in it
  );
  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(stdout, `${Array(4).fill('ERR_INVALID_ARG_VALUE').join()}\n`);
});

test('what was sent before a setsockopt leaves before it', async () => {
  await using sockets = new Sockets();
  const peer = await ttlWitness(sockets);
  const socket = sockets.make();
  await bound(socket);
  socket.connectSync(peer.port, '127.0.0.1');
  for (let ttl = 1; ttl <= 4; ttl++) {
    socket.setsockopt(SOL_IP, IP_TTL, ttl);
    socket.send(`${ttl}`);
    assert.equal(ofInt(socket.getsockopt(SOL_IP, IP_TTL)), ttl);
  }
  assert.deepEqual(await peer.take(4), ['1@1', '2@2', '3@3', '4@4']);
});

test('the socket goes on receiving, joined datagrams too, whatever was refused', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const inbox = new Inbox(socket);
  const port = await bound(socket);
  for (const [level, name] of [...pointers, ...owned]) assert.throws(() => socket.setsockopt(level, name, 1));
  const sender = sockets.make();
  await bound(sender);
  const texts = Array.from({ length: 200 }, (_, i) => `datagram ${100 + i}`);
  const peer = sender.peer('127.0.0.1', port);
  for (let round = 0; round < 5; round++) {
    assert.equal(sender.sendMany(texts, peer), texts.length);
    await inbox.take(texts.length * (round + 1));
  }
  assert.deepEqual(inbox.texts.slice(-texts.length), texts);
});
