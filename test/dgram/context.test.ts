// What surrounds a socket: async hooks, diagnostics, inspection, the garbage collector. Where it can be compared it is,
// with what node:dgram does in the same place.
import assert from 'node:assert/strict';
import { AsyncLocalStorage, createHook, executionAsyncId } from 'node:async_hooks';
import dgram from 'node:dgram';
import diagnostics from 'node:diagnostics_channel';
import { once } from 'node:events';
import { BlockList } from 'node:net';
import { inspect } from 'node:util';
import * as ksocket from 'ksocket';
import { runProgram } from '../support/child.js';
import { bound, closed, Inbox, Sockets, sent, unusedPort } from '../support/peer.js';
import { fdCount } from '../support/process.js';
import { test } from '../support/test.js';
import { nextTurn, waitFor } from '../support/wait.js';

type Implementation = typeof dgram;
const implementations = { 'node:dgram': dgram, ksocket: ksocket as unknown as Implementation };

/** Runs it with both; they must come to the same. */
async function same(body: (implementation: Implementation) => unknown): Promise<void> {
  assert.deepEqual(await body(implementations.ksocket), await body(implementations['node:dgram']));
}

test('every listener and callback runs in its context', async () => {
  const storage = new AsyncLocalStorage<string>();
  const refused = await unusedPort();
  await same(async ({ createSocket }) => {
    const seen: Record<string, unknown> = {};
    const note = (name: string) => () => {
      seen[name] = storage.getStore();
    };
    const socket = storage.run('create', () => createSocket('udp4'));
    storage.run('listeners', () => {
      for (const name of ['message', 'listening', 'connect', 'error', 'close']) socket.on(name, note(name));
    });
    storage.run('bind', () => socket.bind(0, '127.0.0.1', note('bind callback')));
    await once(socket, 'listening');
    storage.run('send', () => socket.send('x', socket.address().port, '127.0.0.1', note('send callback')));
    await once(socket, 'message');
    storage.run('connect', () => socket.connect(refused, '127.0.0.1', note('connect callback')));
    await once(socket, 'connect');
    const failed = once(socket, 'error').catch((error) => error);
    storage.run('send refused', () => socket.send('x', note('connected send callback')));
    await failed;
    await nextTurn();
    storage.run('close', () => socket.close(note('close callback')));
    await once(socket, 'close');
    return seen;
  });
});

test('a socket is a UDPWRAP from createSocket() to the end, a send with a callback a UDPSENDWRAP', async () => {
  const resources = new Map<number, { type: string; happened: string[]; trigger: boolean }>();
  const hook = createHook({
    init(id, type, trigger) {
      if (type !== 'UDPWRAP' && type !== 'UDPSENDWRAP') return;
      resources.set(id, { type, happened: ['init'], trigger: trigger > 0 });
    },
    before: (id) => void resources.get(id)?.happened.push('before'),
    after: (id) => void resources.get(id)?.happened.push('after'),
    destroy: (id) => void resources.get(id)?.happened.push('destroy'),
  }).enable();
  try {
    await same(async ({ createSocket }) => {
      resources.clear();
      const socket = createSocket('udp4');
      const [made] = resources.values();
      assert.deepEqual(made, { type: 'UDPWRAP', happened: ['init'], trigger: true });
      const port = await bound(socket);
      const peer = dgram.createSocket('udp4');
      await sent(peer, 'x', port);
      await once(socket, 'message');
      await closed(socket);
      await waitFor(() => made.happened.includes('destroy'), 'destroy');
      await closed(peer);
      return made;
    });
    resources.clear();
    const socket = ksocket.createSocket('udp4');
    const port = await bound(socket);
    socket.send('without a callback', port, '127.0.0.1');
    await new Promise<void>((resolve) => {
      socket.send('x', port, '127.0.0.1', () => {
        const [id, made] = [...resources].find(([, { type }]) => type === 'UDPSENDWRAP') ?? [];
        assert.equal(id, executionAsyncId());
        assert.deepEqual(made?.happened, ['init', 'before']);
        resolve();
      });
      assert.deepEqual(
        [...resources.values()].map(({ type }) => type),
        ['UDPWRAP'],
      ); // not before the lookup
    });
    await waitFor(
      () =>
        [...resources.values()].some(({ type, happened }) => type === 'UDPSENDWRAP' && happened.includes('destroy')),
      'the end of the UDPSENDWRAP',
    );
    assert.equal([...resources.values()].filter(({ type }) => type === 'UDPSENDWRAP').length, 1);
    await closed(socket);
  } finally {
    hook.disable();
  }
});

test('diagnostics_channel udp.socket hears of every socket', async () => {
  const published: unknown[] = [];
  const listener = (message: unknown) => published.push(message);
  diagnostics.subscribe('udp.socket', listener);
  try {
    for (const { createSocket, Socket } of [ksocket, dgram] as unknown as (typeof ksocket)[]) {
      published.length = 0;
      const socket = createSocket({ type: 'udp4' });
      const other = new Socket('udp6');
      assert.deepEqual(published, [{ socket }, { socket: other }]);
      assert.ok((published[0] as { socket: unknown }).socket instanceof Socket);
      for (const one of [socket, other]) await closed(one);
    }
  } finally {
    diagnostics.unsubscribe('udp.socket', listener);
  }
});

test('process.getActiveResourcesInfo() does not list a socket that is not referenced', async () => {
  const program = async (module: string) => {
    const { createSocket } = (await import(module)) as typeof ksocket;
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1', () => {
      socket.unref();
      // What import() and console.log have left is not ours.
      console.log(process.getActiveResourcesInfo().filter((name) => !/^(Pipe|TTY|CloseReq|FSReq)/.test(name)));
    });
  };
  for (const module of ['node:dgram', 'ksocket']) {
    assert.deepEqual(await runProgram(program, [module]), { code: 0, signal: null, stdout: '[]\n', stderr: '' });
  }
});

test('util.inspect shows a socket, and no machinery', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make({ type: 'udp4', reuseAddr: true });
  const before = inspect(socket);
  assert.match(before, /^Socket \{/);
  assert.match(before, /type: 'udp4'/);
  await bound(socket);
  for (const text of [before, inspect(socket), inspect(socket, { showHidden: false, depth: 10 })]) {
    assert.ok(text.length < 600, text);
  }
  const shown = (implementation: Implementation) => {
    const made = implementation.createSocket('udp6', () => {});
    const text = inspect(made, { depth: 0 });
    made.close();
    return text.split('\n').flatMap((line) => (/Symbol\(/.test(line) ? [] : line.replace(/,$/, '')));
  };
  assert.deepEqual(shown(implementations.ksocket), shown(dgram));
  assert.equal(JSON.stringify({ ...socket }).includes('udp4'), true);
});

test('receiveBlockList and sendBlockList', async () => {
  await using sockets = new Sockets();
  const blocked = new BlockList();
  blocked.addAddress('127.0.0.2');
  const socket = sockets.make({ type: 'udp4', receiveBlockList: blocked, sendBlockList: blocked });
  const port = await bound(socket, '127.0.0.1');
  const inbox = new Inbox(socket);
  const good = sockets.makePeer();
  const bad = sockets.makePeer();
  await bound(good, '127.0.0.1');
  await bound(bad, '127.0.0.2');
  await sent(bad, 'unheard', port);
  await sent(good, 'heard', port);
  await inbox.take(1);
  assert.deepEqual(inbox.texts, ['heard']);
  assert.equal((socket as unknown as ksocket.Socket).stats().rxBlocked, 1);

  await assert.rejects(sent(socket, 'x', 9, '127.0.0.2'), {
    code: 'ERR_IP_BLOCKED',
    message: 'IP(127.0.0.2) is blocked by net.BlockList',
  });
  socket.send('in silence', 9, '127.0.0.2');
  assert.equal(await sent(socket, 'x', 9, '127.0.0.1'), 1);
  socket.connect(9, '127.0.0.2');
  const [error] = await once(socket, 'error');
  assert.equal(error.code, 'ERR_IP_BLOCKED');
  socket.connect(9, '127.0.0.1');
  await once(socket, 'connect');
  assert.deepEqual(inbox.texts, ['heard']);
});

test('block lists are asked for every datagram, with the family', async () => {
  await using sockets = new Sockets();
  const asked: unknown[][] = [];
  const list = new BlockList();
  list.check = (...args: unknown[]) => {
    asked.push(args);
    return false;
  };
  const socket = sockets.make({ type: 'udp6', receiveBlockList: list, sendBlockList: list });
  const port = await bound(socket, '::1');
  const inbox = new Inbox(socket);
  for (const text of ['a', 'b']) await sent(socket, text, port, '::1');
  await inbox.take(2);
  assert.deepEqual(
    asked,
    Array.from({ length: 4 }, () => ['::1', 'ipv6']),
  );
});

test('10 000 sockets that were closed leave nothing', async () => {
  const { code, stdout, stderr } = await runProgram(
    async () => {
      const { createSocket } = await import('ksocket');
      const { once } = await import('node:events');
      const { readdirSync } = await import('node:fs');
      const { setTimeout: sleep } = await import('node:timers/promises');
      const gc = globalThis.gc as () => void;
      const fds = () => readdirSync('/proc/self/fd').length;
      const refs: WeakRef<object>[] = [];
      const round = async (count: number) => {
        for (let i = 0; i < count; i += 100) {
          const sockets = Array.from({ length: 100 }, (_, n) => {
            const socket = createSocket({ type: 'udp4', signal: new AbortController().signal });
            refs.push(new WeakRef(socket));
            if (n % 4 === 0) return socket; // never bound
            return socket.bind(0, '127.0.0.1', () => socket.send('x', 9, '127.0.0.1', () => {}));
          });
          await sleep(1);
          await Promise.all(
            sockets.map((socket) => {
              socket.close();
              return once(socket, 'close');
            }),
          );
        }
        await sleep(20);
        for (let i = 0; i < 4; i++) {
          await sleep(5);
          gc();
        }
        return process.memoryUsage().heapUsed;
      };
      await round(2000);
      const before = { heap: await round(2000), fds: fds() };
      refs.length = 0;
      const heap = await round(10_000);
      const alive = refs.filter((ref) => ref.deref() !== undefined).length;
      console.log(JSON.stringify({ grown: heap - before.heap, alive, fds: fds() - before.fds }));
    },
    [],
    { execArgv: ['--expose-gc'] },
  );
  assert.equal(code, 0, stderr);
  const { grown, alive, fds } = JSON.parse(stdout) as Record<string, number>;
  // The list of weak references alone is a few hundred kB.
  assert.ok(grown < 2_000_000, `the heap has grown by ${grown} bytes`);
  // The last hundred may still be in a suspended function's hands.
  assert.ok(alive <= 200, `${alive} of 10 000 sockets are still there`);
  assert.ok(fds <= 0, `${fds} descriptors more than before`);
});

test('a socket that is dropped without close() is collected when it was never bound', async () => {
  const { code, stdout } = await runProgram(
    async () => {
      const { createSocket } = await import('ksocket');
      const { setTimeout: sleep } = await import('node:timers/promises');
      const refs = Array.from({ length: 1000 }, () => new WeakRef(createSocket('udp4')));
      for (let i = 0; i < 5; i++) {
        await sleep(5);
        (globalThis.gc as () => void)();
      }
      console.log(refs.filter((ref) => ref.deref() !== undefined).length);
    },
    [],
    { execArgv: ['--expose-gc'] },
  );
  assert.equal(code, 0);
  assert.ok(Number(stdout) < 10, stdout);
});

test('a heap snapshot can be taken of open sockets', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const port = await bound(socket);
  const { getHeapSnapshot } = await import('node:v8');
  const fds = fdCount();
  let bytes = 0;
  for await (const chunk of getHeapSnapshot()) bytes += (chunk as Buffer).length;
  assert.ok(bytes > 100_000);
  assert.ok(fdCount() <= fds);
  const inbox = new Inbox(socket);
  await sent(socket, 'still there', port);
  await inbox.take(1);
});
