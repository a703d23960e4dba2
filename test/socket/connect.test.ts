import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createSocket } from 'ksocket';
import { bound, closed, Inbox, kinds, Sockets, sent, unusedPort } from '../support/peer.js';
import { test } from '../support/test.js';
import { nextTurn, waitFor, within } from '../support/wait.js';

test('connect() binds, emits connect a tick later, and says where it is connected to', async () => {
  for (const [kind, make] of kinds) {
    await using sockets = new Sockets();
    const port = await bound(sockets.makePeer());
    const socket = sockets.add(make());
    const order: string[] = [];
    socket.on('listening', () => order.push('listening'));
    socket.on('connect', () => order.push('connect'));
    const done = new Promise<void>((resolve) => {
      socket.connect(port, '127.0.0.1', () => {
        order.push('callback');
        resolve();
      });
    });
    order.push('returned');
    await within(done, 'connect');
    assert.deepEqual(order, ['returned', 'listening', 'connect', 'callback'], kind);
    assert.deepEqual(socket.remoteAddress(), { address: '127.0.0.1', family: 'IPv4', port }, kind);
    assert.equal(socket.address().address, '127.0.0.1', kind);
  }
});

test('connect() takes an address, a callback, both or neither', async () => {
  for (const [kind, make] of kinds) {
    await using sockets = new Sockets();
    const port = await bound(sockets.makePeer());
    for (const args of [
      (done: () => void) => [port, done],
      (done: () => void) => [port, '127.0.0.1', done],
      (done: () => void) => [port, '', done],
      (done: () => void) => [port, undefined, done],
      (done: () => void) => [`${port}`, 'localhost', done],
    ]) {
      const socket = sockets.add(make());
      await within(
        new Promise<void>((resolve) => (socket.connect as (...args: unknown[]) => void)(...args(resolve))),
        `${kind} ${args}`,
      );
      assert.equal(socket.remoteAddress().port, port);
    }
  }
});

test('connectSync() takes an address, or is connected to this machine', async () => {
  await using sockets = new Sockets();
  for (const type of ['udp4', 'udp6'] as const) {
    const loopback = type === 'udp4' ? '127.0.0.1' : '::1';
    const port = await bound(sockets.makePeer(type));
    for (const address of [loopback, '', null, undefined]) {
      const socket = sockets.make(type);
      socket.connectSync(port, address as string);
      assert.deepEqual(socket.remoteAddress(), { address: loopback, family: type.replace('udp', 'IPv'), port });
    }
    assert.throws(() => sockets.make(type).connectSync(port, 'localhost'), { code: 'ERR_INVALID_ARG_VALUE' });
  }
});

test('a connected socket gets datagrams of its peer only, a disconnected one all', async () => {
  for (const [kind, make] of kinds) {
    await using sockets = new Sockets();
    const peer = sockets.makePeer();
    const stranger = sockets.makePeer();
    await bound(peer);
    await bound(stranger);
    const socket = sockets.add(make());
    const inbox = new Inbox(socket);
    const listening = once(socket, 'listening');
    // connect(2) to nobody gives a port back that the kernel chose: this one is ours.
    socket.bind(await unusedPort(), '127.0.0.1');
    await listening;
    const { port } = socket.address();
    const connected = once(socket, 'connect');
    socket.connect(peer.address().port, '127.0.0.1');
    await connected;
    await sent(stranger, 'stranger', port);
    await sent(peer, 'peer', port);
    await inbox.take(1);
    assert.deepEqual(inbox.texts, ['peer'], kind);
    assert.deepEqual(inbox.all[0].rinfo, { address: '127.0.0.1', family: 'IPv4', port: peer.address().port, size: 4 });
    socket.disconnect();
    await sent(stranger, 'stranger', port);
    await inbox.take(2);
    assert.deepEqual(inbox.texts, ['peer', 'stranger'], kind);
  }
});

test('disconnect() and connect() again, to someone else', async () => {
  for (const [kind, make] of kinds) {
    await using sockets = new Sockets();
    const inboxes: Inbox[] = [];
    const socket = sockets.add(make());
    for (let i = 0; i < 3; i++) {
      const peer = sockets.makePeer();
      inboxes.push(new Inbox(peer));
      const port = await bound(peer);
      const connected = once(socket, 'connect');
      socket.connect(port, '127.0.0.1');
      assert.throws(() => socket.connect(port, '127.0.0.1'), { code: 'ERR_SOCKET_DGRAM_IS_CONNECTED' });
      assert.throws(() => socket.disconnect(), { code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED', message: 'Not connected' });
      assert.throws(() => socket.remoteAddress(), { code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' });
      await connected;
      assert.throws(() => socket.connect(port, '127.0.0.1'), {
        code: 'ERR_SOCKET_DGRAM_IS_CONNECTED',
        message: 'Already connected',
      });
      const text = `to ${i}`;
      const done = new Promise((resolve) => socket.send(text, resolve));
      await done;
      await inboxes[i].take(1);
      socket.disconnect();
      assert.throws(() => socket.disconnect(), { code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' });
      assert.throws(() => socket.remoteAddress(), { code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' });
    }
    assert.deepEqual(
      inboxes.map((inbox) => inbox.texts),
      [['to 0'], ['to 1'], ['to 2']],
      kind,
    );
  }
});

test('what is sent right before disconnect() still goes out', async () => {
  await using sockets = new Sockets();
  const peer = sockets.makePeer();
  const inbox = new Inbox(peer);
  const port = await bound(peer);
  const socket = sockets.make();
  socket.connect(port);
  await once(socket, 'connect');
  for (let i = 0; i < 10; i++) socket.send(`${i}`);
  socket.disconnect();
  await inbox.take(10);
  assert.equal(inbox.texts.join(''), '0123456789');
});

test('what is sent before connect() goes where it was sent to', async () => {
  for (const [kind, make] of kinds) {
    await using sockets = new Sockets();
    const peer = sockets.makePeer();
    const other = sockets.makePeer();
    const inbox = new Inbox(other);
    await bound(peer);
    await bound(other);
    const socket = sockets.add(make());
    await bound(socket);
    const connected = once(socket, 'connect');
    socket.send('a', other.address().port, '127.0.0.1');
    socket.connect(peer.address().port, '127.0.0.1');
    await connected;
    await inbox.take(1);
    assert.deepEqual(inbox.texts, ['a'], kind);
  }
});

test('a failed connect goes to its callback, or to error, and can be tried again', async () => {
  for (const [kind, make] of kinds) {
    await using sockets = new Sockets();
    const port = await bound(sockets.makePeer());
    const socket = sockets.add(make());
    const refused = await within(
      new Promise<Error | undefined>((resolve) => {
        (socket.connect as (...args: unknown[]) => void)(9, '255.255.255.255', resolve);
      }),
      'the callback',
    );
    const { code, errno, syscall, address, port: errorPort, message } = refused as never;
    assert.deepEqual(
      { code, errno, syscall, address, port: errorPort, message },
      {
        code: 'EACCES',
        errno: -13,
        syscall: 'connect',
        address: '255.255.255.255',
        port: 9,
        message: 'connect EACCES 255.255.255.255:9',
      },
      kind,
    );
    assert.equal(socket.listenerCount('connect'), 0, kind);
    const failed = once(socket, 'error');
    socket.connect(9, '255.255.255.255');
    assert.equal((await failed)[0].code, 'EACCES', kind);
    const connected = once(socket, 'connect');
    socket.connect(port, '127.0.0.1');
    await connected;
    assert.equal(socket.remoteAddress().port, port, kind);
  }
});

test('a failed lookup of connect() goes to its callback, or to error', async () => {
  const failure = new Error('no such name');
  const lookup = (host: string, _: unknown, done: (...args: unknown[]) => void) =>
    process.nextTick(done, host === 'nowhere.test' ? failure : null, host);
  await using sockets = new Sockets();
  const socket = sockets.make({ type: 'udp4', lookup: lookup as never });
  const given = await new Promise((resolve) => socket.connect(9, 'nowhere.test', resolve));
  assert.equal(given, failure);
  const failed = once(socket, 'error');
  socket.connect(9, 'nowhere.test');
  assert.equal((await failed)[0], failure);
  const connected = once(socket, 'connect');
  socket.connect(9, '127.0.0.1');
  await connected;
});

test('a connected socket hears ECONNREFUSED as an error event, as node:dgram’s does', async () => {
  for (const [kind, make] of kinds) {
    await using sockets = new Sockets();
    const port = await unusedPort();
    const socket = sockets.add(make());
    const connected = once(socket, 'connect');
    socket.connect(port, '127.0.0.1');
    await connected;
    const failed = once(socket, 'error');
    const result = new Promise((resolve) => socket.send('x', (...args) => resolve(args)));
    const [error] = await within(failed, `${kind}: error`);
    assert.equal(error.message, 'recvmsg ECONNREFUSED', kind);
    assert.equal(error.code, 'ECONNREFUSED', kind);
    assert.equal(error.errno, -111, kind);
    assert.equal(error.syscall, 'recvmsg', kind);
    assert.deepEqual(await result, [null, 1], `${kind}: the send itself succeeded`);
  }
});

test('a connected socket goes on after ECONNREFUSED, and talks to a peer that appears later', async () => {
  await using sockets = new Sockets();
  const port = await unusedPort();
  const socket = sockets.make();
  const inbox = new Inbox(socket);
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  let refused = 0;
  socket.on('error', (error: NodeJS.ErrnoException) => {
    assert.equal(error.code, 'ECONNREFUSED');
    refused++;
  });
  for (let i = 1; i <= 5; i++) {
    socket.send('x');
    await waitFor(() => refused >= i, 'error');
  }
  const peer = sockets.makePeer();
  peer.on('message', (data, rinfo) => peer.send(data, rinfo.port, rinfo.address));
  const listening = once(peer, 'listening');
  peer.bind(port, '127.0.0.1');
  await listening;
  socket.send('y');
  await inbox.take(1);
  assert.equal(inbox.texts[0], 'y');
  const { rxErrors } = socket.stats();
  assert.ok(rxErrors >= 5, `${rxErrors} errors are counted`);
});

test('an unconnected socket never hears of a refusal', async () => {
  await using sockets = new Sockets();
  const port = await unusedPort();
  const socket = sockets.make();
  socket.on('error', () => assert.fail('error'));
  for (let i = 0; i < 20; i++) {
    await sent(socket, 'x', port);
    await nextTurn();
  }
});

test('close() while connecting', async () => {
  await using sockets = new Sockets();
  const port = await bound(sockets.makePeer());
  const socket = createSocket('udp4');
  await bound(socket);
  socket.connect(port, '127.0.0.1', () => assert.fail('the callback of connect'));
  await closed(socket);
  await nextTurn();
});
