import assert from 'node:assert/strict';
import { once } from 'node:events';
import { inspect } from 'node:util';
import { createSocket, type Socket } from 'ksocket';
import { runProgram } from '../support/child.js';
import { type AnySocket, bound, closed, Inbox, kinds, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { nextTurn, waitFor, within } from '../support/wait.js';

type Callback = (error: Error | null, bytes: number) => void;
type AnySend = (...args: unknown[]) => void;

const bytes = (...values: number[]) => Uint8Array.from(values);

/** Every form of send() on an unconnected socket, and what arrives. */
const forms: [form: (port: number, done: Callback) => unknown[], arrives: string][] = [
  [(port, done) => ['text', port, '127.0.0.1', done], 'text'],
  [(port, done) => ['text', port, done], 'text'],
  [(port, done) => ['text', port, undefined, done], 'text'],
  [(port, done) => ['text', port, null, done], 'text'],
  [(port, done) => ['text', port, '', done], 'text'],
  [(port, done) => ['text', `${port}`, '127.0.0.1', done], 'text'],
  [(port, done) => ['text', `0x${port.toString(16)}`, '127.0.0.1', done], 'text'],
  [(port, done) => ['text', ` ${port}`, '127.0.0.1', done], 'text'],
  [(port, done) => ['text', port, 'localhost', done], 'text'],
  [(port, done) => ['über ☃', port, done], 'über ☃'],
  [(port, done) => ['', port, done], ''],
  [(port, done) => [Buffer.from('buffer'), port, done], 'buffer'],
  [(port, done) => [Buffer.alloc(0), port, done], ''],
  [(port, done) => [new TextEncoder().encode('array'), port, done], 'array'],
  [(port, done) => [new Uint16Array([0x6261, 0x6463]), port, done], 'abcd'],
  [(port, done) => [new DataView(bytes(97, 98, 99, 100).buffer, 1, 2), port, done], 'bc'],
  [(port, done) => [bytes(97, 98, 99, 100).subarray(1, 3), port, done], 'bc'],
  [(port, done) => [new Float64Array(0), port, done], ''],
  [(port, done) => [['one', Buffer.from('two'), bytes(51)], port, done], 'onetwo3'],
  [(port, done) => [['', 'x', Buffer.alloc(0)], port, done], 'x'],
  [(port, done) => [[], port, done], ''],
  [(port, done) => [[''], port, done], ''],
  [(port, done) => [[new Uint32Array([0x64636261]), new DataView(bytes(101).buffer)], port, done], 'abcde'],
  [(port, done) => ['text', 0, 4, port, done], 'text'],
  [(port, done) => ['text', 0, 4, port, '127.0.0.1', done], 'text'],
  [(port, done) => ['text', 1, 2, port, '127.0.0.1', done], 'ex'],
  [(port, done) => ['text', 4, 0, port, '127.0.0.1', done], ''],
  [(port, done) => ['text', 0, 0, port, '127.0.0.1', done], ''],
  [(port, done) => ['text', '1', '2', port, '127.0.0.1', done], 'ex'],
  [(port, done) => ['über', 0, 2, port, '127.0.0.1', done], 'ü'],
  [(port, done) => [Buffer.from('buffer'), 1, 4, port, '127.0.0.1', done], 'uffe'],
  [(port, done) => [Buffer.from('buffer').subarray(1), 1, 4, port, done], 'ffer'],
  [(port, done) => [new Uint16Array([0x6261, 0x6463]), 1, 2, port, done], 'bc'],
  [(port, done) => [new DataView(bytes(97, 98, 99, 100).buffer), 2, 2, port, done], 'cd'],
  [(port, done) => [new SharedArrayBuffer(0), port, done].map((arg, i) => (i === 0 ? new Uint8Array(2) : arg)), '\0\0'],
  [(port, done) => [new Uint8Array(new SharedArrayBuffer(3)).fill(65), port, done], 'AAA'],
];

/** Every form on a connected socket. */
const connectedForms: typeof forms = [
  [(_, done) => ['text', done], 'text'],
  [(_, done) => ['', done], ''],
  [(_, done) => [Buffer.from('buffer'), done], 'buffer'],
  [(_, done) => [['a', Buffer.from('b')], done], 'ab'],
  [(_, done) => [[], done], ''],
  [(_, done) => ['text', 1, 2, done], 'ex'],
  [(_, done) => [Buffer.from('buffer'), 2, 3, done], 'ffe'],
  [(_, done) => ['text', 0, 0, done], ''],
  [(_, done) => ['text', 4, 0, done], ''],
  [(_, done) => ['text', undefined, undefined, undefined, undefined, done].slice(0, 1).concat([done]), 'text'],
];

async function checkForms(socket: AnySocket, inbox: Inbox, port: number, all: typeof forms): Promise<void> {
  for (const [form, arrives] of all) {
    const name = `${socket.constructor.name} ${form}`;
    let synchronous = true;
    const [error, count, during] = await within(
      new Promise<[Error | null, number, boolean]>((resolve) => {
        (socket.send as AnySend)(...form(port, (error, count) => resolve([error, count, synchronous])));
        synchronous = false;
      }),
      name,
    );
    assert.equal(during, false, `${name}: the callback is never synchronous`);
    assert.equal(error, null, name);
    assert.equal(count, Buffer.byteLength(arrives), name);
    await inbox.take(1);
    assert.deepEqual(inbox.texts, [arrives], name);
    assert.equal(inbox.all[0].rinfo.size, Buffer.byteLength(arrives));
    inbox.all.length = 0;
  }
}

test('send() takes every form of node:dgram’s send()', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver, '0.0.0.0');
  for (const socket of [sockets.makePeer(), sockets.make()]) await checkForms(socket, inbox, port, forms);
});

test('send() on a connected socket takes every form of node:dgram’s send()', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  for (const socket of [sockets.makePeer(), sockets.make()]) {
    const connected = once(socket, 'connect');
    socket.connect(port);
    await connected;
    await checkForms(socket, inbox, port, connectedForms);
  }
});

test('send() without a callback sends', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const socket = sockets.make();
  socket.send('a', port);
  socket.send('b', port, '127.0.0.1');
  socket.send('xcx', 1, 1, port);
  socket.send('xdx', 1, 1, port, '127.0.0.1');
  (socket.send as AnySend)('e', port, '127.0.0.1', null);
  await inbox.take(5);
  assert.deepEqual(inbox.texts, ['a', 'b', 'c', 'd', 'e']);
});

test('what is sent is what was there when send() was called', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const socket = sockets.make();
  await bound(socket);
  const list = ['one', Buffer.from('two')];
  const buffer = Buffer.from('before');
  socket.send(list, port);
  list.splice(0, 2, 'changed');
  socket.send(buffer, port);
  await inbox.take(2);
  buffer.fill(0);
  assert.deepEqual(inbox.texts, ['onetwo', 'before']);
});

test('an unbound socket queues what it sends and keeps the order', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const socket = sockets.make();
  const order: string[] = [];
  socket.on('listening', () => order.push('listening'));
  const all = Array.from({ length: 20 }, (_, i) => `${i}`);
  for (const text of all) socket.send(text, port, () => order.push(text));
  assert.throws(() => socket.bind(), { code: 'ERR_SOCKET_ALREADY_BOUND' });
  await inbox.take(20);
  await waitFor(() => order.length === 21, 'callbacks');
  assert.deepEqual(inbox.texts, all);
  assert.deepEqual(order, ['listening', ...all]);
});

test('what is sent while a bind is under way waits for it', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const socket = sockets.make();
  socket.bind(0, '127.0.0.1');
  socket.send('a', port);
  socket.on('listening', () => socket.send('in listening', port));
  await inbox.take(2);
  assert.deepEqual(inbox.texts.sort(), ['a', 'in listening']);
  assert.equal(socket.address().address, '127.0.0.1');
  assert.equal(inbox.all[0].rinfo.port, socket.address().port);
});

test('when the implicit bind fails the queue is dropped, an error is emitted, and the next send tries again', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const failure = new Error('no name service');
  let fails = true;
  const socket = sockets.make({
    type: 'udp4',
    lookup: ((host: string, _: unknown, done: (...args: unknown[]) => void) =>
      process.nextTick(done, fails ? failure : null, host)) as never,
  });
  let called = 0;
  const failed = once(socket, 'error');
  socket.send('a', port, '127.0.0.1', () => called++);
  socket.send('b', port, '127.0.0.1', () => called++);
  assert.equal((await failed)[0], failure);
  await nextTurn();
  assert.equal(called, 0);
  fails = false;
  await sent(socket, 'c', port);
  await inbox.take(1);
  assert.deepEqual(inbox.texts, ['c']);
  assert.equal(called, 0);
});

test('an oversized datagram is EMSGSIZE for its own callback, and its neighbours go through', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  for (const connected of [false, true]) {
    const socket = sockets.make();
    if (connected) {
      socket.connect(port);
      await once(socket, 'connect');
    }
    const results: unknown[] = [];
    const put = (payload: string | Buffer, i: number) => {
      const done = (error: Error | null, count: number) => {
        results[i] = error ?? count;
      };
      if (connected) socket.send(payload, done);
      else socket.send(payload, port, '127.0.0.1', done);
    };
    const sizes = [65508, 65535, 65536, 256 * 1024];
    for (const [i, size] of sizes.entries()) {
      put(`before ${i}`, 3 * i);
      put(Buffer.alloc(size), 3 * i + 1);
      put(`after ${i}`, 3 * i + 2);
    }
    await waitFor(
      () => Object.keys(results).length === 12,
      () => `results: ${inspect(results)}`,
    );
    await inbox.take(8);
    assert.deepEqual(
      inbox.texts,
      sizes.flatMap((_, i) => [`before ${i}`, `after ${i}`]),
    );
    for (const i of sizes.keys()) {
      assert.equal(results[3 * i], 8);
      assert.equal(results[3 * i + 2], 7);
      const { message, code, errno, syscall, address, port: errorPort } = results[3 * i + 1] as never;
      assert.deepEqual(
        { message, code, errno, syscall, address, port: errorPort },
        connected
          ? {
              message: 'send EMSGSIZE',
              code: 'EMSGSIZE',
              errno: -90,
              syscall: 'send',
              address: undefined,
              port: undefined,
            }
          : {
              message: `send EMSGSIZE 127.0.0.1:${port}`,
              code: 'EMSGSIZE',
              errno: -90,
              syscall: 'send',
              address: '127.0.0.1',
              port,
            },
      );
    }
    const { txErrors, txDatagrams } = socket.stats();
    assert.equal(txDatagrams, 8);
    assert.equal(txErrors, 4);
    inbox.all.length = 0;
  }
});

test('send errors have node:dgram’s message, code, address and port', async () => {
  await using sockets = new Sockets();
  const peer = sockets.makePeer();
  const socket = sockets.make();
  const destinations: [unknown, ...unknown[]][] = [
    [Buffer.alloc(70000), 9, '127.0.0.1'],
    [Buffer.alloc(65508), 9],
    [Buffer.alloc(70000), 9, 'localhost'],
    ['to a broadcast address', 9, '255.255.255.255'],
    ['of the other family', 9, '::1'],
    ['to a name that does not exist', 9, 'a..b'],
  ];
  for (const args of destinations) {
    const [expected, actual] = await Promise.all(
      [peer, socket].map(
        (one) =>
          new Promise<object>((resolve) => {
            (one.send as AnySend)(...args, (error: Error | null) => {
              assert.ok(error, `${args.slice(1)}`);
              resolve({ ...error, message: error.message, name: error.name });
            });
          }),
      ),
    );
    assert.deepEqual(actual, expected, `${args.slice(1)}`);
  }
});

test('a failed lookup is an error event when there is no callback, and a failed send call is silent', async () => {
  await using sockets = new Sockets();
  const failure = new Error('no such name');
  for (const make of [() => sockets.make({ type: 'udp4', lookup } as never), () => sockets.make('udp4')]) {
    const socket = make();
    await bound(socket);
    socket.on('error', () => assert.fail('an error event'));
    socket.send(Buffer.alloc(70000), 9, '127.0.0.1');
    await sent(socket, 'x', 9); // its callback comes behind
    socket.removeAllListeners('error');
  }
  const socket = sockets.make({ type: 'udp4', lookup } as never);
  await bound(socket);
  const failed = once(socket, 'error');
  socket.send('x', 9, 'nowhere.test');
  assert.equal((await failed)[0], failure);

  function lookup(host: string, _: unknown, done: (...args: unknown[]) => void) {
    process.nextTick(done, host === 'nowhere.test' ? failure : null, host);
  }
});

test('results come to their own callbacks, each once, in the order of the sends', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  receiver.on('message', () => {});
  const port = await bound(receiver);
  const socket = sockets.make();
  await bound(socket);
  const count = 5000; // several flushes
  const called: number[] = [];
  const wrong: unknown[] = [];
  for (let i = 0; i < count; i++) {
    const size = i % 7 === 3 ? 65508 : i % 500;
    socket.send(Buffer.alloc(size), port, (error, bytes) => {
      called.push(i);
      const expected = size === 65508 ? 'EMSGSIZE' : size;
      const result = (error as NodeJS.ErrnoException | null)?.code ?? bytes;
      if (result !== expected) wrong.push([i, expected, result]);
    });
  }
  await waitFor(
    () => called.length >= count,
    () => `${called.length} callbacks`,
  );
  await nextTurn();
  assert.deepEqual(wrong, []);
  assert.equal(called.length, count);
  assert.deepEqual(new Set(called).size, count);
});

test('send() in a callback of send() goes on for as long as it likes', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const port = await bound(receiver);
  const socket = sockets.make();
  let left = 3000;
  await within(
    new Promise<void>((resolve, reject) => {
      const next = (error: Error | null) => {
        if (error) reject(error);
        else if (--left === 0) resolve();
        else socket.send('x', port, next);
      };
      next(null);
    }),
    'the last callback',
  );
});

test('a callback that throws is an uncaught exception of its own', async () => {
  const result = await runProgram(async () => {
    const { createSocket } = await import('ksocket');
    const caught: string[] = [];
    process.on('uncaughtException', (error) => caught.push(error.message));
    const socket = createSocket('udp4');
    let called = 0;
    await new Promise<void>((resolve) => {
      for (let i = 0; i < 5; i++) {
        socket.send('x', 9, '127.0.0.1', () => {
          if (++called === 5) setImmediate(resolve);
          throw new Error(`${i}`);
        });
      }
    });
    socket.close();
    console.log(JSON.stringify(caught));
  }, []);
  assert.deepEqual(result, { code: 0, signal: null, stdout: '["0","1","2","3","4"]\n', stderr: '' });
});

test('sending after close throws and sends nothing', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  for (const wasBound of [false, true]) {
    const socket = createSocket('udp4');
    if (wasBound) await bound(socket);
    socket.close();
    const refused = { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING', message: 'Not running' };
    assert.throws(() => socket.send('late', port), refused);
    await once(socket, 'close');
    assert.throws(() => socket.send('later', port), refused);
  }
  await sent(sockets.makePeer(), 'last', port);
  await inbox.take(1);
  assert.deepEqual(inbox.texts, ['last']);
});

test('a message sent in an earlier tick is on its way whatever becomes of the socket', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  for (let i = 0; i < 20; i++) {
    const socket = createSocket('udp4');
    await bound(socket);
    socket.send(`${i}`, port);
    await nextTurn();
    await closed(socket);
  }
  await inbox.take(20);
  assert.deepEqual(
    inbox.texts,
    Array.from({ length: 20 }, (_, i) => `${i}`),
  );
});

test('a socket sends to itself', async () => {
  await using sockets = new Sockets();
  const socket: Socket = sockets.make();
  const inbox = new Inbox(socket);
  const port = await bound(socket);
  for (let i = 0; i < 10; i++) socket.send(`${i}`, port);
  await inbox.take(10);
  assert.deepEqual(inbox.texts.join(''), '0123456789');
});

test('the queue is empty when the kernel takes everything', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  assert.equal(socket.getSendQueueSize(), 0);
  assert.equal(socket.getSendQueueCount(), 0);
  await sent(socket, 'x', 9);
  assert.equal(socket.getSendQueueSize(), 0);
  assert.equal(socket.getSendQueueCount(), 0);
});

for (const [name, make] of kinds) {
  test(`${name}: whoever wraps send() sees that of the implicit bind, too`, async () => {
    await using sockets = new Sockets();
    const receiver = sockets.make();
    const inbox = new Inbox(receiver);
    const port = await bound(receiver);
    const sender = make('udp4');
    const seen: unknown[] = [];
    const original = sender.send as AnySend;
    sender.send = (...args: unknown[]) => {
      seen.push(args[0]);
      original.apply(sender, args);
    };
    await sent(sender, 'one', port);
    await sent(sender, 'two', port);
    await inbox.take(2);
    assert.deepEqual(inbox.texts, ['one', 'two']);
    assert.equal(seen.length, 3);
    await closed(sender);
  });
}
