// ksocket/unix-dgram: what the package `unix-dgram` tests of itself, and what it ends the process for.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSocket as createKsocket } from 'ksocket';
import * as module from 'ksocket/unix-dgram';
import unix, {
  createSocket,
  type UnixDgramError,
  type UnixDgramListener,
  type UnixDgramSocket,
} from 'ksocket/unix-dgram';
import { runProgram } from '../support/child.js';
import { test } from '../support/test.js';
import { blockUntil, waitFor } from '../support/wait.js';

/** Sockets in a directory of their own, closed with it. */
class Sockets {
  readonly #directory = mkdtempSync(join(tmpdir(), 'ksocket-'));
  readonly #all: UnixDgramSocket[] = [];

  path(name: string): string {
    return join(this.#directory, name);
  }

  make(listener?: UnixDgramListener): UnixDgramSocket {
    const socket = createSocket('unix_dgram', listener);
    this.#all.push(socket);
    return socket;
  }

  bound(name: string, listener?: UnixDgramListener): UnixDgramSocket {
    const socket = this.make(listener);
    socket.bind(this.path(name));
    return socket;
  }

  [Symbol.dispose](): void {
    for (const socket of this.#all) if (socket.fd >= 0) socket.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** What `action` emits as `'error'` before it returns. */
function errorOf(socket: UnixDgramSocket, action: () => void): UnixDgramError | undefined {
  let found: UnixDgramError | undefined;
  const listener = (error: UnixDgramError) => {
    found = error;
  };
  socket.on('error', listener);
  action();
  socket.off('error', listener);
  return found;
}

test('it is a module with the package’s one function, and require() gets it', () => {
  const required = createRequire(import.meta.url)('ksocket/unix-dgram');
  assert.deepEqual(Object.keys(module).sort(), ['createSocket', 'default']);
  assert.equal(required.createSocket, createSocket);
  assert.deepEqual(unix, { createSocket });
  assert.equal(required.default, unix);
});

test('test-dgram-unix: a sender without a path, and then with one', async () => {
  using sockets = new Sockets();
  const got: unknown[] = [];
  sockets.bound('server', (msg, rinfo) => got.push([`${msg}`, rinfo]));
  const client = sockets.make(() => assert.fail('it gets nothing'));
  let told = 0;
  const ping = (text: string) =>
    client.send(Buffer.from(text), 0, 5, sockets.path('server'), (...args) => {
      assert.deepEqual(args, []);
      told++;
    });
  ping('PING1');
  assert.equal(told, 1, 'before send() returns');
  await waitFor(() => got.length === 1);
  client.bind(sockets.path('client'));
  ping('PING2');
  await waitFor(() => got.length === 2);
  assert.deepEqual(got, [
    ['PING1', { size: 5, address: {}, path: null }],
    ['PING2', { size: 5, address: {}, path: sockets.path('client') }],
  ]);
});

test('test-connect-callback: 300 datagrams, each sent again once there is room', async () => {
  using sockets = new Sockets();
  const got: string[] = [];
  sockets.bound('server', (msg) => got.push(`${msg}`));
  const client = sockets.make();
  client.on('congestion', () => assert.fail('the callback is told'));
  let sent = 0;
  const send = () => {
    client.send(Buffer.from(`PING${sent}`), (error) => {
      if (error !== undefined) {
        assert.deepEqual([error.message, error.code], ['congestion', 1]);
        client.once('writable', send);
      } else if (++sent < 300) setImmediate(send);
    });
  };
  client.on('connect', send);
  client.connect(sockets.path('server'));
  assert.ok(sent > 0, '‘connect’ comes before connect() returns');
  await waitFor(() => got.length === 300);
  assert.deepEqual(
    got,
    Array.from({ length: 300 }, (_, i) => `PING${i}`),
  );
});

// Reads nothing until it is told, and then says what has come.
const late = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('bound', flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[2])): print(s.recv(100).decode(), flush=True)
`;

test('test-connect: many in one go, those that meet congestion again at ‘writable’, and all in order', async () => {
  using sockets = new Sockets();
  const room = Number(readFileSync('/proc/sys/net/unix/max_dgram_qlen', 'utf8'));
  const count = room + 290;
  const receiver = spawn('python3', ['-c', late, sockets.path('server'), `${count}`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let said = '';
  receiver.stdout.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  await waitFor(() => said === 'bound\n');
  const client = sockets.make();
  client.setMaxListeners(count);
  let congested = 0;
  client.on('congestion', (msg) => {
    congested++;
    client.once('writable', () => client.send(msg));
  });
  client.on('connect', () => {
    for (let i = 0; i < count; i++) client.send(Buffer.from(`PING${i}`));
    receiver.stdin.end('now\n');
  });
  client.connect(sockets.path('server'));
  await once(receiver, 'close');
  assert.ok(congested >= 280, `${congested}`);
  const got = said.trimEnd().split('\n').slice(1);
  assert.deepEqual(
    got,
    Array.from({ length: count }, (_, i) => `PING${i}`),
  );
});

test('who is told by a callback, or not at all, asks the kernel each time: the peer may have read meanwhile', async () => {
  using sockets = new Sockets();
  const receiver = spawn('python3', ['-c', reader, sockets.path('a')], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(receiver.stdout, 'data');
  const [told, alone] = [sockets.make(), sockets.make()];
  for (const socket of [told, alone]) socket.connect(sockets.path('a'));
  told.on('congestion', () => assert.fail('the callback is told'));
  let error: UnixDgramError | undefined;
  const callback = (given?: UnixDgramError) => {
    error = given;
  };
  for (const socket of [told, alone]) {
    do told.send(Buffer.from('x'), callback);
    while (error === undefined);
    alone.send(Buffer.from('not taken'));
    receiver.stdin.write('x');
    blockUntil(() => existsSync(sockets.path('read')), 'the receiver to read'); // the event loop does not turn
    socket.send(Buffer.from('taken'), socket === told ? callback : undefined);
    if (socket === told) assert.equal(error, undefined);
    rmSync(sockets.path('read'));
  }
  receiver.stdin.end();
  let said = '';
  for await (const text of receiver.stdout) said += text;
  assert.deepEqual(said.trim().split('\n'), ['taken', 'taken']);
});

/** At each byte of its standard input it reads all that there is, and makes the file `read`; says what has come at the end. */
const reader = [
  'import os, socket, sys',
  's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); s.setblocking(False)',
  'print("bound", flush=True)',
  'def all():',
  '  got = []',
  '  try:',
  '    while True: got.append(s.recv(100).decode())',
  '  except BlockingIOError: return got',
  'said = []',
  'while sys.stdin.buffer.read(1):',
  '  said += [text for text in all() if text != "x"]',
  '  open(os.path.join(os.path.dirname(sys.argv[1]), "read"), "w").close()',
  'said += [text for text in all() if text != "x"]',
  'print("\\n".join(said))',
].join('\n');

test('test-send-error: an error is the callback’s, or without one an event', () => {
  using sockets = new Sockets();
  const client = sockets.make();
  const nobody = sockets.path('nobody');
  const emitted = errorOf(client, () => client.send(Buffer.from('ERROR1'), 0, 6, nobody));
  let called: UnixDgramError | undefined;
  const ignored = errorOf(client, () =>
    client.send(Buffer.from('ERROR2'), 0, 6, nobody, (error) => {
      called = error;
    }),
  );
  assert.equal(ignored, undefined);
  for (const error of [emitted, called]) {
    assert.deepEqual({ ...error }, { code: -2, errno: -2, syscall: 'send' });
    assert.equal(error?.message, 'send -2');
  }
  assert.throws(() => client.send(Buffer.from('nobody listens'), 0, 6, nobody), { message: 'send -2' });
});

test('what ends a process with the package is an error, and changes nothing', async () => {
  using sockets = new Sockets();
  const got: Buffer[] = [];
  sockets.bound('server', (msg) => got.push(msg));
  const client = sockets.make();
  const path = sockets.path('server');
  const msg = Buffer.from('0123456789');
  for (const bad of ['text', undefined, null, 5, {}, [1], new ArrayBuffer(4)] as never[]) {
    assert.throws(() => client.send(bad, 0, 1, path), { code: 'ERR_INVALID_ARG_TYPE', message: /^The "buf" argument/ });
  }
  for (const [offset, length] of [
    [0, 11],
    [5, 6],
    [11, 0],
    [-1, 1],
    [0, -1],
    [2 ** 32 - 1, 1],
  ]) {
    assert.throws(() => client.send(msg, offset, length, path), { code: 'ERR_BUFFER_OUT_OF_BOUNDS' });
  }
  assert.throws(() => client.send(msg, 0n as never, 1, path), TypeError);
  assert.throws(() => client.send(msg, 0, 1, 'a\0b'), { code: 'ERR_INVALID_ARG_VALUE' });
  for (const bad of [undefined, 5, {}, null] as never[]) {
    assert.throws(() => client.bind(bad), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => client.connect(bad), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.equal(errorOf(client, () => client.send(msg, 0, 1, bad))?.code, -2);
  }
  assert.throws(() => client.bind(''), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => createSocket('udp5' as never), { message: 'Unsupported socket type: udp5' });
  client.send(msg, 3, 4, path);
  client.send(new Uint16Array([1, 2]).subarray(1), '0' as never, 2, path);
  client.send(new DataView(msg.buffer, msg.byteOffset, 2), undefined as never, 2, Buffer.from(path) as never);
  client.connect(path);
  assert.throws(() => client.send('text' as never), { code: 'ERR_INVALID_ARG_TYPE' });
  client.send(new DataView(msg.buffer, msg.byteOffset + 8, 2));
  await waitFor(() => got.length === 4);
  assert.deepEqual(got.map(String), ['3456', '\x02\0', '01', '89']);
});

test('close: at once, without an event, and the file stays; then all is EBADF', async () => {
  using sockets = new Sockets();
  const socket = sockets.bound('a');
  socket.connect(sockets.path('a'));
  let events = 0;
  for (const event of ['close', 'message', 'writable'] as never[]) socket.on(event, () => events++);
  const { fd } = socket;
  assert.equal(socket.connected, true);
  socket.send(Buffer.from('x'));
  socket.close();
  assert.throws(() => lstatSync(`/proc/self/fd/${fd}`), { code: 'ENOENT' });
  assert.equal(socket.fd, -1);
  assert.ok(lstatSync(sockets.path('a')).isSocket());
  assert.throws(() => socket.close(), { message: 'close -9', code: -9, errno: -9, syscall: 'close' });
  assert.equal(errorOf(socket, () => socket.bind('/x'))?.message, 'bind -9');
  assert.equal(errorOf(socket, () => socket.connect('/x'))?.message, 'connect -9');
  assert.equal(errorOf(socket, () => socket.send(Buffer.from('x')))?.message, 'send -9');
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(events, 0);
});

test('it may be closed by its own listeners and callbacks', async () => {
  using sockets = new Sockets();
  const heard = new Promise<void>((resolve) => {
    const server: UnixDgramSocket = sockets.bound('a', () => {
      server.close();
      resolve();
    });
  });
  const client = sockets.make();
  client.connect(sockets.path('a'));
  client.send(Buffer.from('x'), () => client.close());
  assert.equal(client.fd, -1);
  await heard;
  const congested = sockets.make();
  const silent = spawn('python3', ['-c', silentPeer, sockets.path('c')], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(silent.stdout, 'data');
  congested.connect(sockets.path('c'));
  congested.on('writable', () => assert.fail('it is closed'));
  for (let i = 0; i < 2000 && congested.fd >= 0; i++) {
    congested.send(Buffer.from('x'), (error) => error && congested.close());
  }
  assert.equal(congested.fd, -1);
  silent.stdin.end();
  await once(silent, 'close');
});

/** Does not read, until its standard input ends; then it says how long its datagrams were. */
const silentPeer = [
  'import socket, sys',
  's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1])',
  'print("bound", flush=True)',
  'sys.stdin.read()',
  's.setblocking(False)',
  'try:',
  '  while True: print(len(s.recv(1 << 20)))',
  'except BlockingIOError: pass',
].join('\n');

test('datagrams that are longer than UDP’s are sent; what the kernel does not take is -90', async () => {
  using sockets = new Sockets();
  const silent = spawn('python3', ['-c', silentPeer, sockets.path('a')], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(silent.stdout, 'data');
  let said = '';
  silent.stdout.on('data', (text) => {
    said += text;
  });
  const client = sockets.make();
  client.send(Buffer.alloc(100_000), 0, 100_000, sockets.path('a'));
  client.connect(sockets.path('a'));
  client.send(Buffer.alloc(70_000));
  client.send(Buffer.alloc(0));
  assert.equal(errorOf(client, () => client.send(Buffer.alloc(10_000_000)))?.code, -90);
  silent.stdin.end();
  await once(silent, 'close');
  assert.equal(said.trim(), '100000\n70000\n0');
});

test('abstract names and long paths, which the package cuts', async () => {
  using sockets = new Sockets();
  const got: (string | null)[] = [];
  const name = `\0ksocket-test-${process.pid}`;
  const server = sockets.make((_, { path }) => got.push(path));
  server.bind(name);
  const client = sockets.make();
  client.bind(`${name}-client`);
  client.send(Buffer.from('x'), 0, 1, name);
  sockets.bound('b').send(Buffer.from('x'), 0, 1, name);
  await waitFor(() => got.length === 2);
  assert.deepEqual(got, [null, sockets.path('b')]);
  const long = `/tmp/${'x'.repeat(103)}`;
  assert.equal(errorOf(client, () => client.connect(long))?.message, 'connect -36');
  assert.equal(errorOf(client, () => client.send(Buffer.from('x'), 0, 1, long))?.message, 'send -36');
});

test('it speaks with ksocket’s own sockets, and its Buffers are their own', async () => {
  using sockets = new Sockets();
  const other = createKsocket('unix_dgram', (msg, { path }) => other.send(`${msg}!`, path));
  other.bindSync(sockets.path('other'));
  const got: Buffer[] = [];
  const storage = new AsyncLocalStorage<string>();
  const socket = storage.run('its maker’s', () =>
    sockets.bound('a', (msg) => {
      assert.equal(storage.getStore(), 'its maker’s');
      got.push(msg);
    }),
  );
  socket.connect(sockets.path('other'));
  for (const text of ['one', 'two', 'three']) socket.send(Buffer.from(text));
  await waitFor(() => got.length === 3);
  assert.deepEqual(got.map(String), ['one!', 'two!', 'three!']);
  for (const msg of got) assert.equal(msg.buffer.byteLength, msg.length);
  await other[Symbol.asyncDispose]();
});

test('udp4 and udp6 are ksocket’s', async () => {
  const socket = unix.createSocket('udp4', (msg) => socket.close(() => assert.equal(`${msg}`, 'hello')));
  socket.bind(0, '127.0.0.1', () => socket.send('hello', socket.address().port, '127.0.0.1'));
  await once(socket, 'close');
  assert.equal(typeof socket.stats(), 'object');
});

test('what the package does not implement is not implemented', () => {
  using sockets = new Sockets();
  const socket = sockets.make() as unknown as Record<string, () => void>;
  for (const name of [
    'address',
    'setTTL',
    'setBroadcast',
    'setMulticastTTL',
    'setMulticastLoopback',
    'addMembership',
    'dropMembership',
  ]) {
    assert.throws(() => socket[name](), { name: 'Error', message: 'not implemented' });
  }
});

test('its sockets are the descriptors that they say', () => {
  using sockets = new Sockets();
  const socket = sockets.bound('a');
  const shown = execFileSync('ss', ['-xapH'], { encoding: 'utf8' }).split('\n');
  const own = shown.filter((line) => line.includes(sockets.path('a')));
  assert.match(own.join('\n'), new RegExp(`pid=${process.pid},fd=${socket.fd}\\)`));
});

test('without the addon local sockets say that they need it, and the others are there', async () => {
  const program = async () => {
    const { createSocket } = await import('ksocket/unix-dgram');
    createSocket('udp4').close();
    try {
      createSocket('unix_dgram');
    } catch (error) {
      console.log((error as NodeJS.ErrnoException).code);
    }
  };
  const env = { KSOCKET_BACKEND: 'dgram', KSOCKET_ENGINE: undefined };
  const { code, stdout, stderr } = await runProgram(program, [], { env });
  assert.deepEqual([code, stdout, stderr], [0, 'ERR_KSOCKET_NEEDS_ADDON\n', '']);
});
