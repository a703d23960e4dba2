// Consumers that are slow, leave, come back, or may not do what they do.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstream as client } from '@nats-io/jetstream';
import { createSocket } from 'ksocket';
import { createCollector, jetstream } from 'ksocket/collect';
import { type ConsumeOptions, consume } from 'ksocket/consume';
import { Pack } from '../../build-lib/collect/pack.js';
import { Nats } from '../support/nats.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const ADMIN = { user: 'admin', pass: 'secret' };

async function start(users = ''): Promise<Nats> {
  const config = `accounts { A { jetstream: enabled, users: [{ user: admin, password: secret }${users}] } }`;
  const nats = await Nats.start({ config, login: ADMIN });
  await nats.stream({ name: 'LOGS', subjects: ['logs.>'] });
  return nats;
}

let serial = 0;
async function publish(nats: Nats, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const pack = new Pack(1n, ++serial, '', 0, new Uint8Array(4096));
    pack.add(
      pack.addSource((out, at) => {
        out[at + 4] = 4;
      }),
      0,
      1,
      1,
      0,
      0,
    );
    await client(nats.connection).publish('logs.a', Uint8Array.from(pack.bytes));
  }
}

const reading = (nats: Nats, more: Partial<ConsumeOptions> = {}) =>
  consume({ servers: nats.servers, ...ADMIN, stream: 'LOGS', durable: 'a', ...more });

test('work that takes longer than ackWaitMs: nothing comes twice, in order or not, here or elsewhere', async () => {
  await using nats = await start();
  await publish(nats, 24);
  for (const ordered of [true, false]) {
    const seen: number[] = [];
    const count = ordered ? 4 : 24;
    const both = [0, 1].map(() => reading(nats, { durable: `d${ordered}`, ordered, ackWaitMs: 1000 }));
    await Promise.all(
      both.map(async (consumption) => {
        for await (const { sequence, deliveries } of consumption.batches()) {
          assert.equal(deliveries, 1);
          seen.push(sequence);
          await sleep(ordered ? 1500 : 300);
          if (seen.length >= count) for (const each of both) each.end();
        }
      }),
    );
    const distinct = new Set(seen);
    assert.equal(distinct.size, seen.length);
    assert.ok(distinct.size >= count);
  }
});

test('who leaves gives back what has come and was not worked on: another one gets it at once', async () => {
  await using nats = await start();
  await publish(nats, 40);
  const first = reading(nats, { ordered: false });
  for await (const _ of first.batches()) {
    await sleep(300); // as many come as it takes at a time
    break;
  }
  const left = performance.now();
  const second = reading(nats, { ordered: false });
  let count = 0;
  for await (const _ of second.batches()) if (++count === 40) second.end();
  const ms = performance.now() - left;
  assert.ok(ms < 5000, `${ms} ms`);
});

test('who may not acknowledge, or not ask, is told: nothing comes again and again', async () => {
  const api = '"$JS.API.STREAM.INFO.LOGS", "$JS.API.CONSUMER.INFO.LOGS.*", "$JS.API.CONSUMER.CREATE.LOGS.>"';
  const ask = '"$JS.API.CONSUMER.MSG.NEXT.LOGS.*"';
  const user = (name: string, publish: string) =>
    `, { user: ${name}, password: secret, permissions: { publish: [${publish}], subscribe: "_INBOX.>" } }`;
  await using nats = await start(
    user('mute', `${api}, ${ask}`) +
      user('shy', `${api}, "$JS.ACK.LOGS.>"`) +
      user('able', `${api}, ${ask}, "$JS.ACK.LOGS.>"`),
  );
  await publish(nats, 3);
  for (const [name, subject] of [
    ['mute', 'ACK.LOGS.mute.'],
    ['shy', 'API.CONSUMER.MSG.NEXT.LOGS.shy'],
  ]) {
    let count = 0;
    const loop = async () => {
      for await (const _ of reading(nats, { user: name, durable: name, ackWaitMs: 1000 }).batches()) count++;
    };
    await assert.rejects(loop(), (error: NodeJS.ErrnoException) => {
      assert.equal(error.code, 'ERR_KSOCKET_NATS_PERMISSION');
      assert.ok(error.message.includes(`Permissions Violation for Publish to "$JS.${subject}`), error.message);
      return true;
    });
    assert.ok(count <= 2, `${count}`);
  }
  // What the documentation says is enough.
  let count = 0;
  const able = reading(nats, { user: 'able', durable: 'able' });
  for await (const _ of able.batches()) if (++count === 3) able.end();
});

test('a consumer or a stream that is deleted meanwhile ends the loop, whether it waits or works', async () => {
  await using nats = await start();
  for (const [what, works, code] of [
    ['consumer', false, 'ERR_KSOCKET_CONSUMER'],
    ['consumer', true, 'ERR_KSOCKET_CONSUMER'],
    ['stream', false, 'ERR_KSOCKET_STREAM_NOT_FOUND'],
    ['stream', true, 'ERR_KSOCKET_STREAM_NOT_FOUND'],
  ] as const) {
    await nats.stream({ name: 'LOGS', subjects: ['logs.>'] });
    await publish(nats, 1);
    const loop = async () => {
      for await (const _ of reading(nats).batches()) {
        const { consumers, streams } = nats.manager;
        const gone = () => (what === 'stream' ? streams.delete('LOGS') : consumers.delete('LOGS', 'a'));
        if (works) await gone();
        else setTimeout(() => gone().catch(() => {}), 300); // of an earlier batch it may be
      }
    };
    await assert.rejects(loop(), { code, message: /Cannot consume a of the stream LOGS at .* not found/ }, what);
  }
});

test('a server that is started again: the loop goes on soon', async () => {
  await using nats = await start();
  const times: number[] = [];
  const consumption = reading(nats, { timeoutMs: 1000, ackWaitMs: 1000 });
  const loop = (async () => {
    for await (const _ of consumption.batches()) times.push(performance.now());
  })();
  await publish(nats, 1);
  await waitFor(() => times.length === 1, 'the first');
  const [node] = nats.nodes;
  for (const ms of [0, 4000]) {
    await node.kill();
    await sleep(ms);
    node.start();
    const before = times.length;
    const published = await (async () => {
      for (;;) {
        try {
          await publish(nats, 1);
          return performance.now();
        } catch {} // it reads what it stores
      }
    })();
    await waitFor(() => times.length > before, 'it goes on');
    assert.ok(times[before] - published < 6000, `${times[before] - published} ms`);
  }
  consumption.end();
  await loop;
});

test('stop() and close() while the server does not answer take no longer than they are told to', async () => {
  await using nats = await start();
  await publish(nats, 1);
  const given = { servers: nats.servers, ...ADMIN, stream: 'LOGS', timeoutMs: 20_000 };
  const collector = createCollector({ address: '127.0.0.1', sink: jetstream({ ...given, subject: 'logs.a' }) });
  await collector.start();
  await using socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const consumption = consume({ ...given, durable: 'a', timeoutMs: 700 });
  const { value } = await consumption.batches().next();
  assert.equal(value?.count, 1);
  const [node] = nats.nodes;
  node.signal('SIGSTOP');
  socket.send('x', collector.address().port, '127.0.0.1');
  await waitFor(() => collector.stats().receivedDatagrams === 1, 'it has come');
  let began = performance.now();
  assert.deepEqual(await collector.stop({ timeoutMs: 200 }), { drained: false, abandonedDatagrams: 1 });
  assert.ok(performance.now() - began < 1500, `${performance.now() - began} ms`);
  began = performance.now();
  await consumption.close();
  assert.ok(performance.now() - began < 1300, `${performance.now() - began} ms`);
  node.signal('SIGCONT');
});
