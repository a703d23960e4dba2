// What is no longer used goes away: objects, memory, descriptors, threads.
import assert from 'node:assert/strict';
import { runProgram } from '../support/child.js';
import { test } from '../support/test.js';

const execArgv = ['--expose-gc'];

test('unbound and closed sockets and stopped servers are collected', async () => {
  const result = await runProgram(
    async () => {
      const { createServer, createSocket } = await import('ksocket');
      const { gc } = globalThis as unknown as { gc: () => void };
      const left = new Map([
        ['unbound', 100],
        ['closed', 100],
        ['dedicated', 10],
        ['server', 10],
        ['sent from', 100],
      ]);
      const registry = new FinalizationRegistry((kind: string) => left.set(kind, (left.get(kind) as number) - 1));
      for (let i = 0; i < 100; i++)
        registry.register(
          createSocket('udp4', () => {}),
          'unbound',
        );
      const closed = async (kind: string, options: object, sends: boolean) => {
        const socket = createSocket({ type: 'udp4', ...options }, () => {});
        registry.register(socket, kind);
        await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
        if (sends) {
          for (let k = 0; k < 3; k++) socket.send('x', socket.address().port, '127.0.0.1', () => void socket.type);
          await new Promise(setImmediate);
        }
        await new Promise<void>((resolve) => socket.close(resolve));
      };
      for (let i = 0; i < 100; i++) await closed('closed', {}, false);
      for (let i = 0; i < 100; i++) await closed('sent from', {}, true);
      for (let i = 0; i < 10; i++) await closed('dedicated', { thread: 'dedicated' }, true);
      for (let i = 0; i < 10; i++) {
        const server = createServer({ address: '127.0.0.1', port: 0 });
        registry.register(server, 'server');
        await server.start();
        await server.stop();
      }
      // Finalizers run some time after a collection, and the last object of a kind may be held by a register.
      for (let i = 0; i < 200 && [...left.values()].some((count) => count > 1); i++) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      console.log(JSON.stringify([...left].filter(([, count]) => count > 1)));
    },
    [],
    { execArgv },
  );
  assert.deepEqual(result, { code: 0, signal: null, stdout: '[]\n', stderr: '' });
});

test('the memory of threads that have ended is given back', async () => {
  const result = await runProgram(
    async () => {
      const { createServer, createSocket } = await import('ksocket');
      const { gc } = globalThis as unknown as { gc: () => void };
      const arrayBuffers = async () => {
        for (let i = 0; i < 3; i++) {
          gc();
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        return process.memoryUsage().arrayBuffers;
      };
      const before = await arrayBuffers();
      for (let i = 0; i < 30; i++) {
        const socket = createSocket({ type: 'udp4', thread: 'dedicated' });
        await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
        await new Promise<void>((resolve) => socket.close(resolve));
        const server = createServer({ address: '127.0.0.1', port: 0 });
        await server.start();
        await server.stop();
      }
      // Each has a ring of 16 MiB; two may be held by something yet to be cleared.
      const grown = (await arrayBuffers()) - before;
      console.log(grown < 3 * 17 * 1024 * 1024 ? 'small' : `${grown} bytes more`);
    },
    [],
    { execArgv },
  );
  assert.deepEqual(result, { code: 0, signal: null, stdout: 'small\n', stderr: '' });
});

test('a bound socket that nobody refers to goes on receiving', async () => {
  const result = await runProgram(
    async () => {
      const { createSocket } = await import('ksocket');
      const { gc } = globalThis as unknown as { gc: () => void };
      const port = await new Promise<number>((resolve) => {
        const socket = createSocket('udp4', (data) => {
          console.log(`${data}`);
          if (`${data}` === 'last') socket.close();
        });
        socket.bind(0, '127.0.0.1', () => resolve(socket.address().port));
      });
      for (let i = 0; i < 5; i++) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      const sender = createSocket('udp4');
      sender.send('first', port, '127.0.0.1');
      sender.send('last', port, '127.0.0.1', () => sender.close());
    },
    [],
    { execArgv },
  );
  assert.deepEqual(result, { code: 0, signal: null, stdout: 'first\nlast\n', stderr: '' });
});

test('collections while datagrams pour in harm nobody', async () => {
  const result = await runProgram(
    async () => {
      const { createSocket } = await import('ksocket');
      const { gc } = globalThis as unknown as { gc: () => void };
      const socket = createSocket('udp4');
      await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
      const { port } = socket.address();
      const kept: Buffer[] = [];
      await new Promise<void>((resolve) => {
        let next = 0;
        const send = () => socket.send(`datagram ${next++}`, port, '127.0.0.1');
        socket.on('message', (data) => {
          kept.push(data);
          if (kept.length % 100 === 0) gc();
          if (kept.length === 3000) resolve();
          else send();
        });
        for (let i = 0; i < 20; i++) send();
      });
      socket.close();
      console.log(kept.every((data, i) => `${data}` === `datagram ${i}`));
    },
    [],
    { execArgv },
  );
  assert.deepEqual(result, { code: 0, signal: null, stdout: 'true\n', stderr: '' });
});

test('descriptors and threads are as few as before when everything is closed', async () => {
  const result = await runProgram(async () => {
    const { createServer, createSocket } = await import('ksocket');
    const { readdirSync } = await import('node:fs');
    const held = () => `${readdirSync('/proc/self/fd').length} ${readdirSync('/proc/self/task').length}`;
    // The first output opens a descriptor, and name lookups start threads of libuv's pool: they stay.
    console.log('output');
    const { lookup } = await import('node:dns/promises');
    await Promise.all(Array.from({ length: 8 }, () => lookup('localhost')));
    const before = held();
    for (let round = 0; round < 5; round++) {
      const sockets = Array.from({ length: 30 }, (_, i) =>
        createSocket({
          type: i % 2 ? 'udp4' : 'udp6',
          ...(i % 10 === 9 ? { thread: 'dedicated' as const } : {}),
        }),
      );
      await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.bind(resolve))));
      const server = createServer({ port: 0, reply: 'x', replyTo: { address: '127.0.0.1', port: 9 } });
      await server.start();
      if (round === 4) console.log(held() !== before);
      for (const socket of sockets) socket.send('x', 9);
      await new Promise(setImmediate);
      await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.close(resolve))));
      await server.stop();
    }
    const end = performance.now() + 20_000;
    while (held() !== before && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
    console.log(held() === before ? 'as before' : `${before} -> ${held()}`);
  }, []);
  assert.deepEqual(result, { code: 0, signal: null, stdout: 'output\ntrue\nas before\n', stderr: '' });
});

test('a socket that nothing comes to takes less than 800 bytes of native memory', async () => {
  const result = await runProgram(async () => {
    const { readFileSync } = await import('node:fs');
    const { createSocket } = await import('ksocket');
    // V8's heap is elsewhere, the memory of malloc is here.
    const heapBytes = () => {
      const [, kilobytes] =
        /\[heap\]\nSize:.*\n(?:.*\n)*?Rss: +(\d+) kB/.exec(readFileSync('/proc/self/smaps', 'utf8')) ?? [];
      return Number(kilobytes) * 1024;
    };
    const open = async (count: number) => {
      const sockets = Array.from({ length: count }, () => createSocket('udp4'));
      await Promise.all(sockets.map((socket) => new Promise<void>((done) => socket.bind(0, '127.0.0.1', done))));
      return sockets;
    };
    await open(500); // what the first ones cost is not asked
    const before = heapBytes();
    const { length } = await open(3000);
    const bytes = (heapBytes() - before) / length;
    console.log(bytes < 800 ? 'little' : `${bytes} bytes`);
    process.exit();
  }, []);
  assert.deepEqual(result, { code: 0, signal: null, stdout: 'little\n', stderr: '' });
});
