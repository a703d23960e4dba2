// Sends that the kernel has no room for, now or ever.
import assert from 'node:assert/strict';
import { addonTest } from '../support/backend.js';
import { runProgram } from '../support/child.js';
import { inNamespace } from '../support/namespace.js';
import { test } from '../support/test.js';

// On Ethernet's MTU 60 000 bytes are 41 fragments, and a send buffer of 8 kB never takes so many.
const ethernet = inNamespace('ip link set lo mtu 1500 up');

async function sendTooMuch() {
  const { createSocket } = await import('ksocket');
  const { once } = await import('node:events');
  const receiver = createSocket('udp4').bind(0, '127.0.0.1');
  await once(receiver, 'listening');
  const { port } = receiver.address();
  const socket = createSocket({ type: 'udp4', sendBufferSize: 4096 }).bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const seen: (string | undefined)[] = [];
  const sendAll = (texts: string[]) =>
    Promise.all(
      texts.map(
        (text) =>
          new Promise<void>((resolve) => {
            socket.send(text, port, '127.0.0.1', (error) => {
              seen.push(`${(error as NodeJS.ErrnoException | null)?.code ?? text.length}`);
              resolve();
            });
          }),
      ),
    );
  await sendAll(['before', 'x'.repeat(60_000), 'behind it']);
  await sendAll(['x'.repeat(60_000), 'x'.repeat(60_000), 'x']);
  const before = socket.stats().thread.waits;
  await new Promise((resolve) => setTimeout(resolve, 400));
  const { txDatagrams, txErrors, thread } = socket.stats();
  console.log(JSON.stringify({ seen, txDatagrams, txErrors, queued: socket.getSendQueueCount() }));
  console.log(thread.waits - before < 60 ? 'at rest' : `${thread.waits - before} waits`);
  socket.close();
  receiver.close();
}

addonTest(
  'kernel features',
  'a datagram that no send buffer takes is reported, what is behind it is sent, and the thread comes to rest',
  async () => {
    const { code, stdout, stderr } = await runProgram(sendTooMuch, [], { under: ethernet });
    assert.deepEqual([code, stderr], [0, '']);
    const [line, rest] = stdout.split('\n');
    const { seen, ...counted } = JSON.parse(line);
    assert.deepEqual(seen, ['6', 'ENOBUFS', '9', 'ENOBUFS', 'ENOBUFS', '1']);
    assert.deepEqual(counted, { txDatagrams: 3, txErrors: 3, queued: 0 });
    assert.equal(rest, 'at rest');
  },
);

// A socket is writable again before its send buffer is empty, and fragments of a slow link lie in it.
const slowLink = inNamespace(
  'ip link set lo mtu 1500 up && tc qdisc add dev lo root tbf rate 20mbit burst 16kb latency 500ms',
);

test('a datagram that only an empty send buffer takes waits for that', async () => {
  const program = async () => {
    const { createSocket } = await import('ksocket');
    const { once } = await import('node:events');
    const socket = createSocket({ type: 'udp4', sendBufferSize: 4096 }).bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const seen: Record<string, number> = {};
    let called = 0;
    await new Promise<void>((resolve) => {
      for (let i = 0; i < 60; i++) {
        socket.send(Buffer.alloc(11_500 + (i % 3)), 9, '127.0.0.1', (error) => {
          const what = (error as NodeJS.ErrnoException | null)?.code ?? 'sent';
          seen[what] = (seen[what] ?? 0) + 1;
          if (++called === 60) resolve();
        });
      }
    });
    console.log(JSON.stringify(seen));
    socket.close();
  };
  const { code, stdout, stderr } = await runProgram(program, [], { under: slowLink });
  assert.deepEqual([code, stderr], [0, '']);
  assert.deepEqual(JSON.parse(stdout), { sent: 60 });
});
