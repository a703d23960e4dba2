import assert from 'node:assert/strict';
import { createSocket } from 'ksocket';
import { addonTest } from '../support/backend.js';
import { runProgram, startProgram } from '../support/child.js';
import { type AnySocket, bound, Inbox, kinds, Sockets, sent } from '../support/peer.js';
import { AHEAD_BYTES, checkNumbered, sendWhileBlocked, startSender } from '../support/programs.js';
import { test } from '../support/test.js';
import { blockUntil, waitFor, within } from '../support/wait.js';

test('a message is a Buffer with a fresh rinfo whose fields come in node:dgram’s order', async () => {
  await using sockets = new Sockets();
  const peer = sockets.makePeer();
  const peerPort = await bound(peer);
  const all: AnySocket[] = [sockets.makePeer(), sockets.make()];
  for (const socket of all) {
    const inbox = new Inbox(socket);
    const port = await bound(socket);
    await sent(peer, 'one', port);
    await sent(peer, 'two', port);
    await inbox.take(2);
    const [{ data, rinfo }, second] = inbox.all;
    assert.ok(Buffer.isBuffer(data));
    assert.equal(data.constructor, Buffer);
    assert.ok(data.buffer instanceof ArrayBuffer);
    assert.deepEqual(
      JSON.stringify(rinfo),
      JSON.stringify({ address: '127.0.0.1', family: 'IPv4', port: peerPort, size: 3 }),
    );
    assert.notEqual(rinfo, second.rinfo);
    assert.deepEqual(second.rinfo, rinfo);
  }
});

test('the listener of createSocket() is a message listener, called with the socket as this', async () => {
  await using sockets = new Sockets();
  const peer = sockets.makePeer();
  const seen = new Promise<[unknown, string]>((resolve) => {
    const socket = sockets.add(
      createSocket('udp4', function (this: unknown, data) {
        resolve([this === socket, `${data}`]);
      }),
    );
    bound(socket).then((port) => sent(peer, 'x', port));
  });
  assert.deepEqual(await within(seen, 'message'), [true, 'x']);
});

test('every message listener is called, and listeners come and go', async () => {
  await using sockets = new Sockets();
  const peer = sockets.makePeer();
  const socket = sockets.make();
  const port = await bound(socket);
  const log: string[] = [];
  const first = (data: Buffer) => log.push(`first ${data}`);
  socket.on('message', first);
  socket.once('message', (data) => log.push(`once ${data}`));
  await sent(peer, 'a', port);
  await waitFor(() => log.length === 2, 'a');
  await sent(peer, 'b', port);
  await waitFor(() => log.length === 3, 'b');
  socket.off('message', first);
  socket.on('message', (data) => log.push(`last ${data}`));
  await sent(peer, 'c', port);
  await waitFor(() => log.length === 4, 'c');
  assert.deepEqual(log, ['first a', 'once a', 'first b', 'last c']);
});

/** A burst that arrives while the event loop is blocked, so that it is there all at once; `joined`: from a sender
 * that uses GSO, so that it comes as super-datagrams where the kernel can. */
async function burst(socket: AnySocket, count: number, joined: boolean): Promise<void> {
  await using sockets = new Sockets();
  const { port } = socket.address();
  if (joined) {
    const sender = sockets.make();
    await bound(sender);
    for (let i = 0; i < count; i++) sender.send(`${i}`.padStart(8, '0'), port, '127.0.0.1');
    await sent(sender, 'the last one', port);
  } else {
    const sender = sockets.makePeer();
    for (let i = 0; i < count; i++) sender.send(`${i}`.padStart(8, '0'), port, '127.0.0.1');
    await sent(sender, 'the last one', port);
  }
  const until = performance.now() + 5;
  while (performance.now() < until); // the thread reads meanwhile
}

test('nextTicks and microtasks run between two messages, also of a burst', async () => {
  for (const joined of [false, true]) {
    for (const [kind, make] of kinds) {
      await using sockets = new Sockets();
      const socket = sockets.add(make());
      await bound(socket);
      const log: string[] = [];
      let n = 0;
      socket.on('message', () => {
        const i = n++;
        log.push(`m${i}`);
        process.nextTick(() => {
          log.push(`t${i}`);
          process.nextTick(() => log.push(`tt${i}`));
          Promise.resolve().then(() => log.push(`tp${i}`));
        });
        Promise.resolve().then(() => {
          log.push(`p${i}`);
          process.nextTick(() => log.push(`pt${i}`));
        });
        queueMicrotask(() => log.push(`q${i}`));
      });
      const count = 100;
      await burst(socket, count, joined);
      await waitFor(() => n === count + 1, 'messages');
      await waitFor(() => log.length === 7 * (count + 1), 'ticks');
      const expected: string[] = [];
      for (let i = 0; i <= count; i++)
        expected.push(...['m', 't', 'tt', 'tp', 'p', 'q', 'pt'].map((what) => `${what}${i}`));
      const groups = (all: string[]) => Array.from({ length: count + 1 }, (_, i) => all.slice(7 * i, 7 * i + 7).sort());
      assert.deepEqual(groups(log), groups(expected), `${kind}, joined: ${joined}`);
      assert.deepEqual(
        log.filter((entry) => /^[mt]\d/.test(entry)),
        expected.filter((entry) => /^[mt]\d/.test(entry)),
        kind,
      );
    }
  }
});

test('nextTicks and microtasks run before the datagrams that came while a listener was at work', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const count = 200;
  const order: string[] = [];
  let received = 0;
  socket.on('message', () => {
    const number = received++;
    order.push(`message ${number}`);
    process.nextTick(() => order.push(`tick ${number}`));
    queueMicrotask(() => order.push(`microtask ${number}`));
    // The thread puts more into the ring before this one is dealt with.
    const until = performance.now() + 50;
    while (socket.stats().rxDatagrams <= Math.min(received, count - 1) && performance.now() < until);
  });
  const port = await bound(socket);
  await using _sender = startSender({ port, count, bytes: 32, rate: 2000 });
  await waitFor(
    () => order.length === 3 * count,
    () => `${order.length} entries`,
  );
  const expected = Array.from({ length: count }, (_, i) => [`message ${i}`, `tick ${i}`, `microtask ${i}`]).flat();
  assert.deepEqual(order, expected);
});

test('a listener that throws loses no datagram behind it', async () => {
  for (const joined of [false, true]) {
    const program = async (joined: boolean) => {
      const { createSocket } = await import('ksocket');
      const dgram = await import('node:dgram');
      const { once } = await import('node:events');
      const count = 200;
      const seen: number[] = [];
      let caught = 0;
      process.on('uncaughtException', (error) => {
        if (error.message !== 'thrown by a listener') throw error;
        caught++;
      });
      const socket = createSocket('udp4');
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
      const sender = joined ? createSocket('udp4') : (dgram.createSocket('udp4') as never as typeof socket);
      const done = new Promise<void>((resolve) => {
        socket.on('message', (data) => {
          const number = Number(data.toString());
          seen.push(number);
          if (number === count - 1) resolve();
          if (number % 3 === 0) throw new Error('thrown by a listener');
          if (number % 3 === 1) {
            process.nextTick(() => {
              throw new Error('thrown by a listener');
            });
          }
        });
      });
      sender.bind(0, '127.0.0.1');
      await once(sender, 'listening');
      for (let i = 0; i < count; i++) sender.send(`${i}`.padStart(8, '0'), socket.address().port, '127.0.0.1');
      await done;
      await new Promise(setImmediate);
      socket.close();
      sender.close();
      const inOrder = seen.every((number, i) => number === i);
      console.log(JSON.stringify({ count: seen.length, inOrder, caught }));
    };
    const result = await runProgram(program, [joined]);
    assert.equal(result.stderr, '');
    assert.equal(result.code, 0);
    assert.deepEqual(JSON.parse(result.stdout), { count: 200, inOrder: true, caught: 134 });
  }
});

test('a tick or a promise that throws between two messages is an uncaught exception of an idle program too', async () => {
  // An idle event loop may receive by itself: bursts of another process, joined by the kernel, find it idle.
  const program = async () => {
    const { createSocket } = await import('ksocket');
    let received = 0;
    let caught = 0;
    process.on('uncaughtException', () => caught++);
    const socket = createSocket('udp4', (data) => {
      const throws = () => {
        throw new Error('thrown');
      };
      const kind = received++ % 4;
      if (kind === 0) process.nextTick(throws);
      if (kind === 1) queueMicrotask(throws);
      if (kind === 2) void Promise.reject(new Error('rejected'));
      if (`${data}` !== 'last') return;
      socket.close();
      setImmediate(() => console.log(JSON.stringify({ received, caught })));
    });
    process.on('exit', (code) => console.log(`exit ${code}`));
    socket.bind(0, '127.0.0.1', () => console.log(`port ${socket.address().port}`));
  };
  await using child = startProgram(program, []);
  const port = Number((await child.line(/^port (\d+)$/))[1]);
  await using sockets = new Sockets();
  const sender = sockets.make();
  await bound(sender);
  for (let round = 0; round < 30; round++) {
    for (let i = 0; i < 8; i++) sender.send('datagram', port);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  for (let i = 0; i < 8; i++) sender.send('last', port);
  const { code, signal, stdout, stderr } = await child.end();
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
  const [received, caught] = [241, 181];
  assert.deepEqual(stdout.split('\n').slice(1), [JSON.stringify({ received, caught }), 'exit 0', '']);
});

test('what throws while the next datagrams come in loses none of them', async () => {
  // Each listener waits until the thread has received more: one drain then finds datagrams again and again.
  const program = async (count: number) => {
    const { createSocket } = await import('ksocket');
    let received = 0;
    let caught = 0;
    process.on('uncaughtException', () => caught++);
    const socket = createSocket('udp4', () => {
      received++;
      const until = performance.now() + 50;
      while (socket.stats().rxDatagrams <= Math.min(received, count - 1) && performance.now() < until);
      process.nextTick(() => {
        throw new Error('thrown');
      });
      if (received === count) socket.close(() => console.log(JSON.stringify({ received, caught })));
    });
    socket.bind(0, '127.0.0.1', () => console.log(`port ${socket.address().port}`));
  };
  await using child = startProgram(program, [200]);
  const port = Number((await child.line(/^port (\d+)$/))[1]);
  await using _sender = startSender({ port, count: 200, bytes: 32, rate: 2000 });
  const { code, stdout, stderr } = await child.end();
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  assert.deepEqual(stdout.split('\n').slice(1), [JSON.stringify({ received: 200, caught: 200 }), '']);
});

test('a listener that throws ends the program when nobody catches, with its own error', async () => {
  const result = await runProgram(async () => {
    const { createSocket } = await import('ksocket');
    const socket = createSocket('udp4', () => {
      throw new TypeError('from the listener');
    });
    socket.bind(0, '127.0.0.1', () => socket.send('x', socket.address().port, '127.0.0.1'));
  }, []);
  assert.equal(result.code, 1);
  assert.match(result.stderr, /TypeError: from the listener/);
  assert.doesNotMatch(result.stderr, /Warning|napi|DEP0168/);
});

test('message buffers stay as they were, however many come behind and however one of them is changed', async () => {
  await using sockets = new Sockets();
  const sender = sockets.make();
  await bound(sender);
  const receiver = sockets.make();
  const port = await bound(receiver);
  const kept: Buffer[] = [];
  receiver.on('message', (data, rinfo) => {
    kept.push(data);
    sender.emit('taken');
    assert.equal(rinfo.size, data.length);
  });
  const count = 20_000;
  let sentCount = 0;
  const payload = (i: number) => {
    const size = i % 97 === 0 ? 9000 : 8 + ((i * 7) % 200);
    const data = Buffer.alloc(size, i & 255);
    data.writeUInt32LE(i, 0);
    data.writeUInt32LE(size, 4);
    return data;
  };
  // No more than 100 are under way, so that no kernel buffer overflows.
  const more = () => {
    while (sentCount < count && sentCount - kept.length < 100) sender.send(payload(sentCount++), port);
  };
  sender.on('taken' as never, more);
  more();
  await waitFor(
    () => kept.length === count,
    () => `${kept.length} of ${count}`,
  );
  for (let i = 0; i < count; i += 1000) {
    kept[i].fill(0xee);
    assert.equal(kept[i + 1].readUInt32LE(0), i + 1);
  }
  for (let i = 0; i < count; i++) {
    if (i % 1000 === 0) assert.ok(kept[i].every((byte) => byte === 0xee));
    else assert.ok(kept[i].equals(payload(i)), `datagram ${i}`);
  }
});

addonTest(
  'a thread of its own',
  'messages share memory, but never more than 64 KiB, however many lie in the ring',
  async () => {
    await using sockets = new Sockets();
    const receiver = sockets.make();
    const port = await bound(receiver);
    const count = 1000;
    const bytes = 500;
    const messages: Buffer[] = [];
    receiver.on('message', (data) => messages.push(data));
    sendWhileBlocked({ port, count, bytes, ahead: AHEAD_BYTES });
    blockUntil(() => receiver.stats().rxDatagrams === count, 'all to lie in the ring');
    await waitFor(() => messages.length === count);
    messages.forEach((data, i) => void assert.equal(checkNumbered(data, bytes), i));
    // A thread's first have memory of their own.
    const memories = new Set(messages.slice(64).map(({ buffer }) => buffer));
    assert.deepEqual(
      new Set([...memories].map(({ byteLength }) => byteLength)),
      new Set([65536]),
      'one for several, and no larger one for more',
    );
    assert.ok(memories.size < 2 * Math.ceil((count * bytes) / 65536), `${memories.size} allocations`);
  },
);

test('transferring a message’s memory does no harm to the others, nor to what comes later', async () => {
  // A program of its own: a receiver whose memory is taken away might never come to rest.
  const program = async (pooled: boolean) => {
    const { createSocket } = await import('ksocket');
    const socket = createSocket({ type: 'udp4', pooled });
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const { port } = socket.address();
    const kept: Buffer[] = [];
    const copies: string[] = [];
    process.on('uncaughtException', (error) => {
      console.log(`uncaught: ${error.message}`);
      process.exit(1);
    });
    await new Promise<void>((resolve) => {
      socket.on('message', (data) => {
        // Each third is given away, as to a worker; memory that is not its own may refuse.
        if (kept.length % 3 === 1) {
          try {
            copies.push(`${Buffer.from(structuredClone(data, { transfer: [data.buffer as ArrayBuffer] }))}`);
          } catch (error) {
            copies.push((error as Error).name);
          }
        }
        kept.push(data);
        if (kept.length % 10 === 0 && kept.length < 100) burst();
        if (kept.length === 100) resolve();
      });
      const burst = () => {
        for (let i = kept.length; i < kept.length + 10; i++) socket.send(`datagram ${i}`, port, '127.0.0.1');
      };
      burst();
    });
    socket.close();
    const wrong = kept.filter((data, i) => i % 3 !== 1 && `${data}` !== `datagram ${i}`).length;
    const wrongCopies = copies.filter((text, i) => text !== `datagram ${3 * i + 1}` && text !== 'DataCloneError');
    console.log(JSON.stringify({ wrong, wrongCopies }));
  };
  for (const pooled of [false, true]) {
    const { stdout, stderr, code } = await runProgram(program, [pooled]);
    assert.deepEqual(
      { pooled, stdout, stderr, code },
      { pooled, stdout: '{"wrong":0,"wrongCopies":[]}\n', stderr: '', code: 0 },
    );
  }
});

test('order and content hold while receiving moves between the event loop and the thread', async () => {
  await using sockets = new Sockets();
  for (const [rate, block, spins] of [
    [500, 0, false],
    [2_000, 0, true],
    [5_000, 1, false],
    [20_000, 0, false],
    [20_000, 0, true],
    [20_000, 5, true],
    [60_000, 2, false],
    [0, 1, false],
    [0, 0, true],
  ] as const) {
    const socket = sockets.make();
    let next = 0;
    const wrong: number[] = [];
    socket.on('message', (data) => {
      const number = checkNumbered(data, 32);
      if (number !== next++) wrong.push(number);
      // Now and then the loop is busy, and finds the thread's datagrams before those it would read itself.
      if (block > 0 && number % 97 === 0) {
        const until = performance.now() + block;
        while (performance.now() < until);
      }
    });
    const port = await bound(socket);
    const count = rate === 0 ? 20_000 : Math.min(10_000, rate);
    // A loop that spins looks for datagrams all the time and never sleeps until one comes.
    const spin = () => {
      if (spins && next < count) setImmediate(spin);
    };
    spin();
    await using _sender = startSender({ port, count, bytes: 32, rate, ahead: AHEAD_BYTES });
    await waitFor(
      () => next >= count,
      () => `${next} of ${count} at ${rate}/s: ${JSON.stringify(socket.stats())}`,
    );
    assert.deepEqual(wrong, [], `${rate}/s, blocked for ${block} ms, spinning: ${spins}`);
    assert.equal(socket.stats().rxDatagrams, count);
  }
});

test('timers and other I/O get their turn during a flood', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const port = await bound(socket);
  // Every message sends two more: there is always another one waiting. It ends by itself, in case nothing else runs.
  const end = performance.now() + 10_000;
  let flooding = true;
  let got = 0;
  socket.on('message', () => {
    got++;
    if (!flooding || performance.now() > end) return;
    for (let i = 0; i < 2; i++) socket.send('flood', port, '127.0.0.1');
  });
  for (let i = 0; i < 50; i++) socket.send('flood', port, '127.0.0.1');
  const peer = sockets.makePeer();
  const peerInbox = new Inbox(peer);
  const peerPort = await bound(peer);
  let ticks = 0;
  const interval = setInterval(() => ticks++, 1);
  let rounds = 0;
  while (rounds < 20 && performance.now() < end) {
    const before = ticks;
    await sent(peer, 'other I/O', peerPort);
    await peerInbox.take(++rounds);
    await waitFor(() => ticks > before, 'a timer');
  }
  const late = performance.now() > end;
  flooding = false;
  clearInterval(interval);
  assert.ok(got > 1000, `${got} messages meanwhile`);
  assert.ok(!late, `${ticks} ticks of a 1 ms interval and ${rounds} datagrams of another socket in 10 s`);
});

test('a quiet socket is heard beside a flooded one', async () => {
  await using sockets = new Sockets();
  const flooded = sockets.make();
  const quiet = sockets.make();
  let got = 0;
  flooded.on('message', () => got++);
  const inbox = new Inbox(quiet);
  await using _flood = startSender({ port: await bound(flooded), count: 0, bytes: 64 });
  const port = await bound(quiet);
  const peer = sockets.makePeer();
  await waitFor(() => got > 0, 'the flood');
  for (let round = 1; round <= 50; round++) {
    await sent(peer, `${round}`, port);
    await inbox.take(round);
  }
  assert.equal(quiet.stats().rxDatagrams, 50);
});
