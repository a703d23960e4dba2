// A server's thread does not wait for fuller batches, as a socket's does: answers leave at once. What it forwards may
// wait where there is much of it.
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { createServer, createSocket } from 'ksocket';
import { bound, closed } from '../support/peer.js';
import { startSender } from '../support/programs.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

/** A rate at which waiting gathers several datagrams each time. */
const RATE = 60_000;
const ENOUGH = 100;

test('a server that answers never waits for a fuller batch where a socket does', async () => {
  const socket = createSocket({ type: 'udp4', thread: 'dedicated', adaptiveRx: false });
  socket.on('message', () => {});
  const server = createServer({ address: '127.0.0.1', port: 0, reply: null });
  await server.start();
  try {
    const moderations = async (
      port: number,
      stats: () => { rxDatagrams: number; thread: { moderations: number } },
      until: () => boolean,
    ) => {
      await using sender = startSender({ port, count: 0, bytes: 64, rate: RATE });
      await waitFor(until);
      sender.process.kill();
      return stats().thread.moderations;
    };
    const waited = await moderations(
      await bound(socket),
      () => socket.stats(),
      () => socket.stats().thread.moderations > ENOUGH,
    );
    assert.ok(waited > ENOUGH);
    const received = socket.stats().rxDatagrams;
    const port = server.address()?.port as number;
    const neverWaited = await moderations(
      port,
      () => server.stats(),
      () => server.stats().rxDatagrams > 5 * received,
    );
    assert.equal(neverWaited, 0);
  } finally {
    await closed(socket);
    await server.stop();
  }
});

/** A server that forwards everything, and how often its thread has waited for fuller batches. */
async function forwarding(port: number) {
  const forward = { address: '127.0.0.1', port };
  const server = createServer({ address: '127.0.0.1', port: 0, rules: [{ action: { forward } }] });
  await server.start();
  return {
    port: server.address()?.port as number,
    waits: () => server.stats().thread.moderations,
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

test('a server waits for fuller batches where much is forwarded', async () => {
  const backEnd = dgram.createSocket('udp4');
  await using server = await forwarding(await bound(backEnd));
  try {
    await using sender = startSender({ port: server.port, count: 0, bytes: 64, rate: RATE });
    await waitFor(() => server.waits() > ENOUGH);
    sender.process.kill();
  } finally {
    await closed(backEnd);
  }
});

test('a request that is forwarded alone, and its answer, do not wait', async () => {
  const backEnd = dgram.createSocket('udp4').on('message', (data, { port }) => backEnd.send(data, port, '127.0.0.1'));
  const client = dgram.createSocket('udp4');
  await using server = await forwarding(await bound(backEnd));
  try {
    await bound(client);
    for (let i = 0; i < 300; i++) {
      const answered = once(client, 'message');
      client.send(`${i}`, server.port, '127.0.0.1');
      const [data] = await answered;
      assert.equal(String(data), `${i}`);
    }
    assert.ok(server.waits() < 20, `${server.waits()} waits`);
  } finally {
    await closed(client);
    await closed(backEnd);
  }
});
