// `ksocket serve` with everything but its defaults (those are in test/server/original.test.ts).
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { addonTest } from '../support/backend.js';
import { Child, runCli, startCli } from '../support/child.js';
import { bound, Inbox, Sockets, sent, unusedPort } from '../support/peer.js';
import { descendants, ioThreadCount } from '../support/process.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

/** Starts the server on a free port; the log so far is its first line. */
async function serve(...args: string[]): Promise<{ child: Child; port: number }> {
  const child = startCli(['serve', '--port', '0', '--address', '127.0.0.1', ...args]);
  const [, port] = await child.line(/^ksocket: listening on port (\d+)$/);
  return { child, port: Number(port) };
}

async function unloads(child: Child, signal: NodeJS.Signals = 'SIGTERM'): Promise<string[]> {
  child.kill(signal);
  const result = await child.end();
  assert.equal(result.stderr, '');
  assert.deepEqual([result.code, result.signal], [0, null]);
  assert.match(result.stdout, /\nksocket: successfully killed .* thread\nksocket: module unloaded\n$/);
  return result.stdout.split('\n').slice(1, -3);
}

test('--echo answers with the datagram itself', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  const { child, port } = await serve('--echo');
  await using _ = child;
  for (const text of ['hello', 'a longer one than ten bytes', '']) await sent(client, text, port);
  await inbox.take(3);
  assert.deepEqual(inbox.texts, ['hello', 'a longer one than ten bytes', '']);
  await waitFor(() => child.lines.length === 7, 'the log');
  assert.deepEqual(await unloads(child), [
    'ksocket: received 5 bytes',
    ' data: hello',
    'ksocket: received 27 bytes',
    ' data: a longer one than ten bytes',
    'ksocket: received 0 bytes',
    ' data: ',
  ]);
});

test('--reply and --reply-to source', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  const { child, port } = await serve('--reply', 'pong', '--reply-to', 'source', '--quiet');
  await using _ = child;
  await sent(client, 'ping', port);
  await inbox.take(1);
  assert.deepEqual(inbox.texts, ['pong']);
  assert.deepEqual(await unloads(child, 'SIGINT'), []);
});

test('--reply-to HOST:PORT, IPv4, IPv6 and a name', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  await bound(client);
  for (const [type, host] of [
    ['udp4', '127.0.0.1'],
    ['udp6', '[::1]'],
    ['udp4', 'localhost'],
  ] as const) {
    const target = sockets.makePeer(type);
    const inbox = new Inbox(target);
    // A name may mean either family: the target listens on both.
    const targetPort = await bound(target, type === 'udp4' ? '127.0.0.1' : '::1');
    const { child, port } = await serve('--reply-to', `${host}:${targetPort}`, '-q');
    await using _ = child;
    await sent(client, 'x', port);
    if (host === 'localhost') {
      const { lookup } = await import('node:dns/promises');
      if ((await lookup('localhost')).family === 6) continue;
    }
    await inbox.take(1);
    assert.deepEqual(inbox.texts, ['testing...']);
    await unloads(child);
  }
});

test('--max-bytes cuts', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  const { child, port } = await serve('-b', '3', '-r', 'ok', '-t', 'source');
  await using _ = child;
  await sent(client, 'abcdef', port);
  await inbox.take(1);
  await child.line(/ data: /);
  assert.deepEqual(await unloads(child), ['ksocket: received 3 bytes', ' data: abc']);
});

test('--max-bytes may be all that a datagram can have', async () => {
  const { child } = await serve('-b', '65535');
  await using _ = child;
  await unloads(child);
});

addonTest('a thread of its own', '--shards has so many threads, and each answers', async () => {
  await using sockets = new Sockets();
  for (const [given, count] of [
    ['1', 1],
    ['3', 3],
    ['64', 64],
    ['cores', Math.min(availableParallelism(), 64)],
  ] as const) {
    const { child, port } = await serve('--echo', '--quiet', '--shards', given);
    await using _ = child;
    await waitFor(() => ioThreadCount(child.pid) === count, `${count} threads`);
    for (let i = 0; i < 16; i++) {
      const client = sockets.makePeer();
      const inbox = new Inbox(client);
      await bound(client);
      await sent(client, 'x', port);
      await inbox.take(1);
    }
    await unloads(child);
  }
});

test('--quiet logs no datagrams', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  const { child, port } = await serve('--echo', '--quiet');
  await using _ = child;
  for (let i = 1; i <= 20; i++) {
    await sent(client, 'x', port);
    await inbox.take(i);
  }
  assert.deepEqual(await unloads(child), []);
});

test('what a datagram contains cannot forge a log line or move the cursor', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  await bound(client);
  const { child, port } = await serve('--max-bytes', '100', '--reply-to', 'source');
  await using _ = child;
  await sent(client, Buffer.from('a\nksocket: module unloaded\r\x1b[2J\x07\x00\x7f\u009b ü ☃', 'utf8'), port);
  await sent(client, Buffer.from([0x61, 0xff, 0xfe, 0x80, 0x62]), port);
  await waitFor(() => child.lines.length === 5, 'the log');
  const log = await unloads(child);
  assert.equal(log.length, 4);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
  for (const line of log) assert.doesNotMatch(line, /[\x00-\x1f\x7f-\x9f]/);
  assert.match(log[1], /^ data: a.*ksocket: module unloaded.* ü ☃$/);
  assert.match(log[3], /^ data: a.*b$/);
});

test('a port in use: the original’s line with the error number, what it means, and exit code 1', async () => {
  await using sockets = new Sockets();
  const holder = sockets.makePeer();
  const port = await bound(holder);
  const { code, signal, stdout, stderr } = await runCli(['serve', '-p', `${port}`, '-a', '127.0.0.1']);
  assert.deepEqual([code, signal], [1, null]);
  assert.match(stderr, /^ksocket: Could not bind or connect to socket, error = 98$/m);
  assert.match(stderr, new RegExp(`EADDRINUSE 127\\.0\\.0\\.1:${port}`));
  assert.doesNotMatch(stderr, / at /, 'no stack');
  assert.doesNotMatch(stdout, /listening/);
});

test('other failures to start: a line each, and exit code 1', async () => {
  const failures: [string[], RegExp][] = [
    [['-a', '203.0.113.77'], /^ksocket: Could not bind or connect to socket, error = 99$/m],
    [['-t', '255.255.255.255:9'], /^ksocket: Could not bind or connect to socket, error = 13$/m],
  ];
  for (const [args, line] of failures) {
    const { code, stderr } = await runCli(['serve', '--port', '0', ...args]);
    assert.equal(code, 1, args.join(' '));
    assert.match(stderr, line);
    assert.doesNotMatch(stderr, / at /, 'no stack');
  }
});

test('signals unload once, however many come and until the very end', async () => {
  const { child } = await serve('--echo');
  await using _ = child;
  const end = child.end();
  let ended = false;
  const raise = () => {
    child.kill('SIGINT');
    child.kill('SIGTERM');
    if (!ended) setImmediate(raise);
  };
  raise();
  const { code, signal, stdout, stderr } = await end;
  ended = true;
  assert.deepEqual([code, signal, stderr], [0, null, '']);
  assert.equal(stdout.match(/module unloaded/g)?.length, 1);
});

test('it unloads under load, and every line of the log is whole', async () => {
  await using sockets = new Sockets();
  const client = sockets.make();
  await bound(client);
  const { child, port } = await serve('--echo');
  await using _ = child;
  let flooding = true;
  const flood = (async () => {
    while (flooding) {
      for (let i = 0; i < 20; i++) client.send('0123456789', port, '127.0.0.1');
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  await child.line(/ data: /);
  const log = await unloads(child);
  flooding = false;
  await flood;
  for (const [i, line] of log.entries()) {
    assert.equal(line, i % 2 === 0 ? 'ksocket: received 10 bytes' : ' data: 0123456789');
  }
});

addonTest('a thread of its own', 'it has one I/O thread, and no descriptor to spare when nothing comes', async () => {
  const { child } = await serve('--echo', '--quiet');
  await using _ = child;
  await waitFor(() => ioThreadCount(child.pid) === 1, 'the thread');
  await unloads(child);
});

test('a closed output does not keep it from ending', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  await bound(client);
  const { child, port } = await serve('--echo');
  await using _ = child;
  let ended = false;
  child.process.once('exit', () => {
    ended = true;
  });
  child.process.stdout?.destroy();
  // It may end for want of an output, but not by a signal and not by hanging.
  for (let i = 0; i < 20 && !ended; i++) await sent(client, 'x', port);
  child.kill('SIGTERM');
  const { signal } = await child.end();
  assert.equal(signal, null);
});

test('a free port is found and told with --port 0, and a given one is used', async () => {
  const port = await unusedPort();
  const child = startCli(['serve', '--port', `${port}`, '--address', '127.0.0.1', '-q', '-e']);
  await using _ = child;
  await child.line(new RegExp(`^ksocket: listening on port ${port}$`));
  await unloads(child);
});

test('SIGHUP unloads, with a monitor, too', async () => {
  for (const monitor of [[], ['--monitor', '0']]) {
    const { child } = await serve('--echo', ...monitor);
    await using _ = child;
    if (monitor.length > 0) await child.line(/monitor on/);
    await unloads(child, 'SIGHUP');
  }
});

test('a log that nobody reads any more unloads', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  await bound(client);
  const { child, port } = await serve('--echo');
  await using _ = child;
  child.process.stdout?.destroy();
  await sent(client, 'x', port);
  const { code, signal, stderr } = await child.end();
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} to npm ends what npm start has started`, async () => {
    const port = await unusedPort();
    await using npm = new Child('npm', ['start', '--', '--port', `${port}`, '--address', '127.0.0.1', '--echo']);
    await npm.line(/^ksocket: listening on port/);
    const started = descendants(npm.pid);
    try {
      npm.kill(signal);
      const { stdout } = await npm.end(); // when nobody has its output any more
      assert.match(stdout, /\nksocket: module unloaded\n/);
      assert.deepEqual(
        started.filter((pid) => existsSync(`/proc/${pid}`)),
        [],
      );
    } finally {
      for (const pid of started.filter((pid) => existsSync(`/proc/${pid}`))) process.kill(pid, 'SIGKILL');
    }
  });
}
