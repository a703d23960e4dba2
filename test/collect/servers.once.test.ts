// Addresses of servers of NATS: nothing goes in the clear that was not to, and no password is in a message.
import assert from 'node:assert/strict';
import { createCollector, jetstream } from 'ksocket/collect';
import { consume } from 'ksocket/consume';
import { Nats } from '../support/nats.js';
import { test } from '../support/test.js';

const stream = 'LOGS';

test('tls:// is no connection without TLS, to a server that has none, neither of a collector nor of a consumer', async () => {
  await using nats = await Nats.start();
  await nats.stream({ name: stream, subjects: ['logs.>'] });
  const servers = nats.servers.map((server) => server.replace('nats://', 'tls://'));
  for (const each of [servers, [...nats.servers, ...servers], servers.join(',').toUpperCase()]) {
    const sink = jetstream({ servers: each, stream, subject: 'logs.a' });
    await assert.rejects(createCollector({ address: '127.0.0.1', sink }).start(), {
      message: /does not support 'tls'/,
    });
    await assert.rejects(consume({ servers: each, stream, durable: 'a' }).open(), {
      message: /does not support 'tls'/,
    });
  }
});

test('a user, a password, and what is no address of NATS are refused, and no password is said', () => {
  for (const servers of [
    'nats://me:secret@127.0.0.1',
    'me:secret@127.0.0.1:4222',
    ['nats://127.0.0.1', 'tls://secret@h'],
  ]) {
    assert.throws(
      () => jetstream({ servers, stream, subject: 'logs.a' }),
      (error: NodeJS.ErrnoException) =>
        error.code === 'ERR_INVALID_ARG_VALUE' &&
        /without user and password/.test(error.message) &&
        !error.message.includes('secret'),
    );
  }
  for (const servers of [
    'http://127.0.0.1',
    'ws://127.0.0.1',
    '://127.0.0.1',
    ' ',
    'nats://127.0.0.1, ',
    'nats://',
    'nats://a:1x',
    'a:99999',
    '[::1',
    'a b',
  ]) {
    const refused = { code: 'ERR_INVALID_ARG_VALUE', message: /options\.servers/ };
    assert.throws(() => jetstream({ servers, stream, subject: 'logs.a' }), refused);
    assert.throws(() => consume({ servers, stream, durable: 'a' }), refused);
  }
  for (const servers of ['127.0.0.1', '::1', '[::1]:4222', 'nats://a.example:4222,b.example', 'TLS://a.example'])
    jetstream({ servers, stream, subject: 'logs.a' });
});
