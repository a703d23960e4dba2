// A flood from more sources than any table has places for, as spoofed ones are.
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createServer, type Server } from 'ksocket';
import { onDgram } from '../support/backend.js';
import { Sockets } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

// The flood's own sockets are garbage by then, of which V8 keeps as much as it likes.
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const SOURCES = 3000;
const EACH = 4;

// EACH datagrams from each of many addresses of 127.0.0.0/8, never more on the way than a receive buffer holds.
async function flood(server: Server, network: number): Promise<void> {
  const port = server.address()?.port as number;
  let sent = server.stats().rxDatagrams;
  for (let i = 0; i < SOURCES; i++) {
    const socket = dgram.createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, `127.${network}.${i >> 8}.${i & 255}`, resolve));
    for (let k = 0; k < EACH; k++) socket.send('flood', port, '127.0.0.1');
    sent += EACH;
    await new Promise<void>((resolve) => setImmediate(resolve));
    await waitFor(() => sent - server.stats().rxDatagrams < 100);
    await new Promise<void>((resolve) => socket.close(resolve));
  }
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
