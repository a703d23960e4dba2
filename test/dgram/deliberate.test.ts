// The deliberate differences of docs/compatibility.md that no other test is about: what node:dgram does, and what ksocket
// does instead. node:dgram's side shows that the difference is still one.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { fork } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { createSocket, type Socket } from 'ksocket';
import { runProgram } from '../support/child.js';
import { bound, closed, kinds, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { nextTurn } from '../support/wait.js';
import { nodeBinary } from './nodes.js';

/** What `body` comes to with each, node:dgram first. */
async function both<T>(body: (make: (typeof kinds)[number][1]) => T | Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (const [, make] of kinds) results.push(await body(make));
  return results;
}

const outcome = (call: () => unknown): string => {
  try {
    call();
    return 'done';
  } catch (error) {
    const { name, code } = error as NodeJS.ErrnoException;
    return code ?? name;
  }
};

test('after close() what needs a socket says ERR_SOCKET_DGRAM_NOT_RUNNING', async () => {
  const found = await both(async (make) => {
    const socket = make();
    await bound(socket);
    await closed(socket);
    const calls = [
      () => socket.setTTL(1),
      () => socket.setBroadcast(true),
      () => socket.getRecvBufferSize(),
      () => socket.setSendBufferSize(10_000),
      () => socket.getSendQueueSize(),
    ];
    return calls.map(outcome);
  });
  assert.deepEqual(found, [new Array(5).fill('TypeError'), new Array(5).fill('ERR_SOCKET_DGRAM_NOT_RUNNING')]);
  const socket = createSocket('udp4');
  await bound(socket);
  await closed(socket);
  assert.equal(
    outcome(() => socket.connect(1)),
    'ERR_SOCKET_DGRAM_NOT_RUNNING',
  );
});

test('disconnect() after close() says ERR_SOCKET_DGRAM_NOT_RUNNING', async () => {
  const found = await both(async (make) => {
    const socket = make();
    socket.connect(1, '127.0.0.1');
    await once(socket, 'connect');
    await closed(socket);
    return outcome(() => socket.disconnect());
  });
  assert.deepEqual(found, ['TypeError', 'ERR_SOCKET_DGRAM_NOT_RUNNING']);
});

test('a socket whose bind({ fd }) has thrown may be bound again', async () => {
  const found = await both(async (make) => {
    const socket = make();
    const wrong = outcome(() => socket.bind({ fd: 0x7fff_ffff }));
    const again = outcome(() => socket.bind(0, '127.0.0.1'));
    if (again === 'done') await once(socket, 'listening');
    socket.close();
    return [wrong === 'done', again];
  });
  assert.deepEqual(found[1], [false, 'done']);
  assert.deepEqual(found[0], [false, 'ERR_SOCKET_ALREADY_BOUND']);
});

test('a refused buffer size option is an error event', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make({ type: 'udp4', recvBufferSize: 2 ** 31 });
  const failed = once(socket, 'error');
  socket.bind(0, '127.0.0.1');
  assert.equal((await failed)[0].code, 'ERR_SOCKET_BUFFER_SIZE');
});

test('a list of more than 1024 parts is one datagram', async () => {
  const found = await both(async (make) => {
    const receiver = dgram.createSocket('udp4');
    const port = await bound(receiver);
    const socket = make();
    const parts = Array.from({ length: 1025 }, () => Buffer.from('x'));
    const arrived = once(receiver, 'message');
    const result = await new Promise<string>((resolve) =>
      socket.send(parts, port, '127.0.0.1', (error) => resolve((error as NodeJS.ErrnoException)?.code ?? 'sent')),
    );
    const length = result === 'sent' ? (await arrived)[0].length : 0;
    await closed(socket);
    await closed(receiver);
    return [result, length];
  });
  assert.deepEqual(found, [
    ['EMSGSIZE', 0],
    ['sent', 1025],
  ]);
});

test('a BigInt is a port, and what cannot be one is an error event', async () => {
  await using sockets = new Sockets();
  const free = sockets.make();
  const port = await bound(free);
  await closed(free);
  const socket = sockets.make();
  const listening = once(socket, 'listening');
  socket.bind(BigInt(port) as unknown as number, '127.0.0.1');
  await listening;
  assert.equal(socket.address().port, port);
  const other = sockets.make();
  const failed = once(other, 'error');
  other.bind(Symbol('port') as unknown as number, '127.0.0.1');
  assert.ok((await failed)[0] instanceof TypeError);
});

test('setRecvBufferSize(-0) is as of 0', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  await bound(socket);
  const sizes = [0, -0].map((size) => outcome(() => socket.setRecvBufferSize(size)));
  assert.deepEqual(sizes, [sizes[0], sizes[0]]);
});

test('a udp6 socket whose bind has failed sets the options of IPv6', async () => {
  await using sockets = new Sockets();
  const taken = sockets.make('udp6');
  const port = await bound(taken);
  const socket = sockets.make('udp6');
  const failed = once(socket, 'error');
  socket.bind(port, '::1');
  await failed;
  socket.setTTL(7);
  const receiver = sockets.make({ type: 'udp6', receiveTtl: true });
  const to = await bound(receiver);
  const message = once(receiver, 'message');
  await sent(socket, 'x', to, '::1');
  assert.equal((await message)[1].ttl, 7);
});

test("ticks that were queued before an exception run before the next 'message'", async () => {
  const program = async (module: string) => {
    const { createSocket } = (await import(module)) as { createSocket: typeof import('ksocket').createSocket };
    const [receiver, sender] = [createSocket('udp4'), createSocket('udp4')];
    const order: string[] = [];
    process.on('uncaughtException', () => order.push('caught'));
    await new Promise<void>((resolve) => receiver.bind(0, '127.0.0.1', resolve));
    receiver.on('message', (data) => {
      order.push(`${data}`);
      if (`${data}` !== 'one') return;
      process.nextTick(() => {
        throw new Error('made up');
      });
      process.nextTick(() => order.push('tick'));
    });
    for (const text of ['one', 'two']) sender.send(text, receiver.address().port, '127.0.0.1');
    const until = performance.now() + 50;
    while (performance.now() < until);
    setTimeout(() => {
      console.log(order.join());
      process.exit();
    }, 300);
  };
  const { stdout, stderr } = await runProgram(program, ['ksocket']);
  assert.deepEqual([stdout, stderr], ['one,caught,tick,two\n', '']);
});

test("'message' of a socket that was bound to a handle comes in the context of createSocket()", async () => {
  const storage = new AsyncLocalStorage<string>();
  await using sockets = new Sockets();
  const owner = dgram.createSocket('udp4') as dgram.Socket & { _handle?: unknown };
  const port = await bound(owner);
  const state = Object.getOwnPropertySymbols(owner).find((symbol) => symbol.description === 'state symbol');
  const handle = (owner as unknown as Record<symbol, { handle: unknown }>)[state!].handle;
  const socket = storage.run('create', () => sockets.make()) as Socket;
  const seen = new Promise((resolve) => socket.on('message', () => resolve(storage.getStore())));
  const listening = once(socket, 'listening');
  storage.run('bind', () => (socket.bind as (handle: unknown) => void)(handle));
  await listening;
  await nextTurn();
  await sent(sockets.makePeer(), 'x', port);
  assert.equal(await seen, 'create');
});

test('under --permission, --allow-net decides about bind() as for node:dgram', async () => {
  const program = async (module: string) => {
    const { createSocket } = (await import(module)) as { createSocket: typeof import('ksocket').createSocket };
    const socket = createSocket('udp4');
    const say = (result: string | undefined) => {
      console.log(result);
      process.exit();
    };
    socket.on('error', ({ code }: NodeJS.ErrnoException) => say(code));
    try {
      socket.bind(0, '127.0.0.1', () => say('bound'));
    } catch (error) {
      say((error as NodeJS.ErrnoException).code);
    }
  };
  const execArgv = ['--permission', '--allow-addons', '--allow-fs-read=*', '--disable-warning=SecurityWarning'];
  for (const [more, result] of [
    [[], 'ERR_ACCESS_DENIED'],
    [['--allow-net'], 'bound'],
  ] as const) {
    for (const module of ['node:dgram', 'ksocket']) {
      const options = { node: nodeBinary(26), execArgv: [...execArgv, ...more] };
      const { stdout } = await runProgram(program, [module], options);
      assert.equal(stdout, `${result}\n`, module);
    }
  }
});

test("a socket of ksocket's is not of node:dgram's class, and no handle for child.send()", async () => {
  const child = fork('-e', ['process.once("message", () => process.exit())'], { execPath: process.execPath });
  const found = await both(async (make) => {
    const socket = make();
    await bound(socket);
    const sends = outcome(() => child.send('here', socket));
    const is = (socket as unknown) instanceof dgram.Socket;
    await closed(socket);
    return [is, sends];
  });
  assert.deepEqual(found, [
    [true, 'done'],
    [false, 'ERR_INVALID_HANDLE_TYPE'],
  ]);
  await once(child, 'exit');
});
