// A server's thread does not wait for fuller batches, as a socket's does: answers leave at once.
import assert from 'node:assert/strict';
import { createServer, createSocket } from 'ksocket';
import { bound, closed } from '../support/peer.js';
import { startSender } from '../support/programs.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

/** A rate at which waiting gathers several datagrams each time. */
const RATE = 60_000;
const ENOUGH = 100;

test('a server never waits for a fuller batch where a socket does', async () => {
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
