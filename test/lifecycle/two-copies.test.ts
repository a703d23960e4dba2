// The package installed several times: as many addons in one process, each from a path of its own.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, runProgram } from '../support/child.js';
import { bound, Inbox, Sockets } from '../support/peer.js';
import { test } from '../support/test.js';

class Copies {
  readonly directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  readonly paths: string[];

  constructor(count: number) {
    this.paths = Array.from({ length: count }, (_, i) => this.#copy(`${i}`));
  }

  #copy(name: string): string {
    const copy = join(this.directory, name);
    for (const part of ['dist', 'prebuilds', 'package.json']) {
      cpSync(join(root, part), join(copy, part), { recursive: true });
    }
    return join(copy, 'dist/index.js');
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}

test('two copies talk to each other in one process, and end cleanly', async () => {
  using copies = new Copies(2);
  const result = await runProgram(
    async (paths: string[]) => {
      const [one, two] = (await Promise.all(paths.map((path) => import(path)))) as typeof import('ksocket')[];
      const received: string[] = [];
      const a = one.createSocket('udp4');
      const b = two.createSocket('udp4');
      await new Promise<void>((resolve) => a.bind(0, '127.0.0.1', resolve));
      await new Promise<void>((resolve) => b.bind(0, '127.0.0.1', resolve));
      const server = two.createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
      await server.start();
      await new Promise<void>((resolve) => {
        a.on('message', (data) => {
          received.push(`${data}`);
          if (received.length < 100) a.send(`${received.length}`, b.address().port, '127.0.0.1');
          else resolve();
        });
        b.on('message', (data) => b.send(`${data} back`, a.address().port, '127.0.0.1'));
        a.send('0', b.address().port, '127.0.0.1');
      });
      console.log(received.length, one.createSocket === two.createSocket);
      a.close();
      b.close();
      await server.stop();
    },
    [copies.paths],
  );
  assert.deepEqual(result, { code: 0, signal: null, stdout: '100 false\n', stderr: '' });
});

test('two copies in workers and in the main thread, terminated and left to process.exit()', async () => {
  using copies = new Copies(2);
  const result = await runProgram(
    async (paths: string[]) => {
      const { Worker } = await import('node:worker_threads');
      const { once } = await import('node:events');
      const source = `
        const { parentPort, workerData } = require('node:worker_threads');
        import(workerData).then(({ createSocket }) => {
          const socket = createSocket('udp4', () => {});
          socket.bind(0, '127.0.0.1', () => {
            setInterval(() => socket.send('x', socket.address().port, '127.0.0.1'), 1);
            parentPort.postMessage('up');
          });
        });
      `;
      const { createSocket } = (await import(paths[0])) as typeof import('ksocket');
      createSocket('udp4').bind(0, '127.0.0.1');
      const workers = [0, 1, 0, 1].map((i) => new Worker(source, { eval: true, execArgv: [], workerData: paths[i] }));
      await Promise.all(workers.map((worker) => once(worker, 'message')));
      await workers[0].terminate();
      await workers[1].terminate();
      process.exit(9);
    },
    [copies.paths],
  );
  assert.deepEqual(result, { code: 9, signal: null, stdout: '', stderr: '' });
});

test("eleven copies in one process add no listener of 'exit', and all of them send in one", async () => {
  using copies = new Copies(11);
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const result = await runProgram(
    async (paths: string[], port: number) => {
      const before = process.eventNames().map((name) => [name, process.listenerCount(name)].join());
      const all = (await Promise.all(paths.map((path) => import(path)))) as typeof import('ksocket')[];
      const opened = all.map(({ createSocket }) => createSocket('udp4'));
      await Promise.all(opened.map((socket) => new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))));
      const after = process.eventNames().map((name) => [name, process.listenerCount(name)].join());
      console.log(after.join(' ') === before.join(' '));
      process.on('exit', () => {
        for (const socket of opened) socket.send('end', port, '127.0.0.1');
      });
      process.exit(0);
    },
    [copies.paths, port],
  );
  assert.deepEqual(result, { code: 0, signal: null, stdout: 'true\n', stderr: '' });
  await inbox.take(11);
});
