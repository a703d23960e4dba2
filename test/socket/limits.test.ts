// What the README's tables say of defaults and limits.
import assert from 'node:assert/strict';
import { IoThread } from '../../build-lib/thread/io-thread.js';
import { defaultThreadOptions } from '../../build-lib/thread/options.js';
import { runProgram } from '../support/child.js';
import { bound, Sockets } from '../support/peer.js';
import { AHEAD_BYTES, sendWhileBlocked } from '../support/programs.js';
import { test } from '../support/test.js';
import { blockUntil, waitFor } from '../support/wait.js';

test('a thread has 16 MiB of ring, and waits up to 200 µs for 64 datagrams, where it pays', () => {
  assert.deepEqual(defaultThreadOptions, {
    ringBytes: 16 * 2 ** 20,
    busyPoll: 0,
    rxUsecs: 200,
    rxFrames: 64,
    adaptiveRx: true,
  });
});

for (const [what, count, bytes, fit] of [
  ['65 536 datagrams', 66_000, 0, 65_536],
  ['12 MiB of payload, back to back', 10_000, 1400, Math.floor((12 * 2 ** 20) / 1400)],
] as const) {
  test(`the ring takes ${what}, while JavaScript is busy`, async () => {
    await using sockets = new Sockets();
    const socket = sockets.make({ type: 'udp4', onFull: 'drop' });
    const port = await bound(socket);
    let received = 0;
    socket.on('message', () => received++);
    sendWhileBlocked({ port, count, bytes, ahead: AHEAD_BYTES });
    // The last ones may still lie in the kernel's buffer, and would find room once JavaScript reads.
    blockUntil(() => socket.stats().rxDatagrams === count, 'the thread has them all');
    await waitFor(() => received + socket.stats().rxRingDrops === count);
    const { rxDatagrams, rxRingDrops } = socket.stats();
    assert.deepEqual([rxDatagrams, received, rxRingDrops], [count, fit, count - fit]);
  });
}

test('a thread has room for 1 048 575 sockets, the next one is EMFILE, and a closed one makes room', () => {
  const thread = new IoThread({ ...defaultThreadOptions, ringBytes: 256 * 1024 }, () => {});
  try {
    const first = thread.reserve();
    for (let i = 2; i <= 1_048_575; i++) thread.reserve();
    assert.throws(() => thread.reserve(), { code: 'EMFILE' });
    thread.release(first);
    thread.reserve();
    assert.throws(() => thread.reserve(), { code: 'EMFILE' });
  } finally {
    thread.stop();
  }
});

/** Descriptors beside the sockets' own while so many are open, where a process may have `limit`. */
async function extraDescriptors(limit: number, counts: number[]): Promise<number[]> {
  const { code, stdout, stderr } = await runProgram(
    async (counts: number[]) => {
      const { createSocket } = await import('ksocket');
      const { readdirSync } = await import('node:fs');
      const fds = () => readdirSync('/proc/self/fd').length;
      const before = fds();
      const sockets = [];
      const extra: number[] = [];
      for (const count of counts) {
        while (sockets.length < count) {
          const socket = createSocket('udp4');
          sockets.push(socket);
          await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
        }
        extra.push(fds() - before - count);
      }
      console.log(JSON.stringify(extra));
      for (const socket of sockets) socket.close();
    },
    [counts],
    { under: ['bash', '-c', `ulimit -n ${limit}; exec "$@"`, 'limited'] },
  );
  assert.deepEqual([code, stderr], [0, '']);
  return JSON.parse(stdout);
}

test('sockets cost up to 64 descriptors more for all of them, a sixteenth of the limit at most', async () => {
  for (const [limit, places] of [
    [1024, 64],
    [480, 30],
  ]) {
    const [one, several, many, more] = await extraDescriptors(limit, [1, 11, 100, 200]);
    const shares = process.env.KSOCKET_ENGINE !== 'posix';
    assert.equal(several - one, shares ? 10 : 0, 'one each');
    assert.equal(many - one, shares ? places - 1 : 0, 'and no more than these');
    assert.equal(more, many);
  }
});
