// Test runners and programs replace the clock, the tick queue and the timers. Sockets do not notice.
import assert from 'node:assert/strict';
import { nodeBinary } from '../dgram/nodes.js';
import { runProgram } from '../support/child.js';
import { test } from '../support/test.js';

const fakes = new URL('../support/fakes.js', import.meta.url).href;

/** 50 datagrams before, 50 under and 50 after the fakes; everything that a socket does on a tick happens under them. */
async function underFakes(how: 'sinon' | 'swallow', support: string): Promise<void> {
  const { createSocket } = await import('ksocket');
  const { fakeTimers } = (await import(support)) as typeof import('../support/fakes.js');
  const { default: timers } = await import('node:timers');
  const sinon = await import('@sinonjs/fake-timers' as string);
  const { setImmediate: turn, setTimeout: later } = { ...timers };

  const install = (): (() => void) => {
    if (how === 'sinon') {
      const clock = sinon.default.install({ shouldClearNativeTimers: true }); // all that it knows
      return () => clock.uninstall();
    }
    fakeTimers(true);
    return () => fakeTimers(false);
  };

  const count = { messages: 0, batches: 0, callbacks: 0, taken: 0 };
  const events: string[] = [];
  const sender = createSocket('udp4');
  const receiver = createSocket('udp4');
  const inBatches = createSocket('udp4');
  await new Promise<void>((resolve) => receiver.bind(0, '127.0.0.1', resolve));
  await new Promise<void>((resolve) => inBatches.bind(0, '127.0.0.1', resolve));
  await new Promise<void>((resolve) => sender.bind(0, '127.0.0.1', resolve));
  receiver.on('message', () => {
    count.messages++;
    const until = process.cpuUsage().user + 50; // a slow listener: the drain ends after it
    while (process.cpuUsage().user < until);
  });
  inBatches.on('batch', (batch) => {
    count.batches += batch.length;
  });
  const send50 = () => {
    for (let i = 0; i < 50; i++) {
      sender.send('x', receiver.address().port, '127.0.0.1', () => count.callbacks++);
    }
    const to = ['y', inBatches.address().port, '127.0.0.1'];
    count.taken += sender.sendMany(Array.from({ length: 50 }, () => to).flat());
  };
  const settled = async (n: number) => {
    for (let i = 0; i < 400; i++) {
      await new Promise((resolve) => later.call(timers, resolve, 5));
      if (count.messages >= n && count.batches >= n && count.callbacks >= n) break;
    }
    await new Promise((resolve) => turn(resolve));
    return { ...count };
  };
  send50();
  const before = await settled(50);
  const restore = install();
  send50();
  const during = await settled(100);
  const other = createSocket('udp4');
  for (const event of ['listening', 'connect', 'close'] as const) other.on(event, () => events.push(event));
  other.bindSync({ port: 0, address: '127.0.0.1' });
  other.connectSync(receiver.address().port, '127.0.0.1');
  await new Promise((resolve) => later.call(timers, resolve, 50));
  other.close();
  await new Promise((resolve) => later.call(timers, resolve, 50));
  restore();
  send50();
  const after = await settled(150);
  console.log(JSON.stringify({ before, during, after, events }));
  for (const socket of [sender, receiver, inBatches]) socket.close();
}

for (const major of [20, 22, 24, 26]) {
  for (const how of ['sinon', 'swallow'] as const) {
    test(`nothing is lost while clock, ticks and timers are fakes (${how}), nor after, Node ${major}`, async () => {
      const { code, stdout, stderr } = await runProgram(underFakes, [how, fakes], { node: nodeBinary(major) });
      assert.deepEqual([code, stderr], [0, '']);
      const all = (n: number) => ({ messages: n, batches: n, callbacks: n, taken: n });
      assert.deepEqual(JSON.parse(stdout), {
        before: all(50),
        during: all(100),
        after: all(150),
        events: ['listening', 'connect', 'close'],
      });
    });
  }
}

test('a tick that never came, as nextTick was a fake at import, delays datagrams and loses none', async () => {
  const { code, stdout, stderr } = await runProgram(async () => {
    const { nextTick } = process;
    process.nextTick = () => {};
    const importing = import('ksocket'); // Node's own loader needs ticks
    while ((await Promise.race([importing, null])) === null) await new Promise((resolve) => setTimeout(resolve, 1));
    const { createSocket } = await importing;
    const receiver = createSocket('udp4');
    const sender = createSocket('udp4');
    receiver.bindSync({ port: 0, address: '127.0.0.1' });
    sender.bindSync({ port: 0, address: '127.0.0.1' });
    const got: string[] = [];
    receiver.on('message', (data) => got.push(data.toString()));
    process.nextTick = nextTick;
    for (let i = 0; got.length < 20 && i < 400; i++) {
      sender.send(`${i}`, receiver.address().port, '127.0.0.1');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    console.log(got.slice(0, 20).join());
    process.exit();
  }, []);
  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(stdout, `${Array.from({ length: 20 }, (_, i) => i).join()}\n`);
});

for (const major of [20, 24]) {
  test(`timers that are fakes at the import, and later no more: nothing is lost, Node ${major}`, async () => {
    const program = async () => {
      const { createRequire } = await import('node:module');
      const fakes = createRequire(`${process.cwd()}/package.json`)('@sinonjs/fake-timers');
      const loaded = import('@sinonjs/fake-timers' as string); // what the loader needs is there
      await loaded;
      const wait = setTimeout;
      const clock = fakes.install({ toFake: ['setImmediate', 'setTimeout', 'nextTick', 'hrtime', 'Date'] });
      let ksocket: typeof import('ksocket') | undefined;
      import('ksocket').then((module) => {
        ksocket = module;
      });
      for (let i = 0; ksocket === undefined && i < 1000; i++) await new Promise((resolve) => wait(resolve, 5));
      const { createSocket } = ksocket as typeof import('ksocket');
      const [receiver, sender] = [createSocket('udp4'), createSocket('udp4')];
      const events: string[] = [];
      for (const socket of [receiver, sender]) {
        await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve)); // ticks are fakes
        socket.on('close', () => events.push('close'));
      }
      let received = 0;
      let called = 0;
      receiver.on('message', () => {
        received++;
        const until = process.cpuUsage().user + 700; // the drain ends after it
        while (process.cpuUsage().user < until);
      });
      const send20 = async (until: number) => {
        for (let i = 0; i < 20; i++) sender.send('x', receiver.address().port, '127.0.0.1', () => called++);
        for (let i = 0; received < until && i < 400; i++) await new Promise((resolve) => wait(resolve, 5));
      };
      await send20(20);
      clock.uninstall();
      await send20(40);
      for (const socket of [receiver, sender]) socket.close();
      await new Promise((resolve) => wait(resolve, 20));
      console.log(JSON.stringify({ received, called, events }));
      process.exit();
    };
    const { code, stdout, stderr } = await runProgram(program, [], { node: nodeBinary(major) });
    assert.deepEqual([code, stderr], [0, '']);
    assert.deepEqual(JSON.parse(stdout), { received: 40, called: 40, events: ['close', 'close'] });
  });
}
