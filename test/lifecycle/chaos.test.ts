// Everything at once, at random: whatever a program does with its sockets and servers, in whatever order, it does not
// crash, it does not hang, and it leaves nothing behind.
import assert from 'node:assert/strict';
import { startProgram } from '../support/child.js';
import { startSender } from '../support/programs.js';
import { test } from '../support/test.js';

async function chaos(environments: string, seed: number, steps: number) {
  const { createServer, createSocket } = await import('ksocket');
  const { fdCount, ioThreadCount, settled } = (await import(
    environments
  )) as typeof import('../support/environments.js');
  // The same numbers in every run with this seed.
  let state = seed;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return Math.floor(((state >>> 8) / 2 ** 24) * below);
  };
  // What a method may say when it is not the time for it; everything else is an error.
  const expected =
    /^(ERR_SOCKET_(ALREADY_BOUND|DGRAM_IS_CONNECTED|DGRAM_NOT_CONNECTED|DGRAM_NOT_RUNNING|BAD_PORT|BUFFER_SIZE)|E(BADF|ISCONN|CONNREFUSED|ADDRINUSE|MSGSIZE|CANCELED|INVAL|NETUNREACH))$/;
  const check = (error: unknown) => {
    if (error && !expected.test(`${(error as NodeJS.ErrnoException).code}`)) throw error;
  };
  type Any = import('ksocket').Socket;
  const sockets: Any[] = [];
  const ports: number[] = [];
  let received = 0;
  const pick = <T>(all: T[]): T => all[random(all.length)];
  const act = (body: () => unknown) => {
    try {
      body();
    } catch (error) {
      check(error);
    }
  };

  const open = () => {
    const socket: Any = createSocket({
      type: random(4) === 0 ? 'udp6' : 'udp4',
      ...pick<object>([{}, {}, {}, { thread: 'dedicated' }, { busyPoll: 20 }, { gro: false }, { ringBytes: 300_000 }]),
    });
    socket.on('error', check);
    socket.on('message', (data, rinfo) => {
      received++;
      if (random(50) === 0) step();
      if (random(20) === 0) act(() => socket.send(data, rinfo.port, rinfo.address));
    });
    socket.on('listening', () => {
      ports.push(socket.address().port);
      if (random(8) === 0) step();
    });
    sockets.push(socket);
    if (sockets.length > 30) act(() => sockets.splice(random(sockets.length), 1)[0].close());
  };
  const address = (socket: Any) => (socket.type === 'udp6' ? '::1' : '127.0.0.1');
  const actions: (() => void)[] = [
    open,
    open,
    () => {
      const socket = pick(sockets);
      act(() => socket.bind(0, address(socket)));
    },
    () => {
      const socket = pick(sockets);
      act(() => socket.bind(pick(ports), address(socket)));
    },
    () => {
      const socket = pick(sockets);
      for (let i = random(100); i >= 0; i--) {
        const payload = Buffer.alloc(pick([0, 1, 64, 64, 64, 1400, 9000, 65507, 65508]));
        act(() => socket.send(payload, pick(ports), address(socket), random(2) ? check : undefined));
      }
    },
    () => act(() => pick(sockets).send('to whom it is connected')),
    () => {
      const socket = pick(sockets);
      act(() => socket.connect(pick(ports), address(socket), check));
    },
    () => act(() => pick(sockets).disconnect()),
    () => act(() => pick(sockets).ref()),
    () => act(() => pick(sockets).unref()),
    () => act(() => void pick(sockets).address()),
    () => act(() => void pick(sockets).remoteAddress()),
    () => act(() => void pick(sockets).stats()),
    () => act(() => pick(sockets).setTTL(1 + random(255))),
    () => act(() => void pick(sockets).getRecvBufferSize()),
    () => act(() => pick(sockets).setRecvBufferSize(4096 + random(100_000))),
    () => act(() => sockets.splice(random(sockets.length), 1)[0].close()),
    () => {
      const until = performance.now() + random(5); // a busy program
      while (performance.now() < until);
    },
  ];
  const step = () => (sockets.length === 0 ? open() : pick(actions)());

  const servers = Array.from({ length: 3 }, () => createServer({ address: '127.0.0.1', port: 0, reply: 'echo' }));
  for (const server of servers) server.on('datagram', () => received++);

  console.log('output'); // the first output opens a descriptor
  const before = fdCount();
  const flooded = createSocket('udp4', () => received++);
  await new Promise<void>((resolve) => flooded.bind(0, '127.0.0.1', resolve));
  ports.push(flooded.address().port, 9);
  console.log(`port ${flooded.address().port}`);
  for (let i = 0; i < steps; i++) {
    step();
    if (i % 50 === 0) {
      const server = pick(servers);
      if (server.running) void server.stop();
      else void server.start().then(() => server.address() && ports.push(server.address()?.port as number));
    }
    if (random(3) === 0) await new Promise(setImmediate);
  }
  for (const socket of sockets) act(() => socket.close());
  flooded.close();
  await Promise.all(servers.map((server) => server.stop()));
  await settled(before);
  console.log(received > 100 ? 'settled' : `only ${received} datagrams`);
  void ioThreadCount;
}

const environments = new URL('../support/environments.js', import.meta.url).href;

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(`a program that does everything at random ends well (seed ${seed})`, async () => {
    await using child = startProgram(chaos, [environments, seed, 1500], { deadlineMs: 80_000 });
    const [, port] = await child.line(/^port (\d+)$/);
    await using _sender = startSender({ port: Number(port), count: 0, bytes: 64, rate: 20_000 });
    const { code, signal, stdout, stderr } = await child.end();
    assert.deepEqual([code, signal, stderr], [0, null, '']);
    assert.match(stdout, /\nsettled\n$/);
  });
}

test('a process that is stopped and continued goes on receiving', async () => {
  const program = async () => {
    const { createServer, createSocket } = await import('ksocket');
    const socket = createSocket('udp4', (data) => {
      console.log(`socket ${data}`);
      if (`${data}` === 'last') {
        socket.close();
        void server.stop();
      }
    });
    const server = createServer({ address: '127.0.0.1', port: 0, reply: null });
    server.on('datagram', (data) => console.log(`server ${data}`));
    await server.start();
    socket.bind(0, '127.0.0.1', () => console.log(`ports ${socket.address().port} ${server.address()?.port}`));
  };
  await using child = startProgram(program, []);
  const [, ...ports] = await child.line(/^ports (\d+) (\d+)$/);
  const { createSocket } = await import('node:dgram');
  const sender = createSocket('udp4');
  try {
    const send = (text: string, port: string) =>
      new Promise<void>((resolve) => sender.send(text, Number(port), '127.0.0.1', () => resolve()));
    for (let i = 0; i < 5; i++) {
      child.kill('SIGSTOP');
      await send(`${i}`, ports[0]);
      await send(`${i}`, ports[1]);
      child.kill('SIGCONT');
      await child.line(new RegExp(`^socket ${i}$`));
      await child.line(new RegExp(`^server ${i}$`));
    }
    await send('last', ports[0]);
    const { code, signal, stderr } = await child.end();
    assert.deepEqual([code, signal, stderr], [0, null, '']);
  } finally {
    sender.close();
  }
});
