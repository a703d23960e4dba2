import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer, Server, type ServerOptions } from 'ksocket';
import { addonTest } from '../support/backend.js';
import { runProgram, startProgram } from '../support/child.js';
import { bound, Inbox, Sockets, sent, unusedPort } from '../support/peer.js';
import { held, heldAtRest, untilHeldIs } from '../support/process.js';
import { AHEAD_BYTES, sendWhileBlocked } from '../support/programs.js';
import { test } from '../support/test.js';
import { uncaughtWhile } from '../support/uncaught.js';
import { blockUntil, nextTurn, waitFor, within } from '../support/wait.js';

const local = { address: '127.0.0.1', port: 0, reply: 'echo' } as const;

test('start() resolves when the server receives, stop() when thread and descriptors are gone', async () => {
  const before = await heldAtRest();
  const server = createServer(local);
  assert.ok(server instanceof Server);
  assert.equal(server.running, false);
  assert.equal(server.address(), null);
  const events: string[] = [];
  server.on('listening', () => events.push('listening'));
  server.on('close', () => events.push('close'));
  assert.equal(await server.start(), undefined);
  assert.equal(server.running, true);
  assert.deepEqual(events, ['listening']);
  assert.equal(server.address()?.address, '127.0.0.1');
  assert.equal(server.address()?.family, 'IPv4');
  assert.ok(held().fds > before.fds);
  await server.stop();
  assert.deepEqual(held(), before, 'when stop() has resolved, not some time later');
  assert.equal(server.running, false);
  assert.equal(server.address(), null);
  await nextTurn();
  assert.deepEqual(events, ['listening', 'close']);
});

test('starting twice and stopping twice is the same as once', async () => {
  const before = await heldAtRest();
  const server = createServer(local);
  let listening = 0;
  let closes = 0;
  server.on('listening', () => listening++);
  server.on('close', () => closes++);
  await Promise.all([server.start(), server.start()]);
  const port = server.address()?.port;
  await server.start();
  assert.equal(server.address()?.port, port);
  assert.equal(listening, 1);
  await Promise.all([server.stop(), server.stop()]);
  await server.stop();
  await nextTurn();
  assert.equal(closes, 1);
  assert.deepEqual(held(), before);
});

test('stop() without start() does nothing', async () => {
  const server = createServer(local);
  server.on('close', () => assert.fail('close'));
  await server.stop();
  await nextTurn();
});

test('start, stop, start: it answers again, and counts from nothing', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  const before = await heldAtRest();
  const server = createServer(local);
  for (let i = 1; i <= 10; i++) {
    await server.start();
    assert.equal(server.stats().rxDatagrams, 0);
    await sent(client, `${i}`, server.address()?.port ?? 0);
    await inbox.take(i);
    assert.equal(inbox.texts.at(-1), `${i}`);
    await server.stop();
    assert.equal(server.stats().rxDatagrams, 1, 'the last run’s counters stay readable');
  }
  assert.deepEqual(held(), before);
});

test('the same port can be used again at once', async () => {
  const port = await unusedPort();
  for (let i = 0; i < 5; i++) {
    const server = createServer({ ...local, port });
    await server.start();
    assert.equal(server.address()?.port, port);
    await server.stop();
  }
});

test('stop() while starting: it stops, and start() settles', async () => {
  const before = await heldAtRest();
  for (let i = 0; i < 20; i++) {
    const server = createServer(local);
    const starting = server.start();
    const stopping = server.stop();
    await within(Promise.allSettled([starting, stopping]), 'start and stop');
    assert.equal(server.running, false);
  }
  await untilHeldIs(before);
});

test('start() right behind stop() starts it again', async () => {
  const before = await heldAtRest();
  const server = createServer(local);
  await server.start();
  const stopping = server.stop();
  await server.start();
  await stopping;
  assert.equal(server.running, true, 'start() has resolved, so it runs');
  await server.stop();
  assert.equal(server.running, false);
  await untilHeldIs(before);
});

test('any sequence of start() and stop() ends as its last call says', async () => {
  const before = await heldAtRest();
  for (const sequence of ['sS', 'Ss', 'sSs', 'sSsS', 'ssSSss', 'SsSsSs', 'sSSs', 'sSsSsSsS']) {
    const server = createServer(local);
    const calls = [...sequence].map((call) => (call === 's' ? server.start() : server.stop()));
    await within(Promise.allSettled(calls), sequence);
    assert.equal(server.running, sequence.endsWith('s'), sequence);
    await server.stop();
    assert.equal(server.running, false, sequence);
  }
  await untilHeldIs(before);
});

test('a port in use is EADDRINUSE with address and port, and nothing stays open', async () => {
  await using sockets = new Sockets();
  const holder = sockets.makePeer();
  const port = await unusedPort();
  await new Promise<void>((resolve) => holder.bind(port, '127.0.0.1', resolve));
  const before = await heldAtRest();
  const server = createServer({ ...local, port });
  server.on('error', () => assert.fail('start() has told it'));
  for (let i = 0; i < 3; i++) {
    await assert.rejects(server.start(), {
      message: `bind EADDRINUSE 127.0.0.1:${port}`,
      code: 'EADDRINUSE',
      errno: -98,
      syscall: 'bind',
      address: '127.0.0.1',
      port,
    });
    assert.equal(server.running, false);
    assert.equal(server.address(), null);
    assert.deepEqual(held(), before);
    await server.stop();
  }
  await new Promise<void>((resolve) => holder.close(resolve));
  await server.start();
  assert.equal(server.address()?.port, port);
  await server.stop();
});

test('other failures of start() are clear, too, and leave nothing open', async () => {
  const before = await heldAtRest();
  const failing: [ServerOptions, { code: string; syscall: string }][] = [
    [{ address: '203.0.113.77' }, { code: 'EADDRNOTAVAIL', syscall: 'bind' }],
    [
      { ...local, reply: 'x', replyTo: { address: '255.255.255.255', port: 9 } },
      { code: 'EACCES', syscall: 'connect' },
    ],
    [{ address: 'a..b' }, { code: 'ENOTFOUND', syscall: 'getaddrinfo' }],
    [
      { ...local, reply: 'x', replyTo: { address: 'a..b', port: 9 } },
      { code: 'ENOTFOUND', syscall: 'getaddrinfo' },
    ],
  ];
  for (const [options, { code, syscall }] of failing) {
    const server = createServer(options);
    await assert.rejects(server.start(), { code, syscall }, JSON.stringify(options));
    await server.stop();
    assert.deepEqual(held(), before, JSON.stringify(options));
  }
});

test('wrong options are errors with node’s codes, which name the option', () => {
  const wrong: [unknown, string, RegExp][] = [
    [null, 'ERR_INVALID_ARG_TYPE', /"options"/],
    [5, 'ERR_INVALID_ARG_TYPE', /"options"/],
    ['x', 'ERR_INVALID_ARG_TYPE', /"options"/],
    [{ address: 5 }, 'ERR_INVALID_ARG_TYPE', /options\.address/],
    [{ address: null }, 'ERR_INVALID_ARG_TYPE', /options\.address/],
    [{ port: -1 }, 'ERR_SOCKET_BAD_PORT', /options\.port/],
    [{ port: 65536 }, 'ERR_SOCKET_BAD_PORT', /options\.port/],
    [{ port: 1.5 }, 'ERR_SOCKET_BAD_PORT', /options\.port/],
    [{ port: 'http' }, 'ERR_SOCKET_BAD_PORT', /options\.port/],
    [{ port: null }, 'ERR_SOCKET_BAD_PORT', /options\.port/],
    [{ port: {} }, 'ERR_SOCKET_BAD_PORT', /options\.port/],
    [{ reply: 5 }, 'ERR_INVALID_ARG_TYPE', /options\.reply/],
    [{ reply: {} }, 'ERR_INVALID_ARG_TYPE', /options\.reply/],
    [{ reply: new ArrayBuffer(3) }, 'ERR_INVALID_ARG_TYPE', /options\.reply/],
    [{ reply: ['a'] }, 'ERR_INVALID_ARG_TYPE', /options\.reply/],
    [{ reply: 'x'.repeat(65508) }, 'ERR_OUT_OF_RANGE', /options\.reply/],
    [{ reply: Buffer.alloc(70000) }, 'ERR_OUT_OF_RANGE', /options\.reply/],
    [{ replyTo: 'target' }, 'ERR_INVALID_ARG_TYPE', /options\.replyTo/],
    [{ replyTo: null }, 'ERR_INVALID_ARG_TYPE', /options\.replyTo/],
    [{ replyTo: 5 }, 'ERR_INVALID_ARG_TYPE', /options\.replyTo/],
    [{ replyTo: {} }, 'ERR_INVALID_ARG_TYPE', /options\.replyTo\.address/],
    [{ replyTo: { address: '127.0.0.1' } }, 'ERR_SOCKET_BAD_PORT', /options\.replyTo\.port/],
    [{ replyTo: { address: '127.0.0.1', port: 0 } }, 'ERR_SOCKET_BAD_PORT', /options\.replyTo\.port/],
    [{ replyTo: { address: '127.0.0.1', port: 65536 } }, 'ERR_SOCKET_BAD_PORT', /options\.replyTo\.port/],
    [{ replyTo: { address: 1, port: 1 } }, 'ERR_INVALID_ARG_TYPE', /options\.replyTo\.address/],
    [{ maxBytes: 0 }, 'ERR_OUT_OF_RANGE', /options\.maxBytes/],
    [{ maxBytes: 65536 }, 'ERR_OUT_OF_RANGE', /options\.maxBytes/],
    [{ maxBytes: 1.5 }, 'ERR_OUT_OF_RANGE', /options\.maxBytes/],
    [{ maxBytes: '10' }, 'ERR_INVALID_ARG_TYPE', /options\.maxBytes/],
    [{ maxBytes: Number.NaN }, 'ERR_OUT_OF_RANGE', /options\.maxBytes/],
    [{ busyPoll: -1 }, 'ERR_OUT_OF_RANGE', /options\.busyPoll/],
    [{ busyPoll: 1e7 }, 'ERR_OUT_OF_RANGE', /options\.busyPoll/],
    [{ busyPoll: true }, 'ERR_INVALID_ARG_TYPE', /options\.busyPoll/],
  ];
  for (const [options, code, message] of wrong) {
    assert.throws(
      () => createServer(options as ServerOptions),
      (error: NodeJS.ErrnoException) => {
        assert.equal(error.code, code, JSON.stringify(options));
        // Node writes 'The "options" argument' and 'The "options.port" property' or 'options.port should be'.
        assert.match(error.message, message);
        return true;
      },
      JSON.stringify(options),
    );
  }
});

test('a listener that throws is the program’s error: the server has started, or stopped, all the same', async () => {
  const before = await heldAtRest();
  const server = createServer(local);
  for (const name of ['listening', 'close'] as const) {
    server.once(name, () => {
      throw new Error(name);
    });
  }
  const thrown = await uncaughtWhile(async (thrown) => {
    await server.start();
    await waitFor(() => thrown.length === 1, 'what its listener has thrown');
    assert.equal(server.running, true);
    await server.stop();
    await waitFor(() => thrown.length === 2, 'what its other listener has thrown');
    assert.equal(server.running, false);
  });
  assert.deepEqual(thrown, ['listening', 'close']);
  await untilHeldIs(before);
});

addonTest('a thread of its own', 'stop() in a datagram listener ends the events at once', async () => {
  const before = await heldAtRest();
  const server = createServer({ ...local, reply: null });
  await server.start();
  let events = 0;
  const closed = once(server, 'close');
  let stopped: Promise<void> | undefined;
  server.on('datagram', () => {
    events++;
    stopped ??= server.stop();
  });
  sendWhileBlocked({ port: server.address()?.port ?? 0, count: 100, bytes: 8, ahead: AHEAD_BYTES });
  blockUntil(() => server.stats().rxDatagrams === 100, 'all to lie in the ring');
  await within(closed, 'close');
  await stopped;
  const atClose = events;
  assert.deepEqual(held(), before);
  for (let i = 0; i < 5; i++) await nextTurn();
  assert.equal(events, atClose, 'no event after close');
  assert.equal(events + server.stats().rxCloseDrops, 100);
  assert.ok(events < 100, 'there would have been more');
});

test('ref() and unref() say what holds, however often, before the start and behind it', async () => {
  type Calls = ('ref' | 'unref')[];
  const program = async (before: Calls, after: Calls) => {
    const { createServer } = await import('ksocket');
    const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
    for (const call of before) if (server[call]() !== server) console.log('not itself');
    await server.start();
    for (const call of after) server[call]();
    console.log(server.running);
    process.on('SIGTERM', () => void server.stop().then(() => console.log('stopped')));
  };
  const ends: [Calls, Calls][] = [
    [['unref'], []],
    [[], ['unref']],
    [['ref', 'ref', 'unref'], []],
    [[], ['ref', 'ref', 'unref']],
    [['unref'], ['unref', 'ref', 'ref', 'unref']],
  ];
  for (const calls of ends) {
    const result = await runProgram(program, calls);
    assert.deepEqual(result, { code: 0, signal: null, stdout: 'true\n', stderr: '' }, JSON.stringify(calls));
  }
  const stays: [Calls, Calls][] = [
    [[], ['ref', 'ref']],
    [['unref', 'unref', 'ref'], []],
    [['unref'], ['unref', 'unref', 'ref']],
  ];
  for (const calls of stays) {
    await using child = startProgram(program, calls);
    await child.line(/^true$/);
    await sleep(100);
    child.kill('SIGTERM');
    const result = await child.end();
    assert.deepEqual(result, { code: 0, signal: null, stdout: 'true\nstopped\n', stderr: '' }, JSON.stringify(calls));
  }
});

test('several servers run beside each other, each on its own thread', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  const before = await heldAtRest();
  const servers = Array.from({ length: 8 }, (_, i) =>
    createServer({ ...local, reply: `server ${i}`, replyTo: 'source' }),
  );
  await Promise.all(servers.map((server) => server.start()));
  for (const [i, server] of servers.entries()) {
    await sent(client, 'x', server.address()?.port ?? 0);
    await inbox.take(i + 1);
  }
  assert.deepEqual(
    inbox.texts,
    servers.map((_, i) => `server ${i}`),
  );
  await Promise.all(servers.map((server) => server.stop()));
  assert.deepEqual(held(), before);
});
