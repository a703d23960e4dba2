// /healthz, above all while the event loop is blocked.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'ksocket';
import { createMonitor } from 'ksocket/monitor';
import { startProgram } from '../support/child.js';
import { buildHandler } from '../support/handlers.js';
import { ask, askJson, parseMetrics, portOf } from '../support/monitor.js';
import { bound, Inbox, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

/** Serves until it is told to block, by a datagram; blocks until the file is there. */
async function blockable(file: string) {
  const { existsSync } = await import('node:fs');
  const { createServer } = await import('ksocket');
  const { createMonitor } = await import('ksocket/monitor');
  const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
  const monitor = createMonitor({ servers: [server], maxLagMs: 200 });
  await server.start();
  await monitor.start();
  server.on('datagram', (data) => {
    if (`${data}` === 'block') while (!existsSync(file));
    if (`${data}` === 'end') void Promise.all([server.stop(), monitor.stop()]);
  });
  console.log(`${server.address()?.port} ${monitor.address()?.port}`);
}

test('it says 503 within 100 ms while the event loop is blocked, and the counters go on', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  const file = join(directory, 'go on');
  try {
    await using child = startProgram(blockable, [file], { deadlineMs: 60_000 });
    const [, serverPort, monitorPort] = (await child.line(/^(\d+) (\d+)$/)).map(Number);
    await using sockets = new Sockets();
    const client = sockets.makePeer();
    const inbox = new Inbox(client);
    await bound(client);
    await waitFor(async () => (await ask(monitorPort, '/healthz')).status === 200, 'health');

    await sent(client, 'block', serverPort);
    await waitFor(async () => (await ask(monitorPort, '/healthz')).status === 503, 'the reason');
    const took: number[] = [];
    for (let i = 0; i < 11; i++) {
      const started = performance.now();
      assert.equal((await ask(monitorPort, '/healthz')).status, 503);
      took.push(performance.now() - started);
    }
    took.sort((a, b) => a - b);
    assert.ok(took[5] < 100, `the median of ${took.map(Math.round)} ms`);

    const health = await askJson(monitorPort, '/healthz');
    assert.equal(health.status, 'unhealthy');
    assert.match(health.reasons.join(), /^the event loop is \d+ ms late$/);
    assert.ok(health.eventLoopLagMs > 200);
    assert.deepEqual(health.servers, [{ name: `127.0.0.1:${serverPort}`, running: true, threadAlive: true }]);

    // Blocked as it is, the server answers, and the monitor sees that.
    const before = (await askJson(monitorPort, '/stats.json')).servers[0].stats.rxDatagrams;
    for (let i = 0; i < 10; i++) {
      await sent(client, `request ${i}`, serverPort);
      await inbox.take(i + 2);
    }
    const { servers } = await askJson(monitorPort, '/stats.json');
    assert.equal(servers[0].stats.rxDatagrams - before, 10);
    assert.equal(servers[0].ring.records, 11, 'the events wait for the loop, and the one it is in is not done');
    const metrics = parseMetrics((await ask(monitorPort, '/metrics')).body);
    assert.ok((metrics.get('ksocket_event_loop_lag_seconds')?.samples[0].value ?? 0) > 0.2);

    writeFileSync(file, '');
    await waitFor(async () => (await ask(monitorPort, '/healthz')).status === 200, 'health again');
    const longest = parseMetrics((await ask(monitorPort, '/metrics')).body).get('ksocket_event_loop_lag_max_seconds');
    await waitFor(async () => (await askJson(monitorPort, '/stats.json')).servers[0].ring.records === 0, 'the events');
    assert.ok((longest?.samples[0].value ?? 0) > 0.2, 'it is not forgotten at once');
    await sent(client, 'end', serverPort);
    assert.deepEqual((({ code, stderr }) => [code, stderr])(await child.end()), [0, '']);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a server that does not run is a reason; one that is started and stopped later is followed', async () => {
  const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
  const monitor = createMonitor({ servers: [server], maxLagMs: 60_000 });
  await monitor.start();
  const port = portOf(monitor);
  const becomes = (status: number) =>
    waitFor(async () => (await ask(port, '/healthz')).status === status, `the status ${status}`);
  try {
    const { reasons, servers } = await askJson(port, '/healthz');
    assert.deepEqual(reasons, ['server 1 is not running']);
    assert.deepEqual(servers, [{ name: 'server 1', running: false, threadAlive: false }]);
    assert.equal((await askJson(port, '/stats.json')).servers[0].stats, null);

    for (let round = 0; round < 2; round++) {
      await server.start();
      await becomes(200);
      await using sockets = new Sockets();
      const client = sockets.makePeer();
      const inbox = new Inbox(client);
      await bound(client);
      await sent(client, 'hello', server.address()?.port ?? 0);
      await inbox.take(1);
      const name = `127.0.0.1:${server.address()?.port}`;
      const running = (await askJson(port, '/stats.json')).servers[0];
      assert.deepEqual([running.name, running.stats.rxDatagrams, running.latency.count], [name, 1, 1]);

      await server.stop();
      await becomes(503);
      assert.deepEqual((await askJson(port, '/healthz')).reasons, [`${name} is not running`]);
      const stopped = (await askJson(port, '/stats.json')).servers[0];
      assert.equal(stopped.running, false);
      assert.equal(stopped.stats.rxDatagrams, 1, 'what it counted stays');
      const up = parseMetrics((await ask(port, '/metrics')).body).get('ksocket_server_up');
      assert.equal(up?.samples[0].value, 0);
    }
  } finally {
    await monitor.stop();
    await server.stop();
  }
});

test('a server whose thread has ended by itself is a reason, though it was not stopped', async () => {
  const program = async (handler: string) => {
    const { createServer } = await import('ksocket');
    const { createMonitor } = await import('ksocket/monitor');
    const local = { address: '127.0.0.1', port: 0 };
    const servers = [createServer({ ...local, handler }), createServer({ ...local, reply: 'echo' })];
    const monitor = createMonitor({ servers, maxLagMs: 60_000 });
    for (const each of [...servers, monitor]) await each.start();
    console.log([...servers, monitor].map((each) => each.address()?.port).join(' '));
  };
  await using child = startProgram(program, [buildHandler('native/test/support/handlers/ends_its_thread.c')]);
  const [, dying, living, monitorPort] = (await child.line(/^(\d+) (\d+) (\d+)$/)).map(Number);
  const ups = async () => {
    const metric = parseMetrics((await ask(monitorPort, '/metrics')).body).get('ksocket_server_up');
    return metric?.samples.map(({ value }) => value);
  };
  await waitFor(async () => (await ask(monitorPort, '/healthz')).status === 200, 'health');
  assert.deepEqual(await ups(), [1, 1]);

  await using sockets = new Sockets();
  const client = sockets.makePeer();
  await bound(client);
  await sent(client, 'x', dying);
  await waitFor(async () => (await ask(monitorPort, '/healthz')).status === 503, 'the reason');
  const { reasons, servers } = await askJson(monitorPort, '/healthz');
  const name = (port: number) => `127.0.0.1:${port}`;
  assert.deepEqual(reasons, [`the I/O thread of ${name(dying)} has ended`]);
  assert.deepEqual(servers, [
    { name: name(dying), running: true, threadAlive: false },
    { name: name(living), running: true, threadAlive: true },
  ]);
  assert.deepEqual(await ups(), [0, 1]);
});
