// Sends that have to wait, on node:dgram's sockets: a kernel that refuses them for a while (test/support/kernel_preload.cc).
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../support/child.js';
import { kernelPreload } from '../support/programs.js';
import { test } from '../support/test.js';

test('sends that wait call back, sendMany stops and goes on at drain, and close() counts what has not left', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  const blocks = join(directory, 'blocks');
  const program = async (file: string) => {
    const { createSocket } = await import('ksocket');
    const { once } = await import('node:events');
    const { rmSync, writeFileSync } = await import('node:fs');
    const [receiver, sender] = [createSocket('udp4'), createSocket('udp4')];
    for (const socket of [receiver, sender]) socket.bindSync({ address: '127.0.0.1' });
    const { port } = receiver.address();
    const received: string[] = [];
    receiver.on('message', (data) => received.push(`${data}`));
    const results: unknown[] = [];
    const send = (text: string) => sender.send(text, port, '127.0.0.1', (error, bytes) => results.push(error ?? bytes));

    writeFileSync(file, '');
    for (const text of ['a', 'bb', 'ccc']) send(text);
    await new Promise(setImmediate);
    const waiting = [results.length, sender.getSendQueueCount(), sender.getSendQueueSize()];
    const soon = sender.sendMany(['1', '2', '3'], { port, address: '127.0.0.1' });
    const room = once(sender, 'drain');
    rmSync(file);
    await room;
    const taken = [soon, sender.sendMany(['1', '2', '3'], { port, address: '127.0.0.1' })];
    while (results.length < 3 || received.length < 6) await new Promise(setImmediate);

    writeFileSync(file, '');
    const list = Array.from({ length: 1100 }, () => 'list');
    const some = sender.sendMany(list, { port, address: '127.0.0.1' });
    const drained = once(sender, 'drain');
    rmSync(file);
    await drained;
    const { txDeferred, txDatagrams, txDropped } = sender.stats();

    writeFileSync(file, '');
    sender.sendMany(['x', 'y'], { port, address: '127.0.0.1' });
    receiver.close();
    sender.close();
    const dropped = sender.stats().txDropped - txDropped;
    const next = createSocket('udp4'); // in the place of the latest
    next.bindSync({ address: '127.0.0.1' });
    await new Promise((resolve) => setTimeout(resolve, 20));
    const { txErrors, txDatagrams: sentByNext } = next.stats();
    next.close();
    console.log(
      JSON.stringify({
        ...{ waiting, taken, results, received: received.slice(0, 6) },
        ...{ some, txDeferred, txDatagrams, dropped, next: [txErrors, sentByNext] },
      }),
    );
  };
  try {
    const env = { LD_PRELOAD: kernelPreload, KERNEL_BLOCKS_WHILE: blocks, KSOCKET_BACKEND: 'dgram' };
    const { stdout, code } = await runProgram(program, [blocks], { env: { ...env, KSOCKET_ENGINE: undefined } });
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout), {
      waiting: [0, 3, 6],
      taken: [0, 3],
      results: [1, 2, 3],
      received: ['a', 'bb', 'ccc', '1', '2', '3'],
      some: 1024, // what one flush holds
      txDeferred: 3 + 1024,
      txDatagrams: 6 + 1024,
      dropped: 2,
      next: [0, 0],
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('where process.nextTick cannot be replaced, results come a tick later, and all is sent', async () => {
  const program = async () => {
    const { value } = Object.getOwnPropertyDescriptor(process, 'nextTick') ?? {};
    Object.defineProperty(process, 'nextTick', { value, writable: false, configurable: false });
    const { createServer, createSocket } = await import('ksocket');
    const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
    await server.start();
    const port = server.address()?.port ?? 0;
    const socket = createSocket('udp4');
    socket.bindSync({ address: '127.0.0.1' });
    socket.connectSync(port, '127.0.0.1');
    const heard: string[] = [];
    const results: unknown[] = [];
    socket.on('message', (data) => heard.push(`${data}`));
    for (const text of ['a', 'bb', 'ccc']) socket.send(text, (error, bytes) => results.push(error ?? bytes));
    socket.send(Buffer.alloc(65_508), (error) => results.push((error as NodeJS.ErrnoException).code));
    while (heard.length < 3 || results.length < 4) await new Promise(setImmediate);
    const { txDatagrams, txErrors, txDropped } = socket.stats();
    console.log(
      JSON.stringify({ heard, results, txDatagrams, txErrors, txDropped, server: server.stats().txDatagrams }),
    );
    socket.close();
    await server.stop();
  };
  const { stdout, stderr } = await runProgram(program, [], {
    env: { KSOCKET_BACKEND: 'dgram', KSOCKET_ENGINE: undefined },
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  assert.equal(stderr, '');
  assert.deepEqual(JSON.parse(stdout), {
    heard: ['a', 'bb', 'ccc'],
    results: [1, 2, 3, 'EMSGSIZE'],
    txDatagrams: 3,
    txErrors: 1,
    txDropped: 0,
    server: 3,
  });
});
