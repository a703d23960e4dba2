// A socket goes from one process to another.
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Socket } from 'ksocket';
import { type Child, runProgram, startProgram } from '../support/child.js';
import { LocalInbox, LocalSockets } from '../support/local.js';
import { bound, Inbox, Sockets } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

/** A directory for paths. */
class Paths {
  readonly directory = mkdtempSync(join(tmpdir(), 'ksocket-'));
  readonly door = join(this.directory, 'door');
  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Sends 0, 1, 2, …, so many each millisecond or so. */
class Counting {
  sent = 0;
  readonly #socket = dgram.createSocket('udp4');
  readonly #timer: NodeJS.Timeout;

  constructor(port: number, atOnce = 5) {
    this.#timer = setInterval(() => {
      for (let i = 0; i < atOnce; i++) this.#socket.send(String(this.sent++), port, '127.0.0.1');
    }, 1);
  }

  /** Resolves when all have left. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await new Promise<void>((resolve) => this.#socket.close(resolve));
  }
}

/** Takes the socket over, says what it receives, and hands it over again when it is told so. */
function startTaker(door: string): Child {
  return startProgram(
    async (path: string) => {
      const { writeSync } = await import('node:fs');
      const { createSocket } = await import('ksocket');
      const socket = createSocket('udp4', (msg) => writeSync(1, `got ${msg}\n`));
      await socket.takeOver(path);
      writeSync(1, 'took over\n');
      process.on('SIGUSR2', async () => {
        await socket.handOver(path);
        writeSync(1, 'gave\n');
      });
      writeSync(1, 'can give\n');
    },
    [door],
  );
}

const numbersOf = (child: Child) =>
  child.lines.filter((line) => line.startsWith('got ')).map((line) => Number(line.slice(4)));

function checkAll(sent: number, parts: number[][]): void {
  const all = parts.flat().sort((a, b) => a - b);
  assert.deepEqual(
    all,
    Array.from({ length: sent }, (_, i) => i),
  );
}

test('a socket goes through several processes under traffic: nothing is lost, nothing comes twice', async () => {
  using paths = new Paths();
  await using sockets = new Sockets();
  const socket = sockets.make();
  const inbox = new Inbox(socket);
  const port = await bound(socket);
  const counting = new Counting(port);
  await waitFor(() => inbox.all.length > 50);
  const given = socket.handOver(paths.door);
  const children: Child[] = [];
  for (let i = 0; i < 3; i++) {
    await waitFor(() => isThere(paths.door));
    const child = startTaker(paths.door);
    children.push(child);
    await child.line(/^can give$/);
    const before = numbersOf(child).length;
    await waitFor(() => numbersOf(child).length > before + 50);
    if (i < 2) child.kill('SIGUSR2');
  }
  await given;
  await counting.stop();
  const parts = () => [inbox.texts.map(Number), ...children.map(numbersOf)];
  await waitFor(() => parts().flat().length >= counting.sent);
  checkAll(counting.sent, parts());
  await children[0].line(/^gave$/);
  await children[1].line(/^gave$/);
  for (const child of children) await child[Symbol.asyncDispose]();
  assert.throws(() => socket.address(), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' });
});

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

test('what the ring has is delivered by whoever has it, what waits to be sent is sent, and both before the socket closes', async () => {
  using paths = new Paths();
  await using sockets = new Sockets();
  const [old, taker, peer] = [sockets.make(), sockets.make(), sockets.makePeer()];
  const [inbox, later, answers] = [new Inbox(old), new Inbox(taker), new Inbox(peer)];
  const port = await bound(old);
  const peerPort = await bound(peer);
  const events: string[] = [];
  old.on('close', () => events.push(`close ${inbox.all.length}`));
  const given = old.handOver(paths.door).then(() => events.push('given'));
  await waitFor(() => isThere(paths.door));
  for (let i = 0; i < 200; i++) peer.send(`${i}`, port, '127.0.0.1');
  const taken = taker.takeOver(paths.door);
  old.send('from the old one', peerPort, '127.0.0.1');
  await taken;
  await given;
  await waitFor(() => inbox.all.length + later.all.length === 200);
  assert.deepEqual(events, [`close ${inbox.all.length}`, 'given']);
  assert.equal(taker.address().port, port);
  taker.send('from the new one', peerPort, '127.0.0.1');
  const all = await answers.take(2);
  assert.deepEqual(
    all.map(({ data, rinfo }) => [data.toString(), rinfo.port]),
    [
      ['from the old one', port],
      ['from the new one', port],
    ],
  );
});

test('a connected socket stays connected, and an IPv6 socket is one', async () => {
  using paths = new Paths();
  await using sockets = new Sockets();
  const [old, taker] = [sockets.make('udp6'), sockets.make('udp6')];
  const peer = sockets.makePeer('udp6');
  const port = await bound(peer);
  await bound(old);
  old.connectSync(port, '::1');
  const given = old.handOver(paths.door);
  await waitFor(() => isThere(paths.door));
  await taker.takeOver(paths.door);
  await given;
  assert.deepEqual(taker.remoteAddress(), { address: '::1', family: 'IPv6', port });
  const inbox = new Inbox(peer);
  taker.send('x');
  await inbox.take(1);
});

test('what comes while nobody receives has room in the kernel, as much as this process may ask for', async () => {
  using paths = new Paths();
  await using sockets = new Sockets();
  const GROWN = 4 << 20;
  const bytes = new Uint8Array(Int32Array.of(GROWN).buffer);
  const reference = sockets.make();
  await bound(reference);
  try {
    reference.setsockopt(1, 33, bytes); // SOL_SOCKET, SO_RCVBUFFORCE
  } catch {
    reference.setRecvBufferSize(GROWN);
  }
  const [socket, next] = [sockets.make(), sockets.make()];
  await bound(socket);
  const given = socket.handOver(paths.door);
  await waitFor(() => statSync(paths.door, { throwIfNoEntry: false }) !== undefined);
  await next.takeOver(paths.door);
  await given;
  assert.equal(next.getRecvBufferSize(), reference.getRecvBufferSize());
});

test('the file is for this user only, and goes with the offer', async () => {
  using paths = new Paths();
  await using sockets = new Sockets();
  const socket = sockets.make();
  await bound(socket);
  const stop = new AbortController();
  const given = socket.handOver(paths.door, { signal: stop.signal });
  await waitFor(() => isThere(paths.door));
  assert.equal(statSync(paths.door).mode & 0o777, 0o600);
  const reason = new Error('not any more');
  stop.abort(reason);
  await assert.rejects(given, reason);
  assert.equal(isThere(paths.door), false);
  assert.ok(socket.address().port > 0);
  await assert.rejects(socket.handOver(paths.door, { signal: AbortSignal.abort(reason) }), reason);
});

test('what cannot be is said, and nothing changes', async () => {
  using paths = new Paths();
  await using sockets = new Sockets();
  const socket = sockets.make();
  await assert.rejects(socket.handOver(paths.door), { code: 'ERR_INVALID_STATE' });
  await assert.rejects(socket.takeOver(paths.door), { code: 'ENOENT', syscall: 'send' });
  for (const path of [undefined, 7, null]) {
    await assert.rejects(socket.takeOver(path as unknown as string), { code: 'ERR_INVALID_ARG_TYPE' });
    await assert.rejects(socket.handOver(path as unknown as string), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  for (const path of ['', 'a\0b']) {
    await assert.rejects(socket.takeOver(path), { code: 'ERR_INVALID_ARG_VALUE' });
    await assert.rejects(socket.handOver(path), { code: 'ERR_INVALID_ARG_VALUE' });
  }
  await assert.rejects(socket.takeOver(`${paths.door}${'x'.repeat(120)}`), { code: 'ENAMETOOLONG' });
  await bound(socket); // it could be bound all the same
  await assert.rejects(socket.takeOver(paths.door), { code: 'ERR_SOCKET_ALREADY_BOUND' });
  await assert.rejects(socket.handOver(join(paths.directory, 'none/door')), { code: 'ENOENT', syscall: 'bind' });
  for (const options of [7, null, { signal: 7 }, { sgnal: 1 }]) {
    await assert.rejects(socket.handOver(paths.door, options as object), { code: /^ERR_INVALID_ARG_/ });
  }
  const given = socket.handOver(paths.door);
  await assert.rejects(socket.handOver(`${paths.door}2`), { code: 'ERR_INVALID_STATE' });
  const other = sockets.make();
  await bound(other);
  await waitFor(() => isThere(paths.door));
  await assert.rejects(other.handOver(paths.door), { code: 'EADDRINUSE', syscall: 'bind' });
  await assert.rejects(sockets.make('udp6').takeOver(paths.door), {
    code: 'ERR_INVALID_STATE',
    message: 'Invalid state: The other process hands a udp4 socket without shards over',
  });
  await assert.rejects(createServer().takeOver(paths.door), { code: 'ERR_INVALID_STATE' });
  const closed = once(socket, 'close');
  socket.close();
  await Promise.all([closed, assert.rejects(given, { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' })]);
  assert.equal(isThere(paths.door), false);
  await assert.rejects(sockets.make().takeOver(paths.door), { code: 'ENOENT' });
});

test('a socket with shards: all of them, divided as they were, and they can become more', async () => {
  using paths = new Paths();
  await using sockets = new Sockets();
  const steering = { offset: 0, length: 1, by: 'index' } as const;
  const old = sockets.make({ type: 'udp4', shards: 3, steering });
  const inbox = new Inbox(old);
  const port = await bound(old, '0.0.0.0');
  const given = old.handOver(paths.door);
  await waitFor(() => isThere(paths.door));
  await assert.rejects(sockets.make().takeOver(paths.door), {
    code: 'ERR_INVALID_STATE',
    message: 'Invalid state: The other process hands a udp4 socket with shards over',
  });
  const taker = sockets.make({ type: 'udp4', shards: 2 });
  const later = new Inbox(taker);
  const peer = sockets.makePeer();
  let sent = 0;
  const send = () => {
    for (let i = 0; i < 6; i++, sent++) peer.send(Buffer.from([i]), port, '127.0.0.1');
  };
  const sending = setInterval(send, 1);
  await taker.takeOver(paths.door);
  await given;
  clearInterval(sending);
  await waitFor(() => inbox.all.length + later.all.length === sent);
  const before = [0, 1, 2].map((i) => taker.shard(i).stats().rxDatagrams);
  send();
  await waitFor(() => inbox.all.length + later.all.length === sent);
  assert.deepEqual(
    [0, 1, 2].map((i) => taker.shard(i).stats().rxDatagrams - before[i]),
    [2, 2, 2],
  );
  await taker.setShards(6);
  send();
  await waitFor(() => inbox.all.length + later.all.length === sent);
  assert.deepEqual(
    [3, 4, 5].map((i) => taker.shard(i).stats().rxDatagrams),
    [1, 1, 1],
  );
});

test('a taker whose settings are refused has nothing, and the giver goes on', async () => {
  using paths = new Paths();
  await using sockets = new Sockets();
  const socket = sockets.make();
  const inbox = new Inbox(socket);
  const port = await bound(socket);
  const given = socket.handOver(paths.door);
  await waitFor(() => isThere(paths.door));
  const refused = sockets.make({ type: 'udp4', bindToDevice: 'nonexistent0' });
  await assert.rejects(refused.takeOver(paths.door), { code: 'ENODEV', syscall: 'setsockopt' });
  await waitFor(() => isThere(paths.door));
  sockets.makePeer().send('x', port, '127.0.0.1');
  await inbox.take(1);
  await sockets.make().takeOver(paths.door);
  await given;
});

test('a socket that was to close behind what it has sent closes, too, where nobody hands over', async () => {
  using paths = new Paths();
  await using sockets = new Sockets();
  const socket = sockets.make();
  const taken = socket.takeOver(paths.door);
  socket.send('x', 9, '127.0.0.1');
  const closed = once(socket, 'close');
  socket.close();
  await assert.rejects(taken, { code: 'ENOENT' });
  await closed;
});

test('an offer keeps no program running', async () => {
  using paths = new Paths();
  const { code, stdout } = await runProgram(
    async (path: string) => {
      const { createServer, createSocket } = await import('ksocket');
      const socket = createSocket('udp4');
      socket.bindSync({ address: '127.0.0.1' });
      socket.unref();
      socket.handOver(path);
      const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' }).unref();
      await server.start();
      server.handOver(`${path}2`);
      console.log('offered');
    },
    [paths.door],
  );
  assert.deepEqual([code, stdout], [0, 'offered\n']);
});

test('who knocks with something else is not let in', async () => {
  using paths = new Paths();
  await using sockets = new Sockets();
  await using locals = new LocalSockets();
  const socket = sockets.make();
  await bound(socket);
  const given = socket.handOver(paths.door);
  await waitFor(() => isThere(paths.door));
  const stranger = locals.make();
  const send = (msg: string, descriptors?: number[]) =>
    new Promise<void>((resolve, reject) => {
      stranger.send(msg, { path: paths.door, descriptors }, (error) => (error ? reject(error) : resolve()));
    });
  await send('hello');
  await send('ksocket hand-over 1');
  await send('ksocket hand-over 1', [1, 2]); // no sockets
  await send('ksocket hand-over 1', [1, 2, 2]);
  const taker = sockets.make();
  await taker.takeOver(paths.door);
  await given;
});

test('a taker that is killed at any moment takes nothing with it but what it had', async () => {
  using paths = new Paths();
  await using sockets = new Sockets();
  const socket = sockets.make();
  const inbox = new Inbox(socket);
  const counting = new Counting(await bound(socket));
  let isGiven = false;
  const given = socket.handOver(paths.door).then(() => {
    isGiven = true;
  });
  const children: Child[] = [];
  for (let round = 0; !isGiven && round < 12; round++) {
    await waitFor(() => isThere(paths.door));
    const child = startTaker(paths.door);
    children.push(child);
    // From before it starts to after it has taken over: most end before.
    await new Promise((resolve) => setTimeout(resolve, 60 + round * 4));
    if (child.lines.includes('took over')) break;
    child.kill('SIGKILL');
    await child.end();
  }
  if (!isGiven) {
    const child = startTaker(paths.door);
    children.push(child);
    await child.line(/^can give$/);
  }
  await given;
  const last = children.at(-1) as Child;
  const lives = last.process.exitCode === null && last.process.signalCode === null;
  const before = numbersOf(last).length;
  if (lives) await waitFor(() => numbersOf(last).length > before);
  await counting.stop();
  const parts = () => [inbox.texts.map(Number), ...children.map(numbersOf)];
  if (lives) await waitFor(() => parts().flat().length >= counting.sent);
  const all = parts().flat();
  assert.equal(new Set(all).size, all.length, 'nothing comes twice');
  if (lives) checkAll(counting.sent, parts());
  for (const child of children) await child[Symbol.asyncDispose]();
});

test('a giver that is killed leaves the socket to who has begun to take it over', async () => {
  using paths = new Paths();
  await using sockets = new Sockets();
  await using giver = startProgram(
    async (path: string) => {
      const { writeSync } = await import('node:fs');
      const { createSocket } = await import('ksocket');
      const socket = createSocket('udp4', (msg) => writeSync(1, `got ${msg}\n`));
      socket.bind(0, '127.0.0.1', () => {
        socket.handOver(path);
        writeSync(1, `port ${socket.address().port}\n`);
      });
    },
    [paths.door],
  );
  const [, port] = await giver.line(/^port (\d+)$/);
  const taker: Socket = sockets.make();
  const inbox = new Inbox(taker);
  // It answers to the knock, and is stopped before it hears that we are ready.
  await waitFor(() => isThere(paths.door));
  const taken = taker.takeOver(paths.door);
  await new Promise((resolve) => setTimeout(resolve, 3));
  giver.kill('SIGKILL');
  await giver.end();
  const outcome = await taken.then(
    () => 'taken',
    (error) => error.code,
  );
  if (outcome === 'taken') {
    assert.equal(taker.address().port, Number(port));
    const peer = sockets.makePeer();
    peer.send('x', Number(port), '127.0.0.1');
    await inbox.take(1);
  } else {
    assert.equal(outcome, 'ECONNRESET'); // it had said nothing yet
    await bound(taker);
  }
});

test('a local socket keeps its path, and its file goes with the new one', async () => {
  using paths = new Paths();
  await using locals = new LocalSockets();
  const [old, taker, peer] = [locals.bound('name'), locals.make(), locals.bound('peer')];
  const path = locals.path('name');
  const [inbox, later, answers] = [new LocalInbox(old), new LocalInbox(taker), new LocalInbox(peer)];
  const given = old.handOver(paths.door);
  await waitFor(() => isThere(paths.door));
  let sent = 0;
  const sending = setInterval(() => peer.send(`${sent++}`, path), 1);
  await taker.takeOver(paths.door);
  await given;
  clearInterval(sending);
  await waitFor(() => inbox.all.length + later.all.length === sent);
  assert.deepEqual(
    [...inbox.texts, ...later.texts],
    Array.from({ length: sent }, (_, i) => `${i}`),
  );
  assert.deepEqual(taker.address(), { path, family: 'unix' });
  assert.throws(() => taker.bindSync(locals.path('other')), { code: 'ERR_SOCKET_ALREADY_BOUND' });
  taker.send('back', locals.path('peer'));
  await answers.take(1);
  assert.ok(isThere(path));
  await taker[Symbol.asyncDispose]();
  assert.equal(isThere(path), false);
});
