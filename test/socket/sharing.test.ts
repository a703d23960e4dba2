// Who receives: the event loop itself while it is idle, the I/O thread while it is busy.
import assert from 'node:assert/strict';
import { createSocket as createDgramSocket } from 'node:dgram';
import { once } from 'node:events';
import { createSocket, features } from 'ksocket';
import { runProgram, startProgram } from '../support/child.js';
import { bound, closed, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

/** A process that sends `count` datagrams, one a `pauseMs`, from a port of its own or this one. */
function sender(port: number, count: number, pauseMs: number, from = 0) {
  return startProgram(
    async (to: number, total: number, pause: number, own: number) => {
      const { createSocket: create } = await import('node:dgram');
      const socket = create('udp4').bind(own, '127.0.0.1');
      for (let i = 0; i < total; i++) {
        await new Promise((resolve) => socket.send(`${i}`, to, '127.0.0.1', resolve));
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
      socket.close();
    },
    [port, count, pauseMs, from],
  );
}

test('an idle event loop receives by itself where the engine can share, else through the thread', async () => {
  const socket = createSocket('udp4');
  const got: string[] = [];
  socket.on('message', (data) => got.push(data.toString()));
  const port = await bound(socket);
  await using child = sender(port, 50, 2);
  await waitFor(() => got.length === 50);
  assert.equal((await child.end()).code, 0);
  assert.deepEqual(
    got,
    Array.from({ length: 50 }, (_, i) => `${i}`),
  );
  const { thread } = socket.stats();
  if (features().engine === 'mmsg') assert.ok(thread.loopRounds > 0, JSON.stringify(thread));
  else assert.equal(thread.loopRounds, 0);
  await closed(socket);
});

test('rxUsecs 0 and adaptiveRx false leave receiving to the thread alone', async () => {
  for (const options of [{ rxUsecs: 0 }, { adaptiveRx: false }]) {
    const socket = createSocket({ type: 'udp4', ...options });
    let received = 0;
    socket.on('message', () => received++);
    const port = await bound(socket);
    await using child = sender(port, 10, 1);
    await waitFor(() => received === 10);
    await child.end();
    const { thread } = socket.stats();
    assert.equal(thread.loopRounds, 0);
    assert.ok(thread.wakeups > 0);
    await closed(socket);
  }
});

test('the thread wakes the loop through a pipe of its own, and where there is no descriptor for it, too', async () => {
  const program = async (spareMax: number) => {
    const { closeSync, openSync, readdirSync, readlinkSync } = await import('node:fs');
    const { createSocket: createDgram } = await import('node:dgram');
    const { once } = await import('node:events');
    const { createSocket } = await import('ksocket');
    const sender = createDgram('udp4').bind(0, '127.0.0.1');
    await once(sender, 'listening');
    const pipes = (): number =>
      readdirSync('/proc/self/fd').filter((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`).startsWith('pipe:');
        } catch {
          return false; // the directory's own
        }
      }).length;
    const others: number[] = [];
    const before = pipes();
    const listen = async () => {
      const socket = createSocket({ type: 'udp4', rxUsecs: 0 });
      try {
        socket.bind(0, '127.0.0.1');
        await once(socket, 'listening');
        sender.send('x', socket.address().port, '127.0.0.1');
        await once(socket, 'message');
        const { wakeups, loopRounds } = socket.stats().thread;
        if (wakeups === 0 || loopRounds > 0) throw new Error(`the thread did not wake the loop: ${wakeups}`);
        closeSync(others.pop() as number); // to look takes one
        return pipes() - before;
      } finally {
        socket.close();
        await once(socket, 'close');
      }
    };
    for (let spare = 0; spare <= spareMax; spare++) {
      try {
        for (;;) others.push(openSync('/dev/null', 'r'));
      } catch {}
      for (let i = 0; i < spare; i++) closeSync(others.pop() as number);
      await listen().then(
        (own) => console.log(`${own} pipe ends`),
        (error) => console.log(error.code ?? error.message),
      );
    }
    sender.close();
  };
  const under = ['sh', '-c', 'ulimit -n 64 && exec "$0" "$@"'];
  const { code, stdout, stderr } = await runProgram(program, [20], { under });
  assert.deepEqual([code, stderr], [0, '']);
  const answers = stdout.trimEnd().split('\n');
  const ofEngine = features().engine === 'posix' ? 2 : 0;
  assert.equal(answers[0], 'EMFILE');
  assert.equal(answers.at(-1), `${ofEngine + 2} pipe ends`);
  // What the pipe would take from the socket it leaves: with one descriptor more nobody has to do with less.
  const inOrder = ['EMFILE', `${ofEngine} pipe ends`, `${ofEngine + 2} pipe ends`];
  const places = answers.map((answer) => inOrder.indexOf(answer));
  assert.deepEqual([...new Set(places)], [0, 1, 2], stdout);
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
    stdout,
  );
});

test('the thread takes over while the event loop is busy', async () => {
  const socket = createSocket('udp4');
  let received = 0;
  socket.on('message', () => received++);
  const port = await bound(socket);
  await using child = sender(port, 600, 0);
  await waitFor(() => received > 0);
  // Busy until the thread has read what the kernel's buffer alone would not hold, or, if that never happens, too long.
  const until = performance.now() + 20_000;
  while (socket.stats().rxDatagrams < 500 && performance.now() < until);
  assert.ok(received < 500, 'the listener ran while the event loop was busy');
  assert.ok(socket.stats().rxDatagrams >= 500, `only ${socket.stats().rxDatagrams} were read meanwhile`);
  await waitFor(() => received === 600);
  await child.end();
  assert.equal(socket.stats().rxKernelDrops, 0);
  await closed(socket);
});

test('an ICMP error does not end the sharing', async () => {
  const socket = createSocket('udp4');
  let received = 0;
  socket.on('message', () => received++);
  const port = await bound(socket);
  const gone = createSocket('udp4');
  const nobody = await bound(gone);
  await closed(gone);
  const refused = once(socket, 'error', { signal: AbortSignal.timeout(20_000) });
  await new Promise<void>((resolve) => socket.connect(nobody, '127.0.0.1', () => resolve()));
  socket.send('anybody there?');
  assert.equal((await refused)[0].code, 'ECONNREFUSED');
  const before = socket.stats().thread.loopRounds;
  await using child = sender(port, 50, 2, nobody);
  await waitFor(() => received === 50);
  assert.equal((await child.end()).code, 0);
  if (features().engine === 'mmsg') assert.ok(socket.stats().thread.loopRounds > before);
  await closed(socket);
});

test('more sockets than the event loop looks after by itself all receive', async () => {
  const sockets = Array.from({ length: 100 }, () => createSocket('udp4'));
  const received = sockets.map(() => '');
  for (const [i, socket] of sockets.entries()) socket.on('message', (data) => (received[i] += data));
  const ports = await Promise.all(sockets.map((socket) => bound(socket)));
  // The shared ones come and go: others take their places.
  const goes = (i: number) => i % 3 === 0;
  for (const [i, socket] of sockets.entries()) if (goes(i)) await closed(socket);
  const peer = createDgramSocket('udp4');
  for (const text of ['a', 'b', 'c']) {
    for (const port of ports) await sent(peer, text, port);
    await waitFor(() => received.every((all, i) => goes(i) || all.endsWith(text)));
  }
  assert.deepEqual(
    received,
    sockets.map((_, i) => (goes(i) ? '' : 'abc')),
  );
  await closed(peer);
  for (const [i, socket] of sockets.entries()) if (!goes(i)) await closed(socket);
});
