// `ksocket collect --to nats://…` and `ksocket consume`: what is sent to the one is printed by the other.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, runCli, startCli } from '../support/child.js';
import { Nats } from '../support/nats.js';
import { bound, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

async function withStream(): Promise<Nats> {
  const nats = await Nats.start();
  await nats.stream({ name: 'LOGS', subjects: ['syslog.>'] });
  return nats;
}

/** A collector into the stream, and its port. */
async function collector(nats: Nats, ...args: string[]): Promise<{ child: Child; port: number }> {
  const to = ['--to', nats.servers[0], '--stream', 'LOGS', '--subject', 'syslog.{source}'];
  const child = startCli(['collect', '--port', '0', '--address', '127.0.0.1', ...to, ...args]);
  const [, port] = await child.line(/^ksocket: collecting on 127\.0\.0\.1:(\d+), jetstream LOGS at nats:/);
  return { child, port: Number(port) };
}

async function send(port: number, texts: string[]): Promise<void> {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  await bound(client);
  for (const text of texts) await sent(client, text, port);
}

/** Sends, and has all of it written. */
async function collected(nats: Nats, texts: string[], ...args: string[]): Promise<void> {
  const { child, port } = await collector(nats, ...args);
  await using _ = child;
  for (let i = 0; i < texts.length; i += 30) {
    await send(port, texts.slice(i, i + 30)); // the kernel's buffer has room for three times as many
    await sleep(40);
  }
  child.kill('SIGTERM');
  const { code, stdout } = await child.end();
  assert.equal(code, 0);
  assert.match(stdout, new RegExp(`\nksocket: received ${texts.length}, delivered ${texts.length}, dropped 0\n$`));
}

const numbered = (count: number, text = 'number') => Array.from({ length: count }, (_, i) => `${text} ${i}`);
const consume = (nats: Nats, ...args: string[]) =>
  startCli(['consume', '--from', nats.servers[0], '--stream', 'LOGS', '--durable', 'test', ...args]);
const textsOf = (child: Child) => child.lines.map((line) => JSON.parse(line).text);

test('what is sent to a collector is printed by a consumer, in order, and acknowledged', async () => {
  await using nats = await withStream();
  await collected(nats, numbered(150));
  await using child = consume(nats);
  await waitFor(() => child.lines.length === 150, 'the lines');
  child.kill('SIGTERM');
  const { code, stderr } = await child.end();
  assert.equal(code, 0, stderr);
  assert.deepEqual(textsOf(child), numbered(150));
  const [, batches] = /\nksocket: 150 datagrams of (\d+) batches are printed and acknowledged\n$/.exec(stderr) ?? [];
  const { num_ack_pending, num_pending, ack_floor } = await nats.manager.consumers.info('LOGS', 'test');
  assert.deepEqual([num_ack_pending, num_pending, ack_floor.consumer_seq], [0, 0, Number(batches)]);

  // Whoever has the name next goes on behind it.
  await collected(nats, ['later']);
  await using next = consume(nats);
  await waitFor(() => next.lines.length > 0, 'a line');
  assert.deepEqual(textsOf(next), ['later']);
});

test('who has read enough ends it; what was not printed comes again', async () => {
  await using nats = await withStream();
  await collected(nats, numbered(20, 'a'));
  await collected(nats, numbered(20, 'b'));
  await using first = consume(nats);
  await waitFor(() => first.lines.length > 0, 'a line');
  first.process.stdout?.destroy();
  await collected(nats, numbered(20, 'c'));
  const { code, stderr } = await first.end();
  assert.equal(code, 1);
  assert.match(stderr, /\nksocket: lines to standard output: nobody reads them any more\n$/);
  await using second = consume(nats);
  await waitFor(() => textsOf(second).includes('c 19'), 'the rest');
  assert.deepEqual(textsOf(second).slice(-20), numbered(20, 'c'));
});

test('a reader that does not read: --drain, or a second signal, ends it, and the batch comes again', async () => {
  await using nats = await withStream();
  const texts = Array.from({ length: 500 }, (_, i) => `${i} ${'x'.repeat(1000)}`);
  await collected(nats, texts, '--batch-ms', '60000', '--batch-bytes', '900000');
  for (const [drain, again] of [
    ['1', false],
    ['60', true],
  ] as const) {
    await using child = consume(nats, '--drain', drain, '--ack-wait', '2');
    child.process.stdout?.pause();
    await waitFor(() => child.stderr.includes('consuming'), 'the start');
    await sleep(1500); // the pipe is full
    child.kill('SIGTERM');
    if (again) {
      await sleep(400);
      child.kill('SIGTERM');
    }
    await once(child.process, 'exit');
    child.process.stdout?.resume();
    const { code, stderr } = await child.end();
    assert.equal(code, 1, stderr);
    assert.match(stderr, /\nksocket: a batch of \d+ datagrams is not acknowledged, and comes again\n$/);
  }
  await using last = consume(nats, '--ack-wait', '2');
  await waitFor(
    () => last.lines.length === 500,
    () => `${last.lines.length} lines`,
    60_000,
  );
  assert.deepEqual(textsOf(last), texts);
});

test('the engine is away for a while: the collector says so, and that it is back', async () => {
  await using nats = await withStream();
  const { child, port } = await collector(nats, '--batch-ms', '5');
  await using _ = child;
  await nats.nodes[0].kill();
  await send(port, numbered(30));
  await waitFor(() => child.stderr.includes('not written, and tried again: '), 'a complaint');
  nats.nodes[0].start();
  await child.line(/^ksocket: written again$/);
  child.kill('SIGTERM');
  const { code, stdout } = await child.end();
  assert.equal(code, 0);
  assert.match(stdout, /\nksocket: received 30, delivered 30, dropped 0\n$/);
});

test('messages that are no collector’s end it, or are passed over', async () => {
  await using nats = await withStream();
  nats.connection.publish('syslog.other', 'a\nb\u001b[2J');
  await collected(nats, ['x']);
  await using stops = consume(nats);
  const { code, stdout, stderr } = await stops.end();
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /\nksocket: syslog\.other, message 1: A batch has .*\n$/);
  const started = performance.now();
  await using passes = consume(nats, '--skip-bad');
  await waitFor(() => passes.lines.length === 1, 'what is behind');
  assert.ok(performance.now() - started < 20_000, 'it was given back');
  assert.match(passes.stderr, /\nksocket: passed over: syslog\.other, message 1: A batch has /);
});

test('a source’s address is all of a datagram that is in a subject', async () => {
  await using nats = await withStream();
  await collected(nats, ['syslog.> *', '../../x', '\0', '{source}', 'a.b.c']);
  const { state } = await nats.manager.streams.info('LOGS', { subjects_filter: '>' });
  assert.deepEqual(Object.keys(state.subjects ?? {}), ['syslog.127_0_0_1']);
});

test('what is wrong is one line, and ends it with 1', async () => {
  await using nats = await withStream();
  const [url] = nats.servers;
  const to = ['collect', '--port', '0', '--address', '127.0.0.1', '--to'];
  const wrong: [string[], RegExp][] = [
    [[...to, 'nats://127.0.0.1:9', '--stream', 'LOGS', '--subject', 'syslog.x'], /nats:\/\/127\.0\.0\.1:9.*refused/],
    [[...to, url, '--stream', 'NONE', '--subject', 'syslog.x'], /NONE.*not found/],
    [
      [...to, url, '--stream', 'LOGS', '--subject', 'other.{source}'],
      /other.*none of the stream's, which are syslog\.>/,
    ],
    [[...to, url, '--stream', 'LOGS', '--subject', 'syslog.x', '--credentials', '/no/such'], /\/no\/such/],
    [['consume', '--from', 'nats://127.0.0.1:9', '--stream', 'LOGS', '--durable', 'x'], /127\.0\.0\.1:9.*refused/],
    [['consume', '--from', url, '--stream', 'NONE', '--durable', 'x'], /NONE.*not found/],
    [['consume', '--from', url, '--stream', 'LOGS', '--durable', 'a.b'], /options\.durable/],
  ];
  for (const [args, message] of wrong) {
    const { code, stdout, stderr } = await runCli(args);
    assert.deepEqual([code, stdout], [1, ''], args.join(' '));
    assert.match(stderr, message, args.join(' '));
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
    assert.match(stderr, /^ksocket: /);
  }
});

test('a signal while a server does not answer ends it', async () => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const url = `nats://127.0.0.1:${(silent.address() as { port: number }).port}`;
  for (const args of [
    ['collect', '--port', '0', '--to', url, '--stream', 'LOGS', '--subject', 'syslog.x'],
    ['consume', '--from', url, '--stream', 'LOGS', '--durable', 'x'],
  ]) {
    await using child = startCli(args);
    await once(silent, 'connection');
    child.kill('SIGTERM');
    const { code, stdout, stderr } = await child.end();
    assert.deepEqual([code, stdout, stderr], [0, '', ''], args[0]);
  }
  silent.close();
});

test('a password is not for the command line, and comes from the environment', async () => {
  const config = 'accounts { A { jetstream: enabled, users: [{ user: me, password: secret }] } }';
  await using nats = await Nats.start({ config, login: { user: 'me', pass: 'secret' } });
  await nats.stream({ name: 'LOGS', subjects: ['syslog.>'] });
  const args = ['consume', '--from', nats.servers[0], '--stream', 'LOGS', '--durable', 'x'];
  const refused = await runCli(args);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^ksocket: .*authori[sz]ation.*\n$/i);
  await using child = startCli(args, { env: { NATS_USER: 'me', NATS_PASSWORD: 'secret' } });
  await waitFor(
    () => child.stderr.includes('consuming LOGS as x'),
    () => child.stderr,
  );
  child.kill('SIGTERM');
  const { code, stderr } = await child.end();
  assert.equal(code, 0, stderr);
  assert.doesNotMatch(refused.stderr + stderr, /secret/);
});
