// Whom a server does not answer because the answer would come back, or get nowhere, and whom it answers less and less.
import assert from 'node:assert/strict';
import type dgram from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Rule, type Server, type ServerOptions } from 'ksocket';
import { addonTest, onDgram } from '../support/backend.js';
import { runProgram } from '../support/child.js';
import { inNamespace } from '../support/namespace.js';
import { bound, Inbox, Sockets, sent, unusedPort } from '../support/peer.js';
import { forger } from '../support/programs.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const local = { address: '127.0.0.1', port: 0 };

async function started(options: ServerOptions): Promise<Server & AsyncDisposable & { port: number }> {
  const server = createServer({ ...local, ...options });
  await server.start();
  return Object.assign(server, {
    port: server.address()?.port ?? 0,
    [Symbol.asyncDispose]: () => server.stop(),
  });
}

/** In a network of its own: a server gets a datagram of each source ('': its own address), and says what it did. */
async function hear(options: ServerOptions, sources: [address: string, port: number][]) {
  const { code, stdout, stderr } = await runProgram(
    async (options: ServerOptions, sources: [string, number][], forger: string) => {
      const { createServer } = await import('ksocket');
      const { execFileSync } = await import('node:child_process');
      const server = createServer({ address: '127.0.0.1', port: 2325, ...options });
      let delivered = 0;
      server.on('datagram', () => delivered++);
      await server.start();
      for (const [address, port] of sources) {
        const source = [address || '127.0.0.1', `${address === '' ? 2325 : port}`];
        execFileSync(forger, [...source, '127.0.0.1', '2325', 'hello']);
      }
      while (server.stats().rxDatagrams < sources.length) await new Promise((resolve) => setTimeout(resolve, 5));
      await new Promise((resolve) => setTimeout(resolve, 200)); // what goes in a circle comes again
      const { rxDatagrams, txDatagrams, txErrors, answering } = server.stats();
      console.log(JSON.stringify({ rxDatagrams, sent: txDatagrams + txErrors, txErrors, delivered, ...answering }));
      await server.stop();
    },
    [options, sources, forger],
    { under: inNamespace('ip link set lo up') },
  );
  assert.deepEqual([code, stderr], [0, '']);
  return JSON.parse(stdout);
}

const forged: [string, number][] = [
  ['', 0], // itself
  ['127.0.0.9', 0],
  ['255.255.255.255', 4000],
  ['224.0.0.251', 5353],
];
const honest: [string, number] = ['127.0.0.9', 4000];
const service: [string, number] = ['127.0.0.9', 19];

const echo: Rule = { action: 'echo' };
const answering: [string, ServerOptions, echoes: boolean][] = [
  ['an echo', { reply: 'echo' }, true],
  ['a reply', { reply: 'testing...', replyTo: 'source' }, false],
  ['an echo by rule', { rules: [echo] }, true],
  ['an echo by default', { rules: [], otherwise: 'echo' }, true],
  ['a reply by rule', { rules: [{ action: { reply: 'hello' } }] }, false],
  ['an echo behind lists', { reply: 'echo', deny: ['192.0.2.1'], limits: { total: { rate: 1000 } } }, true],
  ['an echo on every address', { reply: 'echo', address: '0.0.0.0' }, true],
];

for (const [name, options, echoes] of answering) {
  test(`${name} does not go to itself, to nobody, or to many`, async () => {
    const stats = await hear(options, [...forged, honest, service]);
    const refused = forged.length + (echoes ? 1 : 0);
    assert.equal(stats.rxDatagrams, forged.length + 2, 'none has come back');
    assert.equal(stats.loopSources, refused);
    assert.equal(stats.sent, forged.length + 2 - refused);
    assert.equal(stats.loopRepeats, 0);
  });
}

test('an answer to a broadcast address of a subnet is refused by the kernel, and counted', async () => {
  const broadcast: [string, number] = ['127.255.255.255', 4000];
  const stats = await hear({ reply: 'x', replyTo: 'source' }, [broadcast, honest]);
  assert.deepEqual([stats.rxDatagrams, stats.loopSources, stats.txErrors], [2, 0, 1]);
});

test('what is not answered is delivered all the same: port 0 says that no answer is wanted', async () => {
  const stats = await hear({ reply: 'echo' }, [...forged, honest]);
  assert.equal(stats.delivered, forged.length + 1);
});

test('the ports of services that answer by themselves are an option', async () => {
  const sources: [string, number][] = [service, ['127.0.0.9', 5000], honest];
  const refused = async (options: ServerOptions) => (await hear(options, sources)).loopSources;
  assert.equal(await refused({ reply: 'echo', loops: { servicePorts: false } }), 0);
  assert.equal(await refused({ reply: 'echo', loops: { servicePorts: [5000] } }), 1);
  assert.equal(await refused({ reply: 'x', replyTo: 'source', loops: { servicePorts: true } }), 1);
  assert.equal(await refused({ reply: 'x', replyTo: 'source', loops: { servicePorts: [19, 5000] } }), 2);
});

test('without the guard one datagram with a forged source goes round and round', async () => {
  const stats = await hear({ reply: 'echo', loops: false }, [['', 0]]);
  assert.ok(stats.rxDatagrams > 100, `${stats.rxDatagrams}`);
});

/** Until both have been silent for a while. */
async function silent(...servers: Server[]): Promise<void> {
  const count = () => servers.reduce((sum, server) => sum + server.stats().rxDatagrams, 0);
  let before: number;
  do {
    before = count();
    await new Promise((resolve) => setTimeout(resolve, 100));
  } while (count() !== before);
}

test('two servers that send their answers to each other come to an end', async () => {
  const ports = [await unusedPort(), await unusedPort()];
  const to = (port: number) => ({ replyTo: { address: '127.0.0.1', port } });
  for (const options of [{ reply: 'ping' }, { reply: 'echo' }]) {
    await using one = await started({ ...options, port: ports[0], ...to(ports[1]) });
    await using other = await started({ ...options, port: ports[1], ...to(ports[0]) });
    await using sockets = new Sockets();
    await sent(sockets.makePeer(), 'go', one.port);
    await waitFor(() => one.stats().answering.loopRepeats + other.stats().answering.loopRepeats > 0);
    await silent(one, other);
    const rounds = one.stats().rxDatagrams + other.stats().rxDatagrams;
    assert.ok(rounds > 16_384 && rounds < 3 * 16_384, `${rounds}`);
  }
});

/** A node:dgram socket that sends back what it gets. */
async function mirror(sockets: Sockets): Promise<{ socket: dgram.Socket; port: number }> {
  const socket = sockets.makePeer();
  socket.on('message', (data, { port, address }) => socket.send(data, port, address));
  return { socket, port: await bound(socket) };
}

test('an exchange that only ever answers answers comes to an end, however many datagrams go round', async () => {
  for (const [circulating, options] of [
    [1, { reply: 'echo' }],
    [20, { reply: 'echo' }],
    [1, { reply: 'pong', replyTo: 'source' }],
    [1, { rules: [{ action: 'echo' }] }],
    [3, { rules: [{ action: { reply: { slot: 'request', start: 0 } } }] }],
    [1, { rules: [{ action: { reply: { slot: 'counter', bytes: 8 }, amplify: true } }] }],
    [
      1,
      {
        rules: [
          {
            action: {
              reply: [
                { slot: 'time', format: 'unix' },
                { slot: 'counter', bytes: 4 },
              ],
              amplify: true,
            },
          },
        ],
      },
    ],
    [300, { reply: 'echo' }],
  ] as [number, ServerOptions][]) {
    await using sockets = new Sockets();
    await using server = await started({ ...options, loops: { repeats: { burst: 2000 } } });
    const { socket } = await mirror(sockets);
    for (let i = 0; i < circulating; i++) await sent(socket, `datagram ${i}`, server.port);
    await waitFor(() => server.stats().answering.loopRepeats > 0);
    await silent(server);
    const { rxDatagrams } = server.stats();
    assert.ok(rxDatagrams >= 2000);
    assert.ok(rxDatagrams < 2000 + 500 * circulating, `${rxDatagrams} of ${circulating}`); // what is new earns 128
  }
});

test('the limit is an option', async () => {
  await using sockets = new Sockets();
  await using server = await started({ reply: 'echo', loops: { repeats: false } });
  const { socket } = await mirror(sockets);
  await sent(socket, 'go', server.port);
  await waitFor(() => server.stats().rxDatagrams > 20_000);
  assert.equal(server.stats().answering.loopRepeats, 0);
});

test('a client that asks again as soon as it is answered is not slowed, as long as its requests differ', async () => {
  await using sockets = new Sockets();
  await using server = await started({ reply: 'echo', loops: { repeats: { burst: 1000 } } });
  const client = sockets.makePeer();
  await bound(client);
  let answered = 0;
  client.on('message', () => {
    if (++answered < 20_000) client.send(`request ${answered}`, server.port, '127.0.0.1');
  });
  client.send('request', server.port, '127.0.0.1');
  await waitFor(
    () => answered === 20_000,
    () => `${answered} answers`,
  );
  assert.equal(server.stats().answering.loopRepeats, 0);
});

test('a client that sends the same from one port without waiting is answered', async () => {
  await using sockets = new Sockets();
  await using server = await started({ reply: 'echo' });
  const client = sockets.makePeer();
  await bound(client);
  const many = onDgram ? 100_000 : 300_000;
  while (server.stats().rxDatagrams < many) {
    for (let i = 0; i < 50; i++) client.send('same', server.port, '127.0.0.1');
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { rxDatagrams, answering } = server.stats();
  assert.ok(answering.loopRepeats > 0, 'there was a trial');
  assert.ok(answering.loopRepeats < rxDatagrams / 8, `${answering.loopRepeats} of ${rxDatagrams} unanswered`);
});

test('forwarders in a ring open no more flows for ever, nor pass a datagram round where hops are counted', async () => {
  for (const size of [2, 3]) {
    const ports = await Promise.all(Array.from({ length: size }, () => unusedPort()));
    const servers: Awaited<ReturnType<typeof started>>[] = [];
    try {
      for (const [i, port] of ports.entries()) {
        const forward = { address: '127.0.0.1', port: ports[(i + 1) % size] };
        // However long a hop takes: no more than one a second goes on beyond the flows.
        const loops = { repeats: { rate: 1, burst: 16_384 } };
        servers.push(await started({ port, loops, rules: [{ name: 'next', action: { forward, flows: 200 } }] }));
      }
      await using sockets = new Sockets();
      for (let i = 0; i < 10; i++) await sent(sockets.makePeer(), `datagram ${i}`, ports[0]);
      const answering = () => servers.map((server) => server.stats().answering);
      await waitFor(() => answering().some(({ loopRepeats }) => loopRepeats > 0), 'the first that is not passed on');
      // Ports of closed flows come back: then, rarely, it goes round through flows that are all open.
      if (!onDgram) await silent(...servers);
      for (let looks = 0; looks < 10; looks++) {
        const opened = Math.max(...answering().map(({ flowsOpened }) => flowsOpened));
        assert.ok(opened <= 200 + 256 + 100, `${opened} flows`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
    }
  }
});

// Where there are few ports, those of closed flows come back while the next one still takes them for its clients.
addonTest(
  'kernel features',
  'what goes round through flows that are all open ends when its hops are used up',
  async () => {
    const round = async (address: string) => {
      const { createServer } = await import('ksocket');
      const dgram = await import('node:dgram');
      const ports = [2325, 2326];
      const servers = ports.map((port, i) => {
        const forward = { address, port: ports[1 - i] };
        const loops = { repeats: { rate: 1, burst: 16_384 } };
        return createServer({ address, port, loops, rules: [{ name: 'next', action: { forward, flows: [2, 5][i] } }] });
      });
      for (const server of servers) await server.start();
      const client = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4').unref();
      for (let i = 0; i < 10; i++) client.send(`datagram ${i}`, 2325, address);
      const received = () => servers.reduce((sum, server) => sum + server.stats().rxDatagrams, 0);
      let before: number;
      do {
        before = received();
        await new Promise((resolve) => setTimeout(resolve, 100));
      } while (received() !== before);
      console.log(before);
      for (const server of servers) await server.stop();
    };
    const few = inNamespace('ip link set lo up && echo 40000 40008 >/proc/sys/net/ipv4/ip_local_port_range');
    for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) {
      const { code, stdout, stderr } = await runProgram(round, [address], { under: few });
      assert.deepEqual([code, stderr], [0, '']);
      const received = Number(stdout);
      assert.ok(received > 10 && received <= 10 * 64, `${received} at ${address}`);
    }
  },
);

/** start() is refused, and nothing stays open. */
async function refused(options: ServerOptions, message: RegExp): Promise<void> {
  const server = createServer(options);
  await assert.rejects(server.start(), { code: 'ERR_INVALID_ARG_VALUE', message });
  assert.equal(server.running, false);
  await using sockets = new Sockets();
  const socket = sockets.makePeer(options.address?.includes(':') ? 'udp6' : 'udp4');
  socket.bind(options.port, options.address);
  await once(socket, 'listening');
}

test('a server whose answers would go to itself does not start', async () => {
  const port = await unusedPort();
  const is = (target: string) =>
    new RegExp(`'options.replyTo' is an address that the server itself listens on. Received '${target}'`);
  const to = (address: string): ServerOptions => ({ port, reply: 'x', replyTo: { address, port } });
  await refused({ ...to('127.0.0.1'), address: '127.0.0.1' }, is(`127.0.0.1:${port}`));
  await refused({ ...to('0.0.0.0'), address: '127.0.0.1' }, is(`0.0.0.0:${port}`));
  await refused({ ...to('127.0.0.7'), address: '0.0.0.0' }, is(`127.0.0.7:${port}`));
  await refused({ ...to('127.0.0.1'), address: '::' }, is(`127.0.0.1:${port}`));
  await refused({ ...to('::1'), address: '::1' }, is(`\\[::1\\]:${port}`));
  await refused({ ...to('::1'), address: '::' }, is(`\\[::1\\]:${port}`));
  for (const address of ['127.0.0.1', '0.0.0.0']) {
    await using server = await started({
      reply: 'x',
      port,
      address,
      replyTo: { address: '127.0.0.1', port: port ^ 1 },
    });
    assert.equal(server.running, true, 'another port');
  }
  await using server = await started({ ...to('127.0.0.2'), address: '127.0.0.1' });
  assert.equal(server.running, true, 'another address');
});

test('a server that would forward to itself does not start, and does not change to it', async () => {
  const port = await unusedPort();
  const forward = (...ports: number[]): Rule[] => [
    { name: 'other', match: { prefix: 'x' }, action: 'drop' },
    { name: 'on', action: { forward: ports.map((port) => ({ address: '127.0.0.1', port })) } },
  ];
  const message = /rules\[1\] "on": The property 'action.forward' is an address that the server itself listens on/;
  await refused({ port, rules: forward(port) }, message);
  await refused({ port, rules: forward(port ^ 1, port) }, message);

  await using sockets = new Sockets();
  const backEnd = sockets.makePeer();
  const inbox = new Inbox(backEnd);
  const rules = forward(await bound(backEnd));
  const server = createServer({ port, rules });
  await server.start();
  try {
    await assert.rejects(server.update(forward(port)), { code: 'ERR_INVALID_ARG_VALUE', message });
    await sent(sockets.makePeer(), 'still', port);
    await inbox.take(1);
    await server.stop();
    await server.start();
    await sent(sockets.makePeer(), 'as before', port);
    assert.equal((await inbox.take(2)).length, 2);
  } finally {
    await server.stop();
  }
});
