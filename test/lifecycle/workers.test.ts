// Several environments in one process: the main thread and workers, each with its own I/O threads.
import assert from 'node:assert/strict';
import { runProgram, startProgram } from '../support/child.js';
import { startSender } from '../support/programs.js';
import { test } from '../support/test.js';

type Environments = typeof import('../support/environments.js');
const environments = new URL('../support/environments.js', import.meta.url).href;

/** Runs a program whose first argument is where `environments` is, with a flood for every `port N` that it says.
 * Returns the other lines. */
async function runWithFlood(
  program: (...args: string[]) => Promise<void>,
  args: string[] = [],
  rate = 20_000, // no more: the senders are many and the processors few
): Promise<string[]> {
  await using child = startProgram(program, [environments, ...args], { deadlineMs: 60_000 });
  const senders = new Map<string, ReturnType<typeof startSender>>();
  let ended = false;
  try {
    const ending = child.end().finally(() => {
      ended = true;
    });
    while (!ended) {
      for (const line of child.lines) {
        const port = /^port (\d+)$/.exec(line)?.[1];
        if (port && !senders.has(port)) {
          senders.set(port, startSender({ port: Number(port), count: 0, bytes: 64, rate }));
        }
      }
      await Promise.race([ending, new Promise((resolve) => setTimeout(resolve, 5))]);
    }
    const result = await ending;
    assert.deepEqual([result.code, result.signal, result.stderr], [0, null, ''], JSON.stringify(result));
    return result.stdout.split('\n').filter((line) => !['', 'output'].includes(line) && !line.startsWith('port '));
  } finally {
    for (const sender of senders.values()) await sender[Symbol.asyncDispose]();
  }
}

for (const [name, data] of Object.entries({
  'shared thread': { options: {} },
  'dedicated thread': { options: { thread: 'dedicated' } },
  'busy-polling thread': { options: { busyPoll: 100 } },
  server: { server: true },
})) {
  test(`worker.terminate() while it receives: ${name}`, async () => {
    const lines = await runWithFlood(
      async (environments, data) => {
        const { once, startWorker, fdCount, settled } = (await import(environments)) as Environments;
        console.log('output'); // the first output opens a descriptor
        const before = fdCount();
        for (let i = 0; i < 5; i++) {
          const { worker, port } = await startWorker(JSON.parse(data));
          console.log(`port ${port}`);
          await once(worker, 'message'); // 1000 received
          console.log(await worker.terminate());
        }
        await settled(before);
        console.log('settled');
      },
      [JSON.stringify(data)],
    );
    assert.deepEqual(lines, ['1', '1', '1', '1', '1', 'settled']);
  });
}

test('worker.terminate() while datagrams trickle in, which an idle event loop receives by itself', async () => {
  const lines = await runWithFlood(
    async (environments) => {
      const { once, startWorker, fdCount, settled } = (await import(environments)) as Environments;
      console.log('output'); // the first output opens a descriptor
      const before = fdCount();
      for (let i = 0; i < 10; i++) {
        const { worker, port } = await startWorker({ every: 5 + i });
        console.log(`port ${port}`);
        await once(worker, 'message');
        await worker.terminate();
      }
      await settled(before);
      console.log('settled');
    },
    [],
    300,
  );
  assert.deepEqual(lines, ['settled']);
});

// JavaScript goes on for a moment after its environment has begun to end, and every call of the addon fails then.
test('worker.terminate() while it sends', async () => {
  const { code, signal, stdout, stderr } = await runProgram(
    async (rounds) => {
      const { Worker } = await import('node:worker_threads');
      const { once } = await import('node:events');
      const source = `
        const { parentPort } = require('node:worker_threads');
        import('ksocket').then(({ createSocket }) => {
          const socket = createSocket('udp4');
          socket.bind(0, '127.0.0.1', () => {
            const { port } = socket.address();
            parentPort.postMessage('sends');
            setImmediate(function turn() {
              for (let i = 0; i < 50; i++) socket.send('x', port, '127.0.0.1', i === 0 ? () => {} : undefined);
              setImmediate(turn);
            });
          });
        });
      `;
      let terminated = 0;
      for (let i = 0; i < rounds; i++) {
        const worker = new Worker(source, { eval: true, execArgv: [] });
        await once(worker, 'message');
        await new Promise((resolve) => setTimeout(resolve, i % 10)); // at another moment each time
        terminated += await worker.terminate();
      }
      console.log(terminated);
    },
    [100],
    { deadlineMs: 60_000 },
  );
  assert.deepEqual([code, signal, stderr, stdout], [0, null, '', '100\n']);
});

test('a worker that exits, throws, closes or unrefs while it receives', async () => {
  for (const [does, outcome] of [
    ['exit in a listener', 'exit 4'],
    ['throw in a listener', 'error thrown in a worker'],
    ['close in a listener', 'exit 0'],
    ['unref', 'exit 0'],
  ]) {
    for (const server of ['', 'server']) {
      const lines = await runWithFlood(
        async (environments, does, server) => {
          const { startWorker, fdCount, settled } = (await import(environments)) as Environments;
          console.log('output'); // the first output opens a descriptor
          const before = fdCount();
          const { worker, port } = await startWorker({ server: server !== '', does: does as 'unref' });
          console.log(`port ${port}`);
          const outcome = await new Promise((resolve) => {
            worker.on('error', (error: Error) => resolve(`error ${error.message}`));
            worker.on('exit', (code) => resolve(`exit ${code}`));
          });
          console.log(outcome);
          await settled(before);
          console.log('settled');
        },
        [does, server],
      );
      assert.deepEqual(lines, [outcome, 'settled'], `${does} ${server}`);
    }
  }
});

test('the main thread and several workers receive at once, and end one after the other', async () => {
  const lines = await runWithFlood(async (environments) => {
    const { once, startWorker, fdCount, ioThreadCount, settled } = (await import(environments)) as Environments;
    const { createSocket } = await import('ksocket');
    console.log('output'); // the first output opens a descriptor
    const before = fdCount();
    let received = 0;
    const socket = createSocket('udp4', () => received++);
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const workers = await Promise.all(Array.from({ length: 4 }, (_, i) => startWorker({ server: i === 3 })));
    const heard = workers.map(({ worker }) => once(worker, 'message'));
    console.log(`port ${socket.address().port}`);
    for (const { port } of workers) console.log(`port ${port}`);
    await Promise.all(heard);
    while (received < 1000) await new Promise((resolve) => setTimeout(resolve, 5));
    console.log(`${ioThreadCount()} threads`);
    for (const { worker } of workers) {
      const at = received;
      await worker.terminate();
      while (received < at + 100) await new Promise((resolve) => setTimeout(resolve, 5)); // the others go on
    }
    socket.close();
    await settled(before);
    console.log('settled');
  });
  assert.deepEqual(lines, ['5 threads', 'settled']);
});

test('50 workers are started and terminated, each at another moment', async () => {
  const lines = await runWithFlood(async (environments) => {
    const { once, createWorker, fdCount, settled } = (await import(environments)) as Environments;
    const { createSocket } = await import('ksocket');
    console.log('output'); // the first output opens a descriptor
    const before = fdCount();
    const sender = createSocket('udp4');
    await new Promise<void>((resolve) => sender.bind(0, '127.0.0.1', resolve));
    for (let i = 0; i < 50; i++) {
      const worker = createWorker({ options: i % 3 === 0 ? { busyPoll: 50 } : {} });
      if (i % 5 === 0)
        await once(worker, 'online'); // before its socket is bound, or while
      else {
        const [{ port }] = await once(worker, 'message');
        for (let k = 0; k < i * 10; k++) sender.send('datagram', port, '127.0.0.1');
        if (i % 5 === 1) await new Promise(setImmediate);
        if (i % 5 === 2) await new Promise((resolve) => setTimeout(resolve, i / 10));
      }
      await worker.terminate();
    }
    sender.close();
    await settled(before);
    console.log('settled');
  });
  assert.deepEqual(lines, ['settled']);
});

test('the program ends while workers receive', async () => {
  for (const how of ['exit', 'throw', 'natural']) {
    await using child = startProgram(
      async (environments: string, how: string) => {
        const { once, startWorker } = (await import(environments)) as Environments;
        const workers = await Promise.all([startWorker({}), startWorker({ server: true }), startWorker({})]);
        const heard = workers.map(({ worker }) => once(worker, 'message'));
        for (const { port } of workers) console.log(`port ${port}`);
        await Promise.all(heard);
        if (how === 'exit') process.exit(6);
        if (how === 'throw') throw new Error('thrown by the main thread');
        for (const { worker } of workers) worker.unref();
      },
      [environments, how],
    );
    const ports = [];
    for (let i = 1; i <= 3; i++) {
      await child.line(/^port/);
      while (child.lines.length < i) await new Promise((resolve) => setTimeout(resolve, 2));
      ports.push(Number(child.lines[i - 1].slice(5)));
    }
    const senders = ports.map((port) => startSender({ port, count: 0, bytes: 64, rate: 20_000 }));
    try {
      const { code, signal, stderr } = await child.end();
      assert.deepEqual([code, signal], [how === 'exit' ? 6 : how === 'throw' ? 1 : 0, null], `${how}: ${stderr}`);
      if (how === 'throw') assert.match(stderr, /Error: thrown by the main thread/);
      else assert.equal(stderr, '');
    } finally {
      for (const sender of senders) await sender[Symbol.asyncDispose]();
    }
  }
});
