// What the monitor serves, to whom, and that the figures are the server's.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { createServer, type Server } from 'ksocket';
import { createMonitor, type Monitor } from 'ksocket/monitor';
import { createHttpServer, type Routes } from '../../build-lib/monitor/http.js';
import { addonTest, onDgram } from '../support/backend.js';
import { ask, askJson, parseMetrics, portOf } from '../support/monitor.js';
import { bound, Inbox, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

/** An echo server with a monitor, and what has been echoed. */
async function monitored(echoes: number): Promise<{ server: Server; monitor: Monitor } & AsyncDisposable> {
  const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
  const monitor = createMonitor({ servers: [server] });
  await server.start();
  await monitor.start();
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  for (let i = 0; i < echoes; i++) {
    await sent(client, 'hello', server.address()?.port ?? 0);
    await inbox.take(i + 1);
  }
  // The answer is on its way before it is counted.
  await waitFor(() => server.stats().txDatagrams === echoes, 'the count');
  return {
    server,
    monitor,
    async [Symbol.asyncDispose]() {
      await monitor.stop();
      await server.stop();
    },
  };
}

test('/stats.json has the counters of server.stats()', async () => {
  await using all = await monitored(20);
  const { server, monitor } = all;
  const { servers, health, sample } = await askJson(portOf(monitor), '/stats.json');
  const [{ stats, ...rest }] = servers;
  assert.equal(stats.rxDatagrams, 20);
  assert.equal(stats.rxBytes, 100);
  // Whatever is counted last (the thread's going back to sleep), the two agree.
  await waitFor(async () => {
    const now = (await askJson(portOf(monitor), '/stats.json')).servers[0].stats;
    return isDeepStrictEqual(now, server.stats());
  }, 'the same figures');
  assert.equal(rest.name, `127.0.0.1:${server.address()?.port}`);
  assert.equal(rest.running, true);
  assert.match(rest.engine, /^(mmsg|posix|dgram)$/);
  assert.deepEqual(rest.ring, { records: 0, capacity: 65536 });
  assert.equal(health.status, 'ok');
  assert.ok(sample.sequence >= 1);
});

addonTest('kernel counters', 'each datagram is in the latency histogram once', async () => {
  await using all = await monitored(50);
  const { latency } = (await askJson(portOf(all.monitor), '/stats.json')).servers[0];
  assert.equal(latency.count, 50);
  const counts: number[] = latency.buckets.map(([, count]: [number, number]) => count);
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    50,
  );
  // The sum lies between what the buckets' ends allow.
  const least = latency.buckets.reduce((sum: number, [us, count]: [number, number]) => sum + us * count, 0);
  assert.ok(latency.sumNs >= least * 1000, JSON.stringify(latency));
  assert.ok(latency.sumNs > 0);
});

test('/metrics follows Prometheus’ conventions and has the same figures', async () => {
  await using all = await monitored(20);
  const { server, monitor } = all;
  const { waits } = server.stats().thread;
  const { status, headers, body } = await ask(portOf(monitor), '/metrics');
  assert.equal(status, 200);
  assert.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  const metrics = parseMetrics(body);
  const label = `127.0.0.1:${server.address()?.port}`;
  const value = (name: string, labels: Record<string, string> = {}) => {
    const family = metrics.get(name) ?? metrics.get(name.replace(/_(sum|count|bucket)$/, ''));
    const found = family?.samples.filter(
      (sample) => sample.name === name && Object.entries(labels).every(([key, text]) => sample.labels[key] === text),
    );
    assert.equal(found?.length, 1, `${name} ${JSON.stringify(labels)}`);
    return found[0].value;
  };
  const { rxDatagrams, rxBytes, txDatagrams, rxKernelDrops, thread } = server.stats();
  assert.equal(rxDatagrams, 20);
  assert.equal(value('ksocket_received_datagrams_total', { server: label }), rxDatagrams);
  assert.equal(value('ksocket_received_bytes_total', { server: label }), rxBytes);
  assert.equal(value('ksocket_sent_datagrams_total', { server: label }), txDatagrams);
  // The thread may go back to sleep at any moment.
  const waited = value('ksocket_thread_waits_total', { server: label });
  assert.ok(waits <= waited && waited <= thread.waits, `${waits} <= ${waited} <= ${thread.waits}`);
  assert.equal(
    value('ksocket_dropped_datagrams_total', { server: label, reason: 'receive_buffer_full' }),
    rxKernelDrops,
  );
  assert.equal(value('ksocket_server_up', { server: label }), 1);
  assert.ok(value('ksocket_event_loop_lag_seconds') < 60);
  assert.ok(
    value('ksocket_ring_records', { server: label }) <= value('ksocket_ring_capacity_records', { server: label }),
  );
  assert.equal(value('ksocket_build_info'), 1);
  // When the kernel has received them, node:dgram does not say.
  assert.equal(value('ksocket_receive_latency_seconds_count', { server: label }), onDgram ? 0 : rxDatagrams);

  for (const [name, { type, help, samples }] of metrics) {
    assert.match(name, /^ksocket_[a-z0-9_]+$/);
    assert.notEqual(help, '', name);
    assert.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`);
    assert.ok(samples.length > 0, `${name} has a value`);
    for (const sample of samples) assert.ok(sample.value >= 0, `${name} ${sample.value}`);
  }
  const buckets = metrics
    .get('ksocket_receive_latency_seconds')
    ?.samples.filter(({ name }) => name.endsWith('_bucket'))
    .map(({ labels, value }) => [labels.le === '+Inf' ? Infinity : Number(labels.le), value]);
  assert.ok(buckets && buckets.length > 20);
  assert.equal(buckets[0][0], 1e-6);
  assert.ok((buckets.at(-2)?.[0] ?? 0) > 10, 'up to more than 10 s');
  assert.deepEqual(buckets.at(-1), [Infinity, onDgram ? 0 : rxDatagrams]);
  for (let i = 1; i < buckets.length; i++) {
    assert.ok(buckets[i][0] > buckets[i - 1][0] && buckets[i][1] >= buckets[i - 1][1], 'cumulative');
  }
});

test('every counter has a metric', async () => {
  await using all = await monitored(0);
  const counters = await askJson(portOf(all.monitor), '/counters.json');
  const metrics = parseMetrics((await ask(portOf(all.monitor), '/metrics')).body);
  const { thread, answering, ...rest } = all.server.stats();
  assert.deepEqual(
    counters.map(({ name }: { name: string }) => name).sort(),
    [...Object.keys(rest), ...Object.keys(answering), ...Object.keys(thread)].sort(),
  );
  for (const { metric } of counters) assert.equal(metrics.get(metric)?.type, 'counter', metric);
});

test('the history has a sample a second, with rates that add up to the counters', async () => {
  await using all = await monitored(0);
  const port = portOf(all.monitor);
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  await bound(client);
  const sequence = async () => (await askJson(port, '/history.json')).sequence;
  const before = await sequence();
  await waitFor(async () => (await sequence()) > before, 'a sample');
  for (let i = 0; i < 30; i++) await sent(client, 'hello', all.server.address()?.port ?? 0);
  await waitFor(() => all.server.stats().rxDatagrams === 30, 'the datagrams');
  const then = await sequence();
  await waitFor(async () => (await sequence()) > then, 'a sample');
  const { times, lagMs, servers, intervalMs } = await askJson(port, '/history.json');
  const { received, batch, latencyP50Us } = servers[0].samples;
  assert.equal(intervalMs, 1000);
  assert.ok(times.length === lagMs.length && times.length === received.length);
  let sum = 0;
  for (let i = 1; i < times.length; i++) sum += (received[i] ?? 0) * ((times[i] - times[i - 1]) / 1000);
  assert.ok(Math.abs(sum - 30) < 3, `${sum} datagrams, ${JSON.stringify(received)}`);
  assert.ok(batch.some((n: number | null) => n !== null && n >= 1));
  assert.equal(
    latencyP50Us.some((us: number | null) => us !== null && us >= 1),
    !onDgram,
  );
});

test('/stats.json has the latest sample of the history', async () => {
  await using all = await monitored(0);
  const port = portOf(all.monitor);
  const latest = async () => (await askJson(port, '/stats.json')).sample;
  const after = async ({ sequence }: { sequence: number }) => {
    await waitFor(async () => (await latest()).sequence > sequence, 'a sample');
    return latest();
  };
  const first = await after({ sequence: 1 });
  const until = performance.now() + 300;
  while (performance.now() < until); // the monitor sees that the event loop is stuck
  const second = await after(first);
  assert.ok(second.time > first.time);
  assert.ok(second.lagMs >= 200, `${JSON.stringify([first, second])}`);
});

test('every document has strict headers, and HEAD sends only those', async () => {
  await using all = await monitored(0);
  const port = portOf(all.monitor);
  const types: Record<string, RegExp> = {
    '/': /^text\/html; charset=utf-8$/,
    '/main.js': /^text\/javascript/,
    '/style.css': /^text\/css/,
    '/uplot.js': /^text\/javascript/,
    '/uplot.css': /^text\/css/,
    '/icon.svg': /^image\/svg\+xml$/,
    '/stats.json': /^application\/json/,
    '/healthz?verbose=1': /^application\/json/,
    '/metrics': /^text\/plain/,
    '/nothing': /^text\/plain/,
  };
  for (const [path, type] of Object.entries(types)) {
    const got = await ask(port, path);
    const head = await ask(port, path, { method: 'HEAD' });
    assert.equal(got.status, path === '/nothing' ? 404 : 200, path);
    assert.equal(head.status, got.status);
    assert.equal(head.body, '');
    assert.notEqual(got.body, '');
    for (const { headers } of [got, head]) {
      assert.match(String(headers['content-type']), type);
      assert.match(String(headers['content-security-policy']), /^default-src 'none'; script-src 'self'; /);
      assert.doesNotMatch(String(headers['content-security-policy']), /unsafe|\*/);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['access-control-allow-origin'], undefined);
      assert.ok(Number(headers['content-length']) > 0);
    }
  }
});

test('other methods get 405, paths out of the folder 404', async () => {
  await using all = await monitored(0);
  const port = portOf(all.monitor);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const { status, headers } = await ask(port, '/metrics', { method });
    assert.deepEqual([status, headers.allow], [405, 'GET, HEAD'], method);
  }
  for (const path of ['/../package.json', '/%2e%2e/worker.js', '//', '/index.html', '/page/main.js', '/constructor']) {
    assert.equal((await ask(port, path)).status, 404, path);
  }
});

test('on loopback, a Host that is another name is refused', async () => {
  await using all = await monitored(0);
  const port = portOf(all.monitor);
  const local = [
    'localhost',
    `localhost:${port}`,
    '127.0.0.1',
    `127.1.2.3:${port}`,
    '127.255.255.254',
    '[::1]',
    `[::1]:${port}`,
    'LOCALHOST',
  ];
  for (const host of local) assert.equal((await ask(port, '/metrics', { headers: { host } })).status, 200, host);
  const foreign = [
    'evil.example',
    `evil.example:${port}`,
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    '8.8.8.8',
    '126.255.255.255',
    '128.0.0.1',
    '[::2]',
  ];
  for (const host of foreign) assert.equal((await ask(port, '/metrics', { headers: { host } })).status, 421, host);
});

test('headers that are too long are refused', async () => {
  await using all = await monitored(0);
  const { status } = await ask(portOf(all.monitor), '/', { headers: { 'x-long': 'x'.repeat(20_000) } });
  assert.equal(status, 431);
});

test('a document that cannot be made is an answer that says why', async () => {
  const routes: Routes = new Map([
    ['/throws', () => assert.fail('for a reason')],
    ['/rejects', () => Promise.reject(new Error('for another'))],
  ]);
  const server = createHttpServer(routes).listen(0, '127.0.0.1');
  assert.ok(server.timeout > 0, 'who does not read is given up');
  try {
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    for (const [path, reason] of [
      ['/throws', 'for a reason'],
      ['/rejects', 'for another'],
    ]) {
      const { status, headers, body } = await ask(port, path);
      assert.deepEqual([status, headers['content-type'], body], [500, 'text/plain; charset=utf-8', `${reason}\n`]);
    }
  } finally {
    server.close();
  }
});
