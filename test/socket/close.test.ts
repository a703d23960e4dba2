import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createSocket } from 'ksocket';
import { createSocket as createSocketOfLib } from '../../build-lib/socket/socket.js';
import { sharedThread } from '../../build-lib/thread/io-thread.js';
import { addonTest } from '../support/backend.js';
import { runProgram } from '../support/child.js';
import { bound, closed, Inbox, kinds, Sockets, sent, unusedPort } from '../support/peer.js';
import { heldAtRest, untilHeldIs } from '../support/process.js';
import { startSender } from '../support/programs.js';
import { test } from '../support/test.js';
import { blockUntil, nextTurn, waitFor, within } from '../support/wait.js';

test('close comes a tick later, once, with its callback', async () => {
  for (const wasBound of [false, true]) {
    const socket = createSocket('udp4');
    if (wasBound) await bound(socket);
    const order: string[] = [];
    socket.on('close', () => order.push('close'));
    process.nextTick(() => order.push('tick'));
    assert.equal(
      socket.close(() => order.push('callback')),
      socket,
    );
    order.push('returned');
    await nextTurn();
    await nextTurn();
    assert.deepEqual(order, ['returned', 'tick', 'close', 'callback']);
  }
});

test('close() with something else than a function closes', async () => {
  const socket = createSocket('udp4');
  (socket.close as (x: unknown) => void)('x');
  await once(socket, 'close');
});

test('close() takes back what the present tick has sent to an address, and nothing else', async () => {
  for (const [kind, make] of kinds) {
    await using sockets = new Sockets();
    const receiver = sockets.makePeer();
    const inbox = new Inbox(receiver);
    const port = await bound(receiver);
    const [closing, other] = [sockets.add(make()), sockets.add(make())];
    for (const each of [closing, other]) await bound(each);
    closing.send('an earlier tick', port, '127.0.0.1');
    await nextTurn();
    closing.send('taken back', port, '127.0.0.1', () => assert.fail('called back'));
    other.send('of another socket', port, '127.0.0.1');
    closing.close();
    await inbox.take(2);
    await sent(sockets.makePeer(), 'the last', port);
    await inbox.take(3);
    assert.deepEqual(inbox.texts, ['an earlier tick', 'of another socket', 'the last'], kind);
  }
});

addonTest('descriptors', 'a program without standard input has a handle of its socket, and closes it', async () => {
  const result = await runProgram(async () => {
    const { closeSync } = await import('node:fs');
    const { createSocket } = await import('ksocket');
    const socket = createSocket('udp4');
    const key = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
    const handle = () => (socket as unknown as Record<symbol, { handle: { fd: number } }>)[key as symbol].handle;
    socket.bind(0, '127.0.0.1', () => {
      closeSync(0);
      console.log(handle().fd > 2);
      socket.close(() => console.log('closed'));
    });
  }, []);
  assert.deepEqual(result, { code: 0, signal: null, stdout: 'true\nclosed\n', stderr: '' });
});

test('close() twice throws, as node:dgram does', async () => {
  const socket = createSocket('udp4');
  await bound(socket);
  socket.close();
  assert.throws(() => socket.close(), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING', message: 'Not running' });
  await once(socket, 'close');
  assert.throws(() => socket.close(), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' });
});

test('a closed socket says so before it looks at what it is given', async () => {
  const socket = createSocket('udp4');
  await bound(socket);
  socket.close();
  for (const call of [() => socket.setTTL(1000), () => socket.setMulticastTTL(1000)]) {
    assert.throws(call, { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING', message: 'Not running' });
  }
});

test('the descriptor is closed when close() returns: the port is free', async () => {
  const port = await unusedPort();
  // With this lookup bind() binds before it returns.
  const lookup = (host: string, _: unknown, done: (...args: unknown[]) => void) => done(null, host, 4);
  await using _flood = startSender({ port, count: 0, bytes: 64 });
  await using sockets = new Sockets();
  for (let i = 0; i < 200; i++) {
    const socket = sockets.make({ type: 'udp4', lookup: lookup as never });
    let failure: Error | undefined;
    socket.once('error', (error) => {
      failure = error;
    });
    socket.bind(port, '127.0.0.1');
    assert.equal(failure, undefined, `bind number ${i}`);
    // While the thread receives, and in the middle of a burst.
    await within(
      new Promise<void>((resolve) => {
        let got = 0;
        socket.on('message', () => ++got === 10 && resolve());
      }),
      'datagrams',
    );
    socket.close();
  }
});

test('close() while the bind is under way: neither listening nor error comes', async () => {
  const before = await heldAtRest();
  const port = await unusedPort();
  for (const tries of [() => createSocket('udp4').bind(), () => createSocket('udp4').bind(port, '127.0.0.1')]) {
    const socket = tries();
    socket.on('listening', () => assert.fail('listening'));
    socket.on('error', () => assert.fail('error'));
    await closed(socket);
  }
  let answer: (() => void) | undefined;
  const lookup = (host: string, _: unknown, done: (...args: unknown[]) => void) => {
    answer = () => done(null, host);
  };
  const socket = createSocket({ type: 'udp4', lookup: lookup as never });
  socket.bind(0, '127.0.0.1', () => assert.fail('listening'));
  await closed(socket);
  answer?.();
  await nextTurn();
  await untilHeldIs(before);
});

test('close() in the listening listener', async () => {
  const before = await heldAtRest();
  const socket = createSocket('udp4');
  const done = once(socket, 'close');
  socket.bind(0, () => socket.close());
  await within(done, 'close');
  await untilHeldIs(before);
});

test('close() behind queued sends is done right after listening, and drops them without a callback', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const socket = createSocket('udp4');
  const order: string[] = [];
  socket.on('listening', () => order.push('listening'));
  socket.send('x', port, () => order.push('callback'));
  socket.close(() => order.push('close'));
  await once(socket, 'close');
  await nextTurn();
  assert.deepEqual(order, ['listening', 'close']);
  await sent(sockets.makePeer(), 'last', port);
  await inbox.take(1);
  assert.deepEqual(inbox.texts, ['last']);
});

addonTest(
  'a thread of its own',
  'who waits for what has been received, as a cluster’s worker before it closes, waits until it is handed out',
  async () => {
    const socket = createSocketOfLib('udp4');
    const port = await bound(socket);
    const seen: string[] = [];
    socket.on('message', () => seen.push('message'));
    socket.send('x', port, '127.0.0.1', () => {
      blockUntil(() => socket.stats().rxDatagrams === 1, 'it to lie in the ring');
      sharedThread().whenRead(() => seen.push('read'));
      assert.deepEqual(seen, []);
    });
    await waitFor(() => seen.length === 2);
    assert.deepEqual(seen, ['message', 'read']);
    sharedThread().whenRead(() => seen.push('at once'));
    assert.deepEqual(seen, ['message', 'read', 'at once']);
    await closed(socket);
  },
);

test('close() in a message listener ends delivery at once', async () => {
  await using sockets = new Sockets();
  const peer = sockets.makePeer();
  await bound(peer);
  for (const batches of [1, 3]) {
    const socket = createSocket('udp4');
    let got = 0;
    let after = 0;
    const port = await bound(socket);
    socket.on('message', () => {
      if (++got === 3) socket.close();
      if (got > 3) after++;
    });
    const done = once(socket, 'close');
    for (let i = 0; i < batches; i++) {
      await Promise.all(Array.from({ length: 20 }, () => sent(peer, 'x', port)));
    }
    await within(done, 'close');
    for (let i = 0; i < 5; i++) await nextTurn();
    assert.equal(got, 3);
    assert.equal(after, 0);
  }
});

test('close() in a tick or a microtask between two messages ends delivery at once', async () => {
  await using sockets = new Sockets();
  const sender = sockets.make();
  await bound(sender);
  for (const later of [process.nextTick, queueMicrotask, (body: () => void) => void Promise.resolve().then(body)]) {
    const socket = createSocket('udp4');
    let got = 0;
    const port = await bound(socket);
    socket.on('message', () => {
      if (++got === 2) later(() => socket.close());
    });
    const done = once(socket, 'close');
    for (let i = 0; i < 50; i++) sender.send('0123456789', port);
    await within(done, 'close');
    for (let i = 0; i < 5; i++) await nextTurn();
    assert.equal(got, 2, String(later));
  }
});

test('what earlier messages made a listener send goes out, although a later one of the burst closes the socket', async () => {
  await using sockets = new Sockets();
  const count = 32;
  for (const [kind, make] of kinds) {
    const peer = sockets.makePeer();
    const inbox = new Inbox(peer);
    await bound(peer);
    const socket = sockets.add(make());
    const port = await bound(socket);
    let got = 0;
    socket.on('message', (data, rinfo) => {
      if (++got === count) socket.close();
      else socket.send(data, rinfo.port, rinfo.address);
    });
    const done = once(socket, 'close');
    await Promise.all(Array.from({ length: count }, (_, i) => sent(peer, `${i}`, port)));
    await within(done, 'close');
    await waitFor(
      () => inbox.all.length === count - 1,
      () => `${kind}: ${inbox.all.length} of ${count - 1} answers`,
      5000,
    );
  }
});

test('nothing comes from a socket after close: no message, no error', async () => {
  await using sockets = new Sockets();
  const sender = sockets.makePeer();
  await bound(sender);
  const late: string[] = [];
  for (let i = 0; i < 20; i++) {
    const refusing = await unusedPort();
    const refused = createSocket('udp4');
    const receiving = createSocket('udp4');
    const port = await bound(receiving);
    let isClosed = false;
    refused.on('error', (error) => isClosed && late.push(`${error}`));
    receiving.on('message', () => isClosed && late.push('message'));
    refused.connect(refusing, '127.0.0.1');
    await once(refused, 'connect');
    for (let k = 0; k < 4; k++) refused.send('x');
    await sent(sender, 'x', port);
    isClosed = true;
    refused.close();
    receiving.close();
    await once(receiving, 'close');
    await nextTurn();
  }
  assert.deepEqual(late, []);
});

test('an error that waits behind another socket’s message is not emitted by a socket which that message closed', async () => {
  // Both records are in the same batch, because the event loop is blocked while they come.
  const program = async () => {
    const { createSocket } = await import('ksocket');
    const { once } = await import('node:events');
    const dgram = await import('node:dgram');
    const peer = dgram.createSocket('udp4');
    peer.bind(0, '127.0.0.1');
    await once(peer, 'listening');
    const results: string[] = [];
    for (let round = 0; round < 20; round++) {
      const first = createSocket('udp4');
      const second = createSocket('udp4');
      first.bind(0, '127.0.0.1');
      await once(first, 'listening');
      const gone = dgram.createSocket('udp4');
      gone.bind(0, '127.0.0.1');
      await once(gone, 'listening');
      second.connect(gone.address().port, '127.0.0.1');
      await once(second, 'connect');
      gone.close();
      await once(gone, 'close');
      let isClosed = false;
      second.on('error', () => results.push(isClosed ? 'error after close' : 'error before'));
      first.on('message', () => {
        process.nextTick(() => {
          isClosed = true;
          second.close();
        });
      });
      peer.send('x', first.address().port, '127.0.0.1');
      await new Promise<void>((resolve) => process.nextTick(resolve));
      second.send('refused');
      await new Promise<void>((resolve) => process.nextTick(resolve));
      const until = performance.now() + 20;
      while (performance.now() < until); // both arrive
      // once() would reject where the error comes first.
      if (!isClosed) await new Promise<void>((resolve) => second.once('close', resolve));
      first.close();
      await once(first, 'close');
    }
    peer.close();
    console.log(results.filter((result) => result === 'error after close').length);
  };
  const result = await runProgram(program, []);
  assert.deepEqual(result, { code: 0, signal: null, stdout: '0\n', stderr: '' });
});

test('a signal closes the socket', async () => {
  const before = await heldAtRest();
  const controller = new AbortController();
  const unbound = createSocket({ type: 'udp4', signal: controller.signal });
  const open = createSocket({ type: 'udp4', signal: controller.signal });
  await bound(open);
  const done = Promise.all([once(unbound, 'close'), once(open, 'close')]);
  controller.abort();
  assert.throws(() => open.address(), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' });
  await within(done, 'close');
  await untilHeldIs(before);
});

test('an aborted signal closes at once, and the close event can still be heard', async () => {
  const socket = createSocket({ type: 'udp4', signal: AbortSignal.abort() });
  await within(once(socket, 'close'), 'close');
  assert.throws(() => socket.bind(), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' });
});

test('aborting after close is harmless, and close takes the listener off the signal', async () => {
  const controller = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = controller.signal;
  controller.signal.addEventListener = function (this: AbortSignal, ...args: never) {
    listeners++;
    return (addEventListener as (...args: never) => void).apply(this, args);
  } as never;
  controller.signal.removeEventListener = function (this: AbortSignal, ...args: never) {
    listeners--;
    return (removeEventListener as (...args: never) => void).apply(this, args);
  } as never;
  const socket = createSocket({ type: 'udp4', signal: controller.signal });
  assert.equal(listeners, 1);
  await closed(socket);
  assert.equal(listeners, 0);
  controller.abort();
  await nextTurn();
});

test('asyncDispose resolves when the socket has closed, also a second time', async () => {
  const before = await heldAtRest();
  let seen = false;
  {
    await using socket = createSocket('udp4');
    await bound(socket);
    socket.on('close', () => {
      seen = true;
    });
  }
  assert.ok(seen);
  const socket = createSocket('udp4');
  await socket[Symbol.asyncDispose]();
  await socket[Symbol.asyncDispose]();
  await untilHeldIs(before);
});

test('asyncDispose of a socket that is being bound, and of one with queued sends', async () => {
  const before = await heldAtRest();
  const binding = createSocket('udp4').bind();
  await within(binding[Symbol.asyncDispose](), 'dispose');
  const sending = createSocket('udp4');
  sending.send('x', 9);
  await within(sending[Symbol.asyncDispose](), 'dispose');
  await untilHeldIs(before);
});

test('stats() and type can be read after close', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const port = await bound(receiver);
  const socket = createSocket('udp4');
  await sent(socket, 'four', port);
  await closed(socket);
  assert.equal(socket.type, 'udp4');
  assert.equal(socket.stats().txDatagrams, 1);
  assert.equal(socket.stats().txBytes, 4);
});
