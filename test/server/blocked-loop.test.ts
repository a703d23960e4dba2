// The server answers from its thread: whatever JavaScript does meanwhile.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type ServerOptions, slot } from 'ksocket';
import { startProgram } from '../support/child.js';
import { test } from '../support/test.js';

/** A client of its own process, with plain node:dgram: sends numbered requests at a rate, never more than a window of
 * them unanswered (so that no kernel buffer overflows, however busy the machine is), and writes a file at the end. */
async function client(serverPort: number, count: number, rate: number, replyPort: number, doneFile: string) {
  const { createSocket } = await import('node:dgram');
  const { once } = await import('node:events');
  const { writeFileSync } = await import('node:fs');
  const WINDOW = 100;
  const socket = createSocket('udp4');
  socket.bind(replyPort, '127.0.0.1');
  await once(socket, 'listening');
  let sent = 0;
  let answers = 0;
  let wrong = 0;
  const fixed = replyPort !== 0;
  socket.on('message', (data) => {
    if (`${data}` !== (fixed ? 'testing...' : `request ${answers}`)) wrong++;
    answers++;
  });
  console.log('ready');
  const started = performance.now();
  await new Promise<void>((resolve) => {
    const tick = () => {
      const due = Math.min(count, ((performance.now() - started) * rate) / 1000, answers + WINDOW);
      while (sent < due) socket.send(`request ${sent++}`, serverPort, '127.0.0.1');
      if (answers >= count) resolve();
      else setTimeout(tick, 1);
    };
    tick();
  });
  socket.close();
  writeFileSync(doneFile, '');
  console.log(JSON.stringify({ sent, answers, wrong, seconds: (performance.now() - started) / 1000 }));
}

const waysToAnswer: Record<
  string,
  { seconds: number; fixed?: boolean; options: (replyPort: number) => ServerOptions }
> = {
  'to the source': { seconds: 2, options: () => ({ reply: 'echo' }) },
  'to the target': {
    seconds: 2,
    fixed: true,
    options: (replyPort) => ({ replyTo: { address: '127.0.0.1', port: replyPort } }),
  },
  'by rules': {
    seconds: 10,
    options: () => ({
      rules: [
        { match: { exact: 'nothing of this' }, action: 'drop' },
        { match: { prefix: 'request ' }, action: { reply: ['request ', slot.request(8)] } },
      ],
    }),
  },
};
for (const [way, { seconds, fixed, options }] of Object.entries(waysToAnswer)) {
  test(`with the event loop blocked for ${seconds} s no reply is missing at 5000 a second, ${way}`, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
    const doneFile = join(directory, 'done');
    const { unusedPort } = await import('../support/peer.js');
    const replyPort = fixed ? await unusedPort() : 0;
    const server = createServer({ address: '127.0.0.1', port: 0, ...options(replyPort) });
    await server.start();
    try {
      let eventsWhileBlocked = 0;
      server.on('datagram', () => eventsWhileBlocked++);
      const count = seconds * 5000;
      await using child = startProgram(client, [server.address()?.port ?? 0, count, 5_000, replyPort, doneFile], {
        deadlineMs: 60_000,
      });
      await child.line(/^ready$/);
      eventsWhileBlocked = 0;
      const started = performance.now();
      // A busy loop, at least for so long and until the client has everything.
      while (performance.now() - started < seconds * 1000 || !existsSync(doneFile)) {
        assert.ok(performance.now() - started < 60_000, 'the client has not got its replies');
      }
      assert.equal(eventsWhileBlocked, 0, 'the event loop was blocked');
      const { code, stdout, stderr } = await child.end();
      assert.equal(stderr, '');
      assert.equal(code, 0);
      const { answers, wrong, sent } = JSON.parse(stdout.split('\n')[1]);
      assert.deepEqual({ sent, answers, wrong }, { sent: count, answers: count, wrong: 0 });
      assert.equal(server.stats().rxDatagrams, count);
      assert.equal(server.stats().txDatagrams, count);
    } finally {
      await server.stop();
      rmSync(directory, { recursive: true });
    }
  });
}

test('a datagram listener that is too slow costs events, not answers, and what is lost is counted', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  const doneFile = join(directory, 'done');
  const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
  await server.start();
  try {
    let events = 0;
    server.on('datagram', () => {
      events++;
      const until = performance.now() + 0.5;
      while (performance.now() < until);
    });
    const count = 5_000;
    await using child = startProgram(client, [server.address()?.port ?? 0, count, 20_000, 0, doneFile]);
    const { code, stdout } = await child.end();
    assert.equal(code, 0);
    const { answers, wrong } = JSON.parse(stdout.split('\n')[1]);
    assert.deepEqual({ answers, wrong }, { answers: count, wrong: 0 });
    const { rxDatagrams, rxRingDrops, rxKernelDrops } = server.stats();
    assert.equal(rxDatagrams, count);
    assert.equal(rxKernelDrops, 0);
    // Events still come for what is in the ring.
    const { waitFor } = await import('../support/wait.js');
    await waitFor(
      () => events + rxRingDrops === count,
      () => `${events} events, ${rxRingDrops} dropped`,
    );
  } finally {
    await server.stop();
    rmSync(directory, { recursive: true });
  }
});
