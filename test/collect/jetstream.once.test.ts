// Collectors and consumers with a server of NATS: what is wrong is said before anything is received, and what is right comes through.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { nkeys } from '@nats-io/transport-node';
import { createSocket, type Socket } from 'ksocket';
import { type Collector, createCollector, type JetstreamOptions, jetstream, type SinkError } from 'ksocket/collect';
import { type ConsumedBatch, consume } from 'ksocket/consume';
import { Nats } from '../support/nats.js';
import { fdCount } from '../support/process.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const USERS = `accounts { A { jetstream: enabled, users: [
  { user: admin, password: secret },
  { user: edge, password: secret, permissions: { publish: ["logs.ok", "$JS.API.STREAM.INFO.LOGS"], subscribe: "_INBOX.>" } },
  { user: nobody, password: secret, permissions: { publish: "nothing", subscribe: "_INBOX.>" } }
] } }`;

async function start(): Promise<Nats> {
  const nats = await Nats.start({ config: USERS, login: { user: 'admin', pass: 'secret' } });
  await nats.stream({ name: 'LOGS', subjects: ['logs.>'] });
  return nats;
}

function options(nats: Nats, more: Partial<JetstreamOptions> = {}): JetstreamOptions {
  return { servers: nats.servers, user: 'admin', pass: 'secret', stream: 'LOGS', subject: 'logs.{source}', ...more };
}

async function started(sink: JetstreamOptions, more = {}): Promise<Collector> {
  const collector = createCollector({
    address: '127.0.0.1',
    recvBufferSize: 1 << 20,
    batch: { ms: 5 },
    sink: jetstream(sink),
    ...more,
  });
  await collector.start();
  return collector;
}

async function send(collector: Collector, from: Socket, first: number, count: number): Promise<void> {
  const { port, address } = collector.address();
  for (let n = first; n < first + count; n++) {
    from.send(String(n), port, address);
    if (n % 50 === 49) await sleep(1);
  }
}

async function sender(): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', gso: false }).bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

const seed = Buffer.from(nkeys.createUser().getSeed()).toString();
const jwt = (claims: object) =>
  `-----BEGIN NATS USER JWT-----\neyJ0eXAiOiJKV1QifQ.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`;

test('what is wrong is said, with its place, before anything is received, and nothing stays open', async () => {
  await using nats = await start();
  await nats.stream({ name: 'FULL', subjects: ['full.>'], discard: 'new' as never, max_msgs: 1 });
  await nats.stream({ name: 'SMALL', subjects: ['small.>'], max_msg_size: 100_000 });
  await nats.stream({ name: 'SILENT', subjects: ['silent.>'], no_ack: true });
  nats.connection.publish('full.a');
  await nats.connection.flush();
  const expired = join(nats.directory, 'expired.creds');
  writeFileSync(expired, jwt({ exp: 1_500_000_000 }));
  const where = nats.servers[0];
  const cases: [Partial<JetstreamOptions>, code: string, message: RegExp][] = [
    [{ servers: '127.0.0.1:1' }, 'ECONNREFUSED', /Cannot connect to 127\.0\.0\.1:1: .*refused/],
    [{ servers: 'nobody.invalid' }, 'ENOTFOUND', /nobody\.invalid/],
    [{ pass: 'wrong' }, 'ERR_KSOCKET_NATS_AUTH', new RegExp(`Cannot connect to ${where}: Authorization Violation`)],
    [{ credentials: expired }, 'ERR_KSOCKET_NATS_EXPIRED', /expired\.creds have expired, at 2017-07-14 02:40:00 UTC/],
    [{ credentials: '/nowhere.creds' }, 'ENOENT', /nowhere/],
    [{ credentials: '/etc/hostname' }, 'ERR_KSOCKET_NATS_CREDENTIALS', /hostname has no credentials/],
    [{ stream: 'NONE' }, 'ERR_KSOCKET_STREAM_NOT_FOUND', new RegExp(`the stream NONE at ${where}: stream not found`)],
    [
      { subject: 'other.{source}' },
      'ERR_KSOCKET_STREAM_SUBJECT',
      /subject other\.\* is none of .* logs\.> \(stream LOGS/,
    ],
    [{ user: 'edge' }, 'ERR_KSOCKET_NATS_PERMISSION', /Permissions Violation for Publish to "logs\.0"/],
    [{ user: 'nobody' }, 'ERR_KSOCKET_NATS_PERMISSION', /Publish to "\$JS\.API\.STREAM\.INFO\.LOGS"/],
    [{ stream: 'FULL', subject: 'full.a' }, 'ERR_KSOCKET_STREAM_FULL', /The stream is full: 1 messages/],
    [{ stream: 'SMALL', subject: 'small.a' }, 'ERR_KSOCKET_BATCH_BYTES', /batch\.bytes 262144 .* max_msg_size 100000/],
    [{ stream: 'SILENT', subject: 'silent.a' }, 'ERR_KSOCKET_STREAM_NO_ACK', /does not acknowledge/],
  ];
  const open = fdCount();
  for (const [more, code, message] of cases) {
    const given = JSON.stringify(more);
    await assert.rejects(started(options(nats, { timeoutMs: 1000, ...more })), { code, message }, given);
    await waitFor(() => fdCount() === open, given);
  }
  const large = started(options(nats), { batch: { bytes: 2_000_000 } });
  await assert.rejects(large, { code: 'ERR_KSOCKET_BATCH_BYTES', message: /max_payload 1048576/ });
  const { state } = await nats.manager.streams.info('LOGS');
  assert.equal(state.messages, 0, 'looking leaves nothing in the stream');
  const allowed = await started(options(nats, { user: 'edge', subject: 'logs.ok' }));
  await allowed.stop();
});

test('options of streams and consumers are checked', () => {
  const good = { servers: 'a', stream: 'S', subject: 'x' };
  const refused = (more: object, code: string) => assert.throws(() => jetstream({ ...good, ...more }), { code });
  refused({ servers: [] }, 'ERR_INVALID_ARG_VALUE');
  refused({ servers: 5 }, 'ERR_INVALID_ARG_TYPE');
  refused({ stream: 'a.b' }, 'ERR_INVALID_ARG_VALUE');
  refused({ subject: '{x}' }, 'ERR_INVALID_ARG_VALUE');
  refused({ lanes: 0 }, 'ERR_OUT_OF_RANGE');
  refused({ timeoutMs: 1 }, 'ERR_OUT_OF_RANGE');
  refused({ tls: { ca: 'x' } }, 'ERR_INVALID_ARG_VALUE');
  refused({ tls: { caFile: 5 } }, 'ERR_INVALID_ARG_TYPE');
  refused({ tls: { certFile: 'x' } }, 'ERR_INVALID_ARG_VALUE');
  refused({ tls: { keyFile: 'x' } }, 'ERR_INVALID_ARG_VALUE');
  refused({ strem: 'x' }, 'ERR_INVALID_ARG_VALUE');
  const consumer = { servers: 'a', stream: 'S', durable: 'd' };
  const bad = (more: object, code: string) => assert.throws(() => consume({ ...consumer, ...more }), { code });
  bad({ durable: 'a b' }, 'ERR_INVALID_ARG_VALUE');
  bad({ subject: [] }, 'ERR_INVALID_ARG_VALUE');
  bad({ subject: 'a..b' }, 'ERR_INVALID_ARG_VALUE');
  bad({ ackWaitMs: 1 }, 'ERR_OUT_OF_RANGE');
  bad({ from: 'last' }, 'ERR_INVALID_ARG_VALUE');
  bad({ onBad: 1 }, 'ERR_INVALID_ARG_TYPE');
});

test('what was sent is consumed, once, in order for each source, by datagram', async () => {
  await using nats = await start();
  await using collector = await started(options(nats, { subject: 'logs.{flow:3}' }));
  const sockets = await Promise.all([sender(), sender(), sender(), sender()]);
  const COUNT = 2000;
  for (let n = 0; n < COUNT; n += 200) for (const socket of sockets) await send(collector, socket, n, 200);
  const next = new Map<number, number>();
  let datagrams = 0;
  const subject = ['logs.0', 'logs.1', 'logs.2'];
  const consumption = consume({ ...login(nats), durable: 'workers', subject });
  for await (const { data, port, address, local, localPort } of consumption) {
    const expected = next.get(port) ?? 0;
    assert.equal(data.toString(), String(expected));
    assert.deepEqual([address, local, localPort], ['127.0.0.1', '127.0.0.1', collector.address().port]);
    next.set(port, expected + 1);
    if (++datagrams === COUNT * sockets.length) break;
  }
  assert.deepEqual([...next.values()], new Array(4).fill(COUNT));
  const { acknowledgedBatches, sink } = collector.stats();
  assert.ok(acknowledgedBatches < (COUNT * 4) / 10, `${acknowledgedBatches} messages`);
  assert.equal(sink.messages, acknowledgedBatches);
  for (const socket of sockets) socket.close();
});

function login(nats: Nats) {
  return { servers: nats.servers, user: 'admin', pass: 'secret', stream: 'LOGS' };
}

async function filled(nats: Nats, batches: number): Promise<void> {
  // Ten come within this time, also where much else runs.
  const collector = await started(options(nats, { subject: 'logs.all', lanes: 1 }), { batch: { ms: 200 } });
  const socket = await sender();
  for (let n = 0; n < batches; n++) {
    await send(collector, socket, 10 * n, 10);
    await waitFor(() => collector.stats().acknowledgedDatagrams === 10 * (n + 1), 'the batch');
  }
  socket.close();
  await collector.stop();
}

test('a batch is acknowledged when the loop asks for the next; one that is left comes again, and says so', async () => {
  await using nats = await start();
  await filled(nats, 3);
  const first: ConsumedBatch[] = [];
  for await (const batch of consume({ ...login(nats), durable: 'workers' }).batches()) {
    first.push(batch);
    if (first.length === 2) break;
  }
  assert.deepEqual(
    first.map(({ sequence, deliveries, count, key }) => [sequence, deliveries, count, key]),
    [
      [1, 1, 10, 'logs.all'],
      [2, 1, 10, 'logs.all'],
    ],
  );
  const consumption = consume({ ...login(nats), durable: 'workers' });
  const rest: [number, boolean][] = [];
  for await (const { sequence, deliveries } of consumption.batches()) {
    rest.push([sequence, deliveries > 1]);
    if (rest.length === 2) setTimeout(() => void consumption.close(), 200);
  }
  assert.deepEqual(rest, [
    [2, true],
    [3, false],
  ]);
  assert.deepEqual(consumption.stats().redelivered, 1);
  const { num_ack_pending: pending, ack_floor: floor } = await nats.manager.consumers.info('LOGS', 'workers');
  assert.ok(pending === 0 || floor.stream_seq >= 2);
});

test('two who share a name divide the messages; in order, whoever works', async () => {
  await using nats = await start();
  await filled(nats, 40);
  const seen: { who: number; sequence: number; at: number }[] = [];
  const both = [0, 1].map((who) => ({ who, consumption: consume({ ...login(nats), durable: 'workers' }) }));
  let busy = 0;
  await Promise.all(
    both.map(async ({ who, consumption }) => {
      for await (const { sequence } of consumption.batches()) {
        assert.equal(++busy, 1, 'one at a time');
        await sleep(2);
        seen.push({ who, sequence, at: performance.now() });
        busy--;
        if (seen.length === 40) for (const each of both) setTimeout(() => void each.consumption.close(), 100);
      }
    }),
  );
  assert.deepEqual(
    seen.map(({ sequence }) => sequence),
    Array.from({ length: 40 }, (_, i) => i + 1),
  );
  assert.equal(new Set(seen.map(({ who }) => who)).size, 2, 'both have worked');
});

test('what is no batch ends the loop and stays, or is passed over if the program says so', async () => {
  await using nats = await start();
  nats.connection.publish('logs.all', 'rubbish');
  await nats.connection.flush();
  await filled(nats, 1);
  const loop = async () => {
    for await (const _ of consume({ ...login(nats), durable: 'strict' }).batches()) assert.fail('no batch');
  };
  await assert.rejects(loop(), { code: 'ERR_KSOCKET_BAD_FRAME', message: /^logs\.all, message 1: / });
  const bad: object[] = [];
  const onBad = (error: Error, message: object) => bad.push({ name: error.name, ...message });
  for await (const { count } of consume({ ...login(nats), durable: 'lenient', onBad }).batches()) {
    assert.equal(count, 10);
    break;
  }
  assert.deepEqual(bad, [{ name: 'FrameError', sequence: 1, subject: 'logs.all' }]);
});

test('a consumer of that name that is another one, a stream that is not there, an abort', async () => {
  await using nats = await start();
  const loop = async (more: object) => {
    for await (const _ of consume({ ...login(nats), durable: 'workers', ...more })) assert.fail('nothing is there');
  };
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error('enough')), 300);
  await assert.rejects(loop({ subject: 'logs.a', signal: controller.signal }), { message: 'enough' });
  await assert.rejects(loop({ subject: 'logs.b' }), {
    code: 'ERR_KSOCKET_CONSUMER',
    message: /its subject is logs\.a/,
  });
  await assert.rejects(loop({ subject: 'logs.a', ordered: false }), {
    message: /1 messages may be under way, and 256/,
  });
  await assert.rejects(loop({ stream: 'NONE' }), { code: 'ERR_KSOCKET_STREAM_NOT_FOUND' });
});

test('an engine that is paused: memory stays, drops are counted, and it goes on by itself; a retry is no duplicate', async () => {
  await using nats = await start();
  await using collector = await started(options(nats, { subject: 'logs.all', lanes: 1, timeoutMs: 500 }), {
    inFlight: 2,
    batch: { bytes: 73_728, ms: 5 },
    ringBytes: 256 * 1024,
    recvBufferSize: 65_536,
  });
  const failing: string[] = [];
  collector.on('failing', (error) => failing.push((error as SinkError).code));
  await using socket = await sender();
  const { port, address } = collector.address();
  let sent = 0;
  const flood = async (ms: number) => {
    for (const end = performance.now() + ms; performance.now() < end; await sleep(1)) {
      for (let i = 0; i < 20; i++) socket.send(`${sent++} ${'x'.repeat(500)}`, port, address);
    }
  };
  await flood(200);
  const [node] = nats.nodes;
  node.signal('SIGSTOP');
  await flood(1500); // all of it is full
  const { rss } = process.memoryUsage();
  const full = collector.stats();
  const before = sent;
  await flood(8500); // ten seconds in all
  node.signal('SIGCONT');
  const after = process.memoryUsage().rss;
  const sentBytes = (sent - before) * 500;
  const allowed = Math.max(8 * 1024 * 1024, sentBytes / 2); // what counts which lines have run grows, too
  assert.ok(after < rss + allowed, `${rss} bytes, then ${after}, of ${sentBytes} that were sent`);
  assert.deepEqual(failing, ['ETIMEDOUT']);
  assert.equal(collector.stats().failing, 1);
  assert.ok(full.inFlightBatches >= 2 && full.pauses > 0);
  await flood(200);
  await waitFor(() => collector.stats().failing === 0, 'recovery');
  assert.equal((await collector.stop({ timeoutMs: 20_000 })).drained, true);
  const { acknowledgedDatagrams, socket: counted, retries } = collector.stats();
  assert.ok(retries > 0 && counted.rxKernelDrops > 0);
  assert.equal(acknowledgedDatagrams + counted.rxKernelDrops, sent, 'sent = acknowledged + drops');
  let consumed = 0;
  let latest = -1;
  for await (const { data } of consume({ ...login(nats), durable: 'workers' })) {
    const n = Number.parseInt(data.toString(), 10);
    assert.ok(n > latest, `${n} behind ${latest}`);
    latest = n;
    if (++consumed === acknowledgedDatagrams) break;
  }
});

test('without the packages of NATS it says what is to be installed', async () => {
  const { cpSync, mkdirSync, mkdtempSync, rmSync } = await import('node:fs');
  const { tmpdir } = await import('node:os');
  const { root, runProgram } = await import('../support/child.js');
  const project = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  try {
    const place = join(project, 'node_modules/ksocket');
    mkdirSync(place, { recursive: true });
    for (const part of ['dist', 'prebuilds', 'package.json'])
      cpSync(join(root, part), join(place, part), { recursive: true });
    const program = async () => {
      const { createCollector, jetstream } = await import('ksocket/collect');
      const { consume } = await import('ksocket/consume');
      const given = { servers: '127.0.0.1:1', stream: 'S' };
      const collector = createCollector({ address: '127.0.0.1', sink: jetstream({ ...given, subject: 'a' }) });
      for (const attempt of [() => collector.start(), () => consume({ ...given, durable: 'd' }).open()]) {
        try {
          await attempt();
        } catch (error) {
          console.log((error as NodeJS.ErrnoException).code, (error as Error).message);
        }
      }
    };
    const { code, stdout, stderr } = await runProgram(program, [], { cwd: project });
    assert.deepEqual([code, stderr], [0, '']);
    const line = /^ERR_KSOCKET_NATS_MISSING .*npm install @nats-io\/transport-node @nats-io\/jetstream$/gm;
    assert.equal(stdout.match(line)?.length, 2, stdout);
  } finally {
    rmSync(project, { recursive: true });
  }
});
