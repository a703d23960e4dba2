// Where a local socket is bound, and what becomes of the file.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, lstatSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createSocket } from 'ksocket';
import { runProgram } from '../support/child.js';
import { errorOf, LocalInbox, LocalSockets, sentTo } from '../support/local.js';
import { kernelPreload } from '../support/programs.js';
import { test } from '../support/test.js';

test('a path: the socket is there, receives, and its file goes with it', async () => {
  await using sockets = new LocalSockets();
  const socket = sockets.make();
  const path = sockets.path('a');
  assert.equal(socket.bind(path), socket);
  await once(socket, 'listening');
  assert.deepEqual(socket.address(), { path, family: 'unix' });
  assert.ok(lstatSync(path).isSocket());
  const inbox = new LocalInbox(socket);
  const sender = sockets.bound('b');
  assert.equal(await sentTo(sender, 'hello', path), 5);
  const [{ text, rinfo }] = await inbox.take(1);
  assert.equal(text, 'hello');
  assert.deepEqual(rinfo, { address: sockets.path('b'), family: 'unix', port: 0, size: 5, path: sockets.path('b') });
  socket.close();
  assert.ok(!existsSync(path));
});

test('an abstract name is no file, and may hold any bytes that are UTF-8', async () => {
  await using sockets = new LocalSockets();
  const name = `\0ksocket ${process.pid} \0 ü`;
  const socket = sockets.make();
  assert.deepEqual(socket.bindSync(name), { path: name, family: 'unix' });
  const inbox = new LocalInbox(socket);
  const sender = sockets.make();
  sender.bindSync(`${name} 2`);
  await sentTo(sender, 'x', name);
  assert.equal((await inbox.take(1))[0].rinfo.path, `${name} 2`);
});

test('a sender that is bound to nothing has no path, and cannot be answered', async () => {
  await using sockets = new LocalSockets();
  const socket = sockets.bound('a');
  const inbox = new LocalInbox(socket);
  const named = sockets.bound('b');
  const unnamed = sockets.make();
  await sentTo(named, '1', sockets.path('a'));
  await sentTo(unnamed, '2', sockets.path('a'));
  await sentTo(named, '3', sockets.path('a'));
  await inbox.take(3);
  assert.deepEqual(
    inbox.all.map(({ rinfo }) => rinfo.path),
    [sockets.path('b'), '', sockets.path('b')],
  );
  socket.removeAllListeners('message');
  const answered = new Promise<Error | null>((resolve) => {
    socket.once('batch', (batch) => batch.reply(0, 'answer', resolve));
  });
  await sentTo(unnamed, '4', sockets.path('a'));
  assert.equal(((await answered) as NodeJS.ErrnoException).code, 'EINVAL');
});

test('a path that is taken is EADDRINUSE, also of what is no socket', async () => {
  await using sockets = new LocalSockets();
  sockets.bound('a');
  writeFileSync(sockets.path('file'), 'not to be lost');
  for (const name of ['a', 'file']) {
    for (const replaceStale of [false, true]) {
      const path = sockets.path(name);
      const other = sockets.make();
      other.bind({ path, replaceStale }, () => assert.fail('it is bound'));
      const error = await errorOf(other);
      assert.equal(error.message, `bind EADDRINUSE ${path}`);
      assert.deepEqual([error.code, error.syscall, error.address], ['EADDRINUSE', 'bind', path]);
      other.bindSync(sockets.path('elsewhere')); // nothing is left half-open
      other.close();
    }
  }
  assert.ok(existsSync(sockets.path('file')));
  const inbox = new LocalInbox(sockets.bound('c'));
  await sentTo(sockets.make(), 'x', sockets.path('c'));
  await inbox.take(1);
});

test('replaceStale takes the place of a socket that has not ended well', async () => {
  await using sockets = new LocalSockets();
  sockets.bound('a', {}, { keep: true }).close();
  assert.ok(lstatSync(sockets.path('a')).isSocket());
  assert.throws(() => sockets.bound('a'), { code: 'EADDRINUSE' });
  const socket = sockets.bound('a', {}, { replaceStale: true });
  const inbox = new LocalInbox(socket);
  await sentTo(sockets.make(), 'x', sockets.path('a'));
  await inbox.take(1);
});

test('close takes away no file that is another one’s by now', async () => {
  await using sockets = new LocalSockets();
  const first = sockets.bound('a');
  renameSync(sockets.path('a'), sockets.path('moved'));
  sockets.bound('a');
  first.close();
  assert.ok(lstatSync(sockets.path('a')).isSocket());
});

test('mode is the file’s, whatever the umask', async () => {
  await using sockets = new LocalSockets();
  const umask = process.umask(0o077);
  try {
    for (const mode of [0o600, 0o666, 0o777, 0]) {
      sockets.bound(`mode ${mode}`, {}, { mode });
      assert.equal(statSync(sockets.path(`mode ${mode}`)).mode & 0o777, mode);
    }
    sockets.bound('default');
    assert.equal(statSync(sockets.path('default')).mode & 0o777, 0o700);
  } finally {
    process.umask(umask);
  }
});

test('a path that is too long is said to be', async () => {
  await using sockets = new LocalSockets();
  const longest = `/tmp/${'x'.repeat(102)}`;
  assert.equal(longest.length, 107);
  const most = sockets.make();
  most.bindSync(longest);
  assert.equal(most.address().path, longest);
  const socket = sockets.make();
  const path = `${longest}y`;
  const text = `ENAMETOOLONG ${path}: a socket's path has at most 107 bytes`;
  assert.throws(() => socket.bindSync(path), { code: 'ENAMETOOLONG', syscall: 'bind', message: `bind ${text}` });
  assert.throws(() => socket.connectSync(path), {
    code: 'ENAMETOOLONG',
    syscall: 'connect',
    message: `connect ${text}`,
  });
  await assert.rejects(sentTo(socket, 'x', path), { code: 'ENAMETOOLONG', syscall: 'send', address: path });
  const umlauts = `/tmp/${'ü'.repeat(52)}`;
  assert.throws(() => socket.bindSync(umlauts), { code: 'ENAMETOOLONG' });
  const abstract = sockets.make();
  abstract.bindSync(`\0${'x'.repeat(107)}`);
  assert.throws(() => socket.bindSync(`\0${'x'.repeat(108)}`), { code: 'ENAMETOOLONG' });
});

test('a bind that fails leaves nothing of its mode to the next one, and no file', async () => {
  await using sockets = new LocalSockets();
  sockets.bound('taken');
  const socket = sockets.make();
  await sentTo(socket, 'x', sockets.path('taken')); // it has a descriptor, which is bound later
  assert.throws(() => socket.bindSync({ path: sockets.path('taken'), mode: 0 }), { code: 'EADDRINUSE' });
  socket.bindSync(sockets.path('next'));
  assert.equal(statSync(sockets.path('next')).mode & 0o777, 0o777 & ~process.umask());
  const path = sockets.path('refused');
  const { stdout, stderr } = await runProgram(
    async (path) => {
      const { createSocket } = await import('ksocket');
      const { existsSync } = await import('node:fs');
      const socket = createSocket('unix_dgram');
      const seen: unknown[] = [];
      for (const keep of [false, true]) {
        try {
          socket.bindSync({ path, mode: 0o600, keep });
        } catch (error) {
          const { code, syscall } = error as NodeJS.ErrnoException;
          seen.push([code, syscall, existsSync(path)]);
        }
      }
      socket.bindSync(path);
      seen.push(socket.address().path === path);
      socket.close();
      console.log(JSON.stringify(seen));
    },
    [path],
    { env: { LD_PRELOAD: kernelPreload, KERNEL_REFUSES_CHMOD: '1' } },
  );
  assert.equal(stderr, '');
  assert.deepEqual(JSON.parse(stdout), [['EPERM', 'bind', false], ['EPERM', 'bind', false], true]);
});

test('what can be no path, and no option, is refused before anything is open', async () => {
  await using sockets = new LocalSockets();
  const socket = sockets.make();
  for (const path of ['', 'a\0b', '/x\0']) {
    assert.throws(() => socket.bind(path), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => socket.send('x', path), { code: 'ERR_INVALID_ARG_VALUE' });
  }
  for (const path of [1, null, {}, undefined] as unknown as string[]) {
    assert.throws(() => socket.bindSync(path), { code: /^ERR_INVALID_ARG_/ });
  }
  assert.throws(() => socket.bind({ path: '/x', mode: 0o1000 }), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => socket.bind({ path: '\0x', mode: 0o600 }), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => socket.bind({ path: '/x', replace: true } as never), { message: /did you mean 'replaceStale'/ });
  assert.throws(() => createSocket({ type: 'unix_dgram', reuseAddr: true } as never), {
    code: 'ERR_INVALID_ARG_VALUE',
  });
  assert.throws(() => socket.address(), { code: 'EBADF' });
  const bound = sockets.bound('a');
  assert.throws(() => bound.bind(sockets.path('b')), { code: 'ERR_SOCKET_ALREADY_BOUND' });
  socket.close();
  assert.throws(() => socket.bind('/x'), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' });
  assert.throws(() => socket.send('x', '/x'), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' });
});

test('a socket that has sent can still be bound', async () => {
  await using sockets = new LocalSockets();
  const inbox = new LocalInbox(sockets.bound('a'));
  const socket = sockets.make();
  await sentTo(socket, '1', sockets.path('a'));
  await inbox.take(1); // the kernel says the name that the sender has when its datagram is read
  socket.bindSync(sockets.path('b'));
  await sentTo(socket, '2', sockets.path('a'));
  await inbox.take(2);
  assert.deepEqual(
    inbox.all.map(({ rinfo }) => rinfo.path),
    ['', sockets.path('b')],
  );
});

test('a signal closes it', async () => {
  await using sockets = new LocalSockets();
  const controller = new AbortController();
  const socket = sockets.bound('a', { signal: controller.signal });
  controller.abort();
  await once(socket, 'close');
  assert.ok(!existsSync(sockets.path('a')));
});
