// More shards of a server that runs, or fewer: no datagram is lost, what was counted stays, and all have the same rules.
import assert from 'node:assert/strict';
import type dgram from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer, type Server, type ServerOptions } from 'ksocket';
import { createMonitor } from 'ksocket/monitor';
import { listening } from '../support/activated.js';
import { Askers, Flood } from '../support/askers.js';
import { runProgram, startProgram } from '../support/child.js';
import { buildHandler } from '../support/handlers.js';
import { bound, Inbox, Sockets, sent } from '../support/peer.js';
import { heldAtRest, ioThreadCount, untilHeldIs } from '../support/process.js';
import { kernelPreload } from '../support/programs.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

/** The first byte of a datagram says which shard it comes to. */
const byIndex = { offset: 0, length: 1, by: 'index' } as const;

async function started(sockets: Sockets, options: ServerOptions): Promise<[Server, number]> {
  const server = createServer({ address: '127.0.0.1', port: 0, ...options });
  await server.start();
  sockets.onEnd(() => server.stop());
  return [server, server.address()?.port ?? 0];
}

async function client(sockets: Sockets, address = '127.0.0.1'): Promise<[dgram.Socket, Inbox]> {
  const socket = sockets.makePeer();
  await bound(socket, address);
  return [socket, new Inbox(socket)];
}

const received = (server: Server) => server.shardStats().map(({ rxDatagrams }) => rxDatagrams);

/** A datagram for each shard is answered, and by that one. */
async function checkEach(server: Server, port: number, sockets: Sockets): Promise<void> {
  const [socket, inbox] = await client(sockets);
  const before = received(server);
  for (const i of before.keys()) await sent(socket, Buffer.from([i]), port);
  await inbox.take(before.length);
  assert.deepEqual(
    received(server),
    before.map((count) => count + 1),
  );
}

for (const steering of [undefined, 'flow', 'source', { offset: 0, length: 2 }] as const) {
  test(`while clients ask, steering ${JSON.stringify(steering)}: each question is answered, and once`, async () => {
    const before = await heldAtRest();
    {
      await using sockets = new Sockets();
      const shards = steering === undefined ? undefined : 2;
      const [server, port] = await started(sockets, { reply: 'echo', shards, steering });
      const askers = new Askers(sockets, port, 48);
      for (const count of [5, 3, 1, 4, 2, 2]) {
        await askers.goOn();
        await server.setShards(count);
        await waitFor(() => ioThreadCount() === count, `${count} threads`);
        assert.equal(server.shardStats().length, count);
      }
      await askers.end();
      const { rxDatagrams, txDatagrams, rxKernelDrops, rxCloseDrops, txDropped } = server.stats();
      assert.deepEqual(
        [rxDatagrams, txDatagrams],
        [askers.asked, askers.asked],
        'with those of the shards that are gone',
      );
      assert.deepEqual([rxKernelDrops, rxCloseDrops, txDropped], [0, 0, 0]);
      assert.ok(received(server).every((count) => count > 0));
      await server.stop();
      assert.equal(server.stats().rxDatagrams, askers.asked, 'also when it has stopped');
      await server.start();
      assert.deepEqual([server.stats().rxDatagrams, received(server)], [0, [0, 0]]);
    }
    await untilHeldIs(before);
  });
}

test('a socket that closes takes nothing of what the others get', async () => {
  await using sockets = new Sockets();
  for (const address of ['127.0.0.1', '::']) {
    const [server, port] = await started(sockets, { address, reply: null });
    const flood = new Flood(sockets, port);
    await waitFor(() => server.stats().rxDatagrams > 0, 'the first');
    for (let i = 0; i < 30; i++) {
      await server.setShards(6);
      await server.setShards(1);
    }
    const count = await flood.end();
    const all = () => server.stats().rxDatagrams + server.stats().rxKernelDrops;
    await waitFor(
      () => all() >= count,
      () => `${all()} of ${count}`,
      5000,
    );
    assert.deepEqual([all(), server.stats().rxCloseDrops], [count, 0]);
  }
});

test('each shard has its number, also after the number has changed', async () => {
  await using sockets = new Sockets();
  const [server, port] = await started(sockets, { reply: 'echo', shards: 3, steering: byIndex });
  for (const count of [3, 6, 2, 4, 1, 3]) {
    await server.setShards(count);
    await checkEach(server, port, sockets);
  }
});

test('of an IPv6 server, of one for both families, and of one at all addresses, where a broadcast is answered once', async () => {
  await using sockets = new Sockets();
  for (const [address, to, type] of [
    ['::1', '::1', 'udp6'],
    ['::', '::1', 'udp6'],
    ['::', '127.0.0.1', 'udp4'],
    ['0.0.0.0', '127.0.0.1', 'udp4'],
  ] as const) {
    const [server, port] = await started(sockets, { address, reply: 'echo', deny: ['192.0.2.0/24'] });
    await server.setShards(4);
    const all = Array.from({ length: 32 }, () => sockets.makePeer(type));
    const inboxes = all.map((socket) => new Inbox(socket));
    for (const socket of all) {
      await bound(socket, to);
      await sent(socket, 'x', port, to);
    }
    await Promise.all(inboxes.map((inbox) => inbox.take(1)));
    assert.equal(server.stats().rxDatagrams, 32);
    assert.ok(received(server).filter((count) => count > 0).length >= 2, `${received(server)}`);
    if (address === '0.0.0.0') {
      all[0].setBroadcast(true);
      await sent(all[0], 'anybody', port, '127.255.255.255');
      await inboxes[0].take(2);
      await sleep(50);
      assert.deepEqual(inboxes[0].texts, ['x', 'anybody']);
    }
    await server.stop();
  }
});

test('rules, lists and a listener are those of the new shards, too; hits are counted on', async () => {
  await using sockets = new Sockets();
  const rules = (reply: string) => [
    {
      name: 'tell',
      match: { bits: { at: 1, mask: Buffer.of(0xff), value: Buffer.of(7) } },
      action: 'deliver' as const,
    },
    { name: 'answer', action: { reply, amplify: true } },
  ];
  const [server, port] = await started(sockets, { rules: rules('one'), shards: 2, steering: byIndex, deny: [] });
  const told: number[] = [];
  server.on('datagram', (data) => told.push(data[0]));
  const [socket, inbox] = await client(sockets);
  const [denied, nothing] = await client(sockets, '127.0.0.2');
  const askAll = async (count: number) => {
    const before = inbox.all.length;
    for (let i = 0; i < count; i++) await sent(socket, Buffer.of(i, 0), port);
    await inbox.take(before + count);
    return new Set(inbox.texts.slice(before));
  };
  await askAll(2);
  await server.setShards(4);
  assert.deepEqual(await askAll(4), new Set(['one']));
  assert.deepEqual(server.ruleHits(), { tell: 0, answer: 6 });
  await server.update(rules('two'));
  assert.deepEqual(await askAll(4), new Set(['two']));
  await server.protect({ deny: ['127.0.0.2'] });
  for (let i = 0; i < 4; i++) await sent(denied, Buffer.of(i, 0), port);
  for (let i = 0; i < 4; i++) await sent(socket, Buffer.of(i, 7), port);
  await waitFor(() => told.length === 4, 'what is delivered');
  assert.deepEqual(new Set(told), new Set([0, 1, 2, 3]));
  assert.deepEqual(server.ruleHits(), { tell: 4, answer: 10 });
  await server.setShards(1);
  assert.deepEqual(server.ruleHits(), { tell: 4, answer: 10 }, 'with those of the shards that are gone');
  await server.setShards(3);
  for (let i = 0; i < 3; i++) await sent(denied, Buffer.of(i, 0), port);
  assert.deepEqual(await askAll(3), new Set(['two']));
  assert.equal(nothing.all.length, 0);
  const { rxKernelDrops, answering } = server.stats();
  assert.equal(rxKernelDrops + answering.denied, 7);
  await server.update([{ name: 'answer', action: { reply: 'three', amplify: true } }]);
  await server.update(rules('four'));
  assert.deepEqual(server.ruleHits(), { tell: 0, answer: 13 }, 'a rule that was gone begins anew');
});

test('the rate for all is divided anew', async () => {
  await using sockets = new Sockets();
  const limits = { total: { rate: 1, burst: 30 } };
  const [server, port] = await started(sockets, { reply: 'echo', shards: 1, steering: byIndex, limits });
  const [socket] = await client(sockets);
  let asked = 0;
  const passedOf = async (count: number) => {
    const before = server.shardStats().map(({ txDatagrams }) => txDatagrams);
    for (let i = 0; i < 60 * count; i++) await sent(socket, Buffer.of(i % count), port);
    asked += 60 * count;
    await waitFor(() => server.stats().rxDatagrams === asked, 'all');
    return server.shardStats().map(({ txDatagrams }, i) => txDatagrams - before[i]);
  };
  for (const [count, each] of [
    [1, 30],
    [3, 10],
    [2, 15],
  ]) {
    await server.setShards(count);
    const passed = await passedOf(count);
    assert.equal(passed.length, count);
    assert.ok(
      passed.every((n) => n >= each && n <= each + 3), // a token or two come meanwhile
      `${passed}`,
    );
  }
});

test('a server made without shards steers by source where sources have a rate', async () => {
  await using sockets = new Sockets();
  const [server, port] = await started(sockets, { reply: 'echo', limits: { perSource: { rate: 1, burst: 10 } } });
  await server.setShards(4);
  for (let i = 0; i < 32; i++) await sent((await client(sockets))[0], 'x', port);
  await waitFor(() => server.stats().rxDatagrams === 32, 'all');
  assert.equal(received(server).filter((count) => count > 0).length, 1, 'one address, one shard');
  const { limited } = server.stats().answering;
  assert.ok(limited >= 20 && limited <= 22, `${limited}`);
});

/** A back end that answers when it is told to. */
class BackEnd {
  readonly #waiting: (() => void)[] = [];
  readonly socket: dgram.Socket;
  port = 0;

  constructor(sockets: Sockets) {
    this.socket = sockets.makePeer();
    this.socket.on('message', (data, { port, address }) => {
      this.#waiting.push(() => this.socket.send(`to ${data[0]}`, port, address));
    });
  }

  async bind(): Promise<this> {
    this.port = await bound(this.socket);
    return this;
  }

  async has(count: number): Promise<void> {
    await waitFor(() => this.#waiting.length === count, `${count} requests`);
  }

  answer(): void {
    for (const answer of this.#waiting.splice(0)) answer();
  }
}

test('a shard that goes stays until its flows to back ends are idle, and is the first that comes back', async () => {
  const before = await heldAtRest();
  {
    await using sockets = new Sockets();
    const backEnd = await new BackEnd(sockets).bind();
    const forward = (idleMs: number) => [
      { match: { length: 2 }, action: 'deliver' as const },
      { action: { forward: [{ address: '127.0.0.1', port: backEnd.port }], idleMs } },
    ];
    const [server, port] = await started(sockets, { rules: forward(60_000), shards: 5, steering: byIndex });
    const all = await Promise.all([0, 2, 3, 3].map(() => client(sockets)));
    for (const [i, [socket]] of all.entries()) await sent(socket, Buffer.of([0, 2, 3, 3][i]), port);
    await backEnd.has(4);
    await server.setShards(1);
    await waitFor(() => ioThreadCount() === 3, 'those without flows are gone');
    assert.equal(server.shardStats().length, 1);
    backEnd.answer();
    for (const [i, [, inbox]] of all.entries()) {
      const [{ rinfo }] = await inbox.take(1);
      assert.deepEqual([inbox.texts, rinfo.port], [[`to ${[0, 2, 3, 3][i]}`], port]);
    }
    const { flowsOpened, returned, flowsExpired } = server.stats().answering;
    assert.deepEqual([flowsOpened, returned, flowsExpired], [4, 4, 0]);

    // When 1 went, the kernel put the last one in its place, 3. Since then there is a listener.
    const told: number[] = [];
    server.on('datagram', (data) => told.push(data[0]));
    await server.setShards(4);
    assert.deepEqual(received(server), [1, 2, 1, 0]);
    const [socket] = await client(sockets);
    for (let i = 0; i < 4; i++) for (let n = 0; n < 2 ** i; n++) await sent(socket, Buffer.of(i), port);
    await backEnd.has(15);
    assert.deepEqual(received(server), [2, 4, 5, 8]);
    await waitFor(() => ioThreadCount() === 4, 'four threads');
    for (let i = 0; i < 4; i++) await sent(socket, Buffer.of(i, 0), port);
    await waitFor(() => told.length === 4, 'what is delivered');
    assert.deepEqual(told.sort(), [0, 1, 2, 3]);

    await server.update(forward(30_000));
    const [again] = await client(sockets);
    for (let i = 0; i < 4; i++) await sent(again, Buffer.of(i), port);
    await server.setShards(2);
    assert.equal(ioThreadCount(), 4, 'with those that have flows');
    await server.stop();
    assert.equal(server.stats().rxDatagrams, 27, 'with those that were about to go');
  }
  await untilHeldIs(before);
});

test('flows that nobody uses end, and their shards with them', async () => {
  const before = await heldAtRest();
  {
    await using sockets = new Sockets();
    const backEnd = await new BackEnd(sockets).bind();
    const rules = [{ action: { forward: [{ address: '127.0.0.1', port: backEnd.port }], idleMs: 100 } }];
    const [server, port] = await started(sockets, { rules, shards: 3, steering: byIndex });
    server.unref();
    const [socket, inbox] = await client(sockets);
    for (let i = 0; i < 3; i++) await sent(socket, Buffer.of(i), port);
    await backEnd.has(3);
    backEnd.answer();
    await inbox.take(3);
    await server.setShards(1);
    await waitFor(() => ioThreadCount() === 1, 'one thread');
    const { flowsOpened, flowsExpired, returned } = server.stats().answering;
    assert.deepEqual([flowsOpened, returned], [3, 3]);
    assert.ok(flowsExpired >= 2, `${flowsExpired}`);
    await server.setShards(3);
    for (let i = 0; i < 3; i++) await sent(socket, Buffer.of(i), port);
    await backEnd.has(3);
    assert.deepEqual(received(server).slice(1), [1, 1]);
  }
  await untilHeldIs(before);
});

test('the monitor sees what there is, and what there was', async () => {
  await using sockets = new Sockets();
  const [server, port] = await started(sockets, { reply: 'echo', shards: 3, steering: byIndex });
  const monitor = createMonitor({ servers: [server], port: 0 });
  await monitor.start();
  sockets.onEnd(() => monitor.stop());
  const [socket, inbox] = await client(sockets);
  const value = async (name: string) => {
    const text = await (await fetch(`http://127.0.0.1:${monitor.address()?.port}/metrics`)).text();
    return Number(new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, 'm').exec(text)?.[1]);
  };
  let asked = 0;
  let ring = 0;
  for (const count of [3, 1, 4, 2, 1]) {
    await server.setShards(count);
    for (let i = 0; i < count; i++) await sent(socket, Buffer.of(i), port);
    asked += count;
    await inbox.take(asked);
    assert.equal(await value('ksocket_received_datagrams_total'), asked);
    assert.equal(await value('ksocket_receive_latency_seconds_count'), asked);
    assert.equal(await value('ksocket_server_up'), 1);
    const capacity = await value('ksocket_ring_capacity_records');
    ring ||= capacity / 3;
    assert.equal(capacity, count * ring);
  }
  const history = async () =>
    (await (await fetch(`http://127.0.0.1:${monitor.address()?.port}/history.json`)).json()) as {
      servers: { samples: { received: (number | null)[] } }[];
    };
  await waitFor(async () => (await history()).servers[0].samples.received.length >= 2, 'samples');
  await server.setShards(2);
  await waitFor(async () => (await history()).servers[0].samples.received.length >= 3, 'another one');
  assert.ok((await history()).servers[0].samples.received.slice(1).every((rate) => rate !== null && rate >= 0));
});

test('a handler is opened for each that comes, and closed with each that goes; one that refuses changes nothing', async () => {
  const before = await heldAtRest();
  {
    await using sockets = new Sockets();
    const options = { handler: buildHandler('native/test/support/handlers/one_of.c'), handlerArgument: '3' };
    const [server, port] = await started(sockets, options);
    const askers = new Askers(sockets, port, 32);
    await askers.goOn();
    await server.setShards(2);
    await askers.goOn();
    await assert.rejects(server.setShards(4), { code: 'ERR_DLOPEN_FAILED', message: /one too many/ });
    assert.equal(server.shardStats().length, 2);
    await waitFor(() => ioThreadCount() === 2, 'no thread of those that were refused');
    await server.setShards(3);
    await server.setShards(1);
    await server.setShards(3);
    await askers.end();
    assert.deepEqual([server.stats().rxDatagrams, server.stats().rxCloseDrops], [askers.asked, 0]);
    await server.stop();
    await server.start();
    assert.equal(server.shardStats().length, 3);
  }
  await untilHeldIs(before);
});

test('calls take effect one after the other: several at once, update(), protect() and stop() meanwhile', async () => {
  const before = await heldAtRest();
  {
    await using sockets = new Sockets();
    const rules = (reply: string) => [{ name: 'one', action: { reply, amplify: true } }];
    const [server, port] = await started(sockets, { rules: rules('a'), limits: {} });
    const [socket, inbox] = await client(sockets);
    const calls = [
      server.setShards(4),
      server.update(rules('b')),
      server.setShards(2),
      server.protect({ limits: { total: { rate: 1, burst: 10 } } }),
      server.setShards(5),
    ];
    await Promise.all(calls);
    assert.equal(server.shardStats().length, 5);
    for (let i = 0; i < 40; i++) await sent((await client(sockets))[0], 'x', port);
    await waitFor(() => server.stats().rxDatagrams === 40, 'all');
    const { txDatagrams } = server.stats();
    assert.ok(txDatagrams <= 13, `${txDatagrams}: two of each, and those that come meanwhile`);
    await server.protect({});
    await sent(socket, 'x', port);
    await inbox.take(1);
    assert.deepEqual(inbox.texts, ['b']);

    const shrinking = server.setShards(1);
    const stopping = server.stop();
    const growing = server.setShards(3);
    await Promise.all([shrinking, stopping, growing]);
    assert.equal(server.running, false);
    await server.start();
    assert.equal(server.shardStats().length, 3);
    const all = [server.setShards(1), server.stop(), server.start(), server.setShards(2)];
    await Promise.all(all);
    assert.deepEqual([server.running, server.shardStats().length], [true, 2]);
  }
  await untilHeldIs(before);
});

test('a server that does not run has so many from its next start on', async () => {
  const before = await heldAtRest();
  const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
  await server.setShards(3);
  assert.equal(server.shardStats().length, 1);
  await server.start();
  await waitFor(() => ioThreadCount() === 3, 'three threads');
  await server.stop();
  await server.setShards(1);
  await server.start();
  await server.setShards(1);
  await waitFor(() => ioThreadCount() === 1, 'one thread');
  assert.equal(server.shardStats().length, 1);
  await server.stop();
  await untilHeldIs(before);
});

test('it neither keeps a program running that nothing else does, nor lets one end', async () => {
  const program = async (refd: string) => {
    const { createServer } = await import('ksocket');
    const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
    await server.start();
    if (refd === 'unref') server.unref();
    await server.setShards(3);
    await server.setShards(2);
    console.log('two');
    if (refd === 'stop') await server.stop();
  };
  for (const how of ['unref', 'stop']) {
    const { code, stdout, stderr } = await runProgram(program, [how]);
    assert.deepEqual([code, stdout, stderr], [0, 'two\n', '']);
  }
  await using child = startProgram(program, ['ref']);
  await child.line(/^two$/);
  await sleep(100);
  assert.equal(ioThreadCount(child.pid), 2, 'it runs');
  child.kill('SIGTERM');
  await child.end();
});

test('where the kernel takes no program there can be more, by its own hash, and not fewer; nor any steered otherwise', async () => {
  const program = async (lacks: string) => {
    const { createServer } = await import('ksocket');
    const said: unknown[] = [lacks];
    for (const steering of ['flow', 'source'] as const) {
      const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo', shards: 1, steering });
      await server.start();
      for (const count of [3, 2]) {
        const how = await server.setShards(count).then(
          () => 'has',
          ({ code, syscall }) => `${code} ${syscall}, has`,
        );
        said.push(`${how} ${server.shardStats().length}`);
      }
      await server.stop();
    }
    console.log(said.join('; '));
  };
  for (const [lacks, said] of [
    ['1:51:1', 'has 3; EPERM setsockopt, has 3; EPERM setsockopt, has 1; EPERM setsockopt, has 1'], // SO_ATTACH_REUSEPORT_CBPF
    ['1:62:1', 'has 3; has 2; has 3; has 2'], // SO_BINDTOIFINDEX
  ]) {
    const env = { LD_PRELOAD: kernelPreload, KERNEL_LACKS: lacks };
    const { code, stdout, stderr } = await runProgram(program, [lacks], { env });
    assert.deepEqual([code, stdout, stderr], [0, `${lacks}; ${said}\n`, '']);
  }
});

test('errors', async () => {
  await using sockets = new Sockets();
  const [server] = await started(sockets, { reply: 'echo', shards: 2 });
  for (const shards of [0, 65, -1, 1.5, Number.NaN])
    await assert.rejects(server.setShards(shards), { code: 'ERR_OUT_OF_RANGE', message: /"shards"/ });
  for (const shards of [undefined, null, '2', 'all', {}, 2n])
    await assert.rejects(server.setShards(shards as never), { code: 'ERR_INVALID_ARG_TYPE', message: /"shards"/ });
  assert.equal(server.shardStats().length, 2);

  const program = async () => {
    const { createServer } = await import('ksocket');
    const server = createServer({ fd: 3, reply: 'echo' });
    const refused = () => server.setShards(2).catch(({ code, message }) => console.log(code, message));
    await refused();
    await server.start();
    await refused();
    await server.stop();
  };
  await using child = startProgram(program, [], { under: listening({ type: 'udp4', address: '127.0.0.1' }) });
  const { code, stdout, stderr } = await child.end();
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /^(ERR_INVALID_STATE .*made with fd, and has that one socket\n){2}$/);
});
