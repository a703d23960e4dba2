// `ksocket collect` into files and to standard output: what it says, how it ends, and what it refuses.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { listening } from '../support/activated.js';
import { capturesIn, Folder, readWithTshark } from '../support/captures.js';
import { Child, type ChildResult, runCli, startCli } from '../support/child.js';
import { ask, askJson } from '../support/monitor.js';
import { bound, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const collect = ['collect', '--port', '0', '--address', '127.0.0.1'];
const LISTENING = /^ksocket: collecting on 127\.0\.0\.1:(\d+), /m;

/** The port, of what it says on stdout or stderr. */
async function portOf(child: Child): Promise<number> {
  const said = () => LISTENING.exec(child.stdout + child.stderr)?.[1];
  await waitFor(
    () => said() !== undefined,
    () => `it does not listen. ${child.stdout} ${child.stderr}`,
  );
  return Number(said());
}

async function send(port: number, texts: string[]): Promise<void> {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  await bound(client);
  for (const text of texts) await sent(client, text, port);
}

const numbered = (count: number) => Array.from({ length: count }, (_, i) => `number ${i}`);

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  test(`into a directory: ${signal} has all written that was received`, async () => {
    using folder = new Folder();
    const dir = join(folder.path, 'captures');
    await using child = startCli([...collect, '--to', dir, '--batch-ms', '60000']);
    await send(await portOf(child), numbered(150));
    child.kill(signal);
    const { code, stdout, stderr } = await child.end();
    assert.deepEqual([code, stderr], [0, '']);
    const [first, last, ...rest] = stdout.split('\n');
    assert.match(first, new RegExp(`^ksocket: collecting on 127\\.0\\.0\\.1:\\d+, pcapng in ${dir}$`));
    assert.deepEqual([last, ...rest], ['ksocket: received 150, delivered 150, dropped 0', '']);
    const [file] = capturesIn(dir);
    assert.match(file, /^ksocket-.*\.pcapng$/);
    const read = readWithTshark(join(dir, file));
    assert.deepEqual(
      read.map(({ payload }) => Buffer.from(payload, 'hex').toString()),
      numbered(150),
    );
    assert.ok(read.every(({ destination }) => destination === '127.0.0.1'));
  });
}

test('to standard output: nothing but lines of JSON is there', async () => {
  await using child = startCli([...collect, '--to', '-']);
  const port = await portOf(child);
  const texts = [...numbered(50), 'a\nksocket: forged\r\u001b[2J\u009b'];
  await send(port, texts);
  await waitFor(() => child.lines.length === texts.length, 'the lines');
  child.kill('SIGTERM');
  const { code, stderr } = await child.end();
  assert.equal(code, 0);
  assert.deepEqual(
    child.lines.map((line) => JSON.parse(line).text),
    texts,
  );
  assert.ok(child.lines.every((line) => JSON.parse(line).localPort === port));
  assert.match(
    stderr,
    /^ksocket: collecting on .*, lines to standard output\nksocket: received 51, delivered 51, dropped 0\n$/,
  );
});

test('standard output that nobody reads any more ends it, with a line that says so', async () => {
  await using child = startCli([...collect, '--to', '-']);
  const port = await portOf(child);
  child.process.stdout?.destroy();
  await send(port, ['x']);
  const { code, signal, stderr } = await child.end();
  assert.deepEqual([code, signal], [1, null]);
  assert.match(stderr, /\nksocket: 1 datagram is given up: lines to standard output: nobody reads them any more\n/);
  assert.match(stderr, /\nksocket: received 1, delivered 0, dropped 1\n$/);
});

/** One whose output nobody reads, with more received than a pipe holds. */
async function stuck(...args: string[]): Promise<Child> {
  const child = startCli([...collect, '--to', '-', ...args]);
  const port = await portOf(child);
  child.process.stdout?.pause();
  for (let i = 0; i < 60; i++) {
    await send(
      port,
      Array.from({ length: 50 }, () => 'x'.repeat(1000)),
    );
    await sleep(2);
  }
  return child;
}

/** Its end, which does not wait for anybody to read. */
async function ended(child: Child): Promise<ChildResult> {
  await once(child.process, 'exit');
  child.process.stdout?.resume();
  return child.end();
}

test('who does not read: a signal waits for as long as --drain says, and says what was not delivered', async () => {
  await using child = await stuck('--drain', '1');
  const started = performance.now();
  child.kill('SIGTERM');
  await waitFor(() => child.stderr.includes('not delivered'), 'the line');
  assert.ok(performance.now() - started > 900);
  const { code, stderr } = await ended(child);
  assert.equal(code, 1);
  const [, lost] = /\nksocket: (\d+) datagrams were not delivered\n/.exec(stderr) ?? [];
  const [, received, delivered] = /\nksocket: received (\d+), delivered (\d+), dropped \d+\n$/.exec(stderr) ?? [];
  assert.ok(Number(lost) > 0, stderr);
  assert.equal(Number(received) - Number(delivered), Number(lost), stderr);
});

test('a second signal ends it at once, and says what was not delivered', async () => {
  await using child = await stuck('--drain', '60');
  child.kill('SIGTERM');
  await sleep(20);
  child.kill('SIGTERM'); // passed on by whoever runs it: the same one
  await sleep(400);
  assert.doesNotMatch(child.stderr, /not delivered/);
  child.kill('SIGTERM');
  await waitFor(() => child.stderr.includes('not delivered'), 'the line', 5000);
  const { code, signal, stderr } = await ended(child);
  assert.deepEqual([code, signal], [1, null]);
  assert.match(stderr, /\nksocket: [1-9]\d* datagrams were not delivered\n$/);
});

test('a full disk is said once, however often it is tried', async () => {
  const asUser = process.getuid?.() === 0 ? [] : ['-r'];
  const under = ['unshare', ...asUser, '-m', 'sh', '-c', 'mount -t tmpfs -o size=1m none /mnt && exec "$0" "$@"'];
  await using child = startCli([...collect, '--to', '/mnt/c', '--batch-ms', '5'], { under });
  const port = await portOf(child);
  for (let n = 0; n < 5000 && child.stderr === ''; n += 20) {
    await send(
      port,
      Array.from({ length: 20 }, () => 'x'.repeat(1400)),
    );
    await sleep(5);
  }
  await waitFor(() => child.stderr !== '', 'a full disk');
  await sleep(1000); // meanwhile it is tried again
  child.kill('SIGTERM');
  await sleep(400);
  child.kill('SIGTERM');
  const { code, stderr } = await child.end();
  assert.equal(code, 1);
  const first = 'ksocket: not written, and tried again: pcapng in /mnt/c: ENOSPC: no space left on device, write';
  assert.match(stderr, new RegExp(`^${first}\\nksocket: [1-9]\\d* datagrams? w\\w+ not delivered\\n$`));
});

test('what cannot be opened is said in a line, and ends it with 1', async () => {
  using folder = new Folder();
  const file = join(folder.path, 'file');
  writeFileSync(file, '');
  await using sockets = new Sockets();
  const other = sockets.makePeer();
  const taken = `${await bound(other)}`;
  const wrong: [string[], RegExp][] = [
    [[...collect, '--to', file], /^ksocket: pcapng in .*\/file: ENOTDIR: not a directory/],
    [
      [...collect, '--to', join(folder.path, 'no', 'such')],
      /^ksocket: pcapng in .*: ENOENT: no such file or directory/,
    ],
    [
      ['collect', '--to', folder.path, '--address', '127.0.0.1', '--port', taken],
      /^ksocket: bind EADDRINUSE 127\.0\.0\.1:/,
    ],
    [
      ['collect', '--to', folder.path, '--address', '192.0.2.1', '--port', '0'],
      /^ksocket: bind EADDRNOTAVAIL 192\.0\.2\.1/,
    ],
    [[...collect, '--to', folder.path, '--batch-bytes', '5'], /options\.batch\.bytes/],
    [
      [...collect, '--to', 'nats://127.0.0.1:9', '--stream', 'S', '--subject', 's.{data}'],
      /options\.subject.*\{source\}/,
    ],
  ];
  for (const [args, message] of wrong) {
    const { code, stdout, stderr } = await runCli(args);
    assert.deepEqual([code, stdout], [1, ''], args.join(' '));
    assert.match(stderr, message);
    assert.equal(stderr.split('\n').length, 2, stderr);
  }
  assert.deepEqual(folder.files, ['file'], 'nothing stays');
});

test('on a terminal there is one line of progress, and none with --quiet or elsewhere', async () => {
  using folder = new Folder();
  for (const [args, wanted] of [
    [[], true],
    [['--quiet'], false],
  ] as const) {
    // Without `exec` a shell that does not end before its command has the signal, too, and says that it died of it.
    const command = ['exec', process.execPath, 'dist/cli/main.js', ...collect, '--to', folder.path, ...args].join(' ');
    const child = new Child('script', ['-qefc', command, join(folder.path, 'typescript')], { stdin: true });
    await using _ = child;
    const port = await portOf(child);
    await send(port, numbered(40));
    if (wanted) {
      await waitFor(
        () => /[1-9]\d*\/s, [\d.]+ k?B\/s \| in flight \d+ batches, \d+ datagrams \| dropped 0/.test(child.stdout),
        'rates',
      );
    } else await sleep(1500);
    child.process.stdin?.write('\x03'); // as from a keyboard
    const { code, stdout } = await child.end();
    assert.equal(code, 0, stdout);
    assert.match(stdout, /ksocket: received 40, delivered 40, dropped 0\r\n$/);
    assert.equal(stdout.includes('in flight'), wanted);
    if (wanted)
      assert.ok(stdout.lastIndexOf('\x1b[?25h') > stdout.lastIndexOf('\x1b[?25l'), 'the cursor is there again');
  }
});

test('--monitor shows it, as it shows a server', async () => {
  using folder = new Folder();
  await using child = startCli([...collect, '--to', folder.path, '--monitor', '0']);
  const port = await portOf(child);
  const [, monitor] = await child.line(/^ksocket: monitor on http:\/\/127\.0\.0\.1:(\d+)\/$/);
  await send(port, numbered(10));
  await waitFor(async () => {
    const { servers } = await askJson(Number(monitor), '/stats.json');
    return servers[0].collector.acknowledgedDatagrams === 10 && servers[0].stats.rxDatagrams === 10;
  }, 'the figures');
  const { body } = await ask(Number(monitor), '/metrics');
  const label = `server="127.0.0.1:${port}"`;
  assert.ok(body.includes(`ksocket_collector_acknowledged_datagrams_total{${label}} 10\n`), body);
  child.kill('SIGTERM');
  assert.equal((await child.end()).code, 0);
});

test('a monitor that cannot listen ends it', async () => {
  using folder = new Folder();
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const { code, stdout, stderr } = await runCli([...collect, '--to', folder.path, '--monitor', `${port}`]);
  assert.deepEqual([code, stdout], [1, 'ksocket: received 0, delivered 0, dropped 0\n']);
  assert.match(stderr, /^ksocket: no monitor: listen EADDRINUSE: address already in use 127\.0\.0\.1:\d+\n$/);
  assert.equal(folder.files.length, 0);
  other.close();
});

test('sockets that systemd has opened', async () => {
  using folder = new Folder();
  const none = { LISTEN_FDS: undefined, LISTEN_PID: undefined, LISTEN_FDNAMES: undefined, WATCHDOG_PID: undefined };
  for (const [type, address] of [
    ['udp4', '127.0.0.1'],
    ['udp6', '::1'],
  ] as const) {
    const child = startCli(['collect', '--to', '-'], { under: listening({ type, address }), env: none });
    await using _ = child;
    await waitFor(() => /collecting on \S+:\d+,/.test(child.stderr), 'the line');
    const port = Number(/:(\d+), /.exec(child.stderr)?.[1]);
    await using sockets = new Sockets();
    await sent(sockets.makePeer(type), 'hello', port, address);
    await waitFor(() => child.lines.length === 1, 'the datagram');
    assert.equal(JSON.parse(child.lines[0]).text, 'hello');
    child.kill('SIGTERM');
    assert.equal((await child.end()).code, 0);
  }
  const two = listening({ type: 'udp4', address: '127.0.0.1' }, { type: 'udp4', address: '127.0.0.1' });
  const both = await runCli(['collect', '--to', folder.path], { under: two, env: none });
  assert.deepEqual([both.code, both.stderr], [1, 'ksocket: systemd has opened 2 sockets, and a collector takes one\n']);
  const one = listening({ type: 'udp4', address: '127.0.0.1' });
  const given = await runCli([...collect, '--to', folder.path], { under: one, env: none });
  assert.match(given.stderr, /^ksocket: --port cannot be given: systemd has opened the socket \(LISTEN_FDS\)\n$/);
});
