// Where a runtime has no process._tickCallback.
import assert from 'node:assert/strict';
import { runProgram } from '../support/child.js';
import { test } from '../support/test.js';

test('without process._tickCallback each datagram gets a turn of its own, and ticks run between two', async () => {
  const { code, stdout, stderr } = await runProgram(async () => {
    Object.defineProperty(process, '_tickCallback', { value: undefined });
    const { createSocket } = await import('ksocket');
    const [receiver, sender] = [createSocket('udp4'), createSocket('udp4')];
    receiver.bindSync({ port: 0, address: '127.0.0.1' });
    sender.bindSync({ port: 0, address: '127.0.0.1' });
    const order: string[] = [];
    receiver.on('message', (data) => {
      order.push(`${data}`);
      process.nextTick(() => order.push(`tick ${data}`));
      Promise.resolve().then(() => order.push(`microtask ${data}`));
      if (order.length >= 28) setTimeout(() => console.log(order.join()), 10);
    });
    for (let i = 0; i < 10; i++) sender.send(`${i}`, receiver.address().port, '127.0.0.1');
    setTimeout(() => process.exit(), 1000);
  }, []);
  assert.deepEqual([code, stderr], [0, '']);
  const expected = Array.from({ length: 10 }, (_, i) => [`${i}`, `tick ${i}`, `microtask ${i}`]).flat();
  assert.equal(stdout, `${expected.join()}\n`);
});
