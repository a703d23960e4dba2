// Options of live sockets, compared with node:dgram's, and ksocket's own.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { createSocket, type SocketOptions } from 'ksocket';
import { addonTest, onDgram } from '../support/backend.js';
import { runProgram } from '../support/child.js';
import { fdOf, kernelOptions } from '../support/kernel-options.js';
import { bound, closed, Inbox, kinds, Sockets, sent } from '../support/peer.js';
import { ioThreadCount } from '../support/process.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

test('buffer sizes: set on a live socket and as options, the kernel doubles them', async () => {
  const seen: unknown[] = [];
  for (const [, make] of kinds) {
    await using sockets = new Sockets();
    const socket = sockets.add(make());
    await bound(socket);
    socket.setRecvBufferSize(20_000);
    socket.setSendBufferSize(30_000);
    const early = sockets.add(make({ type: 'udp4', recvBufferSize: 10_000, sendBufferSize: 15_000 }));
    let inListening = 0;
    early.on('listening', () => {
      inListening = early.getRecvBufferSize();
    });
    await bound(early);
    seen.push([
      socket.getRecvBufferSize(),
      socket.getSendBufferSize(),
      early.getRecvBufferSize(),
      early.getSendBufferSize(),
      inListening,
    ]);
  }
  assert.deepEqual(seen[1], seen[0]);
  assert.deepEqual(seen[1], [40_000, 60_000, 20_000, 30_000, 20_000]);
});

test('an impossible buffer size as an option fails with node:dgram’s error, and the program goes on', async () => {
  const result = await runProgram(async () => {
    const ksocket = await import('ksocket');
    const dgram = await import('node:dgram');
    const messages: string[] = [];
    // node:dgram throws it where nobody can catch it; an 'error' event is as good.
    const failure = new Promise<void>((resolve) => {
      const caught = (error: Error) => {
        messages.push(`${error}`);
        if (messages.length === 2) resolve();
      };
      process.on('uncaughtException', caught);
      for (const implementation of [dgram as unknown as typeof ksocket, ksocket]) {
        const socket = implementation.createSocket({ type: 'udp4', recvBufferSize: 2 ** 31 });
        socket.on('error', caught);
        socket.bind(0, '127.0.0.1');
      }
    });
    await failure;
    console.log(JSON.stringify(messages));
    process.exit();
  }, []);
  assert.equal(result.stderr, '');
  const [expected, actual] = JSON.parse(result.stdout);
  assert.equal(actual, expected);
});

test('TTL, broadcast and multicast options are accepted on udp4 and udp6', async () => {
  for (const type of ['udp4', 'udp6'] as const) {
    const seen: unknown[] = [];
    for (const [, make] of kinds) {
      await using sockets = new Sockets();
      const socket = sockets.add(make(type));
      await bound(socket);
      seen.push([
        socket.setTTL(1),
        socket.setTTL(255),
        socket.setMulticastTTL(0),
        socket.setMulticastTTL(255),
        socket.setMulticastLoopback(true),
        socket.setMulticastLoopback(false),
        socket.setBroadcast(true),
        socket.setBroadcast(false),
      ]);
    }
    assert.deepEqual(seen[1], seen[0], type);
  }
});

addonTest('descriptors', 'each of them is what it was set to, in the kernel', async () => {
  const names = {
    udp4: ['s.IPPROTO_IP, s.IP_TTL', 's.IPPROTO_IP, s.IP_MULTICAST_TTL', 's.IPPROTO_IP, s.IP_MULTICAST_LOOP'],
    udp6: [
      's.IPPROTO_IPV6, s.IPV6_UNICAST_HOPS',
      's.IPPROTO_IPV6, s.IPV6_MULTICAST_HOPS',
      's.IPPROTO_IPV6, s.IPV6_MULTICAST_LOOP',
    ],
  };
  for (const type of ['udp4', 'udp6'] as const) {
    await using sockets = new Sockets();
    const socket = sockets.make({ type });
    await bound(socket);
    const read = () => kernelOptions(fdOf(socket), [...names[type], 's.SOL_SOCKET, s.SO_BROADCAST']);
    for (const on of [false, true, false]) {
      socket.setTTL(on ? 17 : 18);
      socket.setMulticastTTL(on ? 19 : 20);
      socket.setMulticastLoopback(on);
      socket.setBroadcast(on);
      assert.deepEqual(read(), on ? [17, 19, 1, 1] : [18, 20, 0, 0], type);
    }
  }
});

test('a broadcast is refused without setBroadcast, and goes out with it', async () => {
  for (const [kind, make] of kinds) {
    await using sockets = new Sockets();
    const receiver = sockets.add(make());
    const inbox = new Inbox(receiver);
    const port = await bound(receiver, '0.0.0.0');
    const socket = sockets.add(make());
    await bound(socket);
    await assert.rejects(sent(socket, 'x', port, '127.255.255.255'), { code: 'EACCES' }, kind);
    socket.setBroadcast(true);
    await sent(socket, 'to all', port, '127.255.255.255');
    await inbox.take(1);
    assert.deepEqual(inbox.texts, ['to all'], kind);
    socket.setBroadcast(false);
    await assert.rejects(sent(socket, 'x', port, '127.255.255.255'), { code: 'EACCES' }, kind);
  }
});

test('ksocket’s own options are checked', () => {
  const wrong: [Partial<Record<keyof SocketOptions, unknown>>, string][] = [
    [{ thread: 'none' }, 'ERR_INVALID_ARG_VALUE'],
    [{ thread: null }, 'ERR_INVALID_ARG_VALUE'],
    [{ thread: 1 }, 'ERR_INVALID_ARG_VALUE'],
    [{ onFull: 'wait' }, 'ERR_INVALID_ARG_VALUE'],
    [{ onFull: null }, 'ERR_INVALID_ARG_VALUE'],
    [{ gro: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ gro: null }, 'ERR_INVALID_ARG_TYPE'],
    [{ gso: 'yes' }, 'ERR_INVALID_ARG_TYPE'],
    [{ ringBytes: '1M' }, 'ERR_INVALID_ARG_TYPE'],
    [{ ringBytes: null }, 'ERR_INVALID_ARG_TYPE'],
    [{ ringBytes: 0 }, 'ERR_OUT_OF_RANGE'],
    [{ ringBytes: 256 * 1024 - 1 }, 'ERR_OUT_OF_RANGE'],
    [{ ringBytes: 2 ** 30 + 1 }, 'ERR_OUT_OF_RANGE'],
    [{ ringBytes: 300_000.5 }, 'ERR_OUT_OF_RANGE'],
    [{ ringBytes: Number.NaN }, 'ERR_OUT_OF_RANGE'],
    [{ ringBytes: Infinity }, 'ERR_OUT_OF_RANGE'],
    [{ busyPoll: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ busyPoll: 1_000_001 }, 'ERR_OUT_OF_RANGE'],
    [{ busyPoll: 0.5 }, 'ERR_OUT_OF_RANGE'],
    [{ busyPoll: '50' }, 'ERR_INVALID_ARG_TYPE'],
    [{ thread: 'shared', ringBytes: 2 ** 20 }, 'ERR_INVALID_ARG_VALUE'],
    [{ thread: 'shared', busyPoll: 50 }, 'ERR_INVALID_ARG_VALUE'],
  ];
  for (const [options, code] of wrong) {
    assert.throws(
      () => createSocket({ type: 'udp4', ...options } as SocketOptions),
      (error: NodeJS.ErrnoException) => {
        assert.equal(error.code, code, JSON.stringify(options));
        // Which option, and what it was: a message that helps.
        assert.match(error.message, new RegExp(`options\\.${Object.keys(options)[0]}`));
        assert.match(error.message, /Received/);
        return true;
      },
      JSON.stringify(options),
    );
  }
});

test('every combination of ksocket’s own options carries datagrams both ways', async () => {
  const all: Partial<SocketOptions>[] = [
    { gro: false },
    { gso: false },
    { gro: false, gso: false },
    { gro: true, gso: true },
    { thread: 'shared' },
    { thread: 'dedicated' },
    { thread: 'dedicated', onFull: 'drop' },
    { ringBytes: 256 * 1024 },
    { ringBytes: 1024 * 1024, onFull: 'block' },
    { ringBytes: 1_000_003 },
    { busyPoll: 0 },
    { busyPoll: 50 },
    { busyPoll: 1000, ringBytes: 300_000, thread: 'dedicated', onFull: 'drop', gro: false, gso: false },
  ];
  for (const options of all.filter(({ busyPoll }) => !(onDgram && busyPoll))) {
    await using sockets = new Sockets();
    const peer = sockets.makePeer();
    const peerInbox = new Inbox(peer);
    const peerPort = await bound(peer);
    const socket = sockets.make({ type: 'udp4', ...options } as SocketOptions);
    const inbox = new Inbox(socket);
    const port = await bound(socket);
    const texts = Array.from({ length: 50 }, (_, i) => `datagram ${i}`);
    for (const text of texts) {
      peer.send(text, port, '127.0.0.1');
      socket.send(text, peerPort, '127.0.0.1');
    }
    await inbox.take(texts.length);
    await peerInbox.take(texts.length);
    assert.deepEqual(inbox.texts, texts, JSON.stringify(options));
    assert.deepEqual(peerInbox.texts, texts, JSON.stringify(options));
  }
});

addonTest(
  'a thread of its own',
  'shared sockets share one thread; dedicated ones have one each, and it ends with the socket',
  async () => {
    // A thread has its name once it runs, and the one of the tests before lingers.
    const threads = (count: number) =>
      waitFor(
        () => ioThreadCount() === count,
        () => `${ioThreadCount()} threads instead of ${count}`,
      );
    await threads(0);
    await using sockets = new Sockets();
    const shared = [sockets.make(), sockets.make(), sockets.make({ type: 'udp6', thread: 'shared' })];
    for (const socket of shared) await bound(socket);
    await threads(1);
    const dedicated = [
      sockets.make({ type: 'udp4', thread: 'dedicated' }),
      sockets.make({ type: 'udp4', ringBytes: 2 ** 20 }),
      sockets.make({ type: 'udp4', busyPoll: 10 }),
    ];
    for (const socket of dedicated) await bound(socket);
    await threads(4);
    for (const [i, socket] of dedicated.entries()) {
      await closed(socket);
      assert.equal(ioThreadCount(), 3 - i, 'the thread has ended when the socket has closed');
    }
    for (const socket of shared) await closed(socket);
    await threads(0);
  },
);

addonTest(
  'a thread of its own',
  'the shared thread stays for 50 ms behind its last socket, and serves the next',
  async () => {
    const only = () => ioThreadCount() === 1;
    await waitFor(() => ioThreadCount() === 0, 'the end of earlier threads');
    const [first, second] = [createSocket('udp4'), createSocket('udp4')];
    await bound(first);
    await waitFor(only, 'the thread');
    const tasks = () => readdirSync('/proc/self/task').join();
    const before = tasks();
    await closed(first);
    await bound(second);
    assert.equal(tasks(), before, 'the same thread');
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.ok(only(), 'it has a socket again');
    const closing = performance.now();
    await closed(second);
    await waitFor(() => ioThreadCount() === 0, 'the end of the thread');
    const lingered = performance.now() - closing;
    assert.ok(lingered > 45, `${lingered} ms`);
  },
);

test('datagrams between sockets of different threads, in a circle', async () => {
  await using sockets = new Sockets();
  const all = [
    sockets.make(),
    sockets.make({ type: 'udp4', thread: 'dedicated' }),
    sockets.make({ type: 'udp4', ...(onDgram ? { thread: 'dedicated' } : { busyPoll: 20 }) }),
  ];
  const ports: number[] = [];
  for (const socket of all) ports.push(await bound(socket));
  let rounds = 0;
  await new Promise<void>((resolve) => {
    for (const [i, socket] of all.entries()) {
      socket.on('message', (data) => {
        if (i === 0 && ++rounds === 200) resolve();
        else socket.send(data, ports[(i + 1) % all.length]);
      });
    }
    all[2].send('round', ports[0]);
  });
  assert.equal(rounds, 200);
});
