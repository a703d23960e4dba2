// A listener that takes its time keeps nothing else waiting for longer than one call of it: neither timers, nor answers,
// nor other sockets. Counted in calls, not in milliseconds: the machine may be busy.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'ksocket';
import { addonTest } from '../support/backend.js';
import { runProgram } from '../support/child.js';
import { bound, Sockets, sent } from '../support/peer.js';
import { checkNumbered, startSender } from '../support/programs.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const REQUESTS = 60;

function work(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

/** Timers that are due each millisecond; `callsWithout` is the largest number of `call`s that no timer came between. */
class Timers {
  #calls = 0;
  callsWithout = 0;
  readonly #timer = setInterval(() => {
    this.#calls = 0;
  }, 1);

  call(): void {
    this.callsWithout = Math.max(this.callsWithout, ++this.#calls);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function sendAll(from: Socket, port: number, count: number): void {
  for (let i = 0; i < count; i++) from.send(`${i}`, port, '127.0.0.1');
}

type Listen = (socket: Socket, onDatagram: (reply: (text: string) => void) => void) => void;
const listens: Record<string, Listen> = {
  message: (socket, onDatagram) => {
    socket.on('message', (_, { address, port }) => onDatagram((text) => socket.send(text, port, address)));
  },
  // One batch has many datagrams, and is one call. So each of these comes alone.
  batch: (socket, onDatagram) => {
    socket.on('batch', (batch) => onDatagram((text) => batch.reply(0, text)));
  },
  iterator: async (socket, onDatagram) => {
    for await (const { address, port } of socket) onDatagram((text) => socket.send(text, port, address));
  },
};

for (const [kind, listen] of Object.entries(listens)) {
  test(`timers come between two calls of a slow listener, and answers leave: ${kind}`, async () => {
    await using sockets = new Sockets();
    using timers = new Timers();
    const socket = sockets.make();
    const port = await bound(socket);
    const client = sockets.makePeer();
    await bound(client);
    let calls = 0;
    const late: number[] = []; // calls at which not all answers to earlier ones had left
    listen(socket, (reply) => {
      timers.call();
      if (socket.stats().txDatagrams < calls) late.push(calls);
      calls++;
      work(3);
      reply('answer');
      if (kind === 'batch' && calls < REQUESTS) client.send('next', port, '127.0.0.1');
    });
    if (kind === 'batch') client.send('first', port, '127.0.0.1');
    else for (let i = 0; i < REQUESTS; i++) client.send(`${i}`, port, '127.0.0.1');
    await waitFor(() => calls === REQUESTS && socket.stats().txDatagrams === REQUESTS);
    assert.deepEqual([timers.callsWithout, late], [1, []]);
  });
}

test('timers come while each handled datagram brings another one', async () => {
  await using sockets = new Sockets();
  using timers = new Timers();
  const socket = sockets.make();
  const port = await bound(socket);
  let calls = 0;
  socket.on('message', () => {
    timers.call();
    work(3);
    if (++calls < 200) socket.send('another', port, '127.0.0.1');
  });
  sendAll(socket, port, 5);
  await waitFor(() => calls >= 200);
  assert.equal(timers.callsWithout, 1);
});

test('a chain of datagrams that are handled at once leaves timers their turn', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const port = await bound(socket);
  let calls = 0;
  let timersRun = 0;
  const timer = setInterval(() => timersRun++, 1);
  const seen = new Set<number>();
  const started = performance.now();
  socket.on('message', () => {
    calls++;
    seen.add(timersRun);
    socket.send('another', port, '127.0.0.1');
  });
  socket.send('first', port, '127.0.0.1');
  await waitFor(() => performance.now() - started > 300);
  clearInterval(timer);
  assert.ok(seen.size > 20 && calls > seen.size, `${calls} datagrams, ${seen.size} timers between them`);
});

for (const [thread, count] of [
  ['shared', 20],
  ['dedicated', 5],
] as const) {
  test(`sockets that all have something at once share one turn: threads ${thread}`, async () => {
    await using sockets = new Sockets();
    using timers = new Timers();
    const sender = sockets.make();
    await bound(sender);
    let calls = 0;
    const ports: number[] = [];
    for (let i = 0; i < count; i++) {
      const socket = sockets.make({ type: 'udp4', thread });
      ports.push(await bound(socket));
      socket.on('message', () => {
        timers.call();
        calls++;
        work(3);
      });
    }
    for (let round = 0; round < 5; round++) for (const port of ports) sendAll(sender, port, 1);
    await waitFor(() => calls === 5 * count);
    // What comes alone is handed out at once, as node:dgram does: one of each thread may, between two timers.
    const most = thread === 'shared' ? 1 : count;
    assert.ok(timers.callsWithout <= most, `${timers.callsWithout} calls`);
  });
}

test('a listener that turns slow is noticed', async () => {
  await using sockets = new Sockets();
  using timers = new Timers();
  const socket = sockets.make();
  const port = await bound(socket);
  let calls = 0;
  socket.on('message', () => {
    if (++calls <= 60) return;
    timers.call();
    work(3);
  });
  sendAll(socket, port, 120);
  await waitFor(() => calls === 120);
  assert.equal(timers.callsWithout, 1);
});

for (const kind of ['message', 'batch'] as const) {
  test(`what comes for other sockets does not wait behind a slow one's backlog: ${kind}`, async () => {
    await using sockets = new Sockets();
    const slow = sockets.make();
    const slowPort = await bound(slow);
    const others = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const socket = sockets.make();
        return { socket, port: await bound(socket) };
      }),
    );
    const sender = sockets.make();
    await bound(sender);
    let calls = 0;
    const waited: number[] = []; // calls of the slow listener, for each datagram of the others
    const order = others.map(() => [] as string[]);
    others.forEach(({ socket }, i) => {
      let sentAt = 0;
      slow.on('message', () => {
        if (i === calls % 3 && calls < 30) {
          sentAt = calls;
          socket.send(`${calls}`, others[i].port, '127.0.0.1'); // leaves when the present drain ends
        }
      });
      const onText = (text: string) => {
        waited.push(calls - sentAt);
        order[i].push(text);
      };
      if (kind === 'message') socket.on('message', (data) => onText(data.toString()));
      else
        socket.on('batch', (batch) => {
          for (const { data } of batch) onText(data.toString());
        });
    });
    const got: string[] = [];
    slow.on('message', (data) => {
      calls++;
      got.push(data.toString());
      work(3);
    });
    sendAll(sender, slowPort, REQUESTS);
    await waitFor(() => calls === REQUESTS && waited.length === 30);
    // One call is under way; more may begin before a thread that waits for a processor has read the datagram. Behind the
    // backlog it would be half of them and more.
    const sorted = [...waited].sort((a, b) => a - b);
    assert.ok(sorted[15] <= 3 && sorted[29] <= 15, `waited for ${waited} calls`);
    assert.deepEqual(
      got,
      Array.from({ length: REQUESTS }, (_, i) => `${i}`),
    );
    assert.deepEqual(
      order,
      [0, 1, 2].map((i) => Array.from({ length: 10 }, (_, n) => `${n * 3 + i}`)),
    );
  });
}

test('several slow sockets take turns, each in its order, and one of them can be closed meanwhile', async () => {
  await using sockets = new Sockets();
  const sender = sockets.make();
  await bound(sender);
  const turns: number[] = [];
  const got: string[][] = [[], [], []];
  const closing = sockets.make();
  const closingPort = await bound(closing);
  closing.on('message', () => {
    work(1);
    closing.close();
  });
  const ports: number[] = [];
  for (let i = 0; i < 3; i++) {
    const socket = sockets.make({ type: 'udp4', pooled: i !== 1 });
    ports.push(await bound(socket));
    socket.on('message', (data) => {
      turns.push(i);
      got[i].push(data.toString());
      work(1);
    });
  }
  for (const port of ports) sendAll(sender, port, 40);
  sendAll(sender, closingPort, 40);
  await waitFor(() => turns.length === 120);
  for (const texts of got)
    assert.deepEqual(
      texts,
      Array.from({ length: 40 }, (_, i) => `${i}`),
    );
  // The second socket's first datagram came long before the first one's last.
  assert.ok(turns.indexOf(2) < 12, `${turns}`);
});

for (const onFull of ['block', 'drop'] as const) {
  test(`a flood that a slow listener cannot take leaves others room in the ring: ${onFull}`, async () => {
    await using sockets = new Sockets();
    const slow = sockets.make({ type: 'udp4', onFull });
    const port = await bound(slow);
    const other = sockets.make();
    const otherPort = await bound(other);
    const peer = sockets.makePeer();
    await bound(peer);
    let calls = 0;
    const inOrder: number[] = [];
    slow.on('message', (data) => {
      calls++;
      inOrder.push(checkNumbered(data, 64));
      work(2);
    });
    await using sender = startSender({ port, count: 0, bytes: 64 });
    // It stops receiving, or drops: the ring has no more room for it.
    await waitFor(() => slow.stats().rxPauses + slow.stats().rxRingDrops > 0);
    const waited: number[] = [];
    for (let i = 0; i < 50; i++) {
      const before = calls;
      const received = once(other, 'message');
      await sent(peer, `${i}`, otherPort);
      assert.equal((await received)[0].toString(), `${i}`);
      waited.push(calls - before);
    }
    sender.kill('SIGKILL');
    const worst = waited.sort((a, b) => b - a).slice(0, 5);
    assert.ok(waited[25] <= 4, `waited for ${waited} calls`);
    assert.ok(worst[0] <= 20, `waited for ${worst} calls`);
    for (let i = 1; i < inOrder.length; i++) assert.ok(inOrder[i] > inOrder[i - 1]);
    slow.close();
  });
}

test('of joined datagrams each reaches its slow listener once and in order, while sockets take turns', async () => {
  await using sockets = new Sockets();
  const heard: number[][] = [[], []];
  const receivers = [sockets.make(), sockets.make()];
  for (const [i, receiver] of receivers.entries()) {
    receiver.on('message', (data) => {
      heard[i].push(data.readUInt32LE());
      work(1);
    });
    await bound(receiver);
  }
  const numbers = Buffer.alloc(20 * 4);
  for (let i = 0; i < 20; i++) numbers.writeUInt32LE(i, i * 4);
  const client = sockets.make();
  await bound(client);
  for (let round = 0; round < 2; round++) {
    for (const receiver of receivers) {
      client.sendMany(numbers, { segmentSize: 4, port: receiver.address().port, address: '127.0.0.1' });
    }
  }
  await waitFor(() => heard.every((numbered) => numbered.length >= 40));
  const once = Array.from({ length: 20 }, (_, i) => i);
  assert.deepEqual(heard, [
    [...once, ...once],
    [...once, ...once],
  ]);
});

test("others do not wait behind the backlog of a listener that throws, and an unref'd backlog keeps nothing running", async () => {
  const { code, stdout, stderr } = await runProgram(async () => {
    const { createSocket } = await import('ksocket');
    const { once } = await import('node:events');
    process.on('uncaughtException', () => {});
    const [slow, other, sender] = [createSocket('udp4'), createSocket('udp4'), createSocket('udp4')];
    for (const socket of [slow, other, sender]) {
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
    }
    let calls = 0;
    slow.on('message', () => {
      calls++;
      const until = performance.now() + 3;
      while (performance.now() < until);
      throw new Error('of the listener');
    });
    other.on('message', () => {
      console.log(JSON.stringify({ callsBefore: calls }));
      for (const socket of [slow, other, sender]) socket.unref();
    });
    for (let i = 0; i < 100; i++) sender.send('x', slow.address().port, '127.0.0.1');
    sender.send('y', other.address().port, '127.0.0.1');
    process.on('exit', () => console.log(JSON.stringify({ callsInAll: calls })));
  }, []);
  assert.deepEqual([code, stderr], [0, '']);
  const { callsBefore, callsInAll } = Object.assign(
    {},
    ...stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  );
  assert.ok(callsBefore <= 3, `after ${callsBefore} calls`);
  assert.ok(callsInAll <= 20, `ended after ${callsInAll} calls`);
});

addonTest('kernel features', 'answers of several busy sockets leave in few system calls', async () => {
  await using sockets = new Sockets();
  const servers: Socket[] = [];
  const senders = [];
  for (let i = 0; i < 3; i++) {
    const server = sockets.make();
    const port = await bound(server);
    server.on('message', (data, { address, port: from }) => server.send(data, from, address));
    servers.push(server);
    senders.push(startSender({ port, count: 0, bytes: 64 }));
  }
  await waitFor(() => servers.every((server) => server.stats().txDatagrams > 50_000));
  for (const sender of senders) {
    sender.kill('SIGKILL');
    await sender[Symbol.asyncDispose]();
  }
  for (const server of servers) {
    const { txDatagrams, txCalls } = server.stats();
    assert.ok(txDatagrams / txCalls > 5, `${txDatagrams} datagrams, ${txCalls} calls`);
  }
});
