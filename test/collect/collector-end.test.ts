// How a collector ends: what stop() counts, a sink that does not close, a start that is not done yet, listeners that throw.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSocket, type Socket } from 'ksocket';
import { type Collector, type CollectorOptions, createCollector, type Sink, SinkError } from 'ksocket/collect';
import { fdCount, ioThreadCount } from '../support/process.js';
import { test } from '../support/test.js';
import { uncaughtWhile } from '../support/uncaught.js';
import { waitFor } from '../support/wait.js';

function sinkOf(more: Partial<Sink> = {}): Sink {
  return { name: 'of a test', open: async () => {}, write: async () => undefined, close: async () => {}, ...more };
}

async function started(options: Partial<CollectorOptions> & { sink: Sink }): Promise<Collector> {
  const collector = createCollector({ address: '127.0.0.1', batch: { ms: 5 }, recvBufferSize: 1 << 20, ...options });
  await collector.start();
  return collector;
}

async function send(to: Collector, count: number): Promise<void> {
  await using from: Socket = createSocket({ type: 'udp4', gso: false }).bind(0, '127.0.0.1');
  await once(from, 'listening');
  const { port, address } = to.address();
  const received = to.stats().receivedDatagrams + count;
  for (let i = 0; i < count; i++) from.send('x', port, address);
  await waitFor(() => to.stats().receivedDatagrams === received, 'all of them');
}

/** Each datagram is in one counter. */
function assertAddsUp(collector: Collector): void {
  const stats = collector.stats();
  const { acknowledgedDatagrams, openDatagrams, inFlightDatagrams } = stats;
  const { refusedDatagrams, unsortedDatagrams, abandonedDatagrams } = stats;
  const counted = acknowledgedDatagrams + openDatagrams + inFlightDatagrams + refusedDatagrams + unsortedDatagrams;
  assert.equal(counted + abandonedDatagrams, stats.receivedDatagrams, JSON.stringify(stats));
}

test('what stop() gives up is in no other counter', async () => {
  const collector = await started({ sink: sinkOf({ write: () => new Promise(() => {}) }) });
  await send(collector, 100);
  assertAddsUp(collector);
  assert.deepEqual(await collector.stop({ timeoutMs: 50 }), { drained: false, abandonedDatagrams: 100 });
  assertAddsUp(collector);
  const { inFlightDatagrams, inFlightBatches, inFlightBytes, abandonedDatagrams } = collector.stats();
  assert.deepEqual([inFlightDatagrams, inFlightBatches, inFlightBytes, abandonedDatagrams], [0, 0, 0, 100]);
});

test('what is written while stop() gives up is written, and what is written later is given up', async () => {
  for (const [delayMs, acknowledged] of [
    [20, 100],
    [1500, 0],
  ]) {
    const done: Promise<void>[] = [];
    const write: Sink['write'] = async (_, signal) => {
      await once(signal, 'abort');
      done.push(sleep(delayMs));
      await done.at(-1);
      return undefined;
    };
    const collector = await started({ sink: sinkOf({ write }) });
    await send(collector, 100);
    const result = await collector.stop({ timeoutMs: 50 });
    await Promise.all(done);
    await sleep(20);
    assert.deepEqual(result, { drained: acknowledged === 100, abandonedDatagrams: 100 - acknowledged });
    assert.equal(collector.stats().acknowledgedDatagrams, acknowledged);
    assertAddsUp(collector);
  }
});

test('a sink that does not close: stop() says so, all else is closed, and it can be started again', async () => {
  const [fds, threads] = [fdCount(), ioThreadCount()];
  let broken = true;
  const close = async () => {
    if (broken) throw new Error('stays open');
  };
  const collector = await started({ sink: sinkOf({ close }) });
  const closed = once(collector, 'close');
  await assert.rejects(collector.stop(), { message: 'stays open' });
  await closed;
  await waitFor(() => fdCount() <= fds && ioThreadCount() <= threads, 'nothing is open');
  broken = false;
  await collector.start();
  assert.deepEqual(await collector.stop(), { drained: true, abandonedDatagrams: 0 });
});

test('stop() before start() is done: that rejects, and behind it nothing is open', async () => {
  let open = 0;
  const sink = sinkOf({
    open: async () => {
      await sleep(50);
      open++;
    },
    close: async () => {
      await sleep(50);
      open--;
    },
  });
  const collector = createCollector({ address: '127.0.0.1', sink });
  const rejected = assert.rejects(collector.start(), { code: 'ERR_INVALID_STATE' });
  assert.deepEqual(await collector.stop(), { drained: true, abandonedDatagrams: 0 });
  assert.equal(open, 0);
  await rejected;
  await collector.start();
  await collector.stop();
  assert.equal(open, 0);
});

test('a sink is one collector’s as long as that uses it', async () => {
  const sink = sinkOf();
  const one = await started({ sink });
  const other = createCollector({ address: '127.0.0.1', sink });
  await assert.rejects(other.start(), { code: 'ERR_INVALID_STATE', message: /Another collector has the sink/ });
  await one.stop();
  await other.start();
  await other.stop();
});

test('a listener that throws is the program’s error, and nothing is lost by it', async () => {
  const thrown = await uncaughtWhile(async (thrown) => {
    let writes = 0;
    const write = async () => {
      writes++;
      if (writes === 1) throw new SinkError('ETEST', 'never', false);
      if (writes === 2) throw new Error('later');
      return undefined;
    };
    const subject = () => 'a';
    const collector = createCollector({
      address: '127.0.0.1',
      batch: { ms: 5 },
      recvBufferSize: 1 << 20,
      sink: sinkOf({ write, subject }),
    });
    for (const name of ['listening', 'refused', 'failing', 'recovered', 'close'] as const)
      collector.on(name, () => {
        throw new Error(name);
      });
    await collector.start();
    await waitFor(() => thrown.length === 1, 'what the first listener has thrown');
    await send(collector, 1);
    await waitFor(() => collector.stats().refusedDatagrams === 1, 'the first one');
    await send(collector, 2);
    await waitFor(() => collector.stats().acknowledgedDatagrams === 2, 'the others');
    assert.deepEqual(await collector.stop(), { drained: true, abandonedDatagrams: 0 });
    await waitFor(() => thrown.length === 5, 'what the last listener has thrown');
  });
  assert.deepEqual(thrown, ['listening', 'refused', 'failing', 'recovered', 'close']);
});

test('many writes at a time are no leak of listeners', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  let waiting = 0;
  const write: Sink['write'] = (_, signal) =>
    new Promise((_resolve, reject) => {
      waiting++;
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  const collector = await started({ sink: sinkOf({ write, subject: '{port}' }), inFlight: 64 });
  for (let i = 0; i < 20; i++) await send(collector, 1);
  await waitFor(() => waiting >= 12, 'writes at the same time');
  await collector.stop({ timeoutMs: 0 });
  await sleep(0);
  process.off('warning', onWarning);
  assert.deepEqual(warnings, []);
});

test('sources that have no subject for one reason are said once', async () => {
  const told: Error[] = [];
  const collector = await started({ sink: sinkOf({ subject: () => '*' }) });
  collector.on('refused', (error) => told.push(error));
  for (let i = 0; i < 5; i++) await send(collector, 1);
  await collector.stop();
  assert.deepEqual([told.length, collector.stats().unsortedDatagrams], [1, 5]);
  assertAddsUp(collector);
});
