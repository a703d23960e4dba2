// A collector with a sink of the test's own: what it is given, in which order, and what happens when it does not take it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSocket, type Socket } from 'ksocket';
import {
  type CollectedDatagram,
  type Collector,
  type CollectorOptions,
  createCollector,
  type PackedBatch,
  type Sink,
  SinkError,
  type SinkOpening,
} from 'ksocket/collect';
import { addonTest } from '../support/backend.js';
import { fdCount, ioThreadCount } from '../support/process.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

class Memory implements Sink {
  readonly name = 'memory';
  readonly batches: { id: string; key: string; count: number }[] = [];
  readonly datagrams: (Omit<CollectedDatagram, 'data'> & { text: string })[] = [];
  readonly attempts: string[] = [];
  readonly subject: Sink['subject'];
  readonly lanes: number | undefined;
  opened: SinkOpening | undefined;
  closed = 0;
  writing = 0;
  writingMost = 0;
  /** What write() waits for, or throws. */
  before: (batch: PackedBatch) => Promise<void> | void = () => {};

  constructor(subject?: Sink['subject'], lanes?: number) {
    this.subject = subject;
    this.lanes = lanes;
  }

  async open(opening: SinkOpening): Promise<void> {
    this.opened = opening;
  }

  async write(batch: PackedBatch): Promise<undefined> {
    this.attempts.push(batch.id);
    this.writingMost = Math.max(this.writingMost, ++this.writing);
    try {
      await this.before(batch);
    } finally {
      this.writing--;
    }
    const { id, key, count } = batch;
    this.batches.push({ id, key, count });
    for (const { data, ...rest } of batch.datagrams()) this.datagrams.push({ ...rest, text: data.toString() });
  }

  async close(): Promise<void> {
    this.closed++;
  }
}

/** A socket whose datagrams are counted one by one, also by the kernel. */
async function sender(): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', gso: false }).bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

async function started(options: Partial<CollectorOptions> & { sink: Sink }): Promise<Collector> {
  const collector = createCollector({ address: '127.0.0.1', batch: { ms: 5 }, recvBufferSize: 1 << 20, ...options });
  await collector.start();
  return collector;
}

/** Each is on its way when the next one follows. */
async function send(from: Socket, to: Collector, texts: string[]): Promise<void> {
  const { port, address } = to.address();
  for (let i = 0; i < texts.length; i += 50) {
    for (const text of texts.slice(i, i + 50)) from.send(text, port, address);
    await sleep(1);
  }
}

const numbered = (count: number, prefix = '') => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

test('each datagram reaches the sink, with where it came from, where it was sent to and when', async () => {
  const sink = new Memory();
  await using collector = await started({ sink });
  await using socket = await sender();
  const before = Date.now();
  await send(socket, collector, numbered(1000));
  await waitFor(() => sink.datagrams.length === 1000, 'all of them');
  assert.deepEqual(
    sink.datagrams.map(({ text }) => text),
    numbered(1000),
  );
  assert.ok(sink.batches.length < 1000, 'many are one message');
  const { port } = socket.address();
  for (const datagram of sink.datagrams) {
    const { address, local, localPort, receivedNs } = datagram;
    assert.deepEqual(
      [address, datagram.port, local, localPort],
      ['127.0.0.1', port, '127.0.0.1', collector.address().port],
    );
    const ms = Number(receivedNs / 1_000_000n);
    assert.ok(ms >= before - 1 && ms <= Date.now() + 1, `${ms}`);
  }
  const stats = collector.stats();
  assert.deepEqual([stats.receivedDatagrams, stats.acknowledgedDatagrams, stats.inFlightBatches], [1000, 1000, 0]);
  assert.equal(stats.receivedBytes, numbered(1000).join('').length);
});

test('batches are sorted by subject, and those of one subject are written one at a time', async () => {
  const sink = new Memory('p.{port}');
  const busy = new Set<string>();
  sink.before = async ({ key }) => {
    assert.ok(!busy.has(key), 'only one is written at a time');
    busy.add(key);
    await sleep(3);
    busy.delete(key);
  };
  await using collector = await started({ sink });
  await using one = await sender();
  await using other = await sender();
  for (let i = 0; i < 20; i++) {
    await send(one, collector, numbered(50, `a${i} `));
    await send(other, collector, numbered(50, `b${i} `));
  }
  await waitFor(() => sink.datagrams.length === 2000, 'all of them');
  const keys = [one, other].map((socket) => `p.${socket.address().port}`);
  assert.deepEqual(new Set(sink.batches.map(({ key }) => key)), new Set(keys));
  for (const [socket, letter] of [
    [one, 'a'],
    [other, 'b'],
  ] as const) {
    const texts = sink.datagrams.filter(({ port }) => port === socket.address().port).map(({ text }) => text);
    const sent = Array.from({ length: 20 }, (_, i) => numbered(50, `${letter}${i} `)).flat();
    assert.deepEqual(texts, sent);
  }
});

test('lanes: batches of a subject are written at the same time, and a source stays in order', async () => {
  const sink = new Memory('all', 8);
  sink.before = () => sleep(5 * Math.random());
  await using collector = await started({ sink, type: 'udp4', address: '0.0.0.0' });
  const sockets = await Promise.all(
    Array.from({ length: 12 }, async (_, i) => {
      const socket = createSocket({ type: 'udp4', gso: false }).bind(0, `127.0.0.${i + 1}`);
      await once(socket, 'listening');
      return socket;
    }),
  );
  for (let n = 0; n < 100; n++) {
    for (const socket of sockets) socket.send(`${n}`, collector.address().port, '127.0.0.1');
    await sleep(1);
  }
  await waitFor(() => sink.datagrams.length === 1200, 'all of them');
  for (const socket of sockets) {
    const { address } = socket.address();
    const own = sink.datagrams.filter((datagram) => datagram.address === address);
    assert.deepEqual(
      own.map(({ text }) => text),
      numbered(100),
    );
    socket.close();
  }
  assert.ok(sink.writingMost > 1, 'several at a time');
});

test('an attempt that fails is made again, with the same id, and nothing overtakes it', async () => {
  const sink = new Memory();
  let failures = 3;
  sink.before = () => {
    if (failures-- > 0) throw new SinkError('ETEST', 'not now', true);
  };
  await using collector = await started({ sink });
  const events: string[] = [];
  collector.on('failing', (error) => events.push(`failing ${(error as SinkError).code}`));
  collector.on('recovered', () => events.push('recovered'));
  await using socket = await sender();
  await send(socket, collector, numbered(500));
  await waitFor(() => sink.datagrams.length === 500, 'all of them');
  assert.deepEqual(
    sink.datagrams.map(({ text }) => text),
    numbered(500),
  );
  assert.deepEqual(sink.attempts.slice(0, 4), new Array(4).fill(sink.batches[0].id));
  assert.equal(new Set(sink.batches.map(({ id }) => id)).size, sink.batches.length);
  assert.deepEqual(events, ['failing ETEST', 'recovered']);
  assert.equal(collector.stats().retries, 3);
});

test('what the sink refuses for good is counted and said, and those behind it go on', async () => {
  const sink = new Memory();
  let first: string | undefined;
  sink.before = ({ id }) => {
    first ??= id;
    if (id === first) throw new SinkError('EMSGSIZE', 'never', false);
  };
  await using collector = await started({ sink });
  const refused: [string, number][] = [];
  collector.on('refused', (error, datagrams) => refused.push([(error as SinkError).code, datagrams]));
  await using socket = await sender();
  await send(socket, collector, ['first']);
  await waitFor(() => refused.length > 0, 'the refusal');
  await send(socket, collector, ['second']);
  await waitFor(() => sink.datagrams.length === 1, 'the second');
  assert.deepEqual([refused, sink.datagrams[0].text], [[['EMSGSIZE', 1]], 'second']);
  assert.equal(collector.stats().refusedDatagrams, 1);
});

test('datagrams without a subject are counted and said once', async () => {
  const sink = new Memory(({ port }) => (port === from ? 'good' : 'not good'));
  let from = 0;
  await using collector = await started({ sink });
  const said: string[] = [];
  collector.on('refused', (error) => said.push((error as NodeJS.ErrnoException).code as string));
  await using good = await sender();
  await using bad = await sender();
  from = good.address().port;
  await send(bad, collector, numbered(100));
  await send(good, collector, numbered(100));
  await waitFor(() => sink.datagrams.length === 100, 'the good ones');
  assert.deepEqual([collector.stats().unsortedDatagrams, said], [100, ['ERR_INVALID_ARG_VALUE']]);
});

for (const onFull of ['block', 'drop'] as const) {
  addonTest(
    'kernel counters',
    `a sink that takes nothing: the window, then the ring, then counted drops (${onFull}), and it goes on by itself`,
    async () => {
      const sink = new Memory();
      let go: () => void = () => {};
      let gate: Promise<void> | undefined = new Promise((resolve) => {
        go = resolve;
      });
      sink.before = () => gate;
      const collector = await started({
        sink,
        inFlight: 2,
        batch: { bytes: 73_728, ms: 5 },
        ringBytes: 256 * 1024,
        recvBufferSize: 65_536,
        onFull,
      });
      await using socket = await sender();
      const text = 'x'.repeat(1000);
      let sent = 0;
      const lost = () => {
        const { rxKernelDrops, rxRingDrops } = collector.stats().socket;
        return rxKernelDrops + rxRingDrops;
      };
      while (lost() < 500) {
        await send(socket, collector, new Array(100).fill(text));
        sent += 100;
      }
      const full = collector.stats();
      assert.ok(full.inFlightBatches >= 2 && full.pauses === 1, JSON.stringify(full));
      assert.ok(full.inFlightBytes < 2 * 73_728 + 256 * 1024, `${full.inFlightBytes} bytes`);
      const { inFlightBytes, receivedDatagrams } = full;
      await send(socket, collector, new Array(1000).fill(text));
      sent += 1000;
      const later = collector.stats();
      assert.deepEqual(
        [later.inFlightBytes, later.receivedDatagrams],
        [inFlightBytes, receivedDatagrams],
        'nothing grows',
      );
      const { utilization } = performance.eventLoopUtilization();
      const used = process.cpuUsage();
      await sleep(200);
      const { user, system } = process.cpuUsage(used);
      assert.ok(user + system < 150_000, `${user + system} us of 200 000 for waiting (${utilization})`);

      gate = undefined;
      go();
      await waitFor(
        () => {
          const { receivedDatagrams: received, acknowledgedDatagrams: acknowledged } = collector.stats();
          return acknowledged === received && acknowledged + lost() === sent;
        },
        () => `all that is not lost: ${JSON.stringify([collector.stats(), sent])}`,
      );
      await send(socket, collector, numbered(10));
      await waitFor(() => sink.datagrams.at(-1)?.text === '9', 'it goes on');
      assert.deepEqual(await collector.stop(), { drained: true, abandonedDatagrams: 0 });
      const { receivedDatagrams: received } = collector.stats();
      assert.equal(received + lost(), sent + 10, 'sent = acknowledged + drops');
    },
  );
}

test('stop() writes what was received, and closes all; it can be started again', async () => {
  const [fds, threads] = [fdCount(), ioThreadCount()];
  const sink = new Memory();
  const collector = createCollector({ address: '127.0.0.1', sink, batch: { ms: 60_000 } });
  for (let round = 1; round <= 2; round++) {
    await collector.start();
    assert.deepEqual([sink.opened?.batchBytes, sink.opened?.inFlight], [262_144, 16]);
    const socket = await sender();
    await send(socket, collector, numbered(100));
    await socket[Symbol.asyncDispose]();
    assert.deepEqual(await collector.stop(), { drained: true, abandonedDatagrams: 0 });
    assert.equal(sink.datagrams.length, 100 * round);
    assert.deepEqual([sink.closed, collector.running], [round, false]);
    const stats = collector.stats();
    assert.deepEqual([stats.acknowledgedDatagrams, stats.socket.rxDatagrams], [100, 100]);
  }
  await waitFor(() => fdCount() <= fds && ioThreadCount() <= threads, 'nothing is open');
});

test('stop() gives up at its time limit, and says what', async () => {
  const sink = new Memory();
  sink.before = () => new Promise(() => {});
  const collector = await started({ sink });
  await using socket = await sender();
  await send(socket, collector, numbered(300));
  await waitFor(() => collector.stats().receivedDatagrams === 300, 'all of them');
  const before = performance.now();
  const [result, again] = await Promise.all([collector.stop({ timeoutMs: 50 }), collector.stop()]);
  assert.deepEqual([result, again], [{ drained: false, abandonedDatagrams: 300 }, result]);
  assert.ok(performance.now() - before < 5000);
  assert.deepEqual([collector.stats().abandonedDatagrams, sink.closed], [300, 1]);
});

test('what cannot be opened leaves nothing half-open', async () => {
  const [fds, threads] = [fdCount(), ioThreadCount()];
  const sink = new Memory();
  await using taken = await sender();
  const collector = createCollector({ address: '127.0.0.1', port: taken.address().port, sink });
  await assert.rejects(collector.start(), { code: 'EADDRINUSE', syscall: 'bind', port: taken.address().port });
  assert.deepEqual([sink.closed, collector.running], [1, false]);
  sink.open = async () => {
    throw new SinkError('ETEST', 'no', false);
  };
  await assert.rejects(collector.start(), { code: 'ETEST' });
  assert.equal(sink.closed, 1);
  assert.throws(() => collector.stop({ timeoutMs: -1 }), { code: 'ERR_OUT_OF_RANGE' });
  await waitFor(() => fdCount() <= fds + 1 && ioThreadCount() <= threads + 1, 'nothing is open');
});

test('options are checked', () => {
  const sink = new Memory();
  const refused = (options: object, code: string, message: RegExp) =>
    assert.throws(() => createCollector({ sink, ...options } as CollectorOptions), { code, message });
  refused({ sinc: 1 }, 'ERR_INVALID_ARG_VALUE', /'options.sinc' is not known \(did you mean 'sink'\?\)/);
  refused({ sink: {} }, 'ERR_INVALID_ARG_TYPE', /"options.sink.open" property must be of type function/);
  refused({ batch: { bytes: 1 } }, 'ERR_OUT_OF_RANGE', /"options.batch.bytes"/);
  refused({ batch: { ms: 0 } }, 'ERR_OUT_OF_RANGE', /"options.batch.ms"/);
  refused({ batch: { size: 1 } }, 'ERR_INVALID_ARG_VALUE', /options.batch.size/);
  refused({ inFlight: 0 }, 'ERR_OUT_OF_RANGE', /"options.inFlight"/);
  refused({ port: 65_536 }, 'ERR_SOCKET_BAD_PORT', /options.port/);
  refused({ type: 'udp5' }, 'ERR_SOCKET_BAD_TYPE', /udp4, udp6/);
  refused({ onFull: 'wait' }, 'ERR_INVALID_ARG_VALUE', /options.onFull/);
  refused({ fd: 3, port: 1 }, 'ERR_INVALID_ARG_VALUE', /'options.port' cannot be given together with fd/);
  refused({ sink: new Memory('a.{b}') }, 'ERR_INVALID_ARG_VALUE', /has \{b\}/);
  refused({ sink: new Memory('a', 65) }, 'ERR_OUT_OF_RANGE', /"options.sink.lanes"/);
});

addonTest('kernel features', 'IPv6, and with shards: the same', async () => {
  const sink = new Memory('{source}');
  await using collector = await started({ sink, type: 'udp6', address: '::1', shards: 2 });
  await using socket = createSocket({ type: 'udp6', gso: false });
  await send(socket, collector, numbered(200));
  await waitFor(() => sink.datagrams.length === 200, 'all of them');
  assert.deepEqual(
    sink.datagrams.map(({ text }) => text),
    numbered(200),
  );
  const [{ address, local }] = sink.datagrams;
  assert.deepEqual([address, local, sink.batches[0].key], ['::1', '::1', '::1']);
});

addonTest('descriptors', 'a descriptor that somebody else has bound is received from, and closed', async () => {
  const given = createSocket({ type: 'udp4', shards: 1 });
  const { port } = given.bindSync({ address: '127.0.0.1' });
  const fd = given.shard(0).handOver();
  await given[Symbol.asyncDispose]();
  const sink = new Memory();
  const collector = createCollector({ fd, sink, batch: { ms: 5 } });
  await collector.start();
  assert.deepEqual([collector.address().port, collector.running], [port, true]);
  await using socket = await sender();
  await send(socket, collector, numbered(100));
  await waitFor(() => sink.datagrams.length === 100, 'all of them');
  assert.deepEqual([sink.datagrams[0].local, sink.datagrams[0].localPort], ['127.0.0.1', port]);
  await collector.stop();
  const again = createCollector({ address: '127.0.0.1', port, sink });
  await again.start();
  await again.stop();
});

addonTest('kernel features', 'a shard that comes while the window is full waits, too', async () => {
  const sink = new Memory('{port}');
  let go: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  sink.before = () => gate;
  await using collector = await started({ sink, shards: 1, inFlight: 1, batch: { ms: 1 } });
  const sockets = await Promise.all(Array.from({ length: 16 }, sender));
  const say = async (texts: string[]) => {
    for (const socket of sockets) await send(socket, collector, texts);
  };
  await say(['first']);
  await waitFor(() => collector.stats().pauses === 1, 'the window is full');
  await collector.socket?.setShards(4);
  await say(numbered(20));
  await sleep(100);
  const taken = collector.stats().receivedDatagrams;
  await say(numbered(20));
  await sleep(100);
  assert.equal(collector.stats().receivedDatagrams, taken, 'nothing more is taken');
  go();
  await waitFor(
    () => sink.datagrams.length === 16 * 41,
    () => `all of them, not ${sink.datagrams.length}`,
  );
  for (const socket of sockets) socket.close();
});
