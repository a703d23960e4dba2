// A server among the limits of its process.
import assert from 'node:assert/strict';
import { runProgram } from '../support/child.js';
import { test } from '../support/test.js';

const DESCRIPTORS = 256;
const under = ['sh', '-c', `ulimit -n ${DESCRIPTORS} && exec "$0" "$@"`];

/** Spoofed sources in front of a forwarding server, in a process with few descriptors. `updates`: the rule changes all
 * the time, so that the flows are a former rule's. */
async function flood(updates: boolean) {
  const { code, stdout, stderr } = await runProgram(
    async (updates: boolean) => {
      const { createServer } = await import('ksocket');
      const { once } = await import('node:events');
      const dgram = await import('node:dgram');
      const fs = await import('node:fs');
      const open = async (port: number, address: string) => {
        const socket = dgram.createSocket('udp4');
        socket.bind(port, address);
        await once(socket, 'listening');
        return socket;
      };
      const backEnd = await open(0, '127.0.0.1');
      // It answers everybody, as most do: whom nobody spoofs, and whom somebody does.
      backEnd.on('message', (data, { port, address }) => backEnd.send(data, port, address));
      const forward = { address: '127.0.0.1', port: backEnd.address().port };
      const rules = (idleMs: number) => [{ name: 'on', action: { forward, idleMs } }];
      const server = createServer({ address: '127.0.0.1', port: 0, rules: rules(60_000) });
      await server.start();
      const port = server.address()?.port as number;
      const until = async (condition: () => boolean) => {
        while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
      };

      const client = await open(0, '127.0.0.1');
      let answers = 0;
      client.on('message', () => answers++);
      const ask = async (count: number) => {
        const before = answers;
        for (let i = 1; i <= count; i++) {
          client.send('ask', port, '127.0.0.1');
          await until(() => answers === before + i);
        }
      };
      await ask(2);
      for (let i = 0; i < 1500; i++) {
        const { rxDatagrams } = server.stats();
        const spoofed = await open(0, `127.9.${i >> 8}.${i & 255}`);
        spoofed.send('flood', port, '127.0.0.1');
        await until(() => server.stats().rxDatagrams > rxDatagrams);
        await new Promise((resolve) => spoofed.close(() => resolve(undefined)));
        if (updates && i % 50 === 49) await server.update(rules(60_000 + i));
      }
      const { flowsOpened } = server.stats().answering;
      const files = Array.from({ length: 40 }, () => fs.openSync('/dev/null', 'r'));
      const sockets = await Promise.all(Array.from({ length: 10 }, () => open(0, '127.0.0.1')));
      await ask(1);
      console.log(
        JSON.stringify({
          files: files.length,
          sockets: sockets.length,
          before: flowsOpened,
          ...server.stats().answering,
        }),
      );
      process.exit();
    },
    [updates],
    { under },
  );
  assert.deepEqual([code, stderr], [0, '']);
  return JSON.parse(stdout);
}

test('flows leave descriptors to the process, and a client that was answered twice keeps its own', async () => {
  const stats = await flood(false);
  assert.deepEqual([stats.files, stats.sockets], [40, 10]);
  assert.equal(stats.forwardDrops, 0, 'whoever is new finds a place');
  assert.equal(stats.flowsOpened, 1501, 'and has not taken it from the client');
  assert.ok(stats.flowsEvicted > 1500 - DESCRIPTORS, `${stats.flowsEvicted}`);
});

test('flows of former rules make room, too', async () => {
  const stats = await flood(true);
  assert.deepEqual([stats.files, stats.sockets], [40, 10]);
  assert.equal(stats.forwardDrops, 0);
  assert.ok(stats.flowsEvicted > 1500 - DESCRIPTORS, `${stats.flowsEvicted}`);
});
