// A flood from more sources than any table has places for, as spoofed ones are.
import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createServer, type Server } from 'ksocket';
import { onDgram } from '../support/backend.js';
import { runProgram } from '../support/child.js';
import { bound, Sockets } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

// What V8 has not collected yet is not the server's.
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const SOURCES = 3000;
const EACH = 4;

// EACH datagrams from each of many addresses of 127.0.0.0/8. A program of its own: its sockets are no memory of this process.
async function flood(server: Server, network: number): Promise<void> {
  const before = server.stats().rxDatagrams;
  const taken = () => server.stats().rxDatagrams - before;
  await using sockets = new Sockets();
  const pacer = sockets.make();
  // "Go on when so many are taken": never more are on the way than a receive buffer holds.
  pacer.on('message', async (sent, { port, address }) => {
    await waitFor(() => taken() >= Number(sent));
    pacer.send('on', port, address);
  });
  const result = await runProgram(
    async (port: number, pacing: number, network: number, sources: number, each: number) => {
      const { createSocket } = await import('node:dgram');
      const { once } = await import('node:events');
      const asking = createSocket('udp4');
      for (let i = 0; i < sources; i++) {
        const socket = createSocket('udp4');
        await new Promise<void>((resolve) => socket.bind(0, `127.${network}.${i >> 8}.${i & 255}`, resolve));
        for (let k = 0; k < each; k++) socket.send('flood', port, '127.0.0.1');
        await new Promise<void>((resolve) => setImmediate(resolve));
        await new Promise<void>((resolve) => socket.close(resolve));
        if (i % 25 === 24) {
          asking.send(String((i + 1) * each), pacing, '127.0.0.1');
          await once(asking, 'message');
        }
      }
      asking.close();
    },
    [server.address()?.port as number, await bound(pacer), network, SOURCES, EACH],
  );
  assert.equal(result.code, 0, result.stderr);
}

test('a flood of spoofed sources takes nothing from a source that keeps to its rate, and no memory', async () => {
  await using sockets = new Sockets();
  const server = createServer({
    address: '127.0.0.1',
    port: 0,
    rules: [{ match: { prefix: 'ask' }, action: 'echo' }],
    limits: { perSource: { rate: 100, burst: 2, sources: 1024 } },
  });
  await server.start();
  try {
    const client = sockets.make();
    let asked = 0;
    let answered = 0;
    client.on('message', () => answered++);
    // 25 a second, a quarter of what it may.
    const asking = setInterval(() => {
      client.send(`ask ${asked++}`, server.address()?.port as number, '127.0.0.1');
    }, 40);
    await flood(server, 11); // whatever is taken once is taken now
    collectGarbage();
    const before = process.memoryUsage().rss;
    await flood(server, 12);
    await flood(server, 13);
    collectGarbage();
    const grown = process.memoryUsage().rss - before;
    clearInterval(asking);
    await waitFor(
      () => answered === asked,
      () => `${answered} answers to ${asked}`,
    );
    assert.ok(asked > 10, 'the flood was long enough');
    const { limited } = server.stats().answering;
    assert.ok(limited >= SOURCES, `${limited} of the flood were over the rate of their sources`);
    // node:dgram takes 64 KiB for each datagram, until they are collected.
    assert.ok(grown < (onDgram ? 48 : 16) * 1024 * 1024, `${grown} bytes`);
  } finally {
    await server.stop();
  }
});
