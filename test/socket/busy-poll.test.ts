// With `busyPoll` the event loop does not sleep after a datagram, and yet does everything else it has to do.
import assert from 'node:assert/strict';
import { features } from 'ksocket';
import { runProgram } from '../support/child.js';
import { bound, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const onLoop = features().engine === 'mmsg';
const SECOND_US = 1_000_000;

test('the event loop receives by itself', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make({ type: 'udp4', busyPoll: 1000 });
  const port = await bound(socket);
  let heard = 0;
  socket.on('message', () => heard++);
  const peer = sockets.makePeer();
  for (let i = 1; i <= 50; i++) {
    await sent(peer, 'x', port);
    await waitFor(() => heard === i);
  }
  if (onLoop) assert.ok(socket.stats().thread.loopRounds > 0, JSON.stringify(socket.stats().thread));
});

test('timers, immediates and other sockets have their turn while it looks', async () => {
  const { code, stdout, stderr } = await runProgram(
    async (busyPoll: number) => {
      const { createSocket } = await import('ksocket');
      const net = await import('node:net');
      const socket = createSocket({ type: 'udp4', busyPoll });
      await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
      const { port } = socket.address();
      await new Promise<void>((resolve) => {
        socket.once('message', () => resolve());
        createSocket('udp4').unref().send('x', port);
      });
      const until = performance.now() + 300; // the loop does not sleep any more
      const counts = { timers: 0, immediates: 0, exchanges: 0 };
      const interval = setInterval(() => counts.timers++, 10);
      const server = net.createServer((client) => client.pipe(client)).listen(0, '127.0.0.1');
      await new Promise((resolve) => server.once('listening', resolve));
      const client = net.connect((server.address() as import('node:net').AddressInfo).port, '127.0.0.1');
      client.on('data', () => {
        counts.exchanges++;
        if (performance.now() < until) client.write('x');
        else client.destroy();
      });
      client.write('x');
      const immediate = () => {
        counts.immediates++;
        if (performance.now() < until) setImmediate(immediate);
      };
      immediate();
      await new Promise((resolve) => client.once('close', resolve));
      clearInterval(interval);
      server.close();
      console.log(JSON.stringify(counts));
      socket.close();
    },
    [SECOND_US],
  );
  assert.deepEqual([code, stderr], [0, '']);
  const { timers, immediates, exchanges } = JSON.parse(stdout);
  // Of 30, as many as a busy machine lets it; a loop that only looked would have none.
  for (const count of [timers, immediates, exchanges]) assert.ok(count >= 3, stdout);
});

test('a loop that looks is not one that keeps the process running', async () => {
  const { code, stdout, stderr } = await runProgram(
    async (busyPoll: number) => {
      const { createSocket } = await import('ksocket');
      const socket = createSocket({ type: 'udp4', busyPoll });
      await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
      await new Promise<void>((resolve) => {
        socket.once('message', () => resolve());
        socket.send('to itself', socket.address().port);
      });
      socket.unref();
      const at = process.hrtime.bigint();
      process.on('exit', () => console.log(Number((process.hrtime.bigint() - at) / 1_000_000n)));
    },
    [SECOND_US],
  );
  assert.deepEqual([code, stderr], [0, '']);
  assert.ok(Number(stdout) < 900, `${stdout} ms`);
});

test('it sleeps when nothing has come for so long', async () => {
  const { code, stdout, stderr } = await runProgram(
    async (busyPoll: number) => {
      const { createSocket } = await import('ksocket');
      const socket = createSocket({ type: 'udp4', busyPoll });
      await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
      await new Promise<void>((resolve) => {
        socket.once('message', () => resolve());
        socket.send('to itself', socket.address().port);
      });
      await new Promise((resolve) => setTimeout(resolve, 100));
      const before = process.cpuUsage();
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const { user, system } = process.cpuUsage(before);
      console.log((user + system) / 1000);
      socket.close();
    },
    [1000],
  );
  assert.deepEqual([code, stderr], [0, '']);
  assert.ok(Number(stdout) < 300, `${stdout} ms of 1000`);
});

test('the thread receives while the loop is stuck', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make({ type: 'udp4', busyPoll: 1000 });
  const port = await bound(socket);
  let heard = 0;
  socket.on('message', () => heard++);
  const peer = sockets.makePeer();
  await sent(peer, 'x', port);
  await waitFor(() => heard === 1);
  for (let i = 0; i < 100; i++) await sent(peer, 'y', port);
  const { rxDatagrams } = await new Promise<ReturnType<typeof socket.stats>>((resolve) => {
    setImmediate(() => {
      for (let i = 0; i < 100; i++) peer.send('z', port, '127.0.0.1');
      setImmediate(() => {
        const until = performance.now() + 300;
        while (performance.now() < until);
        resolve(socket.stats());
      });
    });
  });
  assert.ok(rxDatagrams > 101, `${rxDatagrams}`);
  await waitFor(() => heard === 201);
});

test('a listener that closes its socket, or all of them, ends the looking', async () => {
  await using sockets = new Sockets();
  for (let round = 0; round < 20; round++) {
    const socket = sockets.make({ type: 'udp4', busyPoll: SECOND_US });
    const port = await bound(socket);
    const others = [sockets.make({ type: 'udp4', busyPoll: 100 })];
    for (const other of others) await bound(other);
    const peer = sockets.makePeer();
    const ended = new Promise<void>((resolve) => {
      socket.on('message', () => {
        for (const other of others) other.close();
        socket.close(resolve);
      });
    });
    for (let i = 0; i < 3; i++) await sent(peer, 'x', port);
    await ended;
  }
});

test('ticks run between the events of several threads', async () => {
  await using sockets = new Sockets();
  const all = [0, 1, 2].map(() => sockets.make({ type: 'udp4', busyPoll: 100 }));
  const ports: number[] = [];
  for (const socket of all) ports.push(await bound(socket));
  let heard = 0;
  let missed = 0;
  let ticksDue = 0;
  for (const socket of all) {
    socket.on('message', () => {
      heard++;
      if (ticksDue > 0) missed++;
      ticksDue = 2;
      process.nextTick(() => ticksDue--);
      Promise.resolve().then(() => ticksDue--);
      const until = performance.now() + 0.3; // so that the time of a turn is up, and others wait
      while (performance.now() < until);
    });
  }
  const peer = sockets.makePeer();
  await bound(peer);
  for (let round = 0; round < 40; round++) {
    const before = heard;
    for (let i = 0; i < 5; i++) for (const port of ports) peer.send('x', port, '127.0.0.1');
    await waitFor(() => heard === before + 5 * ports.length);
  }
  assert.equal(missed, 0, `of ${heard}`);
});
