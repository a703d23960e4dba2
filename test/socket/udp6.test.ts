import assert from 'node:assert/strict';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { bound, Inbox, kinds, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { nextTurn } from '../support/wait.js';

test('udp6 sends and receives on ::1', async () => {
  for (const [kind, make] of kinds) {
    await using sockets = new Sockets();
    const peer = sockets.makePeer('udp6');
    const peerInbox = new Inbox(peer);
    const peerPort = await bound(peer);
    const socket = sockets.add(make('udp6'));
    const inbox = new Inbox(socket);
    const port = await bound(socket);
    assert.deepEqual(socket.address(), { address: '::1', family: 'IPv6', port }, kind);
    await sent(peer, 'to the socket', port, '::1');
    await sent(socket, 'to the peer', peerPort, '::1');
    await inbox.take(1);
    await peerInbox.take(1);
    assert.deepEqual(inbox.all[0].rinfo, { address: '::1', family: 'IPv6', port: peerPort, size: 13 }, kind);
    assert.deepEqual(peerInbox.all[0].rinfo, { address: '::1', family: 'IPv6', port, size: 11 }, kind);
  }
});

test('udp6 defaults: bound to ::, sends to ::1', async () => {
  await using sockets = new Sockets();
  const peer = sockets.makePeer('udp6');
  const inbox = new Inbox(peer);
  const port = await bound(peer);
  const socket = sockets.make('udp6');
  await new Promise((resolve) => socket.send('x', port, resolve));
  assert.equal(socket.address().address, '::');
  await inbox.take(1);
  assert.equal(inbox.all[0].rinfo.address, '::1');
});

test('addresses of every length of text come back as node:dgram writes them', async () => {
  // The loopback addresses, and all of this machine: what is sent to one's own address stays on the loopback device.
  const own = Object.entries(networkInterfaces()).flatMap(([name, all]) =>
    (all ?? [])
      .filter(({ family }) => family === 'IPv6')
      .map(({ address, scopeid }) => (scopeid ? `${address}%${name}` : address)),
  );
  const destinations = [...new Set(['::1', '::1%lo', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', ...own])];
  for (const destination of destinations) {
    const seen: unknown[] = [];
    for (const [, make] of kinds) {
      await using sockets = new Sockets();
      const receiver = sockets.add(make('udp6'));
      const inbox = new Inbox(receiver);
      const port = await bound(receiver, '::');
      const sender = sockets.add(make('udp6'));
      await sent(sender, 'x', port, destination);
      await inbox.take(1);
      const { address, family, size } = inbox.all[0].rinfo;
      // The answer goes to the address as it was given, scope included.
      const answers = new Inbox(sender);
      await sent(receiver, 'answer', inbox.all[0].rinfo.port, address);
      await answers.take(1);
      seen.push({ address, family, size, answeredFrom: answers.all[0].rinfo.address });
    }
    assert.deepEqual(seen[1], seen[0], destination);
  }
});

test('IPv4 on a dual-stack socket is an IPv4-mapped address, in both directions', async () => {
  for (const [kind, make] of kinds) {
    await using sockets = new Sockets();
    const four = sockets.makePeer('udp4');
    const fourInbox = new Inbox(four);
    const fourPort = await bound(four);
    const dual = sockets.add(make('udp6'));
    const inbox = new Inbox(dual);
    const port = await bound(dual, '::');
    await sent(four, 'over IPv4', port);
    await inbox.take(1);
    const { rinfo } = inbox.all[0];
    assert.deepEqual(rinfo, { address: '::ffff:127.0.0.1', family: 'IPv6', port: fourPort, size: 9 }, kind);
    await sent(dual, 'answer', rinfo.port, rinfo.address);
    await fourInbox.take(1);
    assert.deepEqual(fourInbox.texts, ['answer']);
  }
});

test('ipv6Only leaves the port of IPv4 free', async () => {
  await using sockets = new Sockets();
  const six = sockets.make({ type: 'udp6', ipv6Only: true });
  const port = await bound(six, '::');
  const four = sockets.make('udp4');
  const fourInbox = new Inbox(four);
  const sixInbox = new Inbox(six);
  const listening = once(four, 'listening');
  four.bind(port, '0.0.0.0');
  await listening;
  await sent(sockets.makePeer('udp4'), 'four', port);
  await sent(sockets.makePeer('udp6'), 'six', port, '::1');
  await fourInbox.take(1);
  await sixInbox.take(1);
  assert.deepEqual([fourInbox.texts, sixInbox.texts], [['four'], ['six']]);
});

test('without ipv6Only the port is taken for IPv4 too', async () => {
  await using sockets = new Sockets();
  const six = sockets.make('udp6');
  const port = await bound(six, '::');
  const four = sockets.make('udp4');
  const failed = once(four, 'error');
  four.bind(port, '0.0.0.0');
  assert.equal((await failed)[0].code, 'EADDRINUSE');
});

test('udp6 connects, hears refusals, and says where it is connected to', async () => {
  await using sockets = new Sockets();
  const gone = sockets.makePeer('udp6');
  const port = await bound(gone);
  gone.close();
  const socket = sockets.make('udp6');
  const connected = once(socket, 'connect');
  socket.connect(port);
  await connected;
  assert.deepEqual(socket.remoteAddress(), { address: '::1', family: 'IPv6', port });
  const failed = once(socket, 'error');
  socket.send('x');
  assert.equal((await failed)[0].message, 'recvmsg ECONNREFUSED');
  socket.disconnect();
});

test('udp6 bursts of every size arrive in order and intact, from and to node:dgram', async () => {
  for (const [kind, make] of kinds) {
    await using sockets = new Sockets();
    const receiver = sockets.add(kind === 'ksocket' ? kinds[0][1]('udp6') : kinds[1][1]('udp6'));
    const inbox = new Inbox(receiver);
    const port = await bound(receiver);
    const sender = sockets.add(make('udp6'));
    await bound(sender);
    const sizes = [0, 1, 2, 1200, 1200, 1200, 600, 0, 9000, 9000, 100, 100, 100, 100, 65507, 3, 3, 3, 65527];
    for (const [i, size] of sizes.entries()) {
      sender.send(Buffer.alloc(size, i), port, '::1');
      if (i % 6 === 5) await inbox.take(i + 1); // the kernel's buffer is small
    }
    await inbox.take(sizes.length);
    assert.deepEqual(
      inbox.all.map(({ data }) => data.length),
      sizes,
      `${kind} sends`,
    );
    for (const [i, { data, rinfo }] of inbox.all.entries()) {
      assert.ok(data.every((byte) => byte === i));
      assert.equal(rinfo.address, '::1');
    }
  }
});

test('a udp6 datagram longer than IPv6 can carry is EMSGSIZE', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make('udp6');
  await bound(socket);
  for (const size of [65528, 65535, 65536]) {
    await assert.rejects(sent(socket, Buffer.alloc(size), 9, '::1'), { code: 'EMSGSIZE' });
  }
  await nextTurn();
});
