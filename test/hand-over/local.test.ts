// A local socket goes from one process to another.
import assert from 'node:assert/strict';
import { runProgram } from '../support/child.js';
import { test } from '../support/test.js';

test('a worker takes over and hands over, and Node has nothing to warn of', async () => {
  const result = await runProgram(async () => {
    const { once } = await import('node:events');
    const { Worker } = await import('node:worker_threads');
    const { createSocket } = await import('ksocket');
    const program = `import('ksocket').then(async ({ createSocket }) => {
      const { parentPort, workerData } = require('node:worker_threads');
      const socket = createSocket('unix_dgram');
      await socket.takeOver(workerData);
      const given = socket.handOver(workerData);
      parentPort.postMessage('took over');
      await given;
    });`;
    const door = `\0ksocket-test-${process.pid}`;
    const [first, last] = [createSocket('unix_dgram'), createSocket('unix_dgram')];
    first.bindSync(`${door}-name`);
    const given = first.handOver(door);
    const worker = new Worker(program, { eval: true, execArgv: [], workerData: door });
    await once(worker, 'message');
    await given;
    await last.takeOver(door);
    await once(worker, 'exit');
    process.stdout.write(last.address().path.slice(door.length));
    last.close();
  }, []);
  assert.equal(result.stderr, '');
  assert.equal(result.stdout, '-name');
});
