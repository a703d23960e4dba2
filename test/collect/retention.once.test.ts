// What a stream keeps of what it has acknowledged is its own matter: what docs/collect.md says of it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createSocket } from 'ksocket';
import { createCollector, jetstream } from 'ksocket/collect';
import { consume } from 'ksocket/consume';
import { Nats } from '../support/nats.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

/** Has so many messages of one datagram acknowledged. */
async function filled(nats: Nats, stream: string, count: number): Promise<void> {
  const sink = jetstream({ servers: nats.servers, stream, subject: `${stream}.a`, lanes: 1 });
  await using collector = createCollector({ address: '127.0.0.1', batch: { ms: 1 }, sink });
  await collector.start();
  await using from = createSocket('udp4').bind(0, '127.0.0.1');
  await once(from, 'listening');
  for (let n = 0; n < count; n++) {
    from.send(String(n), collector.address().port, '127.0.0.1');
    await waitFor(() => collector.stats().acknowledgedDatagrams === n + 1, 'it is acknowledged');
  }
}

async function texts(nats: Nats, stream: string, count: number): Promise<string[]> {
  const all: string[] = [];
  const consumption = consume({ servers: nats.servers, stream, durable: 'a' });
  for await (const { data } of consumption) {
    all.push(data.toString());
    if (all.length === count) consumption.end();
  }
  return all;
}

test('a stream of a limited size that discards what is old: consumers do not get that', async () => {
  await using nats = await Nats.start();
  await nats.stream({ name: 'old', subjects: ['old.>'], max_msgs: 3 });
  await filled(nats, 'old', 5);
  assert.deepEqual(await texts(nats, 'old', 3), ['2', '3', '4']);
});

test('a stream of interest keeps what consumers are there for; a work queue what nobody has worked on', async () => {
  await using nats = await Nats.start();
  await nats.stream({ name: 'interest', subjects: ['interest.>'], retention: 'interest' as never });
  await filled(nats, 'interest', 2);
  const left = async (name: string) => (await nats.manager.streams.info(name)).state.messages;
  assert.equal(await left('interest'), 0);
  await using early = consume({ servers: nats.servers, stream: 'interest', durable: 'a' });
  await early.open();
  await filled(nats, 'interest', 2);
  assert.deepEqual(await texts(nats, 'interest', 2), ['0', '1']);
  await nats.stream({ name: 'work', subjects: ['work.>'], retention: 'workqueue' as never });
  await filled(nats, 'work', 3);
  assert.deepEqual(await texts(nats, 'work', 3), ['0', '1', '2']);
  await waitFor(async () => (await left('work')) === 0, 'it is worked on');
  const other = consume({ servers: nats.servers, stream: 'work', durable: 'b' });
  await assert.rejects(other.open(), { message: /Cannot make the consumer b of the stream work .* workqueue/ });
});
