// Datagrams that come one at a time, each behind a rest: they take a path of their own past the ring's reader.
import assert from 'node:assert/strict';
import { AsyncLocalStorage, createHook, executionAsyncId, executionAsyncResource } from 'node:async_hooks';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Batch, createSocket, type RemoteInfo, type Socket, type SocketOptions } from 'ksocket';
import { runProgram } from '../support/child.js';
import { type AnySocket, bound, closed, Inbox, kinds, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { blockUntil, nextTurn, waitFor } from '../support/wait.js';

/** More than the path asks for. */
const REST_MS = 2;

/** Memory of its own: what comes with others shares some. */
const isAlone = (data: Buffer) => data.buffer.byteLength === data.length;

const families: [type: SocketOptions, to: string][] = [
  [{ type: 'udp4' }, '127.0.0.1'],
  [{ type: 'udp6' }, '::1'],
];

test('they are what node:dgram says they are', async () => {
  const sizes = [5, 0, 1, 1400, 65_507, 5];
  for (const [options, to] of families) {
    const heard: [number, string, RemoteInfo][][] = [];
    for (const [, make] of kinds) {
      await using sockets = new Sockets();
      const socket = sockets.add(make(options));
      const port = await bound(socket);
      const all: [number, string, RemoteInfo][] = [];
      socket.on('message', (data, rinfo) => all.push([data.length, data.toString('base64'), rinfo]));
      const peer = sockets.add(make(options));
      const from = await bound(peer);
      for (const [i, size] of sizes.entries()) {
        await sleep(REST_MS);
        await sent(peer, Buffer.alloc(size, i + 1), port, to);
        await waitFor(() => all.length === i + 1);
      }
      for (const [, , rinfo] of all) rinfo.port -= from;
      heard.push(all);
    }
    assert.deepEqual(heard[1], heard[0]);
  }
});

test('their senders are told from each other', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const port = await bound(socket);
  const inbox = new Inbox(socket);
  const peers = ['127.0.0.1', '127.0.0.2', '127.0.0.1', '127.9.8.7'].map(() => sockets.makePeer());
  const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.1', '127.9.8.7'];
  for (const [i, peer] of peers.entries()) await bound(peer, addresses[i]);
  for (const peer of [...peers, ...peers]) {
    await sleep(REST_MS);
    await sent(peer, 'x', port);
  }
  await waitFor(() => inbox.all.length === 8);
  const senders = inbox.all.map(({ rinfo }) => `${rinfo.address} ${rinfo.port}`);
  assert.deepEqual(
    senders,
    [...peers, ...peers].map((peer) => `${peer.address().address} ${peer.address().port}`),
  );
  assert.ok(inbox.all.some(({ data }) => isAlone(data)));
});

/** Sends one at a time until `count` were heard. */
async function dribble(socket: Socket, peer: AnySocket, count: number, heard: () => number): Promise<void> {
  const { port } = socket.address();
  for (let i = 1; i <= count; i++) {
    await sleep(REST_MS);
    await sent(peer, 'x', port);
    await waitFor(() => heard() === i);
  }
}

test('whoever wants batches gets them, and whoever does not any more gets messages', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  await bound(socket);
  const peer = sockets.makePeer();
  const heard: string[] = [];
  const onBatch = (batch: Batch) => heard.push(`batch of ${batch.length}`);
  socket.on('message', (data) => heard.push(isAlone(data) ? 'alone' : 'message'));
  await dribble(socket, peer, 4, () => heard.length);
  assert.ok(heard.includes('alone'), heard.join());
  heard.length = 0;
  socket.on('batch', onBatch);
  await dribble(socket, peer, 4, () => heard.length);
  assert.deepEqual(heard, Array(4).fill('batch of 1'));
  heard.length = 0;
  socket.off('batch', onBatch);
  await dribble(socket, peer, 4, () => heard.length);
  assert.ok(
    heard.every((what) => what === 'alone' || what === 'message'),
    heard.join(),
  );
});

test('what was asked for is said of them, too', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make({ type: 'udp4', receiveTtl: true });
  await bound(socket);
  const inbox = new Inbox(socket);
  await dribble(socket, sockets.makePeer(), 3, () => inbox.all.length);
  assert.deepEqual(
    inbox.all.map(({ rinfo }) => typeof rinfo.ttl),
    Array(3).fill('number'),
  );
});

test('a listener that throws has had its datagram, and the next comes', async () => {
  const { stdout, code } = await runProgram(
    async (rest: number) => {
      const { createSocket } = await import('ksocket');
      const { setTimeout: sleep } = await import('node:timers/promises');
      const socket = createSocket('udp4');
      const heard: string[] = [];
      process.on('uncaughtException', (error) => heard.push(error.message));
      socket.on('message', (data) => {
        process.nextTick(() => heard.push(`tick ${data}`));
        throw new Error(`${data} ${data.buffer.byteLength === data.length}`);
      });
      await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
      const peer = createSocket('udp4');
      for (const text of ['a', 'b', 'c', 'd']) {
        await sleep(rest);
        peer.send(text, socket.address().port);
        while (!heard.includes(`tick ${text}`)) await sleep(1);
      }
      console.log(heard.join());
      process.exit();
    },
    [REST_MS],
  );
  assert.deepEqual([stdout, code], ['a true,tick a,b true,tick b,c true,tick c,d true,tick d\n', 0]);
});

/** Who asks it, and who else sends to it while it answers. */
async function withSecond(sockets: Sockets) {
  const socket = sockets.make();
  const port = await bound(socket);
  const peer = sockets.makePeer();
  const answers = new Inbox(peer);
  await bound(peer);
  const second = sockets.make();
  await bound(second);
  return { socket, port, peer, answers, second };
}

test('an answer leaves with the listener, and what came meanwhile is heard', async () => {
  await using sockets = new Sockets();
  const { socket, port, peer, answers, second } = await withSecond(sockets);
  const heard: string[] = [];
  socket.on('message', (data, { port: to }) => {
    heard.push(String(data));
    socket.send(`answer to ${data}`, to, '127.0.0.1');
    if (String(data) !== 'first') return;
    second.sendMany(['second', port, '127.0.0.1']);
    // The thread takes it while this listener runs: nobody is woken for it.
    blockUntil(() => socket.stats().rxDatagrams === 2, 'the second');
  });
  await sleep(REST_MS);
  peer.send('first', port, '127.0.0.1');
  await answers.take(1);
  await waitFor(() => heard.length === 2);
  assert.deepEqual([answers.texts, heard], [['answer to first'], ['first', 'second']]);
});

for (const own of [false, true]) {
  test(`a listener may close its socket${own ? ', and end its thread' : ''}`, async () => {
    await using sockets = new Sockets();
    const peer = sockets.makePeer();
    for (let i = 0; i < 10; i++) {
      const socket = createSocket(own ? { type: 'udp4', rxUsecs: 0 } : { type: 'udp4' });
      const port = await bound(socket);
      const before = new Inbox(socket);
      await dribble(socket, peer, i, () => before.all.length);
      const heard = once(socket, 'message');
      const end = once(socket, 'close');
      socket.on('message', () => socket.close());
      await sleep(REST_MS);
      peer.send('x', port, '127.0.0.1');
      assert.ok(isAlone((await heard)[0]));
      await end;
    }
  });
}

/** What a listener, and what it starts, finds in AsyncLocalStorage; the third datagram's is the first that native code enters
 * the context for. */
const alone: [string, SocketOptions, make: (options: SocketOptions) => Socket][] = [
  ['node:dgram', { type: 'udp4' }, kinds[0][1]],
  ['ksocket', { type: 'udp4' }, kinds[1][1]],
  ['a thread of its own', { type: 'udp4', rxUsecs: 0 }, kinds[1][1]],
];

for (const [name, options, make] of alone) {
  test(`they come in the context in which the socket was made: ${name}`, async () => {
    const storage = new AsyncLocalStorage<string>();
    await using sockets = new Sockets();
    const socket = storage.run('made here', () => sockets.add(make(options)));
    await bound(socket);
    const seen: unknown[] = [];
    const see = (): void => void seen.push(storage.getStore());
    socket.on('message', async () => {
      see();
      process.nextTick(see);
      await null;
      see();
      await sleep(1);
      see();
    });
    let count = 0;
    socket.on('message', () => count++);
    await storage.run('sent here', () => dribble(socket, sockets.makePeer(), 5, () => count));
    await waitFor(() => seen.length === 20);
    assert.deepEqual(seen, Array(20).fill('made here'));
  });
}

test("what a listener enters the next one finds, or not, as node:dgram's do", async () => {
  const found: unknown[] = [];
  for (const [, options, make] of alone) {
    const storage = new AsyncLocalStorage<string>();
    await using sockets = new Sockets();
    const socket = sockets.add(make(options));
    await bound(socket);
    const seen: (string | undefined)[] = [];
    const resources = new Set<object>();
    socket.on('message', () => {
      resources.add(executionAsyncResource());
      seen.push(storage.getStore());
      storage.enterWith(`entered by ${seen.length}`);
    });
    await dribble(socket, sockets.makePeer(), 5, () => seen.length);
    found.push([seen, resources.size]);
  }
  assert.deepEqual(found, Array(3).fill(found[0]));
});

test('async_hooks see each run, begun and ended, of a UDPWRAP that lives as long as the socket', async () => {
  const ended = new Set<number>();
  const running: number[] = [];
  const wraps = new Set<number>();
  let disorder = 0;
  const hook = createHook({
    init: (id, type) => void (type === 'UDPWRAP' && wraps.add(id)),
    before: (id) => void (wraps.has(id) && running.push(id)),
    after: (id) => void (wraps.has(id) && running.pop() !== id && disorder++),
    destroy: (id) => void ended.add(id),
  }).enable();
  try {
    await using sockets = new Sockets();
    const socket = sockets.make();
    await bound(socket);
    const seen: number[] = [];
    socket.on('message', () => {
      assert.equal(running.at(-1), executionAsyncId());
      seen.push(executionAsyncId());
    });
    await dribble(socket, sockets.makePeer(), 6, () => seen.length);
    await nextTurn();
    const ids = new Set(seen);
    assert.ok(ids.size <= 2, `${seen}`);
    assert.ok([...ids].every((id) => wraps.has(id) && !ended.has(id)));
    assert.deepEqual([running, disorder], [[], 0]);
    await closed(socket);
    await waitFor(() => [...ids].every((id) => ended.has(id)), 'their end');
  } finally {
    hook.disable();
  }
});

for (const own of [false, true]) {
  test(`a hook that is told of them may close the socket${own ? ', and end its thread' : ''}`, async () => {
    const program = async (own: boolean, rest: number) => {
      const { createHook } = await import('node:async_hooks');
      const { setTimeout: sleep } = await import('node:timers/promises');
      const { createSocket } = await import('ksocket');
      const peer = createSocket('udp4');
      const wraps = new Map<number, string[]>();
      let close: { when: string; of: () => void } | undefined;
      const told = (id: number, what: string) => {
        const wrap = wraps.get(id);
        wrap?.push(what);
        if (wrap === undefined || close?.when !== what) return;
        const { of } = close;
        close = undefined;
        of();
      };
      createHook({
        init(id, type) {
          if (type !== 'UDPWRAP') return;
          wraps.set(id, []);
          told(id, 'init');
        },
        before: (id) => told(id, 'before'),
        after: (id) => told(id, 'after'),
        destroy: (id) => void wraps.get(id)?.push('destroy'),
      }).enable();
      let heard = 0;
      for (const when of ['init', 'before', 'after']) {
        for (let at = 0; at < 5; at++) {
          const socket = createSocket(own ? { type: 'udp4', rxUsecs: 0 } : { type: 'udp4' });
          socket.on('message', () => heard++);
          await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
          const { port } = socket.address();
          let open = true;
          socket.once('close', () => {
            open = false;
          });
          for (let i = 0; i < 6 && open; i++) {
            if (i === at) close = { when, of: () => socket.close() };
            peer.send('x', port, '127.0.0.1');
            await sleep(rest);
          }
          close = undefined;
          if (open) socket.close();
        }
      }
      peer.close();
      await sleep(20);
      const undone = [...wraps.values()].filter((happened) => happened.at(-1) !== 'destroy');
      console.log(heard > 20, undone.length);
    };
    const result = await runProgram(program, [own, 2 * REST_MS]);
    assert.deepEqual(result, { code: 0, signal: null, stdout: 'true 0\n', stderr: '' });
  });
}

test('a burst behind them comes whole and in order', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const port = await bound(socket);
  const inbox = new Inbox(socket);
  const peer = sockets.makePeer();
  await dribble(socket, peer, 20, () => inbox.all.length); // the loop reads one at a time by now
  const burst = Array.from({ length: 100 }, (_, i) => `${i}`);
  for (const text of burst) peer.send(text, port, '127.0.0.1');
  await inbox.take(120);
  assert.deepEqual(inbox.texts.slice(20), burst);
  assert.equal(socket.stats().rxDatagrams, 120);
});

// ---- as batches, which no Buffer is made for before somebody asks

for (const [name, options] of alone.slice(1)) {
  test(`batches of one come in the context in which the socket was made: ${name}`, async () => {
    const storage = new AsyncLocalStorage<string>();
    await using sockets = new Sockets();
    const socket = storage.run('made here', () => sockets.make(options));
    await bound(socket);
    const seen: unknown[] = [];
    const ids = new Set<number>();
    const all: string[] = [];
    const see = (): void => void seen.push(storage.getStore());
    socket.on('batch', async (batch) => {
      see();
      ids.add(executionAsyncId());
      all.push(`${batch.length} ${batch.data(0)} ${batch.address(0)} ${batch.port(0)}`);
      await null;
      see();
    });
    const peer = sockets.makePeer();
    const from = await bound(peer);
    await storage.run('sent here', () => dribble(socket, peer, 6, () => all.length));
    await waitFor(() => seen.length === 12);
    assert.deepEqual(seen, Array(12).fill('made here'));
    assert.deepEqual(all, Array(6).fill(`1 x 127.0.0.1 ${from}`));
    assert.ok(ids.size <= 2, [...ids].join());
  });
}

test('batches of one: a closing listener, one that throws, and a batch that is kept', async () => {
  const { stdout, stderr, code } = await runProgram(
    async (rest: number) => {
      const { createSocket } = await import('ksocket');
      const { setTimeout: sleep } = await import('node:timers/promises');
      const heard: string[] = [];
      process.on('uncaughtException', (error) => heard.push(error.message));
      const peer = createSocket('udp4');
      for (const last of [0, 1, 2, 3, 4]) {
        const socket = createSocket({ type: 'udp4', receiveTtl: last === 4 });
        let n = 0;
        socket.on('batch', (batch) => {
          const text = String(batch.data(0));
          setImmediate(() => {
            try {
              batch.data(0);
            } catch (error) {
              heard.push(`${text}: ${(error as Error).message.slice(0, 18)}`);
            }
          });
          if (n++ === last) socket.close();
          else throw new Error(`${text}: thrown`);
        });
        await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
        for (let i = 0; i <= last; i++) {
          await sleep(rest);
          peer.send(`${last}${i}`, socket.address().port);
          while (!heard.includes(`${last}${i}: This batch is over`)) await sleep(1);
        }
      }
      console.log(heard.join('\n'));
      process.exit();
    },
    [REST_MS],
  );
  const expected = [0, 1, 2, 3, 4].flatMap((last) =>
    Array.from({ length: last + 1 }, (_, i) => [
      ...(i < last ? [`${last}${i}: thrown`] : []),
      `${last}${i}: This batch is over`,
    ]).flat(),
  );
  assert.deepEqual([stdout.trim().split('\n'), stderr, code], [expected, '', 0]);
});

test("a batch's answer leaves with the listener, and what came meanwhile is heard", async () => {
  await using sockets = new Sockets();
  const { socket, port, peer, answers, second } = await withSecond(sockets);
  const heard: string[] = [];
  socket.on('batch', (batch) => {
    for (let i = 0; i < batch.length; i++) heard.push(String(batch.data(i)));
    batch.reply(0, `answer to ${batch.data(0)}`);
    if (!heard.at(-1)?.startsWith('first')) return;
    const count = socket.stats().rxDatagrams;
    second.sendMany(['second', port, '127.0.0.1']);
    blockUntil(() => socket.stats().rxDatagrams === count + 1, 'the second');
  });
  for (let i = 1; i <= 5; i++) {
    await sleep(REST_MS);
    peer.send(`first ${i}`, port, '127.0.0.1');
    await answers.take(i);
    await waitFor(() => heard.length === 2 * i);
  }
  assert.deepEqual(
    answers.texts,
    [1, 2, 3, 4, 5].map((i) => `answer to first ${i}`),
  );
  assert.deepEqual(
    heard,
    [1, 2, 3, 4, 5].flatMap((i) => [`first ${i}`, 'second']),
  );
});

test('a loop takes them one by one, and what it has no time for waits its turn', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const port = await bound(socket);
  const peer = sockets.makePeer();
  const taken: string[] = [];
  const loop = (async () => {
    for await (const { data } of socket) {
      taken.push(String(data));
      await sleep(3 * REST_MS);
      if (taken.length === 12) break;
    }
  })();
  for (let i = 0; i < 12; i++) {
    await sleep(REST_MS);
    await sent(peer, `${i}`, port);
  }
  await loop;
  assert.deepEqual(
    taken,
    Array.from({ length: 12 }, (_, i) => `${i}`),
  );
});

test('sockets in turn each get theirs as they want it', async () => {
  await using sockets = new Sockets();
  const all = [sockets.make(), sockets.make(), sockets.make({ type: 'udp4', receiveTtl: true }), sockets.make()];
  const ports: number[] = [];
  for (const socket of all) ports.push(await bound(socket));
  const heard: string[] = [];
  all[0].on('batch', (batch) => heard.push(`0 ${batch.length} ${batch.data(0)}`));
  all[1].on('message', (data) => heard.push(`1 1 ${data}`));
  all[2].on('message', (data, { ttl }) => heard.push(`2 ${ttl && 1} ${data}`));
  all[3].on('batch', (batch) => heard.push(`3 ${batch.length} ${batch.data(0)}`));
  const peer = sockets.makePeer();
  const expected: string[] = [];
  for (let i = 0; i < 40; i++) {
    await sleep(REST_MS);
    await sent(peer, `n${i}`, ports[i % 4]);
    expected.push(`${i % 4} 1 n${i}`);
    await waitFor(() => heard.length === i + 1);
  }
  assert.deepEqual(heard, expected);
});
