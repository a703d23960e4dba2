// A descriptor that a live handle of this process has already: as node:dgram, an error and no end of the process.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { constants } from 'node:os';
import { udp4 } from '../../build-lib/base/family.js';
import { createSocket } from '../../build-lib/index.js';
import { sharedThread } from '../../build-lib/thread/io-thread.js';
import { runProgram } from '../support/child.js';
import { test } from '../support/test.js';

async function adoptLive(when: 'at once' | 'later') {
  const { createSocket } = await import('ksocket');
  const dgram = await import('node:dgram');
  const { once } = await import('node:events');
  const owner = dgram.createSocket('udp4');
  owner.bind(0, '127.0.0.1');
  await once(owner, 'listening');
  if (when === 'later') await new Promise((resolve) => setTimeout(resolve, 20));
  const { fd } = (owner as unknown as { _handle: { fd: number } })._handle;
  const told = [createSocket('udp4'), dgram.createSocket('udp4')].map((socket) => {
    try {
      socket.bind({ fd });
      return 'bound';
    } catch (error) {
      const { message, code, syscall } = error as NodeJS.ErrnoException;
      return { message, code, syscall };
    }
  });
  console.log(JSON.stringify(told));
  // The owner goes on as if nothing had been.
  const heard = once(owner, 'message');
  const sender = createSocket('udp4');
  sender.send('still there', owner.address().port, '127.0.0.1');
  console.log(`${(await heard)[0]}`);
  // And once it has closed, its number is anybody's.
  owner.close();
  sender.close();
}

function check({
  code,
  signal,
  stdout,
  stderr,
}: {
  code: number | null;
  signal: unknown;
  stdout: string;
  stderr: string;
}) {
  assert.deepEqual([code, signal], [0, null], stderr);
  const [told, heard] = stdout.split('\n');
  const [ours, nodes] = JSON.parse(told);
  assert.deepEqual(ours, nodes);
  assert.equal(ours.code, 'EEXIST');
  assert.equal(heard, 'still there');
}

for (const when of ['at once', 'later'] as const) {
  // `_handle` is deprecated under its flag only.
  test(`bind({ fd }) of a node:dgram socket's descriptor, ${when}`, async () => {
    check(await runProgram(adoptLive, [when], { execArgv: ['--no-deprecation'] }));
  });
}

test('where an adopted descriptor cannot be watched, the error names neither address nor port', async () => {
  const thread = sharedThread();
  const id = thread.reserve();
  const native = thread.changing();
  assert.equal(native.open(id, udp4.number, 0), 0);
  assert.equal(native.bind(id, '127.0.0.1', 0), 0);
  const fd = native.copyFd(id);
  thread.release(id);
  const socket = createSocket('udp4');
  Object.defineProperty(native, 'watch', { value: () => -constants.errno.EPERM, configurable: true });
  try {
    const failed = once(socket, 'error');
    socket.bind({ fd });
    const [{ message, code, address, port }] = await failed;
    assert.deepEqual([message, code, address, port], ['bind EPERM', 'EPERM', '', undefined]);
  } finally {
    Reflect.deleteProperty(native, 'watch');
    socket.close();
  }
});
