// A local socket goes from one process to another: what becomes of its file, and of calls meanwhile.
import assert from 'node:assert/strict';
import { chownSync, existsSync } from 'node:fs';
import { Child, runProgram, startProgram } from '../support/child.js';
import { LocalInbox, LocalSockets } from '../support/local.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const deaf = `import signal, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('bound', flush=True)
signal.pause()`;

test('the file stays, though the old process closes its socket while something waits to be sent', async () => {
  await using locals = new LocalSockets();
  const [old, taker, peer] = [locals.bound('name'), locals.make(), locals.make()];
  const [path, door] = [locals.path('name'), locals.path('door')];
  const inbox = new LocalInbox(taker);
  await using stuck = new Child('python3', ['-c', deaf, locals.path('stuck')]);
  await stuck.line(/^bound$/);
  for (let i = 0; i < 500; i++) old.send('waits', locals.path('stuck'));
  await waitFor(() => old.getSendQueueCount() > 0);
  const given = old.handOver(door);
  await waitFor(() => existsSync(door));
  await taker.takeOver(door);
  await old[Symbol.asyncDispose]();
  await given;
  assert.ok(existsSync(path));
  peer.send('for the new one', path);
  await inbox.take(1);
  await taker[Symbol.asyncDispose]();
  assert.equal(existsSync(path), false);
});

test('a relative path: its file goes from whatever directory the process is in', async () => {
  const [own, theirs] = [`ksocket-own-${process.pid}`, `ksocket-theirs-${process.pid}`];
  await using sockets = new LocalSockets();
  const program = async (name: string, other: string, path: string) => {
    const { createSocket } = await import('ksocket');
    const [socket, given] = [createSocket('unix_dgram'), createSocket('unix_dgram')];
    process.chdir(path);
    socket.bindSync(name);
    given.bindSync(other);
    const gone = given.handOver(`${path}/door`);
    process.chdir('/');
    socket.close();
    await gone;
  };
  await using child = startProgram(program, [own, theirs, sockets.directory]);
  const taker = sockets.make();
  await waitFor(() => existsSync(sockets.path('door')));
  await taker.takeOver(sockets.path('door'));
  assert.equal((await child.end()).stderr, '');
  assert.equal(existsSync(sockets.path(own)), false);
  assert.ok(existsSync(sockets.path(theirs)));
  await taker[Symbol.asyncDispose]();
  assert.equal(existsSync(sockets.path(theirs)), false);
});

test('a socket that takes over is neither bound nor sends meanwhile', async () => {
  await using locals = new LocalSockets();
  const [old, taker] = [locals.bound('name'), locals.make()];
  const [path, door] = [locals.path('name'), locals.path('door')];
  const given = old.handOver(door);
  const taken = taker.takeOver(door);
  assert.throws(() => taker.bindSync(locals.path('other')), { code: 'ERR_SOCKET_ALREADY_BOUND' });
  assert.throws(() => taker.send('x', path), { code: 'ERR_INVALID_STATE' });
  assert.throws(() => taker.sendMany(['x'], path), { code: 'ERR_INVALID_STATE' });
  assert.throws(() => taker.connectSync(path), { code: 'ERR_INVALID_STATE' });
  await taken;
  await given;
  assert.deepEqual(taker.address(), { path, family: 'unix' });
  assert.throws(() => taker.remoteAddress(), { code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' });
});

test('a worker takes over and hands over, and Node has nothing to warn of', async () => {
  const result = await runProgram(async () => {
    const { once } = await import('node:events');
    const { Worker } = await import('node:worker_threads');
    const { createSocket } = await import('ksocket');
    const program = `import('ksocket').then(async ({ createSocket }) => {
      const { parentPort, workerData } = require('node:worker_threads');
      const socket = createSocket('unix_dgram');
      await socket.takeOver(workerData);
      const given = socket.handOver(workerData);
      parentPort.postMessage('took over');
      await given;
    });`;
    const door = `\0ksocket-test-${process.pid}`;
    const [first, last] = [createSocket('unix_dgram'), createSocket('unix_dgram')];
    first.bindSync(`${door}-name`);
    const given = first.handOver(door);
    const worker = new Worker(program, { eval: true, execArgv: [], workerData: door });
    await once(worker, 'message');
    await given;
    await last.takeOver(door);
    await once(worker, 'exit');
    process.stdout.write(last.address().path.slice(door.length));
    last.close();
  }, []);
  assert.equal(result.stderr, '');
  assert.equal(result.stdout, '-name');
});

test('who takes over does not wait for what another user has at the path', async () => {
  await using locals = new LocalSockets();
  const [door, old, taker] = [locals.path('door'), locals.bound('name'), locals.make()];
  const given = old.handOver(door);
  await waitFor(() => existsSync(door));
  if (process.getuid?.() === 0) {
    chownSync(door, 1234, 1234);
    await assert.rejects(taker.takeOver(door), { code: 'EACCES', syscall: 'send', address: door });
    chownSync(door, 0, 0);
  }
  await taker.takeOver(door);
  await given;
});
