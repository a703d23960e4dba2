// What comes faster than a listener takes it, on the backend that cannot leave it to the kernel.
import assert from 'node:assert/strict';
import type { SocketOptions, Stats } from 'ksocket';
import { runProgram } from '../support/child.js';
import { test } from '../support/test.js';

const COUNT = 200;

interface Crowd {
  /** In the order in which the listener got them. */
  numbers: number[];
  stats: Stats;
}

/** Numbered datagrams, many in each turn of the event loop, while the listener takes its time for each: several times what
 * the smallest ring holds, and less than the kernel's buffer. */
async function crowd(onFull: SocketOptions['onFull']): Promise<Crowd> {
  const program = async (wanted: typeof onFull, count: number) => {
    const { createSocket } = await import('ksocket');
    const receiver = createSocket({ type: 'udp4', ringBytes: 256 * 1024, recvBufferSize: 4 << 20, onFull: wanted });
    const numbers: number[] = [];
    receiver.on('message', (data) => {
      for (const until = performance.now() + 2; performance.now() < until; );
      numbers.push(data.readUInt32LE());
    });
    await new Promise<void>((resolve) => receiver.bind(0, '127.0.0.1', resolve));
    const sender = createSocket('udp4');
    sender.connectSync(receiver.address().port);
    for (let n = 0; n < count; n += 10) {
      const some = Array.from({ length: 10 }, (_, i) => {
        const data = Buffer.alloc(9000);
        data.writeUInt32LE(n + i);
        return data;
      });
      sender.sendMany(some);
      await new Promise(setImmediate);
    }
    while (numbers.length + receiver.stats().rxRingDrops < count) await new Promise(setImmediate);
    console.log(JSON.stringify({ numbers, stats: receiver.stats() }));
    receiver.close();
    sender.close();
  };
  const { stdout } = await runProgram(program, [onFull, COUNT], {
    env: { KSOCKET_BACKEND: 'dgram', KSOCKET_ENGINE: undefined },
  });
  return JSON.parse(stdout);
}

test('onFull block: what the ring has no place for comes later, in order', async () => {
  const { numbers, stats } = await crowd('block');
  assert.deepEqual(
    numbers,
    Array.from({ length: COUNT }, (_, n) => n),
  );
  assert.deepEqual([stats.rxRingDrops, stats.rxDatagrams], [0, COUNT]);
  assert.ok(stats.rxPauses > 0, 'the ring was full');
});

test('onFull drop: what it has no place for is dropped and counted, the others come in order', async () => {
  const { numbers, stats } = await crowd('drop');
  assert.deepEqual(
    numbers,
    numbers.toSorted((a, b) => a - b),
  );
  assert.equal(numbers.length + stats.rxRingDrops, COUNT);
  assert.equal(stats.rxDatagrams, COUNT);
  assert.ok(stats.rxRingDrops > 0, 'something was dropped');
  assert.equal(stats.rxPauses, 0);
});

test('what waits for room keeps no program running whose sockets are unref’d, and comes as long as it runs', async () => {
  const program = async (count: number, listenerMs: number, runs: boolean) => {
    const { createSocket } = await import('ksocket');
    const receiver = createSocket({ type: 'udp4', ringBytes: 256 * 1024, recvBufferSize: 4 << 20 });
    const sender = createSocket('udp4');
    receiver.bindSync({ address: '127.0.0.1' });
    sender.connectSync(receiver.address().port);
    let calls = 0;
    const rest = runs ? setTimeout(() => console.log('too late'), 10_000) : undefined;
    receiver.on('message', () => {
      for (const until = performance.now() + listenerMs; performance.now() < until; );
      if (++calls === 1) for (const socket of [receiver, sender]) socket.unref();
      if (calls === count) clearTimeout(rest);
    });
    sender.sendMany(Array.from({ length: count }, () => Buffer.alloc(9000)));
    process.on('exit', () => console.log(JSON.stringify([calls, receiver.stats().rxPauses])));
  };
  const env = { KSOCKET_BACKEND: 'dgram', KSOCKET_ENGINE: undefined };
  for (const listenerMs of [0, 2]) {
    const { stdout } = await runProgram(program, [COUNT, listenerMs, true], { env });
    const [calls, pauses] = JSON.parse(stdout);
    assert.equal(calls, COUNT);
    assert.ok(pauses > 0, 'the ring was full');
    const { stdout: alone } = await runProgram(program, [COUNT, listenerMs, false], { env });
    const [few] = JSON.parse(alone);
    assert.ok(few < COUNT / 4, `ended after ${few} calls, of ${listenerMs} ms each`);
  }
});

test('what comes faster than it is read gets a larger buffer of the kernel, unless somebody has chosen its size', async () => {
  const program = async (many: number, size: number, later: boolean) => {
    const { createSocket } = await import('ksocket');
    const receiver = createSocket({ type: 'udp4', ...(size > 0 && !later ? { recvBufferSize: size } : {}) });
    const sender = createSocket('udp4');
    receiver.bindSync({ address: '127.0.0.1' });
    if (size > 0 && later) receiver.setRecvBufferSize(size);
    const before = receiver.getRecvBufferSize();
    sender.connectSync(receiver.address().port);
    let calls = 0;
    receiver.on('message', () => {
      if (++calls < many) return;
      console.log(receiver.getRecvBufferSize() > before);
      receiver.close();
      sender.close();
    });
    sender.sendMany(Array.from({ length: many }, () => Buffer.alloc(10)));
  };
  for (const [args, grows] of [
    [[24, 0, false], true],
    [[23, 0, false], false],
    [[24, 50_000, false], false],
    [[24, 50_000, true], false],
  ] as const) {
    const { stdout, stderr } = await runProgram(program, [...args], {
      env: { KSOCKET_BACKEND: 'dgram', KSOCKET_ENGINE: undefined },
    });
    assert.deepEqual([stdout, stderr], [`${grows}\n`, ''], `${args}`);
  }
});
