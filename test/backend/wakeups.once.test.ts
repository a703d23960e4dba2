// How often JavaScript was woken is counted on node:dgram, too, where the event loop itself wakes it.
import assert from 'node:assert/strict';
import { runProgram } from '../support/child.js';
import { test } from '../support/test.js';

test('node:dgram: each turn of the loop that brought something counts as one', async () => {
  const { stdout, stderr } = await runProgram(
    async () => {
      const { createSocket } = await import('ksocket');
      const { once } = await import('node:events');
      const socket = createSocket('udp4');
      socket.bindSync({ address: '127.0.0.1' });
      const before = socket.stats().thread.wakeups;
      for (let n = 0; n < 5; n++) {
        const heard = once(socket, 'message');
        socket.send('x', socket.address().port, '127.0.0.1');
        await heard;
      }
      console.log(before, socket.stats().thread.wakeups);
      socket.close();
    },
    [],
    { env: { KSOCKET_BACKEND: 'dgram', KSOCKET_ENGINE: undefined } },
  );
  assert.deepEqual([stdout, stderr], ['0 5\n', '']);
});
