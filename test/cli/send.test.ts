import assert from 'node:assert/strict';
import { runCli, startCli } from '../support/child.js';
import { bound, Inbox, Sockets } from '../support/peer.js';
import { test } from '../support/test.js';

test('it sends a datagram and says nothing', async () => {
  await using sockets = new Sockets();
  const peer = sockets.makePeer();
  const inbox = new Inbox(peer);
  const port = await bound(peer);
  for (const text of ['hello', '', 'ü ☃', '-- dashes']) {
    const args = text.startsWith('-')
      ? ['send', '--to', `127.0.0.1:${port}`, '--', text]
      : ['send', text, '--to', `127.0.0.1:${port}`];
    const result = await runCli(args);
    assert.deepEqual(result, { code: 0, signal: null, stdout: '', stderr: '' });
    await inbox.take(1);
    assert.deepEqual(inbox.texts, [text]);
    inbox.all.length = 0;
  }
});

test('it sends over IPv6, and to a name', async () => {
  await using sockets = new Sockets();
  const peer = sockets.makePeer('udp6');
  const inbox = new Inbox(peer);
  const port = await bound(peer, '::'); // both families
  for (const host of ['[::1]', 'localhost', '127.0.0.1']) {
    const result = await runCli(['send', 'hello', '-t', `${host}:${port}`]);
    assert.deepEqual(result, { code: 0, signal: null, stdout: '', stderr: '' });
  }
  await inbox.take(3);
});

test('--wait prints the answer', async () => {
  await using sockets = new Sockets();
  const peer = sockets.makePeer();
  const port = await bound(peer);
  peer.on('message', (data, rinfo) => peer.send(`${data}\n\x1b[0m`, rinfo.port, rinfo.address));
  for (const wait of [['--wait'], ['--wait', '20'], ['-w', '20']]) {
    const result = await runCli(['send', 'hello', '--to', `127.0.0.1:${port}`, ...wait]);
    const line = `127.0.0.1:${port} 10 bytes: hello\\n\\x1b[0m\n`;
    assert.deepEqual(result, { code: 0, signal: null, stdout: line, stderr: '' });
  }
});

test('--wait without an answer fails with exit code 1 when its time is over', async () => {
  await using sockets = new Sockets();
  const peer = sockets.makePeer();
  const port = await bound(peer);
  const started = performance.now();
  const { code, signal, stdout, stderr } = await runCli(['send', 'x', '--to', `127.0.0.1:${port}`, '--wait', '0.3']);
  assert.deepEqual([code, signal, stdout], [1, null, '']);
  assert.match(stderr, /^ksocket: no answer within 0\.3 s\n$/);
  assert.ok(performance.now() - started >= 300);
});

test('a datagram that is too long fails at once, also with a long --wait', async () => {
  for (const wait of [[], ['--wait', '60']]) {
    const args = ['send', 'x'.repeat(65508), '--to', '127.0.0.1:9', ...wait];
    const { code, stdout, stderr } = await runCli(args, { deadlineMs: 20_000 });
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^ksocket: send EMSGSIZE 127\.0\.0\.1:9\n$/);
  }
});

test('an answer that comes at once, or twice, is printed once', async () => {
  await using sockets = new Sockets();
  const peer = sockets.makePeer();
  const port = await bound(peer);
  peer.on('message', (_, rinfo) => {
    for (let i = 0; i < 5; i++) peer.send('answer', rinfo.port, rinfo.address);
  });
  const { code, stdout } = await runCli(['send', 'x', '--to', `127.0.0.1:${port}`, '--wait']);
  assert.equal(code, 0);
  assert.equal(stdout, `127.0.0.1:${port} 6 bytes: answer\n`);
});

test('it talks to ksocket serve', async () => {
  await using server = startCli(['serve', '--port', '0', '--echo', '--quiet']);
  const [, port] = await server.line(/listening on port (\d+)/);
  const { code, stdout } = await runCli(['send', 'hello', '--to', `127.0.0.1:${port}`, '--wait', '20']);
  assert.equal(code, 0);
  assert.match(stdout, /5 bytes: hello/);
});
