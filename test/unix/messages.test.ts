// What local sockets send each other, one by one, in batches, and with what the kernel knows of it.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { root } from '../support/child.js';
import { LocalInbox, LocalSockets, sentTo } from '../support/local.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

// Programs of others run without what watches ours.
const { LD_PRELOAD: _, ...outside } = process.env;

test('texts, bytes, parts, lists of parts, empty and large datagrams come as they were sent', async () => {
  await using sockets = new LocalSockets();
  const receiver = sockets.bound('a');
  const got: Buffer[] = [];
  receiver.on('message', (data) => got.push(data));
  const sender = sockets.make();
  const path = sockets.path('a');
  const large = Buffer.alloc(60_000, 'large');
  sender.send('text', path);
  sender.send(Buffer.from([1, 2, 3]), path);
  sender.send('', path);
  sender.send(['a', Buffer.from('b'), 'c'], path);
  sender.send('0123456789', 2, 3, path);
  assert.equal(await sentTo(sender, large, path), 60_000);
  await waitFor(() => got.length === 6);
  assert.deepEqual(got.slice(0, 5).map(String), ['text', '\x01\x02\x03', '', 'abc', '234']);
  assert.ok(got[5].equals(large));
});

test('what is longer than a datagram can be is EMSGSIZE', async () => {
  await using sockets = new LocalSockets();
  sockets.bound('a');
  const sender = sockets.make();
  await assert.rejects(sentTo(sender, Buffer.alloc(65_536), sockets.path('a')), { code: 'EMSGSIZE' });
  sender.setSendBufferSize(4608);
  await assert.rejects(sentTo(sender, Buffer.alloc(60_000), sockets.path('a')), { code: 'EMSGSIZE', syscall: 'send' });
  assert.equal(sender.stats().txErrors, 2);
});

test('nobody there: ENOENT; nobody listens any more: ECONNREFUSED', async () => {
  await using sockets = new LocalSockets();
  const sender = sockets.make();
  await assert.rejects(sentTo(sender, 'x', sockets.path('none')), {
    code: 'ENOENT',
    syscall: 'send',
    address: sockets.path('none'),
  });
  sockets.bound('stale', {}, { keep: true }).close();
  await assert.rejects(sentTo(sender, 'x', sockets.path('stale')), { code: 'ECONNREFUSED' });
  const inbox = new LocalInbox(sockets.bound('a'));
  assert.equal(await sentTo(sender, 'x', sockets.path('a')), 1); // it goes on
  await inbox.take(1);
});

test('a send that finds the peer closed ends the connection, and the socket can be connected again', async () => {
  await using sockets = new LocalSockets();
  const path = sockets.path('server');
  const server = sockets.bound('server');
  const client = sockets.make();
  client.connectSync(path);
  server.close();
  assert.equal(client.remoteAddress().path, path); // nobody has noticed
  assert.throws(() => client.connectSync(path), { code: 'ERR_SOCKET_DGRAM_IS_CONNECTED' });
  client.send('x'); // without a callback it is noticed, too
  assert.throws(() => client.remoteAddress(), { code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' });
  await assert.rejects(sentTo(client, 'x'), { code: 'ENOTCONN', syscall: 'send' });
  assert.equal(client.stats().txErrors, 2);
  assert.throws(() => client.connectSync(path), { code: 'ENOENT', syscall: 'connect' });
  const inbox = new LocalInbox(sockets.bound('server'));
  client.connectSync(path);
  assert.equal(client.remoteAddress().path, path);
  await sentTo(client, 'again');
  await inbox.take(1);
  client.disconnect();
  await sentTo(client, 'to whom it was', path);
  await inbox.take(2);
});

test('one that closes with datagrams in it is gone for its peers, which lose no datagram to it', async () => {
  await using sockets = new LocalSockets();
  const senders = Array.from({ length: 5 }, () => sockets.make());
  for (let round = 0; round < 10; round++) {
    const receiver = sockets.bound('a');
    for (const sender of senders) {
      sender.connectSync(sockets.path('a'));
      sender.sendMany(['1', '2']);
    }
    receiver.close(); // mostly before the thread has looked
    for (const sender of senders) {
      await assert.rejects(sentTo(sender, 'x'), { code: 'ECONNREFUSED' });
      sender.disconnect();
    }
  }
});

test('connect: sends go there, only its datagrams come in, and a peer that ends is ECONNREFUSED', async () => {
  await using sockets = new LocalSockets();
  const server = sockets.bound('server');
  const asked = new LocalInbox(server);
  const client = sockets.bound('client');
  client.connect(sockets.path('server'));
  await once(client, 'connect');
  assert.deepEqual(client.remoteAddress(), { path: sockets.path('server'), family: 'unix' });
  assert.throws(() => client.send('x', sockets.path('server')), { code: 'ERR_SOCKET_DGRAM_IS_CONNECTED' });
  assert.throws(() => client.connect(sockets.path('server')), { code: 'ERR_SOCKET_DGRAM_IS_CONNECTED' });
  assert.equal(await sentTo(client, 'question'), 8);
  const [{ rinfo }] = await asked.take(1);
  const answers = new LocalInbox(client);
  await sentTo(server, 'answer', rinfo.path);
  await answers.take(1);
  await assert.rejects(sentTo(sockets.make(), 'from somebody else', sockets.path('client')), { code: 'EPERM' });
  server.close();
  await assert.rejects(sentTo(client, 'x'), { code: 'ECONNREFUSED' });
  client.disconnect();
  assert.throws(() => client.remoteAddress(), { code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' });
  const again = new LocalInbox(sockets.bound('server'));
  client.connectSync(sockets.path('server'));
  await sentTo(client, 'again');
  await again.take(1);
});

test('connect to nobody: the callback, or the event, has the error', async () => {
  await using sockets = new LocalSockets();
  const socket = sockets.make();
  const path = sockets.path('none');
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => socket.connect(path, resolve));
  assert.deepEqual([error?.code, error?.syscall], ['ENOENT', 'connect']);
  socket.connect(path);
  const [emitted] = await once(socket, 'error');
  assert.equal(emitted.message, `connect ENOENT ${path}`);
});

test('batches: sizes, paths, answers', async () => {
  await using sockets = new LocalSockets();
  const server = sockets.bound('server');
  server.on('batch', (batch) => {
    for (let i = 0; i < batch.length; i++) {
      assert.equal(batch.path(i), batch.address(i));
      batch.reply(i, `${batch.data(i)} from ${batch.path(i)}`);
    }
  });
  const clients = ['x', 'y', 'z'].map((name) => ({ name, socket: sockets.bound(name) }));
  for (const { name, socket } of clients) {
    const inbox = new LocalInbox(socket);
    socket.sendMany(['1', '2', '3'], sockets.path('server'));
    await inbox.take(3);
    assert.deepEqual(
      inbox.texts,
      ['1', '2', '3'].map((text) => `${text} from ${sockets.path(name)}`),
    );
  }
});

test('sendMany: a list to one path, to many, on a connected socket', async () => {
  await using sockets = new LocalSockets();
  const inboxes = ['a', 'b'].map((name) => new LocalInbox(sockets.bound(name)));
  const [a, b] = ['a', 'b'].map((name) => sockets.path(name));
  const sender = sockets.make();
  assert.equal(sender.sendMany(['1', '2', 'three'], a), 3);
  assert.equal(sender.sendMany(['4', b, '5', a, '6', b]), 3);
  await inboxes[0].take(4);
  await inboxes[1].take(2);
  assert.deepEqual(inboxes[0].texts, ['1', '2', 'three', '5']);
  assert.deepEqual(inboxes[1].texts, ['4', '6']);
  assert.throws(() => sender.sendMany(['x', b, 'y']), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => sender.sendMany(['x'], `/${'x'.repeat(200)}`), { code: 'ERR_INVALID_ARG_VALUE' });
  sender.connectSync(b);
  assert.equal(sender.sendMany(['7', '8']), 2);
  await inboxes[1].take(4);
  assert.deepEqual(inboxes[1].texts, ['4', '6', '7', '8']);
});

test('for await', async () => {
  await using sockets = new LocalSockets();
  const receiver = sockets.bound('a');
  const sender = sockets.bound('b');
  sender.sendMany(['1', '2', '3'], sockets.path('a'));
  const got: string[] = [];
  for await (const { data, path } of receiver) {
    got.push(`${data} ${path}`);
    if (got.length === 3) break;
  }
  assert.deepEqual(
    got,
    ['1', '2', '3'].map((text) => `${text} ${sockets.path('b')}`),
  );
});

test('with receiveCredentials, too, a socket that has connected and sent can be bound, and hears who sends', async () => {
  await using sockets = new LocalSockets();
  const server = sockets.bound('server');
  const asked = new LocalInbox(server);
  const client = sockets.make({ receiveCredentials: true });
  await sentTo(client, 'sent', sockets.path('server'));
  client.connectSync(sockets.path('server'));
  await sentTo(client, 'connected');
  await asked.take(2);
  assert.deepEqual(
    asked.all.map(({ rinfo }) => rinfo.path),
    ['', ''], // it has no name yet
  );
  assert.throws(() => client.bindSync(sockets.path('server')), { code: 'EADDRINUSE' });
  await sentTo(client, 'still nameless');
  await asked.take(3);
  client.bindSync(sockets.path('client'));
  assert.equal(asked.all[2].rinfo.path, '');
  const answers = new LocalInbox(client);
  await sentTo(server, 'answer', sockets.path('client'));
  const [{ rinfo }] = await answers.take(1);
  assert.deepEqual(rinfo.credentials, { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() });
});

test('receiveCredentials says who has sent it, also another process', async () => {
  await using sockets = new LocalSockets();
  const receiver = sockets.bound('a', { receiveCredentials: true });
  const inbox = new LocalInbox(receiver);
  const own = { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() };
  await sentTo(sockets.make(), 'mine', sockets.path('a'));
  const [{ rinfo }] = await inbox.take(1);
  assert.deepEqual(rinfo.credentials, own);
  const program = 'import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"py", sys.argv[1])';
  const python = spawn('python3', ['-c', program, sockets.path('a')], { stdio: 'inherit' });
  await inbox.take(2);
  assert.equal(inbox.all[1].text, 'py');
  assert.notEqual(inbox.all[1].rinfo.credentials?.pid, process.pid);
  assert.equal(inbox.all[1].rinfo.credentials?.uid, own.uid);
  await once(python, 'exit');
  receiver.removeAllListeners('message');
  const batched = new Promise((resolve) => {
    receiver.once('batch', (batch) => resolve([batch.credentials(0), [...batch].length]));
  });
  await sentTo(sockets.make(), 'again', sockets.path('a'));
  assert.deepEqual(await batched, [own, 1]);
  const plain = new LocalInbox(sockets.bound('plain'));
  await sentTo(sockets.make(), 'x', sockets.path('plain'));
  assert.ok(!('credentials' in (await plain.take(1))[0].rinfo));
});

test('times and lengths, where they are asked for', async () => {
  await using sockets = new LocalSockets();
  const before = Date.now() * 1000;
  const inbox = new LocalInbox(sockets.bound('a', { receiveTimes: true, maxBytes: 3 }));
  await sentTo(sockets.make(), 'longer', sockets.path('a'));
  const [{ text, rinfo }] = await inbox.take(1);
  assert.deepEqual([text, rinfo.size, rinfo.truncated], ['lon', 6, true]);
  assert.ok(
    (rinfo.receivedUs as number) >= before - 1000 && (rinfo.receivedUs as number) <= (Date.now() + 1000) * 1000,
  );
});

test('descriptors that somebody sends along are closed', async () => {
  await using sockets = new LocalSockets();
  const receiver = sockets.bound('a');
  const inbox = new LocalInbox(receiver);
  const descriptors = () => readdirSync('/proc/self/fd').length;
  const before = descriptors();
  const program = [
    'import socket, sys, os',
    's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(sys.argv[1])',
    'for i in range(50): socket.send_fds(s, [b"x"], [0, 1, 2, os.open("/dev/null", os.O_RDONLY)])',
  ].join('\n');
  execFileSync('python3', ['-c', program, sockets.path('a')], { stdio: ['ignore', 'inherit', 'inherit'] });
  await inbox.take(50);
  assert.equal(descriptors(), before);
});

test('logger(1), systemd-notify’s protocol and Python are heard', async () => {
  await using sockets = new LocalSockets();
  const log = sockets.bound('log');
  const inbox = new LocalInbox(log);
  execFileSync('logger', ['--socket-errors=on', '-u', sockets.path('log'), '-t', 'test', '-p', 'user.info', 'a line'], {
    timeout: 30_000,
    env: outside,
  });
  const [{ text }] = await inbox.take(1);
  assert.match(text, /^<14>.*test: a line\n?$/s);
  const notify = sockets.bound('notify', { receiveCredentials: true });
  const states = new LocalInbox(notify);
  const program = [
    'import os, socket',
    's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ["NOTIFY_SOCKET"])',
    's.sendall(b"READY=1\\nSTATUS=up")',
  ].join('\n');
  const env = { ...outside, NOTIFY_SOCKET: sockets.path('notify') };
  execFileSync('python3', ['-c', program], { env, timeout: 30_000 });
  assert.equal((await states.take(1))[0].text, 'READY=1\nSTATUS=up');
});

test('what waits in the kernel when a socket closes is counted', async () => {
  await using sockets = new LocalSockets();
  const receiver = sockets.bound('a');
  const sender = sockets.make();
  receiver.on('message', () => {});
  for (let n = 0; n < 5; n++) await sentTo(sender, 'x', sockets.path('a'));
  sender.sendMany(['1', '2', '3'], sockets.path('a'));
  receiver.close(); // in the same turn: at most the thread has seen them
  const { rxDatagrams, rxCloseDrops } = receiver.stats();
  assert.equal(rxDatagrams, 8);
  assert.ok(rxCloseDrops >= 3, `${rxCloseDrops} of 3`);
});

test('disconnect keeps what has arrived', async () => {
  await using sockets = new LocalSockets();
  const server = sockets.bound('server');
  const client = sockets.bound('client');
  client.connectSync(sockets.path('server'));
  const inbox = new LocalInbox(client);
  assert.equal(server.sendMany(['1', '2', '3'], sockets.path('client')), 3);
  client.disconnect();
  await inbox.take(3);
  assert.deepEqual(inbox.texts, ['1', '2', '3']);
});

test('a descriptor that somebody else has bound', async () => {
  await using sockets = new LocalSockets();
  const program = [
    "import { createSocket } from 'ksocket';",
    "const socket = createSocket('unix_dgram', (msg, { path }) => socket.send([msg, ` back`], path, () => socket.close()));",
    'socket.bind({ fd: 3 });',
    "socket.on('listening', () => console.log(socket.address().path));",
  ].join('\n');
  const starter = [
    'import os, socket, subprocess, sys',
    's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); os.dup2(s.fileno(), 3); os.set_inheritable(3, True)',
    'sys.exit(subprocess.call(sys.argv[2:], close_fds=False))',
  ].join('\n');
  const path = sockets.path('inherited');
  const args = ['-c', starter, path, process.execPath, '--input-type=module', '-e', program];
  const child = spawn('python3', args, { stdio: ['ignore', 'pipe', 'inherit'], cwd: root });
  const [said] = await once(child.stdout, 'data');
  assert.equal(String(said).trim(), path);
  const client = sockets.bound('client');
  const inbox = new LocalInbox(client);
  await sentTo(client, 'there and', path);
  assert.equal((await inbox.take(1))[0].text, 'there and back');
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
  const other = sockets.make();
  assert.throws(() => other.bindSync({ fd: 0 }), { code: 'EINVAL', syscall: 'open' });
  assert.throws(() => other.bindSync({ fd: 1_000_000 }), { code: 'EINVAL' });
  assert.throws(() => other.bindSync({ fd: -1 }), { code: 'ERR_OUT_OF_RANGE' });
  other.bindSync(sockets.path('other')); // nothing is left half-open
  assert.throws(() => client.bindSync({ fd: 0 }), { code: 'ERR_SOCKET_ALREADY_BOUND' });
});
