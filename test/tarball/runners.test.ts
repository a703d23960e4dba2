// Test runners that load modules in their own way (docs/testing.md).
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { fromNpm } from '../support/npm.js';
import { test } from '../support/test.js';
import { Consumer } from './consumer.js';

const body = (expectation: string) => `
test('a datagram to itself', async () => {
  const socket = createSocket('udp4');
  const heard = new Promise((resolve) => socket.on('message', (data) => resolve(String(data))));
  await new Promise((resolve) => socket.bind(0, '127.0.0.1', resolve));
  socket.send('hello', socket.address().port, '127.0.0.1');
  ${expectation}
  await new Promise((resolve) => socket.close(resolve));
});
`;
const expectation = "expect(await heard).toBe('hello');";

async function installed(manifest: object): Promise<Consumer> {
  const consumer = new Consumer(manifest);
  await consumer.install();
  return consumer;
}

const jest = () => join(fromNpm('jest@30'), 'node_modules/jest/bin/jest.js');
const jestArgs = ['--ci', '--silent=false', '--detectOpenHandles', '--colors=false'];

/** With the addon, and as on a platform that there is none for. */
async function passes(consumer: Consumer): Promise<void> {
  const args = ['--experimental-vm-modules', '--no-warnings', jest(), ...jestArgs];
  for (const KSOCKET_BACKEND of ['addon', 'dgram']) {
    const { code, stderr } = await consumer.run(process.execPath, args, { env: { KSOCKET_BACKEND } });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /Tests: +1 passed, 1 total/);
    assert.doesNotMatch(stderr, /open handle|did not exit/);
  }
}

test('Jest, ECMAScript modules', async () => {
  using consumer = await installed({ type: 'module', jest: { transform: {}, testEnvironment: 'node' } });
  consumer.write('socket.test.js', `import { createSocket } from 'ksocket';${body(expectation)}`);
  await passes(consumer);
});

test('Jest, CommonJS', async () => {
  using consumer = await installed({ type: 'commonjs', jest: { testEnvironment: 'node' } });
  // Its require() takes no ECMAScript module before Node 24.9, whatever Node's own does; its import() does.
  const load = "let createSocket; beforeAll(async () => ({ createSocket } = await import('ksocket')));";
  consumer.write('socket.test.js', load + body(expectation));
  await passes(consumer);
});

for (const pool of ['forks', 'threads']) {
  test(`vitest, ${pool}`, async () => {
    using consumer = await installed({ type: 'module' });
    const prefix = fromNpm('vitest@3');
    consumer.write(
      'socket.test.js',
      `import { expect, test } from ${JSON.stringify(join(prefix, 'node_modules/vitest/dist/index.js'))};
       import { createSocket } from 'ksocket';${body(expectation)}`,
    );
    const args = [join(prefix, 'node_modules/vitest/vitest.mjs'), 'run', `--pool=${pool}`, '--reporter=verbose'];
    const { code, stdout, stderr } = await consumer.run(process.execPath, args, { env: { NO_COLOR: '1', CI: 'true' } });
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /Tests +1 passed \(1\)/);
  });
}
