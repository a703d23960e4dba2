// Messages that are no batch, or a damaged one, or more than they seem; and what a program says of them.
import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import zlib from 'node:zlib';
import { type ConsumeOptions, consume } from 'ksocket/consume';
import { expandFrame, readFrame } from '../../build-lib/collect/frame.js';
import { Pack } from '../../build-lib/collect/pack.js';
import { Nats } from '../support/nats.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const { zstdCompressSync } = zlib as { zstdCompressSync?: (data: Uint8Array, options?: object) => Buffer };
const MIB = 1 << 20;
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** A batch of one datagram. */
function good(text = 'x'): Uint8Array {
  const pack = new Pack(1n, 1, '', 0, new Uint8Array(4096));
  const source = pack.addSource((out, at) => {
    out[at + 4] = 4;
  });
  const data = Buffer.from(text);
  pack.place(pack.add(source, 0, 1, 1, data.length, data.length), data, 0, data.length);
  return Uint8Array.from(pack.bytes);
}

interface Says {
  count?: number;
  payloadBytes?: number;
  recordsBytes?: number;
  sourcesBytes?: number;
  flags?: number;
}

/** A header that says so, with these bytes behind it. */
function message(says: Says, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(48 + body.length);
  bytes.set(good().subarray(0, 48));
  bytes.set(body, 48);
  const view = new DataView(bytes.buffer);
  const { count = 1, payloadBytes = 0, recordsBytes = 0, sourcesBytes = 0, flags = 0 } = says;
  view.setUint8(5, flags);
  for (const [i, value] of [count, payloadBytes, recordsBytes, sourcesBytes].entries())
    view.setUint32(8 + 4 * i, value, true);
  return bytes;
}

/** Each is refused, whatever runs this. */
function damaged(): Uint8Array[] {
  const whole = good('hello');
  const all = [new Uint8Array(0), Buffer.from('rubbish'), whole.subarray(0, 30), whole.subarray(0, 60)];
  for (let at = 0; at < 24; at++) all.push(whole.map((byte, i) => (i === at ? byte ^ 0xff : byte)));
  all.push(message({ payloadBytes: 65 * MIB }, new Uint8Array(0)));
  all.push(message({ payloadBytes: 65 * MIB, flags: 1 }, new Uint8Array(100)));
  all.push(message({ payloadBytes: 0xffff_ffff, recordsBytes: 0xffff_ffff, flags: 1 }, new Uint8Array(100)));
  all.push(message({ count: 0xffff_ffff }, new Uint8Array(0)));
  all.push(message({ sourcesBytes: 43 }, new Uint8Array(43)));
  // 65 536 bytes and one of them, as two datagrams: the last is longer than UDP has any.
  const records = [0, 0, 2, 1, 0x80, 0x80, 0x04];
  const long = new Uint8Array(65_537 + records.length + 44).fill(4);
  long.set(records, 65_537);
  all.push(message({ count: 2, payloadBytes: 65_537, recordsBytes: records.length, sourcesBytes: 44 }, long));
  return all;
}

/** What zstd makes little of, or nothing. */
function compressed(): Uint8Array[] {
  if (zstdCompressSync === undefined) return [];
  const zeros = zstdCompressSync(new Uint8Array(64 * MIB));
  const more = zstdCompressSync(new Uint8Array(600 * MIB));
  assert.ok(more.length < 100_000, 'it is short');
  return [
    message({ payloadBytes: 100, flags: 1 }, more), // more than it says
    message({ payloadBytes: 64 * MIB, flags: 1 }, more), // more than may be
    message({ payloadBytes: 64 * MIB, flags: 1 }, zeros), // as much as may be, and no batch
    message({ payloadBytes: 64 * MIB, flags: 1 }, zstdCompressSync(new Uint8Array(10))), // less than it says
    message({ payloadBytes: 1000, flags: 1 }, zeros.subarray(0, 10)),
    message({ payloadBytes: 1000, flags: 1 }, new Uint8Array(1000)),
    message({ payloadBytes: 1000, flags: 1 }, new Uint8Array(0)),
    // A frame whose header asks for a window of 128 MiB to decode 1000 bytes.
    message({ payloadBytes: 1000, flags: 1 }, Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3, 0xff, 0xff, 0)),
  ];
}

test('whatever a message says, reading it takes no more than its format allows', async () => {
  for (const bytes of [...damaged(), ...compressed()]) {
    const before = process.memoryUsage().rss;
    await assert.rejects(
      async () => readFrame(await expandFrame(bytes)),
      (error: NodeJS.ErrnoException) =>
        error.code === 'ERR_KSOCKET_BAD_FRAME' || (error.code === 'ERR_KSOCKET_NO_ZSTD' && !zstdCompressSync),
      Buffer.from(bytes.subarray(0, 60)).toString('hex'),
    );
    const { rss } = process.memoryUsage();
    assert.ok(rss < before + 220 * MIB, `${(rss - before) / MIB} MiB`);
  }
  assert.equal(readFrame(await expandFrame(good())).count, 1);
});

async function withStream(): Promise<Nats> {
  const nats = await Nats.start();
  await nats.stream({ name: 'LOGS', subjects: ['logs.>'] });
  return nats;
}

async function publish(nats: Nats, subject: string, ...messages: Uint8Array[]): Promise<void> {
  for (const each of messages) nats.connection.publish(subject, each);
  await nats.connection.flush();
}

/** Loops until so many batches have come. */
async function consumed(nats: Nats, batches: number, more: Partial<ConsumeOptions>) {
  const consumption = consume({ servers: nats.servers, stream: 'LOGS', durable: 'a', ...more });
  const texts: string[] = [];
  for await (const batch of consumption.batches()) {
    texts.push(...[...batch.datagrams()].map(({ data }) => data.toString()));
    if (texts.length === batches) consumption.end();
  }
  return { texts, stats: consumption.stats() };
}

test('bad messages are told of, counted, and passed over for good; the others come', async () => {
  await using nats = await withStream();
  const bad = [...damaged(), ...compressed()];
  for (const [i, each] of bad.entries()) await publish(nats, 'logs.a', each, good(String(i)));
  const told: number[] = [];
  const onBad = (_: Error, { sequence }: { sequence: number }) => void told.push(sequence);
  const { texts, stats } = await consumed(nats, bad.length, { onBad });
  assert.deepEqual(texts, Array.from(bad.keys()).map(String));
  assert.deepEqual(
    told,
    Array.from(bad.keys(), (i) => 2 * i + 1),
  );
  assert.equal(stats.bad, bad.length);
  assert.equal(stats.redelivered, 0);
  await waitFor(async () => (await nats.manager.consumers.info('LOGS', 'a')).num_ack_pending === 0, 'all is settled');
});

test('of many subjects a few batches at a time are in memory, and each comes', async () => {
  await using nats = await withStream();
  const subject = Array.from({ length: 24 }, (_, i) => `logs.${i}`);
  // 8 MiB each: one datagram of 64 KiB and more of it that are alike.
  const count = 8 * 16;
  const data = new Uint8Array(count * 65_535);
  const records = [0, 0, (count & 127) | 128, count >> 7, 0xff, 0xff, 3, 0xff, 0xff, 3];
  const body = new Uint8Array(data.length + records.length + 44).fill(4);
  body.set(records, data.length);
  const says = { count, payloadBytes: data.length, recordsBytes: records.length, sourcesBytes: 44 };
  const large = zstdCompressSync === undefined ? good() : message({ ...says, flags: 1 }, zstdCompressSync(body));
  for (const each of subject) await publish(nats, each, large);
  const consumption = consume({ servers: nats.servers, stream: 'LOGS', durable: 'a', subject });
  let [seen, most] = [0, 0];
  for await (const batch of consumption.batches()) {
    if (seen++ === 0) await new Promise((resolve) => setTimeout(resolve, 1500)); // the others come meanwhile
    collectGarbage();
    most = Math.max(most, process.memoryUsage().arrayBuffers);
    assert.equal(batch.count, zstdCompressSync === undefined ? 1 : count);
    if (seen === subject.length) consumption.end();
  }
  assert.ok(most < 120 * MIB, `${most / MIB} MiB`);
});

test('what onBad throws, or rejects with, ends the loop; the message comes again', async () => {
  await using nats = await withStream();
  await publish(nats, 'logs.a', Buffer.from('rubbish'), good());
  const thrown = new Error('mine');
  const attempts = [
    () => {
      throw thrown;
    },
    () => Promise.reject(thrown),
    async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      throw thrown;
    },
  ];
  for (const onBad of attempts) await assert.rejects(consumed(nats, 1, { onBad }), (error) => error === thrown);
  assert.equal(thrown.message, 'mine');
  const { ack_floor: floor, num_redelivered: again } = await nats.manager.consumers.info('LOGS', 'a');
  assert.deepEqual([floor.stream_seq, again], [0, 1], 'nothing is acknowledged or passed over');
  let told = 0;
  const onBad = async () => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    told++;
  };
  const { texts, stats } = await consumed(nats, 1, { onBad });
  assert.deepEqual([texts, told, stats.bad], [['x'], 1, 1]);
});

test('close() while onBad is asked: the message comes again', async () => {
  await using nats = await withStream();
  await publish(nats, 'logs.a', Buffer.from('rubbish'));
  let answer = () => {};
  let asked = false;
  const onBad = () => {
    asked = true;
    return new Promise<void>((resolve) => {
      answer = resolve;
    });
  };
  const consumption = consume({ servers: nats.servers, stream: 'LOGS', durable: 'a', onBad });
  const loop = (async () => {
    for await (const _ of consumption) assert.fail('no datagram');
  })();
  await waitFor(() => asked, 'it is asked');
  await consumption.close();
  answer();
  await loop;
  assert.equal(consumption.stats().bad, 0);
  const again: number[] = [];
  const rest = consume({
    servers: nats.servers,
    stream: 'LOGS',
    durable: 'a',
    onBad: (_, { sequence }) => {
      again.push(sequence);
      rest.end();
    },
  });
  for await (const _ of rest) assert.fail('no datagram');
  assert.deepEqual(again, [1]);
});
