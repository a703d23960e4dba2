// `ksocket serve --monitor`.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { runCli, startCli } from '../support/child.js';
import { ask } from '../support/monitor.js';
import { Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const serve = ['serve', '--port', '0', '--address', '127.0.0.1', '--echo', '--quiet'];

for (const [given, url] of [
  ['0', /^ksocket: monitor on (http:\/\/127\.0\.0\.1:(\d+)\/)$/],
  ['127.0.0.2:0', /^ksocket: monitor on (http:\/\/127\.0\.0\.2:(\d+)\/)$/],
  ['[::1]:0', /^ksocket: monitor on (http:\/\/\[::1\]:(\d+)\/)$/],
] as const) {
  test(`--monitor ${given} says where it is, and ends with the server`, async () => {
    await using child = startCli([...serve, '--monitor', given]);
    const [, port] = await child.line(/^ksocket: listening on port (\d+)$/);
    const [, address, monitorPort] = await child.line(url);
    await using sockets = new Sockets();
    await sent(sockets.makePeer(), 'hello', Number(port));
    const host = new URL(address).hostname.replace(/[[\]]/g, '');
    const received = async () => {
      const { body } = await ask(Number(monitorPort), '/stats.json', { host });
      return JSON.parse(body).servers[0].stats.rxDatagrams;
    };
    await waitFor(async () => (await received()) === 1, 'the datagram');
    child.kill('SIGTERM');
    const { code, stdout, stderr } = await child.end();
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /successfully killed native thread\nksocket: module unloaded\n$/);
  });
}

test('a monitor that cannot listen ends the command', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  try {
    const { code, stderr, stdout } = await runCli([...serve, '--monitor', `${port}`]);
    assert.equal(code, 1);
    assert.match(stderr, /^ksocket: no monitor: listen EADDRINUSE: address already in use 127\.0\.0\.1:\d+\n$/);
    assert.match(stdout, /module unloaded\n$/);
  } finally {
    other.close();
    await once(other, 'close');
  }
});

test('--monitor refuses what is no place to listen', async () => {
  for (const bad of ['', 'x', '65536', 'host:', '::1:80', '[::1]']) {
    const { code, stderr } = await runCli([...serve, '--monitor', bad]);
    assert.equal(code, 1, bad);
    assert.match(stderr, /--monitor/);
  }
});

test('without --monitor neither prom-client nor the monitor is loaded', async () => {
  await using child = startCli([...serve], { env: { NODE_DEBUG: 'esm' } });
  await child.line(/^ksocket: listening on port (\d+)$/);
  child.kill('SIGTERM');
  const { stderr } = await child.end();
  assert.match(stderr, /dist\/cli\/main\.js/, 'the log names modules');
  assert.doesNotMatch(stderr, /prom-client|dist\/monitor/);
});
