// Node on a kernel, or in a sandbox, without recvmmsg(2) and sendmmsg(2).
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChildOptions, root, runCli, runProgram } from '../support/child.js';
import { test } from '../support/test.js';

const { runCompiler } = await import(join(root, 'scripts/compiler.mjs'));

/** The program of the native tests that takes the calls away; where they have not been built, built here. */
class Sandbox {
  readonly #directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  readonly command: string;

  constructor() {
    this.command = join(root, 'build-native/default/test/without_mmsg');
    if (existsSync(this.command)) return;
    this.command = join(this.#directory, 'without_mmsg');
    const support = join(root, 'native/test/support');
    const sources = ['without_mmsg.cc', 'seccomp.cc'].map((file) => join(support, file));
    const args = ['-std=c++20', '-I', join(root, 'native/test'), '-o', this.command, ...sources];
    runCompiler(args, { stdio: 'inherit' });
  }

  options(error: string, engine?: string, ...more: string[]): ChildOptions {
    return { under: [this.command, `--errno=${error}`, ...more], env: { KSOCKET_ENGINE: engine } };
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true });
  }
}

async function traffic() {
  const { createServer, createSocket, features } = await import('ksocket');
  const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
  await server.start();
  const socket = createSocket('udp4');
  const port = server.address()?.port ?? 0;
  const received: string[] = [];
  await new Promise<void>((resolve) => {
    socket.on('message', (data) => {
      received.push(`${data}`);
      if (received.length === 200) resolve();
      else if (received.length % 20 === 0) send();
    });
    const send = () => {
      for (let i = 0; i < 20; i++) socket.send(`${received.length + i}`, port, '127.0.0.1');
    };
    send();
  });
  const { engine, recvmmsg, sendmmsg } = features();
  const inOrder = received.every((text, i) => text === `${i}`);
  console.log(JSON.stringify({ engine, recvmmsg, sendmmsg, inOrder }));
  socket.close();
  await server.stop();
}

for (const error of ['ENOSYS', 'EPERM']) {
  test(`where recvmmsg and sendmmsg fail with ${error} the posix engine does the work`, async () => {
    using sandbox = new Sandbox();
    const result = await runProgram(traffic, [], sandbox.options(error));
    assert.deepEqual([result.code, result.signal, result.stderr], [0, null, '']);
    const expected = { engine: 'posix', recvmmsg: false, sendmmsg: false, inOrder: true };
    assert.deepEqual(JSON.parse(result.stdout), expected);
  });
}

test('ksocket info says so', async () => {
  using sandbox = new Sandbox();
  const { code, stdout } = await runCli(['info', '--json'], sandbox.options('ENOSYS'));
  assert.equal(code, 0);
  const { engine, features } = JSON.parse(stdout);
  assert.deepEqual([engine, features.recvmmsg, features.sendmmsg], ['posix', false, false]);
});

test('asked for the engine that cannot work, it fails with a clear error', async () => {
  using sandbox = new Sandbox();
  const result = await runProgram(
    async () => {
      const { createSocket } = await import('ksocket');
      const socket = createSocket('udp4');
      socket.on('error', (error) => console.log(error.message));
      socket.bind(0, '127.0.0.1');
    },
    [],
    sandbox.options('ENOSYS', 'mmsg'),
  );
  assert.deepEqual([result.code, result.stderr], [0, '']);
  assert.match(result.stdout, /ENOSYS|KSOCKET_ENGINE/);
});

async function open() {
  const { createServer, createSocket } = await import('ksocket');
  const { once } = await import('node:events');
  const told: string[] = [];
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  told.push((await once(socket, 'error'))[0]);
  const implicit = createSocket('udp4');
  implicit.send('x', 9, '127.0.0.1');
  told.push((await once(implicit, 'error'))[0]);
  told.push(
    await createServer({ address: '127.0.0.1', port: 0 })
      .start()
      .catch((error) => error),
  );
  for (const error of told as unknown as NodeJS.ErrnoException[]) console.log(`${error.code} ${error.message}`);
}

for (const error of ['ENOSYS', 'EPERM']) {
  for (const engine of [undefined, 'posix']) {
    test(`where poll fails with ${error}, too, bind() says what is missing (${engine ?? 'no'} engine asked for)`, async () => {
      using sandbox = new Sandbox();
      const { code, stdout, stderr } = await runProgram(open, [], sandbox.options(error, engine, '--no-poll'));
      assert.deepEqual([code, stderr], [0, '']);
      const lines = stdout.trim().split('\n');
      assert.equal(lines.length, 3);
      for (const line of lines) {
        assert.match(line, new RegExp(`^${error} .*sandbox.*posix: .*poll`));
        assert.equal(line.includes('mmsg:'), engine === undefined);
      }
    });
  }
}

test('on this kernel both calls are there, and used', async () => {
  const result = await runProgram(traffic, [], { env: { KSOCKET_ENGINE: undefined } });
  const expected = { engine: 'mmsg', recvmmsg: true, sendmmsg: true, inOrder: true };
  assert.deepEqual([result.code, JSON.parse(result.stdout)], [0, expected]);
});
