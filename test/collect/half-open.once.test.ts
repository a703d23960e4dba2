// Consumptions that are closed while they open, and subjects of a function that no stream has.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createSocket } from 'ksocket';
import { createCollector, jetstream } from 'ksocket/collect';
import { consume } from 'ksocket/consume';
import { Child } from '../support/child.js';
import { freePorts, Nats } from '../support/nats.js';
import { fdCount } from '../support/process.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

async function start(): Promise<Nats> {
  const nats = await Nats.start();
  await nats.stream({ name: 'LOGS', subjects: ['logs.>'] });
  return nats;
}

test('close() while it opens, and open() twice: nothing stays open', async () => {
  await using nats = await start();
  const options = { servers: nats.servers, stream: 'LOGS', durable: 'a' };
  await consume(options).close();
  const fds = fdCount();
  const closed = consume(options);
  const rejected = assert.rejects(closed.open(), { code: 'ERR_INVALID_STATE' });
  await closed.close();
  assert.equal(fdCount(), fds);
  await rejected;
  const twice = consume(options);
  await Promise.all([twice.open(), twice.open()]);
  assert.equal(fdCount(), fds + 1);
  await twice.close();
  await waitFor(() => fdCount() === fds, 'nothing is open');
  const none = consume({ ...options, stream: 'NONE' });
  for (let i = 0; i < 2; i++) await assert.rejects(none.open(), { code: 'ERR_KSOCKET_STREAM_NOT_FOUND' });
  await none.close();
  assert.equal(fdCount(), fds);
});

test('a server without JetStream says so, to a collector and a consumer', async () => {
  const [port] = await freePorts(1);
  await using _ = new Child('nats-server', ['-a', '127.0.0.1', '-p', String(port)]);
  const given = { servers: `nats://127.0.0.1:${port}`, stream: 'LOGS', timeoutMs: 500 };
  const attempts = [
    () => createCollector({ address: '127.0.0.1', sink: jetstream({ ...given, subject: 'logs.a' }) }).start(),
    () => consume({ ...given, durable: 'a' }).open(),
  ];
  for (const attempt of attempts) {
    let error: NodeJS.ErrnoException = new Error();
    await waitFor(async () => {
      error = await attempt().catch((error) => error);
      return error.code !== 'ECONNREFUSED';
    }, 'the server');
    assert.equal(error.code, 'ERR_KSOCKET_NO_JETSTREAM');
    assert.match(error.message, /^Cannot look at the stream LOGS at .*: JetStream is not enabled there/);
  }
});

test('an account without JetStream says so, where others of the server have it', async () => {
  const config =
    'accounts { A { jetstream: enabled, users: [{ user: admin, password: secret }] }, B { users: [{ user: other, password: secret }] } }';
  await using nats = await Nats.start({ config, login: { user: 'admin', pass: 'secret' } });
  const given = { servers: nats.servers, user: 'other', pass: 'secret', stream: 'LOGS', timeoutMs: 1000 };
  const expected = {
    code: 'ERR_KSOCKET_NO_JETSTREAM',
    message: `Cannot look at the stream LOGS at ${nats.servers[0]}: JetStream not enabled for account`,
  };
  const sink = jetstream({ ...given, subject: 'logs.a' });
  await assert.rejects(createCollector({ address: '127.0.0.1', sink }).start(), expected);
  await assert.rejects(consume({ ...given, durable: 'a' }).open(), expected);
});

test('a subject of a function that is none of the stream’s is refused, and holds up nobody', async () => {
  await using nats = await start();
  const refused: Error[] = [];
  const sink = jetstream({
    servers: nats.servers,
    stream: 'LOGS',
    subject: ({ address }) => (address === '127.0.0.2' ? 'elsewhere.a' : 'logs.a'),
  });
  await using collector = createCollector({ address: '127.0.0.1', batch: { ms: 5 }, inFlight: 1, sink });
  collector.on('refused', (error) => refused.push(error));
  await collector.start();
  const { port, address } = collector.address();
  for (const local of ['127.0.0.2', '127.0.0.1']) {
    await using from = createSocket('udp4').bind(0, local);
    await once(from, 'listening');
    from.send('x', port, address);
    await waitFor(() => collector.stats().receivedDatagrams === (local === '127.0.0.2' ? 1 : 2), 'it has come');
  }
  await waitFor(() => collector.stats().acknowledgedDatagrams === 1, 'the other one');
  await waitFor(() => refused.length === 1, 'it is said');
  assert.equal((refused[0] as NodeJS.ErrnoException).code, 'ERR_KSOCKET_STREAM_SUBJECT');
  assert.match(refused[0].message, /elsewhere\.a is none of the stream's, which are logs\.>/);
  assert.equal(collector.stats().refusedDatagrams, 1);
});

test('a subject that the user may not publish to is refused, and holds up nobody', async () => {
  const edge =
    '{ user: edge, password: secret, permissions: { publish: ["logs.ok", "$JS.API.STREAM.INFO.LOGS"], subscribe: "_INBOX.>" } }';
  const config = `accounts { A { jetstream: enabled, users: [{ user: admin, password: secret }, ${edge}] } }`;
  await using nats = await Nats.start({ config, login: { user: 'admin', pass: 'secret' } });
  await nats.stream({ name: 'LOGS', subjects: ['logs.>'] });
  const sink = jetstream({
    servers: nats.servers,
    user: 'edge',
    pass: 'secret',
    stream: 'LOGS',
    timeoutMs: 500,
    subject: ({ address }) => (address === '127.0.0.1' ? 'logs.ok' : 'logs.no'),
  });
  await using collector = createCollector({ address: '127.0.0.1', batch: { ms: 5 }, inFlight: 1, sink });
  const refused: Error[] = [];
  collector.on('refused', (error) => refused.push(error));
  collector.on('failing', (error) => assert.fail(error));
  await collector.start();
  const { port, address } = collector.address();
  // Sources of each of the lanes: attempts at one subject at the same time.
  for (const local of ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5', '127.0.0.1']) {
    await using from = createSocket('udp4').bind(0, local);
    await once(from, 'listening');
    await new Promise((sent) => from.send('x', port, address, sent));
  }
  await waitFor(() => collector.stats().acknowledgedDatagrams === 1, 'the other one');
  await waitFor(() => collector.stats().refusedDatagrams === 4, 'those are counted');
  assert.equal((refused[0] as NodeJS.ErrnoException).code, 'ERR_KSOCKET_NATS_PERMISSION');
  const message = /^Cannot publish to logs\.no, stream LOGS, at .*: Permissions Violation for Publish to "logs\.no"$/;
  assert.match(refused[0].message, message);
});

test('a stream that is gone is waited for, also with a function', async () => {
  await using nats = await start();
  const sink = jetstream({ servers: nats.servers, stream: 'LOGS', subject: () => 'logs.a' });
  await using collector = createCollector({ address: '127.0.0.1', batch: { ms: 5 }, sink });
  const failing = once(collector, 'failing');
  await collector.start();
  await nats.manager.streams.delete('LOGS');
  await using from = createSocket('udp4').bind(0, '127.0.0.1');
  await once(from, 'listening');
  const { port, address } = collector.address();
  from.send('x', port, address);
  const [error] = (await failing) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ERR_KSOCKET_NO_STREAM');
  await nats.stream({ name: 'LOGS', subjects: ['logs.>'] });
  await waitFor(() => collector.stats().acknowledgedDatagrams === 1, 'it is there');
});
