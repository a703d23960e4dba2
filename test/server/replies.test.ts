// What the server answers, to whom, and what it tells of it. The other side is plain node:dgram.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, type ServerOptions, type Socket } from 'ksocket';
import { addonTest } from '../support/backend.js';
import { bound, Inbox, Sockets, sent, unusedPort } from '../support/peer.js';
import { test } from '../support/test.js';
import { nextTurn, waitFor } from '../support/wait.js';

/** A started server on a free loopback port that stops with the test. */
async function started(options: ServerOptions): Promise<Server & AsyncDisposable & { port: number }> {
  const server = createServer({ address: '127.0.0.1', port: 0, ...options });
  await server.start();
  return Object.assign(server, {
    port: server.address()?.port ?? 0,
    [Symbol.asyncDispose]: () => server.stop(),
  });
}

test('it answers "testing..." to where it is told', async () => {
  await using sockets = new Sockets();
  const target = sockets.makePeer();
  const answers = new Inbox(target);
  const targetPort = await bound(target);
  const client = sockets.makePeer();
  const clientInbox = new Inbox(client);
  await bound(client);
  await using server = await started({ replyTo: { address: '127.0.0.1', port: targetPort } });
  for (let i = 0; i < 10; i++) await sent(client, `datagram ${i}`, server.port);
  await answers.take(10);
  assert.deepEqual(new Set(answers.texts), new Set(['testing...']));
  // All from one connected socket that is not the listening one.
  assert.equal(new Set(answers.all.map(({ rinfo }) => rinfo.port)).size, 1);
  assert.notEqual(answers.all[0].rinfo.port, server.port);
  await nextTurn();
  assert.equal(clientInbox.all.length, 0);
  assert.equal(server.stats().rxDatagrams, 10);
  assert.equal(server.stats().txDatagrams, 10);
});

test('it answers the source, from the port it listens on', async () => {
  await using sockets = new Sockets();
  await using server = await started({ reply: 'pong', replyTo: 'source' });
  for (let i = 0; i < 5; i++) {
    const client = sockets.makePeer();
    const inbox = new Inbox(client);
    await bound(client);
    await sent(client, 'ping', server.port);
    await inbox.take(1);
    assert.deepEqual(inbox.texts, ['pong']);
    assert.equal(inbox.all[0].rinfo.port, server.port);
  }
});

test('what nobody listens for wakes no event loop, from the first datagram on', async () => {
  await using sockets = new Sockets();
  await using server = await started({ reply: 'echo' });
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  for (let i = 1; i <= 20; i++) {
    await sent(client, `${i}`, server.port);
    await inbox.take(i);
  }
  assert.equal(server.stats().thread.wakeups, 0);
  let heard = 0;
  server.on('datagram', () => heard++);
  await sent(client, 'listened for', server.port);
  await waitFor(() => heard === 1);
  assert.ok(server.stats().thread.wakeups >= 1);
});

test('a reply is text, bytes, or empty', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  const replies: [string | Uint8Array, Buffer][] = [
    ['über', Buffer.from('über')],
    [Uint8Array.of(0, 255, 10, 13), Buffer.from([0, 255, 10, 13])],
    [Buffer.from('buffer').subarray(1, 3), Buffer.from('uf')],
    ['', Buffer.alloc(0)],
    [new Uint8Array(0), Buffer.alloc(0)],
    [Buffer.alloc(65507, 7), Buffer.alloc(65507, 7)],
    ['source', Buffer.from('source')],
  ];
  for (const [reply, expected] of replies) {
    await using server = await started({ reply, replyTo: 'source' });
    await sent(client, 'x', server.port);
    await sent(client, '', server.port);
    await inbox.take(2);
    for (const { data } of inbox.all) assert.ok(data.equals(expected), `${reply.length} bytes`);
    inbox.all.length = 0;
  }
});

test('the reply is what it was when the server was made', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  const reply = Buffer.from('before');
  await using server = await started({ reply, replyTo: 'source' });
  reply.fill('x');
  await sent(client, 'x', server.port);
  await inbox.take(1);
  assert.deepEqual(inbox.texts, ['before']);
});

test('with reply null it answers nothing and still tells of the datagrams', async () => {
  await using sockets = new Sockets();
  const target = sockets.makePeer();
  const client = sockets.makePeer();
  const inboxes = [new Inbox(target), new Inbox(client)];
  const targetPort = await bound(target);
  await bound(client);
  await using server = await started({ reply: null, replyTo: { address: '127.0.0.1', port: targetPort } });
  const datagram = once(server, 'datagram');
  await sent(client, 'hello', server.port);
  assert.equal(`${(await datagram)[0]}`, 'hello');
  await sent(client, 'last', targetPort);
  await inboxes[0].take(1);
  assert.deepEqual(inboxes[0].texts, ['last']);
  assert.equal(inboxes[1].all.length, 0);
  assert.equal(server.stats().txDatagrams, 0);
});

test('echo sends every datagram back whole, from 0 to 65507 bytes', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  await using server = await started({ reply: 'echo' });
  for (const size of [0, 1, 10, 11, 1400, 1500, 9000, 32768, 65506, 65507]) {
    const data = Buffer.alloc(size);
    for (let i = 0; i < size; i++) data[i] = (i * 13) & 255;
    await sent(client, data, server.port);
    await inbox.take(1);
    assert.ok(inbox.all[0].data.equals(data), `${size} bytes`);
    assert.equal(inbox.all[0].rinfo.port, server.port);
    inbox.all.length = 0;
  }
});

test('echo of bursts, joined by the kernel or not, keeps order and content of each source', async () => {
  await using sockets = new Sockets();
  await using server = await started({ reply: 'echo' });
  // A ksocket client sends super-datagrams, a node:dgram client does not.
  const clients: Socket[] = [sockets.make(), sockets.makePeer() as never as Socket, sockets.make()];
  const inboxes = clients.map((client) => new Inbox(client));
  for (const client of clients) await bound(client);
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < 30; i++) {
      for (const [c, client] of clients.entries()) {
        client.send(`${round} ${i} `.padEnd(i === 29 ? 20 : 50, `${c}`), server.port, '127.0.0.1');
      }
    }
    for (const inbox of inboxes) await inbox.take(30);
    for (const [c, inbox] of inboxes.entries()) {
      assert.deepEqual(
        inbox.texts,
        Array.from({ length: 30 }, (_, i) => `${round} ${i} `.padEnd(i === 29 ? 20 : 50, `${c}`)),
      );
      inbox.all.length = 0;
    }
  }
  assert.equal(server.stats().rxDatagrams, 50 * 30 * 3);
  assert.equal(server.stats().txDatagrams, 50 * 30 * 3);
});

test('echo to a fixed target, cut to maxBytes', async () => {
  await using sockets = new Sockets();
  const target = sockets.makePeer();
  const inbox = new Inbox(target);
  const targetPort = await bound(target);
  const client = sockets.make();
  await bound(client);
  await using server = await started({
    reply: 'echo',
    replyTo: { address: '127.0.0.1', port: targetPort },
    maxBytes: 4,
  });
  const texts = ['', 'abc', 'abcd', 'abcde', 'abcdefghijklmnop', 'abcdefghijklmnop', 'abcdefghijklmnop', 'abc'];
  for (const text of texts) client.send(text, server.port, '127.0.0.1');
  await inbox.take(texts.length);
  assert.deepEqual(
    inbox.texts,
    texts.map((text) => text.slice(0, 4)),
  );
});

test('a datagram is cut to the bytes that are wanted, and its full size is told', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const clientPort = await bound(client);
  await using server = await started({ reply: null, maxBytes: 10 });
  const seen: { data: string; source: unknown }[] = [];
  server.on('datagram', (data, source) => seen.push({ data: `${data}`, source }));
  for (const text of ['', '123456789', '1234567890', '12345678901', 'x'.repeat(1000)]) {
    await sent(client, text, server.port);
  }
  await waitFor(() => seen.length === 5, 'datagrams');
  const source = (size: number) => ({ address: '127.0.0.1', family: 'IPv4', port: clientPort, size });
  assert.deepEqual(seen, [
    { data: '', source: source(0) },
    { data: '123456789', source: source(9) },
    { data: '1234567890', source: source(10) },
    { data: '1234567890', source: source(11) },
    { data: 'xxxxxxxxxx', source: source(1000) },
  ]);
  assert.equal(server.stats().rxTruncated, 2);
  assert.equal(server.stats().rxDatagrams, 5);
});

test('joined datagrams are cut and told of one by one', async () => {
  await using sockets = new Sockets();
  const client = sockets.make(); // sends super-datagrams
  await bound(client);
  for (const maxBytes of [1, 10, 19, 20, 21, 65535]) {
    await using server = await started({ reply: 'ok', replyTo: 'source', maxBytes });
    const inbox = new Inbox(client);
    const seen: string[] = [];
    server.on('datagram', (data, { size }) => seen.push(`${data} of ${size}`));
    const texts = Array.from({ length: 64 }, (_, i) => `${i}`.padEnd(i === 63 ? 5 : 20, '.'));
    for (const text of texts) client.send(text, server.port, '127.0.0.1');
    await inbox.take(64);
    await waitFor(
      () => seen.length === 64,
      () => `${seen.length} events`,
    );
    assert.deepEqual(
      seen,
      texts.map((text) => `${text.slice(0, maxBytes)} of ${text.length}`),
    );
    client.removeAllListeners('message');
  }
});

test('it listens on IPv6 and answers there', async () => {
  await using sockets = new Sockets();
  const target = sockets.makePeer('udp6');
  const targetInbox = new Inbox(target);
  const targetPort = await bound(target);
  const client = sockets.makePeer('udp6');
  const inbox = new Inbox(client);
  await bound(client);
  await using server = await started({ address: '::1', reply: 'echo' });
  assert.deepEqual(server.address(), { address: '::1', family: 'IPv6', port: server.port });
  await sent(client, 'six', server.port, '::1');
  await inbox.take(1);
  assert.deepEqual(inbox.texts, ['six']);
  await using other = await started({ address: '::1', replyTo: { address: '::1', port: targetPort } });
  await sent(client, 'x', other.port, '::1');
  await targetInbox.take(1);
  assert.deepEqual(targetInbox.texts, ['testing...']);
});

test('families may differ between the listening address and the target', async () => {
  await using sockets = new Sockets();
  for (const [address, type, target] of [
    ['::1', 'udp4', '127.0.0.1'],
    ['127.0.0.1', 'udp6', '::1'],
    ['::', 'udp4', 'localhost'],
  ] as const) {
    const receiver = sockets.makePeer(type);
    const inbox = new Inbox(receiver);
    const targetPort = await bound(receiver, type === 'udp4' ? '127.0.0.1' : '::1');
    await using server = await started({ address, replyTo: { address: target, port: targetPort } });
    const client = sockets.makePeer(address === '127.0.0.1' ? 'udp4' : 'udp6');
    await sent(client, 'x', server.port, address === '127.0.0.1' ? '127.0.0.1' : '::1');
    await inbox.take(1);
    assert.deepEqual(inbox.texts, ['testing...']);
  }
});

test('a dual-stack server answers IPv4 sources too', async () => {
  await using sockets = new Sockets();
  await using server = await started({ address: '::', reply: 'echo' });
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  const datagram = once(server, 'datagram');
  await sent(client, 'over IPv4', server.port);
  await inbox.take(1);
  assert.deepEqual(inbox.texts, ['over IPv4']);
  assert.equal((await datagram)[1].address, '::ffff:127.0.0.1');
});

test('nobody at the target: no error, and from the first datagram after somebody is there no reply is missing', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  await bound(client);
  for (let round = 0; round < 5; round++) {
    const targetPort = await unusedPort();
    await using server = await started({ replyTo: { address: '127.0.0.1', port: targetPort } });
    server.on('error', (error) => assert.fail(error));
    for (let i = 0; i < 30; i++) await sent(client, 'to nobody', server.port);
    await waitFor(() => server.stats().rxDatagrams === 30, 'the datagrams');
    const target = sockets.makePeer();
    const inbox = new Inbox(target);
    const listening = once(target, 'listening');
    target.bind(targetPort, '127.0.0.1');
    await listening;
    for (let i = 0; i < 30; i++) await sent(client, 'to somebody', server.port);
    await inbox.take(30);
    await waitFor(() => server.stats().txDatagrams >= 30, 'the counter');
  }
});

test('one source that is gone does not keep answers from the others', async () => {
  await using sockets = new Sockets();
  await using server = await started({ reply: 'echo' });
  server.on('error', (error) => assert.fail(error));
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  for (let i = 0; i < 20; i++) {
    await using gone = new Sockets();
    const leaves = gone.makePeer();
    await bound(leaves);
    await sent(leaves, 'gone before the answer', server.port);
    await leaves.close();
    await sent(client, `${i}`, server.port);
    await inbox.take(i + 1);
  }
});

test('a datagram listener added later hears what comes then, and removed it hears no more', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const answers = new Inbox(client);
  await bound(client);
  await using server = await started({ reply: 'ok', replyTo: 'source' });
  let expected = 0;
  const exchange = async (text: string) => {
    await sent(client, text, server.port);
    await answers.take(++expected);
  };
  await exchange('before');
  const seen: string[] = [];
  const listener = (data: Buffer) => seen.push(`${data}`);
  server.on('datagram', listener);
  await exchange('heard');
  await waitFor(() => seen.length === 1, 'heard');
  server.off('datagram', listener);
  await exchange('not heard');
  server.once('datagram', listener);
  await exchange('once');
  await waitFor(() => seen.length === 2, 'once');
  await exchange('not again');
  server.prependListener('datagram', listener);
  await exchange('again');
  await waitFor(() => seen.length === 3, 'again');
  assert.deepEqual(seen, ['heard', 'once', 'again']);
});

test('a datagram listener is heard after removeAllListeners(), and when it was there before start()', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  await bound(client);
  const server = createServer({ address: '127.0.0.1', port: 0, reply: null });
  server.on('datagram', () => assert.fail('removed'));
  server.removeAllListeners('datagram');
  const early = once(server, 'datagram');
  await server.start();
  const port = server.address()?.port ?? 0;
  try {
    await sent(client, 'early', port);
    assert.equal(`${(await early)[0]}`, 'early');
    server.removeAllListeners();
    const seen: string[] = [];
    server.on('datagram', (data) => seen.push(`${data}`));
    await sent(client, 'late', port);
    await waitFor(() => seen.length === 1, 'the datagram', 5000);
    assert.deepEqual(seen, ['late']);
  } finally {
    await server.stop();
  }
});

test('without a datagram listener nothing is copied to JavaScript', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  await using server = await started({ reply: 'echo' });
  for (let i = 0; i < 2000; i += 50) {
    await Promise.all(Array.from({ length: 50 }, () => sent(client, Buffer.alloc(1000), server.port)));
    await inbox.take(i + 50);
  }
  assert.equal(server.stats().rxDatagrams, 2000);
  assert.equal(server.stats().rxRingDrops, 0);
});

addonTest('a thread of its own', 'a busy-polling server answers', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  await using server = await started({ reply: 'echo', busyPoll: 200 });
  for (let i = 1; i <= 100; i++) {
    await sent(client, `${i}`, server.port);
    await inbox.take(i);
  }
});

test('ten bytes are what JavaScript gets by default only when nothing is said of the answer', async () => {
  // Not where the original sends: another test listens there.
  const replyTo = { address: '127.0.0.1', port: await unusedPort() };
  const sizes: [ServerOptions, number][] = [
    [{ replyTo }, 10],
    [{ replyTo, reply: undefined, rules: undefined, handler: undefined }, 10],
    [{ replyTo: 'source' }, 10],
    [{ reply: 'pong', replyTo: 'source' }, 5000],
    [{ reply: null }, 5000],
    [{ reply: 'echo' }, 5000],
    [{ rules: [{ action: 'deliver' }] }, 5000],
    [{ reply: 'pong', replyTo: 'source', maxBytes: 7 }, 7],
  ];
  for (const [options, size] of sizes) {
    await using sockets = new Sockets();
    await using server = await started(options);
    const datagram = once(server, 'datagram');
    await sent(sockets.makePeer(), Buffer.alloc(5000, 'x'), server.port);
    const [data, source] = await datagram;
    assert.deepEqual([data.length, source.size], [size, 5000], JSON.stringify(options));
  }
});

test('a reply may be as long as UDP over IPv4 carries, and not a byte longer', async () => {
  await using sockets = new Sockets();
  await using server = await started({ reply: 'x'.repeat(65_507), replyTo: 'source' });
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  await sent(client, 'hello', server.port);
  assert.equal((await inbox.take(1))[0].data.length, 65_507);
  for (const options of [
    { reply: 'x'.repeat(65_508) },
    { rules: [{ action: { reply: 'x'.repeat(65_508), amplify: true } }] },
  ]) {
    assert.throws(() => createServer(options), { code: 'ERR_OUT_OF_RANGE', message: /65507/ });
  }
});
