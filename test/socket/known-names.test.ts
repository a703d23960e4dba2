// lookupTtlMs: answers of lookups are kept for a while.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { createSocket, type Socket, type SocketOptions } from 'ksocket';
import { bound, Inbox, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { nextTurn, waitFor, within } from '../support/wait.js';

const HOUR = 3_600_000;

type Done = (error: Error | null, address: string) => void;

/** Counts the calls, and answers when the test says so, or at once. */
class Resolver {
  readonly asked: string[] = [];
  readonly waiting: { host: string; done: Done }[] = [];
  mode: 'hold' | 'sync' | 'tick' = 'tick';
  readonly lookup = ((host: string, _family: number, done: Done) => {
    this.asked.push(host);
    if (this.mode === 'sync') done(null, '127.0.0.1');
    else if (this.mode === 'tick') process.nextTick(done, null, '127.0.0.1');
    else this.waiting.push({ host, done });
  }) as unknown as NonNullable<SocketOptions['lookup']>;

  answer(n: number, error: Error | null = null, address = '127.0.0.1'): void {
    this.waiting[n].done(error, address);
  }
}

async function opened(sockets: Sockets, lookupTtlMs: number | undefined) {
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const resolver = new Resolver();
  const options: SocketOptions = { type: 'udp4', lookup: resolver.lookup };
  if (lookupTtlMs !== undefined) options.lookupTtlMs = lookupTtlMs;
  const socket = sockets.make(options);
  socket.bindSync({ port: 0, address: '127.0.0.1' });
  return { inbox, port, resolver, socket };
}

async function sendAll(socket: Socket, inbox: Inbox, port: number, hosts: string[]): Promise<void> {
  for (const [i, host] of hosts.entries()) {
    await sent(socket, `${i}`, port, host);
    await inbox.take(i + 1);
  }
}

for (const ttl of [undefined, 0]) {
  test(`without lookupTtlMs (${ttl}) each send to a name asks`, async () => {
    await using sockets = new Sockets();
    const { inbox, port, resolver, socket } = await opened(sockets, ttl);
    await sendAll(socket, inbox, port, ['a', 'a', 'b', 'a']);
    assert.deepEqual(resolver.asked, ['a', 'a', 'b', 'a']);
  });
}

test('with lookupTtlMs a name is asked for once, and so is a literal that the socket’s own lookup sees', async () => {
  await using sockets = new Sockets();
  const { inbox, port, resolver, socket } = await opened(sockets, HOUR);
  await sendAll(socket, inbox, port, ['a', 'a', 'b', 'a', '127.0.0.9', 'b', '127.0.0.9']);
  assert.deepEqual(resolver.asked, ['a', 'b', '127.0.0.9']);
});

test('dns.lookup’s answers are kept as well', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const socket = sockets.make({ type: 'udp4', lookupTtlMs: HOUR });
  socket.bindSync({ port: 0, address: '127.0.0.1' });
  await sent(socket, '0', port, 'localhost');
  // What is known is sent with the tick, as to a literal: dns.lookup would take longer.
  socket.send('1', port, 'localhost');
  await nextTurn();
  assert.equal(socket.stats().txDatagrams, 2);
  await inbox.take(2);
});

test('an answer is kept for its time and no longer', async () => {
  await using sockets = new Sockets();
  const { port, resolver, socket } = await opened(sockets, 20);
  await sent(socket, '', port, 'a');
  await new Promise((resolve) => setTimeout(resolve, 30));
  await sent(socket, '', port, 'a');
  assert.deepEqual(resolver.asked, ['a', 'a']);
});

test('those who wait for a name share one lookup, and their datagrams keep their order', async () => {
  await using sockets = new Sockets();
  const { inbox, port, resolver, socket } = await opened(sockets, HOUR);
  resolver.mode = 'hold';
  const called: number[] = [];
  const callback = (n: number) => () => called.push(n);
  for (let n = 0; n < 5; n++) socket.send(`${n}`, port, 'a', callback(n));
  await nextTurn();
  for (let n = 5; n < 10; n++) socket.send(`${n}`, port, 'a', callback(n));
  assert.deepEqual(resolver.asked, ['a']);
  resolver.answer(0);
  resolver.answer(0); // a lookup that answers twice
  for (let n = 10; n < 15; n++) socket.send(`${n}`, port, 'a', callback(n));
  const all = Array.from({ length: 15 }, (_, n) => n);
  await inbox.take(15);
  await waitFor(() => called.length === 15, 'callbacks');
  assert.deepEqual(inbox.texts, all.map(String));
  assert.deepEqual(
    called.sort((a, b) => a - b),
    all,
  );
  assert.deepEqual(resolver.asked, ['a']);
});

test('the order is kept when a name runs out of its time and the next answer comes at once', async () => {
  await using sockets = new Sockets();
  const { inbox, port, resolver, socket } = await opened(sockets, 1);
  resolver.mode = 'sync';
  const texts = Array.from({ length: 150 }, (_, n) => `${n}`);
  for (const text of texts) {
    socket.send(text, port, 'a');
    const until = performance.now() + 0.1;
    while (performance.now() < until);
  }
  await inbox.take(150);
  assert.deepEqual(inbox.texts, texts);
  assert.ok(resolver.asked.length > 1 && resolver.asked.length < 150, `${resolver.asked.length} lookups`);
});

test('an error is everybody’s who waits, and is not kept', async () => {
  await using sockets = new Sockets();
  const { inbox, port, resolver, socket } = await opened(sockets, HOUR);
  resolver.mode = 'hold';
  const results: unknown[] = [];
  for (let n = 0; n < 3; n++) socket.send('x', port, 'a', (error) => results.push(error));
  const failure = new Error('no such name');
  resolver.answer(0, failure);
  await waitFor(() => results.length === 3, 'callbacks');
  assert.deepEqual(results, [failure, failure, failure]);
  resolver.mode = 'tick';
  await sent(socket, 'y', port, 'a');
  await inbox.take(1);
  assert.deepEqual(resolver.asked, ['a', 'a']);
  assert.deepEqual(inbox.texts, ['y']);
});

test('a lookup that is never answered is started again, and one answer serves all who wait', async () => {
  await using sockets = new Sockets();
  const { inbox, port, resolver, socket } = await opened(sockets, 20);
  resolver.mode = 'hold';
  socket.send('0', port, 'a');
  await new Promise((resolve) => setTimeout(resolve, 30));
  socket.send('1', port, 'a');
  socket.send('2', port, 'a');
  assert.deepEqual(resolver.asked, ['a', 'a']);
  resolver.answer(0, new Error('late, and the newer may know')); // nobody is told
  resolver.answer(1);
  await inbox.take(3);
  assert.deepEqual(inbox.texts, ['0', '1', '2']);
});

test('a lookup that throws, and one that answers what is no address, leave nothing behind', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  let calls = 0;
  const socket = sockets.make({
    type: 'udp4',
    lookupTtlMs: HOUR,
    lookup: ((_host: string, _family: number, done: Done) => {
      calls++;
      if (calls === 1) throw new Error('thrown');
      process.nextTick(done, null, calls === 2 ? 'no address' : '127.0.0.1');
    }) as never,
  });
  socket.bindSync({ port: 0, address: '127.0.0.1' });
  assert.throws(() => socket.send('1', port, 'a'), { message: 'thrown' });
  await assert.rejects(sent(socket, '2', port, 'a'), { code: 'EINVAL' });
  await sent(socket, '3', port, 'a');
  await inbox.take(1);
  assert.deepEqual([inbox.texts, calls], [['3'], 3]);
});

test('no more than 1024 names are kept: the oldest makes room', async () => {
  await using sockets = new Sockets();
  const { port, resolver, socket } = await opened(sockets, HOUR);
  resolver.mode = 'sync';
  for (let n = 0; n < 1025; n++) socket.send('', port, `name${n}`);
  assert.equal(resolver.asked.length, 1025);
  for (let n = 1; n < 1025; n++) socket.send('', port, `name${n}`);
  assert.equal(resolver.asked.length, 1025);
  socket.send('', port, 'name0');
  assert.equal(resolver.asked.length, 1026);
  await nextTurn();
});

test('each callback has the async context of its own send', async () => {
  await using sockets = new Sockets();
  const { port, resolver, socket } = await opened(sockets, HOUR);
  resolver.mode = 'hold';
  const als = new AsyncLocalStorage<string>();
  const contexts: (string | undefined)[] = [];
  for (const name of ['one', 'two', 'three']) {
    als.run(name, () => socket.send('', port, 'a', () => contexts.push(als.getStore())));
  }
  als.run('resolver', () => resolver.answer(0));
  als.run('four', () => socket.send('', port, 'a', () => contexts.push(als.getStore())));
  await waitFor(() => contexts.length === 4, 'callbacks');
  assert.deepEqual(contexts.slice(1), ['two', 'three', 'four']);
});

test('connect() knows the names that send() has asked for, and a closed socket is not bothered', async () => {
  await using sockets = new Sockets();
  const { port, resolver, socket } = await opened(sockets, HOUR);
  await sent(socket, '', port, 'a');
  await within(new Promise<unknown>((resolve) => socket.connect(port, 'a', resolve)), "'connect'");
  assert.deepEqual(resolver.asked, ['a']);
  socket.disconnect();
  resolver.mode = 'hold';
  socket.send('x', port, 'b', () => assert.fail('a closed socket’s callback'));
  socket.send('y', port, 'b', () => assert.fail('a closed socket’s callback'));
  socket.close();
  resolver.answer(0);
  await nextTurn();
});

test('lookupTtlMs is a whole number of milliseconds, a day at most', () => {
  for (const lookupTtlMs of [-1, 1.5, 86_400_001, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => createSocket({ type: 'udp4', lookupTtlMs }), { code: 'ERR_OUT_OF_RANGE' });
  }
  for (const lookupTtlMs of ['1', null, true, {}]) {
    const options = { type: 'udp4', lookupTtlMs } as unknown as SocketOptions;
    assert.throws(() => createSocket(options), { code: 'ERR_INVALID_ARG_TYPE' });
  }
});
