import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'ksocket';
import { onDgram } from '../support/backend.js';
import { bound, Inbox, Sockets } from '../support/peer.js';
import { heldAtRest, ioThreadCount, untilHeldIs } from '../support/process.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

test('1000 sockets live on one thread, or none, each gets its own datagrams, and all of it goes away', async () => {
  const before = await heldAtRest();
  await using sockets = new Sockets();
  const all: Socket[] = [];
  const inboxes: Inbox[] = [];
  const ports: number[] = [];
  for (let i = 0; i < 1000; i++) {
    const socket = sockets.make(i % 10 === 0 ? 'udp6' : 'udp4');
    all.push(socket);
    inboxes.push(new Inbox(socket));
    ports.push(await bound(socket));
  }
  await waitFor(
    () => ioThreadCount() === (onDgram ? 0 : 1), // it has its name once it runs
    () => `${ioThreadCount()} threads`,
  );
  assert.equal(new Set(ports.filter((_, i) => i % 10 !== 0)).size, 900);
  // Each sends to the one ten places on, which has its family.
  for (let round = 0; round < 3; round++) {
    for (const [i, socket] of all.entries()) {
      socket.send(`from ${i}`, ports[(i + 10) % 1000], i % 10 === 0 ? '::1' : '127.0.0.1');
    }
    await waitFor(
      () => inboxes.every((inbox) => inbox.all.length === round + 1),
      () => `${inboxes.filter((inbox) => inbox.all.length === round + 1).length} sockets have theirs`,
    );
  }
  for (const [i, inbox] of inboxes.entries()) {
    const from = (i + 990) % 1000;
    assert.deepEqual(inbox.texts, [`from ${from}`, `from ${from}`, `from ${from}`]);
    assert.equal(inbox.all[0].rinfo.port, ports[from]);
    assert.equal(all[i].stats().rxDatagrams, 3);
    assert.equal(all[i].stats().txDatagrams, 3);
  }
  await Promise.all(all.map((socket) => new Promise<void>((resolve) => socket.close(resolve))));
  await untilHeldIs(before);
});

test('sockets that come and go all the time get their own datagrams and leave nothing behind', async () => {
  const before = await heldAtRest();
  const wrong: string[] = [];
  // 32 places, in each of which one socket follows the other: ids are used again all the time.
  await Promise.all(
    Array.from({ length: 32 }, async (_, place) => {
      for (let i = 0; i < 60; i++) {
        const text = `${place} ${i}`;
        const socket = createSocket('udp4');
        const port = await bound(socket);
        const got = new Promise<string>((resolve) => socket.once('message', (data) => resolve(`${data}`)));
        // What is still on its way when the socket closes must not reach the next one.
        for (let k = 0; k < 3; k++) socket.send(text, port);
        if ((await got) !== text) wrong.push(text);
        await new Promise<void>((resolve) => socket.close(resolve));
      }
    }),
  );
  assert.deepEqual(wrong, []);
  await untilHeldIs(before);
});
