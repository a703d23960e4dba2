import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createSocket, type Socket, type SocketOptions } from 'ksocket';
import { hasReusePort } from '../support/backend.js';
import { runProgram } from '../support/child.js';
import { type AnySocket, bound, closed, Inbox, kinds, Sockets, sent, unusedPort } from '../support/peer.js';
import { held, heldAtRest, untilHeldIs } from '../support/process.js';
import { test } from '../support/test.js';
import { within } from '../support/wait.js';

/** All that bind() of both implementations comes to: what must be equal. */
async function bindOutcome(socket: AnySocket, ...args: unknown[]): Promise<Record<string, unknown>> {
  try {
    const listening = once(socket, 'listening');
    (socket.bind as (...args: unknown[]) => unknown)(...args);
    await listening;
    return { bound: true, address: socket.address().address, family: socket.address().family };
  } catch (caught) {
    const { name, message, code, errno, syscall, address, port } = caught as NodeJS.ErrnoException & {
      address?: string;
      port?: number;
    };
    return { bound: false, name, message, code, errno, syscall, address, port, keys: Object.keys(caught as object) };
  }
}

async function sameBind(type: 'udp4' | 'udp6', ...args: unknown[]): Promise<Record<string, unknown>> {
  await using sockets = new Sockets();
  const peer = sockets.makePeer(type);
  const expected = await bindOutcome(peer, ...args);
  await closed(peer);
  const actual = await bindOutcome(sockets.make(type), ...args);
  assert.deepEqual(actual, expected, `bind(${args.map((arg) => JSON.stringify(arg))})`);
  return actual;
}

test('bind() takes a port, an address, options and a callback in every form of node:dgram', async () => {
  await using sockets = new Sockets();
  const forms: ((socket: Socket, done: () => void) => unknown)[] = [
    (socket, done) => socket.bind(done),
    (socket, done) => socket.bind(0, done),
    (socket, done) => socket.bind(0, '127.0.0.1', done),
    (socket, done) => socket.bind({ port: 0 }, done),
    (socket, done) => socket.bind({ port: 0, address: '127.0.0.1', exclusive: true }, done),
    (socket, done) => socket.bind({}, done),
    (socket, done) => socket.bind(null as never, done),
    (socket, done) => socket.bind(undefined, undefined, done),
    (socket, done) => socket.bind(0, null as never, done),
    (socket, done) => socket.bind('0' as never, done),
    (socket, done) => socket.on('listening', done).bind(),
    (socket, done) => socket.on('listening', done).bind(0),
    (socket, done) => socket.on('listening', done).bind(0, '127.0.0.1'),
  ];
  for (const form of forms) {
    const socket = sockets.make();
    await within(
      new Promise<void>((resolve) => {
        assert.equal(form(socket, resolve), socket);
      }),
      String(form),
    );
    const { address, family, port } = socket.address();
    assert.equal(address, String(form).includes('127.0.0.1') ? '127.0.0.1' : '0.0.0.0', String(form));
    assert.equal(family, 'IPv4');
    assert.ok(port > 0 && port < 65536);
  }
});

test('bind() to a given port receives there, and a numeric string is a port', async () => {
  await using sockets = new Sockets();
  const peer = sockets.makePeer();
  await bound(peer);
  for (const asText of [false, true]) {
    const port = await unusedPort();
    const socket = sockets.make();
    const inbox = new Inbox(socket);
    const listening = once(socket, 'listening');
    socket.bind((asText ? `${port}` : port) as number, '127.0.0.1');
    await listening;
    assert.deepEqual(socket.address(), { address: '127.0.0.1', family: 'IPv4', port });
    await sent(peer, 'hello', port);
    await inbox.take(1);
  }
});

test('bind() does not change the options it is given', async () => {
  await using sockets = new Sockets();
  const options = Object.freeze({ port: 0, address: '127.0.0.1' });
  const socket = sockets.make();
  const listening = once(socket, 'listening');
  socket.bind(options);
  await listening;
  const onlyPort = { port: 0 };
  const other = sockets.make();
  const otherListening = once(other, 'listening');
  (other.bind as (...args: unknown[]) => unknown)(onlyPort, '127.0.0.1');
  await otherListening;
  assert.deepEqual(onlyPort, { port: 0 });
});

test('the callback and the listening listeners run in the order in which they came, never at once', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const order: string[] = [];
  socket.on('listening', () => order.push('before'));
  const done = new Promise<void>((resolve) => {
    socket.bind(0, '127.0.0.1', () => order.push('callback'));
    socket.on('listening', () => {
      order.push('after');
      resolve();
    });
  });
  order.push('returned');
  await within(done, 'listening');
  assert.deepEqual(order, ['returned', 'before', 'callback', 'after']);
});

test('the callback is called with the socket as this and without arguments', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const [self, args] = await new Promise<[unknown, unknown[]]>((resolve) => {
    socket.bind(0, '127.0.0.1', function (this: unknown, ...given: unknown[]) {
      resolve([this, given]);
    });
  });
  assert.equal(self, socket);
  assert.deepEqual(args, []);
});

test('a port in use is EADDRINUSE with address and port, and nothing stays open', async () => {
  const before = await heldAtRest();
  {
    await using sockets = new Sockets();
    const holder = sockets.makePeer();
    const port = await bound(holder);
    const withHolder = { ...held() };
    const outcome = await sameBind('udp4', port, '127.0.0.1');
    assert.deepEqual(
      { ...outcome, keys: undefined, name: undefined },
      {
        bound: false,
        name: undefined,
        message: `bind EADDRINUSE 127.0.0.1:${port}`,
        code: 'EADDRINUSE',
        errno: -98,
        syscall: 'bind',
        address: '127.0.0.1',
        port,
        keys: undefined,
      },
    );
    await untilHeldIs(withHolder);
  }
  await untilHeldIs(before);
});

test('a port in use by another ksocket is EADDRINUSE, and another try succeeds once it is free', async () => {
  await using sockets = new Sockets();
  const holder = sockets.make();
  const port = await unusedPort();
  const held = once(holder, 'listening');
  holder.bind(port);
  await held;
  const socket = sockets.make();
  let callbacks = 0;
  for (let i = 0; i < 20; i++) {
    const failed = once(socket, 'error');
    socket.bind(port, () => callbacks++);
    const [error] = await failed;
    assert.equal(error.code, 'EADDRINUSE');
    assert.equal(error.message, `bind EADDRINUSE 0.0.0.0:${port}`);
  }
  assert.equal(socket.listenerCount('listening'), 0, 'the callbacks of failed binds are gone');
  assert.deepEqual(socket.eventNames(), [], 'and so is everything else');
  await closed(holder);
  const listening = once(socket, 'listening');
  socket.bind(port, () => callbacks++);
  await listening;
  assert.equal(callbacks, 1);
});

test('failed binds fail as node:dgram’s do', async () => {
  await sameBind('udp4', 0, '192.0.2.1'); // EADDRNOTAVAIL (unless this machine has it: then both bind)
  await sameBind('udp4', 4321, '203.0.113.77');
  await sameBind('udp6', 0, '2001:db8::1');
  await sameBind('udp4', 0, '::1');
  await sameBind('udp6', 0, '127.0.0.1');
  await sameBind('udp4', 0, '255.255.255.255');
  await sameBind('udp6', 0, '::ffff:127.0.0.1');
  await sameBind('udp6', 0, '::1%lo');
  await sameBind('udp4', 0, 'a..b'); // no name: nobody is asked for it
  await sameBind('udp4', 70000, '127.0.0.1');
  await sameBind('udp4', -1, '127.0.0.1');
  await sameBind('udp4', 'port', '127.0.0.1');
});

test('an address that is none of this machine’s is EADDRNOTAVAIL', async () => {
  assert.equal((await sameBind('udp4', 0, '203.0.113.77')).message, 'bind EADDRNOTAVAIL 203.0.113.77');
});

test('a host name is looked up, with the family of the socket', async () => {
  await using sockets = new Sockets();
  const asked: [string, unknown][] = [];
  const lookup = (host: string, options: { family?: unknown }, done: (...args: unknown[]) => void) => {
    asked.push([host, options.family ?? options]);
    process.nextTick(done, null, host === 'four.test' ? '127.0.0.1' : '::1', 0);
  };
  for (const [type, host, address] of [
    ['udp4', 'four.test', '127.0.0.1'],
    ['udp6', 'six.test', '::1'],
  ] as const) {
    const socket = sockets.make({ type, lookup: lookup as never });
    const listening = once(socket, 'listening');
    socket.bind(0, host);
    await listening;
    assert.equal(socket.address().address, address);
  }
  assert.deepEqual(
    asked.map(([host]) => host),
    ['four.test', 'six.test'],
  );
  assert.deepEqual(
    asked.map(([, family]) => family),
    [4, 6],
  );
});

test('a failed lookup is an error event, and the socket can be bound afterwards', async () => {
  await using sockets = new Sockets();
  const failure = Object.assign(new Error('getaddrinfo ENOTFOUND nowhere.test'), { code: 'ENOTFOUND' });
  const socket = sockets.make({
    type: 'udp4',
    lookup: ((host: string, _: unknown, done: (...args: unknown[]) => void) =>
      process.nextTick(done, host === 'nowhere.test' ? failure : null, host)) as never,
  });
  const failed = once(socket, 'error');
  socket.bind(0, 'nowhere.test');
  assert.equal((await failed)[0], failure);
  await bound(socket);
});

test('bind() while bound, and while binding, throws ERR_SOCKET_ALREADY_BOUND', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const listening = once(socket, 'listening');
  socket.bind(0, '127.0.0.1');
  assert.throws(() => socket.bind(), { code: 'ERR_SOCKET_ALREADY_BOUND', message: 'Socket is already bound' });
  await listening;
  assert.throws(() => socket.bind(), { code: 'ERR_SOCKET_ALREADY_BOUND' });
});

test('a failed bind without an error listener is an uncaught exception', async () => {
  const { code, stderr } = await runProgram(async () => {
    const { createSocket } = await import('ksocket');
    const first = createSocket('udp4').bind(0, '127.0.0.1', () => {
      createSocket('udp4').bind(first.address().port, '127.0.0.1');
    });
  }, []);
  assert.equal(code, 1);
  assert.match(stderr, /Error: bind EADDRINUSE 127\.0\.0\.1:\d+/);
});

test('without permission for the port it fails as node:dgram does', async () => {
  // As root the program gives up its rights first.
  const { code, stdout, stderr } = await runProgram(async () => {
    const ksocket = await import('ksocket');
    const dgram = await import('node:dgram');
    if (process.getuid?.() === 0) {
      process.setgid?.(65534);
      process.setuid?.(65534);
    }
    const outcomes: unknown[] = [];
    for (const implementation of [dgram as unknown as typeof ksocket, ksocket]) {
      const socket = implementation.createSocket('udp4');
      outcomes.push(
        await new Promise((resolve) => {
          socket.on('error', (error) => resolve({ ...error, message: error.message }));
          socket.bind(1, '127.0.0.1', () => resolve('bound'));
        }),
      );
    }
    console.log(JSON.stringify(outcomes));
    process.exit();
  }, []);
  assert.equal(stderr, '');
  assert.equal(code, 0);
  const [expected, actual] = JSON.parse(stdout);
  assert.deepEqual(actual, expected);
  // Where the system lets everybody use every port there is nothing to refuse.
  const first = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
  if (first > 1) assert.equal(actual.message, 'bind EACCES 127.0.0.1:1');
});

test('reuseAddr and reusePort let sockets share a port, as node:dgram’s do', async () => {
  for (const option of ['reuseAddr', 'reusePort'] as const) {
    await using sockets = new Sockets();
    const one = sockets.make({ type: 'udp4', [option]: true });
    if (option === 'reusePort' && !hasReusePort) {
      await assert.rejects(bound(one), { code: 'ENOTSUP', syscall: 'bind' });
      continue;
    }
    const port = await bound(one);
    const two = sockets.make({ type: 'udp4', [option]: true });
    const listening = once(two, 'listening');
    two.bind(port, '127.0.0.1');
    await listening;
    assert.equal(two.address().port, port);
    const stranger = sockets.make();
    const failed = once(stranger, 'error');
    stranger.bind(port, '127.0.0.1');
    assert.equal((await failed)[0].code, 'EADDRINUSE');
  }
});

test('no descriptor for the socket is an error event, not an exception, and a later bind succeeds', async () => {
  const { code, stdout, stderr } = await runProgram(
    async () => {
      const { createSocket } = await import('ksocket');
      const fs = await import('node:fs');
      const results: unknown[] = [];
      const bind = (options: object) =>
        new Promise<string>((resolve) => {
          const socket = createSocket({ type: 'udp4', ...options });
          socket.on('error', (error) => resolve(error.message));
          socket.bind(0, '127.0.0.1', () => socket.close(() => resolve('bound')));
        });
      for (const options of [{}, { thread: 'dedicated' }]) {
        const taken: number[] = [];
        try {
          for (;;) taken.push(fs.openSync('/dev/null', 'r'));
        } catch {} // EMFILE
        results.push(await bind(options)); // no descriptor for the thread itself
        for (const fd of taken.splice(0, 3)) fs.closeSync(fd);
        results.push(await bind(options)); // perhaps one for the thread, perhaps none for the socket
        for (const fd of taken) fs.closeSync(fd);
        results.push(await bind(options));
      }
      console.log(JSON.stringify(results));
    },
    [],
    { under: ['bash', '-c', 'ulimit -n 64; exec "$@"', 'limited'] },
  );
  assert.equal(stderr, '');
  assert.equal(code, 0);
  const results: string[] = JSON.parse(stdout);
  for (const at of [0, 3]) assert.equal(results[at], 'bind EMFILE 127.0.0.1');
  for (const at of [1, 4]) assert.match(results[at], /^(bind EMFILE 127\.0\.0\.1|bound)$/);
  for (const at of [2, 5]) assert.equal(results[at], 'bound');
});

test('a socket that is never bound opens nothing', async () => {
  const before = await heldAtRest();
  const all = Array.from({ length: 100 }, () => createSocket('udp4'));
  assert.deepEqual(held(), before);
  for (const socket of all) socket.close();
  assert.deepEqual(held(), before);
});

test('implicit binding is to any port of every address, as node:dgram’s', async () => {
  await using sockets = new Sockets();
  const peer = sockets.makePeer();
  const port = await bound(peer);
  const all: AnySocket[] = [sockets.make(), sockets.add(dgram.createSocket('udp4'))];
  for (const socket of all) {
    await sent(socket, 'x', port);
    assert.equal(socket.address().address, '0.0.0.0');
    assert.ok(socket.address().port > 0);
  }
});

test('joining a group before the bind takes a port of both families, which sockets share that say reuseAddr', async () => {
  for (const [kind, make] of kinds) {
    await using sockets = new Sockets();
    const failure = async (options: SocketOptions, port: number) => {
      const other = sockets.add(make(options));
      const ended = Promise.race([once(other, 'error'), once(other, 'listening')]);
      other.bind(port);
      return (await ended)[0]?.code;
    };
    const member6 = sockets.add(make({ type: 'udp6', ipv6Only: true }));
    member6.addMembership('ff02::1234', '::1%lo');
    assert.equal(await failure({ type: 'udp4' }, member6.address().port), 'EADDRINUSE', `${kind}: IPv4, too`);
    const member = sockets.add(make({ type: 'udp4', reusePort: true }));
    member.addMembership('239.12.34.56', '127.0.0.1');
    const { port } = member.address();
    const refusal = kind === 'ksocket' && !hasReusePort ? 'ENOTSUP' : 'EADDRINUSE';
    assert.equal(await failure({ type: 'udp4', reusePort: true }, port), refusal, `${kind}: reusePort`);
    assert.equal(await failure({ type: 'udp4', reuseAddr: true }, port), undefined, `${kind}: reuseAddr`);
  }
});
