// The original kernel module's job with its own defaults: ports 2325 and 23. All tests that use those ports are in
// this file, so that no two run at once.
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'ksocket';
import { startCli } from '../support/child.js';
import { bound, Inbox, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const PORT = 2325;
const TARGET_PORT = 23;

/** Somebody at 127.0.0.1:23; where that needs a privilege which we lack, at another port. */
async function target(sockets: Sockets): Promise<{ inbox: Inbox; port: number }> {
  for (const wanted of [TARGET_PORT, 0]) {
    const socket = dgram.createSocket('udp4');
    try {
      const listening = once(socket, 'listening');
      socket.bind(wanted, '127.0.0.1');
      await listening;
      sockets.add(socket);
      return { inbox: new Inbox(socket), port: socket.address().port };
    } catch (error) {
      socket.close();
      assert.equal((error as NodeJS.ErrnoException).code, 'EACCES');
    }
  }
  throw new Error('unreachable');
}

test('the defaults are the original’s', async () => {
  await using sockets = new Sockets();
  const { inbox, port } = await target(sockets);
  const client = sockets.makePeer();
  await bound(client);
  const server = createServer(port === TARGET_PORT ? undefined : { replyTo: { address: '127.0.0.1', port } });
  await server.start();
  try {
    assert.deepEqual(server.address(), { address: '0.0.0.0', family: 'IPv4', port: PORT });
    const datagrams: [string, number][] = [];
    server.on('datagram', (data, { size }) => datagrams.push([`${data}`, size]));
    await sent(client, 'hello', PORT);
    await sent(client, 'hello, kernel module', PORT);
    await inbox.take(2);
    assert.deepEqual(inbox.texts, ['testing...', 'testing...']);
    await waitFor(() => datagrams.length === 2, 'the events');
    assert.deepEqual(datagrams, [
      ['hello', 5],
      ['hello, ker', 20],
    ]);
  } finally {
    await server.stop();
  }
});

test('a second server on the default port is EADDRINUSE', async () => {
  const first = createServer({ reply: null });
  await first.start();
  try {
    await assert.rejects(createServer({ reply: null }).start(), {
      message: 'bind EADDRINUSE 0.0.0.0:2325',
      code: 'EADDRINUSE',
      address: '0.0.0.0',
      port: PORT,
    });
  } finally {
    await first.stop();
  }
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`ksocket serve logs what the original logs, and unloads on ${signal}`, async () => {
    await using sockets = new Sockets();
    const { inbox, port } = await target(sockets);
    const client = sockets.makePeer();
    await bound(client);
    await using child = startCli(port === TARGET_PORT ? ['serve'] : ['serve', '--reply-to', `127.0.0.1:${port}`]);
    await child.line(/listening/);
    await sent(client, 'hello', PORT);
    await inbox.take(1);
    await child.line(/ data: hello/);
    await sent(client, 'longer than ten bytes', PORT);
    await inbox.take(2);
    assert.deepEqual(inbox.texts, ['testing...', 'testing...']);
    await child.line(/ data: longer/);
    child.kill(signal);
    const { code, signal: died, stdout, stderr } = await child.end();
    assert.equal(stderr, '');
    assert.equal(died, null);
    assert.equal(code, 0);
    const name = /successfully killed (\S+) thread/.exec(stdout)?.[1];
    assert.deepEqual(stdout.split('\n'), [
      'ksocket: listening on port 2325',
      'ksocket: received 5 bytes',
      ' data: hello',
      'ksocket: received 10 bytes',
      ' data: longer tha',
      `ksocket: successfully killed ${name} thread`,
      'ksocket: module unloaded',
      '',
    ]);
    assert.ok(name);
  });
}
