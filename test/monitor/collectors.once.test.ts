// A collector in the monitor: as a server, and what it counts besides.
import assert from 'node:assert/strict';
import { createServer } from 'ksocket';
import { type Collector, createCollector, type Sink } from 'ksocket/collect';
import { createMonitor, type Monitor } from 'ksocket/monitor';
import { startBrowser } from '../support/browser.js';
import { ask, askJson, parseMetrics, portOf } from '../support/monitor.js';
import { bound, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { blockUntil, waitFor } from '../support/wait.js';

/** A sink that does what the test wants. */
class Own implements Sink {
  readonly name = 'own';
  outcome: 'takes' | 'fails' | 'waits' = 'takes';
  taken = 0;

  async open(): Promise<void> {}
  async close(): Promise<void> {}

  async write({ count }: { count: number }, signal: AbortSignal): Promise<undefined> {
    if (this.outcome === 'fails') throw new Error('no room');
    while (this.outcome === 'waits') {
      signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    this.taken += count;
    return undefined;
  }

  stats(): Record<string, number> {
    return { taken: this.taken };
  }
}

interface Watched extends AsyncDisposable {
  sink: Own;
  collector: Collector;
  monitor: Monitor;
  port: number;
  /** How it is in /stats.json. */
  // biome-ignore lint/suspicious/noExplicitAny: any JSON
  shown(): Promise<any>;
  send(count: number): Promise<void>;
}

async function watched(): Promise<Watched> {
  const sink = new Own();
  const collector = createCollector({ address: '127.0.0.1', sink, batch: { ms: 5 } });
  const monitor = createMonitor({ servers: [collector] });
  await monitor.start(); // before: it is followed
  await collector.start();
  const { port } = collector.address();
  return {
    sink,
    collector,
    monitor,
    port,
    shown: async () => (await askJson(portOf(monitor), '/stats.json')).servers[0],
    async send(count) {
      await using sockets = new Sockets();
      const client = sockets.makePeer();
      await bound(client);
      for (let i = 0; i < count; i++) await sent(client, 'hello', port);
    },
    async [Symbol.asyncDispose]() {
      await monitor.stop();
      await collector.stop({ timeoutMs: 0 });
    },
  };
}

test('its figures are those of collector.stats(), and its socket’s those of a server', async () => {
  await using all = await watched();
  const { collector, shown, send, port } = all;
  await send(40);
  await waitFor(async () => (await shown()).collector.acknowledgedDatagrams === 40, 'the figures');
  const { name, running, engine, stats, collector: figures, latency, ring } = await shown();
  const { socket, ...rest } = collector.stats();
  assert.deepEqual(figures, rest);
  assert.deepEqual([name, running, stats.rxDatagrams], [`127.0.0.1:${port}`, true, socket.rxDatagrams]);
  assert.match(engine, /^(mmsg|posix)$/);
  assert.equal(latency.count, 40, 'latency is measured');
  assert.ok(ring.capacity > 0);
  const { body } = await ask(portOf(all.monitor), '/healthz');
  assert.equal(JSON.parse(body).status, 'ok');
});

test('Prometheus has each of them, the sink’s by its own names, and losses beside the socket’s', async () => {
  await using all = await watched();
  const { collector, monitor, sink, shown, send, port } = all;
  sink.outcome = 'waits';
  await send(10);
  await waitFor(async () => (await shown()).collector.inFlightDatagrams > 0, 'a batch on its way');
  const server = `127.0.0.1:${port}`;
  const value = async (name: string, labels: Record<string, string> = {}) => {
    const all = parseMetrics((await ask(portOf(monitor), '/metrics')).body);
    const found = all.get(name)?.samples.filter(({ labels: { server: whose, ...rest } }) => {
      return whose === server && Object.entries(labels).every(([key, text]) => rest[key] === text);
    });
    assert.equal(found?.length, 1, name);
    return found[0].value;
  };
  assert.ok((await value('ksocket_collector_in_flight_batches')) >= 1);
  assert.equal(await value('ksocket_collector_received_datagrams_total'), 10);
  assert.equal(await value('ksocket_collector_acknowledged_datagrams_total'), 0);
  sink.outcome = 'takes';
  await waitFor(async () => (await shown()).collector.acknowledgedDatagrams === 10, 'the figures');
  assert.equal(await value('ksocket_collector_sink_total', { counter: 'taken' }), 10);
  assert.equal(await value('ksocket_collector_in_flight_datagrams'), 0);
  assert.equal(await value('ksocket_received_datagrams_total'), 10);
  assert.equal(await value('ksocket_server_up'), 1);
  for (const reason of ['refused', 'no_subject', 'abandoned', 'receive_buffer_full', 'ring_full'])
    assert.equal(await value('ksocket_dropped_datagrams_total', { reason }), 0);

  const counters: { name: string; metric: string; of: string }[] = await askJson(portOf(monitor), '/counters.json');
  const own = counters.filter(({ of }) => of === 'collector');
  const { socket: _, sink: __, ...figures } = collector.stats();
  assert.deepEqual(own.map(({ name }) => name).sort(), Object.keys(figures).sort());
  const metrics = parseMetrics((await ask(portOf(monitor), '/metrics')).body);
  for (const { metric } of own) {
    const { type = '', help = '', samples = [] } = metrics.get(metric) ?? {};
    assert.equal(type, metric.endsWith('_total') ? 'counter' : 'gauge', metric);
    assert.ok(help !== '' && samples.length > 0, metric);
  }
});

test('who does not get rid of what it receives is unhealthy until it does', async () => {
  await using all = await watched();
  const { monitor, sink, send, port } = all;
  const health = async () => {
    const { status, body } = await ask(portOf(monitor), '/healthz');
    return { status, ...JSON.parse(body) };
  };
  sink.outcome = 'fails';
  await send(1);
  await waitFor(async () => (await health()).status === 'unhealthy', 'a reason');
  const { reasons } = await health();
  assert.deepEqual(reasons, [`nothing is written of what 127.0.0.1:${port} receives`]);
  assert.equal((await ask(portOf(monitor), '/healthz')).status, 503);
  sink.outcome = 'takes';
  await waitFor(async () => (await health()).status === 'ok', 'health');
});

test('a stop and a start are followed, and what was given up is counted', async () => {
  await using all = await watched();
  const { collector, sink, shown, send, port } = all;
  sink.outcome = 'fails';
  await send(7);
  await waitFor(() => collector.stats().retries > 0, 'an attempt');
  const { abandonedDatagrams } = await collector.stop({ timeoutMs: 0 });
  assert.equal(abandonedDatagrams, 7);
  await waitFor(async () => (await shown()).collector.abandonedDatagrams === 7, 'the count');
  const { name, running, stats } = await shown();
  assert.deepEqual([name, running, stats.rxDatagrams], [`127.0.0.1:${port}`, false, 7]);
  sink.outcome = 'takes';
  await collector.start();
  await waitFor(async () => (await shown()).running, 'the start');
  assert.deepEqual((await shown()).name, `127.0.0.1:${collector.address().port}`);
  assert.equal((await shown()).collector.abandonedDatagrams, 0);
});

test('it answers while the event loop is blocked', async () => {
  await using all = await watched();
  await all.send(5);
  await waitFor(async () => (await all.shown()).collector.acknowledgedDatagrams === 5, 'the figures');
  const { Worker } = await import('node:worker_threads');
  const cells = new Int32Array(new SharedArrayBuffer(8));
  const asking = `
    const { workerData: { cells, port } } = require('node:worker_threads');
    const ask = async () => {
      const { servers } = await (await fetch('http://127.0.0.1:' + port + '/stats.json')).json();
      cells[1] = servers[0].collector.acknowledgedDatagrams;
      Atomics.store(cells, 0, Atomics.load(cells, 0) + 1);
      if (cells[0] < 3) setTimeout(ask, 20);
    };
    ask();`;
  const worker = new Worker(asking, { eval: true, workerData: { cells, port: portOf(all.monitor) } });
  await new Promise((resolve) => worker.once('online', resolve));
  blockUntil(() => Atomics.load(cells, 0) === 3, 'three answers');
  assert.equal(cells[1], 5);
  await worker.terminate();
});

test('a server and a collector side by side: neither has the other’s', async () => {
  const collector = createCollector({ address: '127.0.0.1', sink: new Own() });
  const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
  const monitor = createMonitor({ servers: [server, collector] });
  await Promise.all([server.start(), collector.start(), monitor.start()]);
  const { servers } = await askJson(portOf(monitor), '/stats.json');
  assert.deepEqual(
    servers.map(({ collector }: { collector: object | null }) => collector !== null),
    [false, true],
  );
  const { body } = await ask(portOf(monitor), '/metrics');
  const samples = parseMetrics(body).get('ksocket_collector_failing')?.samples;
  assert.deepEqual(
    samples?.map(({ labels }) => labels.server),
    [`127.0.0.1:${collector.address().port}`],
  );
  await monitor.stop();
  await Promise.all([server.stop(), collector.stop()]);
});

test('the page shows what is delivered, what is on its way and that nothing is written', async () => {
  await using all = await watched();
  const browser = await startBrowser();
  try {
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(`${error}`));
    await page.goto(`http://127.0.0.1:${portOf(all.monitor)}/`);
    await page.locator('[data-counter=acknowledgedDatagrams]').waitFor();
    await all.send(12);
    const figure = (name: string) => page.locator(`[data-counter=${name}]`).textContent();
    await waitFor(async () => (await figure('acknowledgedDatagrams')) === '12', 'the count');
    assert.equal(await figure('rxDatagrams'), '12');
    assert.equal(await page.locator('caption', { hasText: 'Collector' }).count(), 1);
    assert.equal(await page.locator('figcaption', { hasText: 'Delivered' }).count(), 1);
    const tile = page.locator('#tiles > div', { hasText: 'Delivered' });
    assert.match((await tile.textContent()) ?? '', /0 on the way/);
    all.sink.outcome = 'fails';
    await all.send(3);
    await page.locator('#tiles .alarm', { hasText: 'nothing is written' }).waitFor();
    await page.locator('#notice', { hasText: 'Nothing is written of what' }).waitFor();
    assert.deepEqual(complaints, []);
  } finally {
    await browser.close();
  }
}, 300_000);

test('what is neither is refused', () => {
  for (const bad of [{}, { stats() {} }, null]) {
    assert.throws(() => createMonitor({ servers: [bad as unknown as Collector] }), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /options\.servers\[0\].*an instance of Server, Tunnel or Collector/,
    });
  }
});
