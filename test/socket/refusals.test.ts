// A kernel that refuses: sends that have to wait, super-datagrams it does not take, batches it takes a part of.
// test/support/kernel_preload.cc is that kernel, so each case is a program of its own.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { features } from 'ksocket';
import { runProgram } from '../support/child.js';
import { kernelPreload } from '../support/programs.js';
import { test } from '../support/test.js';

class TemporaryDirectory {
  readonly path = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

test('sends that the kernel does not take wait, in order, and call back with their own results', async () => {
  using directory = new TemporaryDirectory();
  const blocks = join(directory.path, 'blocks');
  const { stdout, stderr, code } = await runProgram(
    async (blocks) => {
      const { createSocket } = await import('ksocket');
      const { once } = await import('node:events');
      const { rmSync, writeFileSync } = await import('node:fs');
      const receiver = createSocket('udp4');
      receiver.bind(0, '127.0.0.1');
      await once(receiver, 'listening');
      const { port } = receiver.address();
      const received: string[] = [];
      receiver.on('message', (data) => received.push(data.length > 20 ? `${data.length} bytes` : `${data}`));
      const socket = createSocket('udp4');
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');

      const results: string[] = [];
      const send = (data: string | Buffer) =>
        socket.send(data, port, '127.0.0.1', (error, bytes) => {
          results.push(`${data.length}: ${error ? (error as NodeJS.ErrnoException).message : bytes}`);
        });
      send('before');
      await new Promise(setImmediate);
      writeFileSync(blocks, '');
      for (let i = 1; i <= 5; i++) send('x'.repeat(i));
      send(Buffer.alloc(65508));
      send('last');
      socket.send('nobody asks', port);
      await new Promise(setImmediate);
      const waiting = { results: [...results], size: socket.getSendQueueSize(), count: socket.getSendQueueCount() };
      send('in a later tick');
      await new Promise(setImmediate);
      rmSync(blocks);
      while (results.length < 9 || received.length < 9) await new Promise((resolve) => setTimeout(resolve, 5));
      send('after');
      while (received.length < 10) await new Promise((resolve) => setTimeout(resolve, 5));
      const { txDatagrams, txDeferred, txErrors, txDropped } = socket.stats();
      const left = [socket.getSendQueueSize(), socket.getSendQueueCount()];
      socket.close();
      receiver.close();
      const stats = { txDatagrams, txDeferred, txErrors, txDropped };
      console.log(JSON.stringify({ waiting, results, received, stats, left }).replaceAll(`:${port}`, ':PORT'));
    },
    [blocks],
    { env: { LD_PRELOAD: kernelPreload, KERNEL_BLOCKS_WHILE: blocks } },
  );
  assert.equal(stderr, '');
  assert.equal(code, 0);
  const { waiting, results, received, stats, left } = JSON.parse(stdout);
  assert.deepEqual(waiting, { results: ['6: 6'], size: 15 + 65508 + 4 + 11, count: 8 });
  assert.deepEqual(results.slice(0, 9), [
    '6: 6',
    '1: 1',
    '2: 2',
    '3: 3',
    '4: 4',
    '5: 5',
    '65508: send EMSGSIZE 127.0.0.1:PORT',
    '4: 4',
    '15: 15',
  ]);
  assert.deepEqual(received, [
    'before',
    'x',
    'xx',
    'xxx',
    'xxxx',
    'xxxxx',
    'last',
    'nobody asks',
    'in a later tick',
    'after',
  ]);
  assert.deepEqual(stats, { txDatagrams: 10, txDeferred: 9, txErrors: 1, txDropped: 0 });
  assert.deepEqual(left, [0, 0]);
});

test('sendMany stops where the send buffer is full, and goes on from there when there is room', async () => {
  using directory = new TemporaryDirectory();
  const blocks = join(directory.path, 'blocks');
  writeFileSync(blocks, '');
  const { stdout, stderr, code } = await runProgram(
    async (blocks) => {
      const { createSocket } = await import('ksocket');
      const { once } = await import('node:events');
      const { rmSync } = await import('node:fs');
      const [receiver, socket] = [createSocket('udp4'), createSocket('udp4')];
      for (const each of [receiver, socket]) {
        each.bind(0, '127.0.0.1');
        await once(each, 'listening');
      }
      const received: number[] = [];
      receiver.on('message', (data) => received.push(Number(data)));
      let drains = 0;
      const list = Array.from({ length: 5000 }, (_, i) => [`${i}`, receiver.address().port, '127.0.0.1']).flat();
      const first = socket.sendMany(list);
      const drained = once(socket, 'drain');
      socket.on('drain', () => drains++);
      await new Promise((resolve) => setTimeout(resolve, 20));
      const [waiting, tooEarly] = [socket.getSendQueueCount(), drains];
      rmSync(blocks);
      await drained;
      const left = [socket.getSendQueueCount(), socket.stats().txDatagrams];
      const second = socket.sendMany(list.slice(3 * first));
      while (received.length + receiver.stats().rxKernelDrops < 5000) await new Promise(setImmediate);
      const inOrder = received.every((number, i) => i === 0 || number > received[i - 1]);
      const { txDatagrams, txDropped } = socket.stats();
      console.log(JSON.stringify({ first, waiting, tooEarly, left, second, drains, inOrder, txDatagrams, txDropped }));
      socket.close();
      receiver.close();
    },
    [blocks],
    { env: { LD_PRELOAD: kernelPreload, KERNEL_BLOCKS_WHILE: blocks } },
  );
  assert.deepEqual([stderr, code], ['', 0]);
  assert.deepEqual(JSON.parse(stdout), {
    first: 1024, // what one flush holds
    waiting: 1024,
    tooEarly: 0,
    left: [0, 1024],
    second: 3976,
    drains: 1,
    inOrder: true,
    txDatagrams: 5000,
    txDropped: 0,
  });
});

test('sendMany takes nothing while something waits: short lists, too, of every form', async () => {
  using directory = new TemporaryDirectory();
  const blocks = join(directory.path, 'blocks');
  writeFileSync(blocks, '');
  const { stdout, stderr, code } = await runProgram(
    async (blocks) => {
      const { createSocket } = await import('ksocket');
      const { once } = await import('node:events');
      const { rmSync, writeFileSync } = await import('node:fs');
      const [receiver, socket, other] = [createSocket('udp4'), createSocket('udp4'), createSocket('udp4')];
      for (const each of [receiver, socket, other]) each.bindSync({ port: 0, address: '127.0.0.1' });
      const { port } = receiver.address();
      const peer = socket.peer('127.0.0.1', port);
      const received: string[] = [];
      receiver.on('message', (data) => received.push(`${data}`));
      const sendAll = (from: typeof socket) => [
        from.sendMany(['1', port, '127.0.0.1', '2', port, '127.0.0.1']),
        from.sendMany(['3', peer, '4', peer]),
        from.sendMany(['5', '6'], peer),
        from.sendMany('78', { segmentSize: 1, peer }),
      ];
      const held = [sendAll(socket), socket.getSendQueueCount()];
      const free = other.sendMany(['other'], peer); // what waits is not its own
      let drains = 0;
      socket.on('drain', () => drains++);
      rmSync(blocks);
      await once(socket, 'drain');
      const behind = [drains, sendAll(socket)];
      while (received.length < 11) await new Promise(setImmediate);

      writeFileSync(blocks, '');
      socket.send('sent before', peer);
      const behindSend = socket.sendMany(['x'], peer);
      const segments = other.sendMany('ab', { segmentSize: 1, peer });
      const again = other.sendMany('c', { segmentSize: 1, peer });
      rmSync(blocks);
      while (received.length < 14) await new Promise(setImmediate);
      const { txDatagrams, txDropped } = socket.stats();
      for (const each of [receiver, socket, other]) each.close();
      const mine = received.filter((text) => /^\d$/.test(text)).join('');
      console.log(JSON.stringify({ held, free, behind, mine, behindSend, segments, again, txDatagrams, txDropped }));
    },
    [blocks],
    { env: { LD_PRELOAD: kernelPreload, KERNEL_BLOCKS_WHILE: blocks } },
  );
  assert.deepEqual([stderr, code], ['', 0]);
  assert.deepEqual(JSON.parse(stdout), {
    held: [[2, 0, 0, 0], 2],
    free: 1,
    behind: [1, [2, 2, 2, 2]],
    mine: '1212345678',
    behindSend: 0,
    segments: 2,
    again: 0,
    txDatagrams: 11,
    txDropped: 0,
  });
});

test('closing while sends wait: their callbacks get ECANCELED, after close', async () => {
  using directory = new TemporaryDirectory();
  const blocks = join(directory.path, 'blocks');
  writeFileSync(blocks, '');
  const { stdout, stderr, code } = await runProgram(
    async () => {
      const { createSocket } = await import('ksocket');
      const { once } = await import('node:events');
      const socket = createSocket('udp4');
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
      const order: string[] = [];
      for (let i = 0; i < 3; i++) {
        socket.send('x', 9, '127.0.0.1', (error) => order.push(`${(error as NodeJS.ErrnoException).code}`));
      }
      await new Promise(setImmediate);
      socket.close(() => order.push('close'));
      await new Promise((resolve) => setTimeout(resolve, 50));
      console.log(JSON.stringify([order, socket.stats().txDeferred, socket.stats().txDropped]));
    },
    [],
    { env: { LD_PRELOAD: kernelPreload, KERNEL_BLOCKS_WHILE: blocks } },
  );
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), [['close', 'ECANCELED', 'ECANCELED', 'ECANCELED'], 3, 3]);
});

test('a program whose sends wait for ever can be ended', async () => {
  using directory = new TemporaryDirectory();
  const blocks = join(directory.path, 'blocks');
  writeFileSync(blocks, '');
  for (const how of ['exit', 'unref']) {
    const result = await runProgram(
      async (how) => {
        const { createSocket } = await import('ksocket');
        const socket = createSocket('udp4');
        for (let i = 0; i < 100; i++) socket.send('x', 9, '127.0.0.1', () => console.log('called'));
        setTimeout(() => {
          console.log(socket.getSendQueueCount());
          if (how === 'exit') process.exit(3);
          else socket.unref();
        }, 50);
      },
      [how],
      { env: { LD_PRELOAD: kernelPreload, KERNEL_BLOCKS_WHILE: blocks } },
    );
    assert.deepEqual(result, { code: how === 'exit' ? 3 : 0, signal: null, stdout: '100\n', stderr: '' });
  }
});

for (const [name, errno] of [
  ['EIO', 5],
  ['EINVAL', 22],
  ['EMSGSIZE', 90],
  ['EOPNOTSUPP', 95],
] as const) {
  test(`when the kernel refuses super-datagrams with ${name} the same datagrams go out one by one`, async () => {
    const { stdout, stderr, code } = await runProgram(
      async () => {
        const { createSocket } = await import('ksocket');
        const { once } = await import('node:events');
        const receiver = createSocket('udp4');
        receiver.bind(0, '127.0.0.1');
        await once(receiver, 'listening');
        const received: string[] = [];
        receiver.on('message', (data) => received.push(`${data}`));
        const socket = createSocket('udp4');
        socket.bind(0, '127.0.0.1');
        await once(socket, 'listening');
        let results = 0;
        for (let round = 0; round < 5; round++) {
          for (let i = 0; i < 20; i++) {
            socket.send(`datagram ${round} ${i % 10}`, receiver.address().port, '127.0.0.1', (error, bytes) => {
              if (error === null && bytes === 12) results++;
            });
          }
          while (received.length < 20 * (round + 1)) await new Promise((resolve) => setTimeout(resolve, 1));
        }
        const inOrder = received.every((text, i) => text === `datagram ${Math.floor(i / 20)} ${i % 10}`);
        const { txDatagrams, txErrors, txGsoBatches, txGsoFallbacks } = socket.stats();
        console.log(JSON.stringify({ results, inOrder, txDatagrams, txErrors, txGsoBatches, txGsoFallbacks }));
        socket.close();
        receiver.close();
      },
      [],
      { env: { LD_PRELOAD: kernelPreload, KERNEL_GSO_ERRNO: `${errno}` } },
    );
    assert.equal(stderr, '');
    assert.equal(code, 0);
    const { txGsoFallbacks, ...rest } = JSON.parse(stdout);
    assert.deepEqual(rest, { results: 100, inOrder: true, txDatagrams: 100, txErrors: 0, txGsoBatches: 0 });
    // It is remembered: not every burst is tried as a super-datagram first.
    const { engine, gso } = features();
    if (engine === 'mmsg' && gso) assert.ok(txGsoFallbacks >= 1 && txGsoFallbacks < 5, `${txGsoFallbacks} refusals`);
    else assert.equal(txGsoFallbacks, 0);
  });
}

test('a kernel that joins fewer than it said gets fewer: what it refused leaves in order, and it is remembered', async () => {
  const { stdout, stderr, code } = await runProgram(
    async () => {
      const { createSocket } = await import('ksocket');
      const { once } = await import('node:events');
      const receiver = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
      receiver.bind(0, '127.0.0.1');
      await once(receiver, 'listening');
      const received: number[] = [];
      receiver.on('message', (data) => received.push(data.readUInt32LE(0)));
      const socket = createSocket('udp4');
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
      const { port } = receiver.address();
      for (let round = 0; round < 5; round++) {
        const list: (Buffer | number | string)[] = [];
        for (let i = 0; i < 150; i++) {
          const data = Buffer.alloc(20);
          data.writeUInt32LE(150 * round + i);
          list.push(data, port, '127.0.0.1');
        }
        socket.sendMany(list);
        while (received.length < 150 * (round + 1)) await new Promise((resolve) => setTimeout(resolve, 1));
      }
      const { txDatagrams, txErrors, txGsoBatches, txGsoFallbacks } = socket.stats();
      const inOrder = received.every((number, i) => number === i);
      console.log(JSON.stringify({ inOrder, txDatagrams, txErrors, txGsoBatches, txGsoFallbacks }));
      socket.close();
      receiver.close();
    },
    [],
    { env: { LD_PRELOAD: kernelPreload, KERNEL_GSO_SEGMENTS: '64' } },
  );
  assert.equal(stderr, '');
  assert.equal(code, 0);
  const { engine, gsoSegments } = features();
  const joins = engine === 'mmsg' && gsoSegments > 0;
  const refused = joins && gsoSegments > 64;
  assert.deepEqual(JSON.parse(stdout), {
    inOrder: true,
    txDatagrams: 750,
    txErrors: 0,
    // Of 150: 128 that were refused, and 22; later 64, 64 and 22.
    txGsoBatches: joins ? (refused ? 1 : 3) + 4 * 3 : 0,
    txGsoFallbacks: refused ? 1 : 0,
  });
});

test('a kernel that takes a part of each batch gets the rest again, in order', async () => {
  const { stdout, stderr, code } = await runProgram(
    async () => {
      const { createSocket } = await import('ksocket');
      const { once } = await import('node:events');
      const receivers: { texts: string[]; port: number; close(): void }[] = [];
      for (let i = 0; i < 3; i++) {
        const receiver = createSocket('udp4');
        receiver.bind(0, '127.0.0.1');
        await once(receiver, 'listening');
        const texts: string[] = [];
        receiver.on('message', (data) => texts.push(`${data}`));
        receivers.push({ texts, port: receiver.address().port, close: () => receiver.close() });
      }
      const socket = createSocket({ type: 'udp4', gso: false });
      let results = 0;
      for (let i = 0; i < 150; i++) {
        const big = i % 50 === 25;
        socket.send(big ? Buffer.alloc(65508) : `${i}`, receivers[i % 3].port, '127.0.0.1', (error) => {
          if ((error !== null) === big) results++;
        });
      }
      while (receivers.reduce((sum, { texts }) => sum + texts.length, 0) < 147) {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      const inOrder = receivers.every(({ texts }) => texts.every((text, i) => i === 0 || +text > +texts[i - 1]));
      const { txDatagrams, txErrors } = socket.stats();
      console.log(JSON.stringify({ results, inOrder, txDatagrams, txErrors }));
      socket.close();
      for (const receiver of receivers) receiver.close();
    },
    [],
    { env: { LD_PRELOAD: kernelPreload, KERNEL_TAKES: '3' } },
  );
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), { results: 150, inOrder: true, txDatagrams: 147, txErrors: 3 });
});

test('an engine that does not exist is an error which says so', async () => {
  const { code, stdout, stderr } = await runProgram(
    async () => {
      const { createSocket } = await import('ksocket');
      const socket = createSocket('udp4');
      socket.on('error', (error) => console.log(error.message));
      socket.bind(0, '127.0.0.1');
    },
    [],
    { env: { KSOCKET_ENGINE: 'nonsense' } },
  );
  assert.match(stdout + stderr, /KSOCKET_ENGINE/);
  assert.match(stdout + stderr, /nonsense/);
  assert.equal(stdout === '' ? code !== 0 : code === 0, true);
});

/** Of the option under `KERNEL_LACKS`, on three ways to a descriptor. */
async function lacking(option: string, [level, name]: number[], errno: number): Promise<unknown[]> {
  const program = async (option: string) => {
    const { createSocket, features } = await import('ksocket');
    const { readdirSync } = await import('node:fs');
    const { once } = await import('node:events');
    const said: unknown[] = [];
    const say = ({ message, code, syscall }: NodeJS.ErrnoException) => said.push([message, code, syscall]);
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const able = createSocket({ type: 'udp4', [option]: 'auto' });
    await new Promise<void>((resolve) => able.bind(0, '127.0.0.1', resolve));
    const before = descriptors();
    const first = createSocket({ type: 'udp4', [option]: true });
    first.bind(0, '127.0.0.1');
    say((await once(first, 'error'))[0]);
    const second = createSocket({ type: 'udp4', [option]: true, recvBufferSize: 10_000 });
    second.bind(0, '127.0.0.1');
    say((await once(second, 'error'))[0]);
    const third = createSocket({ type: 'udp4', [option]: true });
    try {
      third.addMembership('224.0.0.114');
    } catch (error) {
      say(error as NodeJS.ErrnoException);
    }
    said.push(descriptors() - before, features()[option as 'receiveTtl'], features().missing[option as 'receiveTtl']);
    for (const socket of [able, first, second, third]) socket.close();
    console.log(JSON.stringify(said));
  };
  const env = { LD_PRELOAD: kernelPreload, KERNEL_LACKS: `${level}:${name}:${errno}` };
  const { stdout, stderr, code } = await runProgram(program, [option], { env });
  assert.deepEqual([stderr, code], ['', 0]);
  return JSON.parse(stdout);
}

test('where no filter may be attached features() says so', async () => {
  const program = async () => console.log((await import('ksocket')).features().filter);
  const env = { LD_PRELOAD: kernelPreload, KERNEL_LACKS: '1:26:1' };
  assert.deepEqual(await runProgram(program, [], { env }), { code: 0, signal: null, stdout: 'false\n', stderr: '' });
  assert.equal(features().filter, true);
});

test('shards need one, and say so', async () => {
  const program = async () => {
    const { createServer, createSocket } = await import('ksocket');
    const { once } = await import('node:events');
    const socket = createSocket({ type: 'udp4', shards: 2 }).bind(0, '127.0.0.1');
    const [error] = await once(socket, 'error');
    socket.close();
    const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo', shards: 2 });
    await server.start().catch(({ message }) => console.log(message === error.message, server.running));
    console.log(error.message, error.code, error.syscall);
  };
  const env = { LD_PRELOAD: kernelPreload, KERNEL_LACKS: '1:26:1' };
  const { stdout } = await runProgram(program, [], { env });
  const message = 'setsockopt EPERM: options.shards (SO_ATTACH_FILTER) needs a sandbox that allows it';
  assert.equal(stdout, `true false\n${message} EPERM setsockopt\n`);
});

test('what the kernel does not say fails bind() with the name of the option, and with auto it is left out', async () => {
  const rows: [string, number[], string][] = [
    ['receiveTtl', [0, 12], 'IP_RECVTTL'],
    ['receiveTos', [0, 13], 'IP_RECVTOS'],
    ['receiveLocal', [0, 8], 'IP_PKTINFO'],
    ['receiveTimes', [1, 35], 'SO_TIMESTAMPNS'],
    ['receiveOriginalDst', [0, 20], 'IP_RECVORIGDSTADDR'],
    ['receiveErrors', [0, 11], 'IP_RECVERR'],
  ];
  for (const [option, place, constant] of rows) {
    for (const [errno, code, reason] of [
      [92, 'ENOPROTOOPT', 'is refused: protocol not available'],
      [1, 'EPERM', 'is refused: operation not permitted'],
    ] as const) {
      const error = [`setsockopt ${code}: options.${option} true (${constant}) ${reason}`, code, 'setsockopt'];
      const said = await lacking(option, place, errno);
      assert.deepEqual(said, [error, error, error, 0, false, `${code}: ${reason}`]);
    }
  }
});
