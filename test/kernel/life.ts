// A program: one case of the life of answers in the kernel, in the network namespace that it is started in (life.once.test.ts).
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { createMonitor } from 'ksocket/monitor';
import { Child, startProgram } from '../support/child.js';
import { Asker, answeredAll, ask, becomes, hasProgram, modes, portOf } from '../support/kernel.js';
import { hosts, inKernel, OURS_V4, OURS_V6, saying, serving } from '../support/kernel-server.js';
import { ip, OURS } from '../support/second-host.js';
import { waitFor } from '../support/wait.js';

// A program at the other end: without one it does not take the frames.
async function otherEnd() {
  const { createServer } = await import('ksocket');
  const server = createServer({
    port: 9,
    rules: [],
    kernel: { interfaces: ['theirs0'], mode: 'native', required: true },
  });
  await server.start();
  console.log(server.kernel.state);
}

/** Has a server at this interface until it is killed. */
async function holding(name: string): Promise<void> {
  const { createServer } = await import('ksocket');
  const server = createServer({ port: 0, rules: [], kernel: { interfaces: [name], required: true } });
  await server.start();
  console.log(server.kernel.state);
}

export const cases: Record<string, () => Promise<void>> = {
  'answers leave by the cable that they came by, from both families': async () => {
    await using host = await hosts();
    const server = serving();
    await server.start();
    assert.deepEqual(server.kernel, {
      state: 'attached',
      interfaces: [
        { name: 'lo', mode: 'generic' },
        { name: OURS, mode: 'generic' },
      ],
      passed: {},
    });
    for (const [i, address] of [OURS_V4, OURS_V6].entries()) {
      const asked = await ask(host.before, address, portOf(server), 500);
      assert.ok(answeredAll(asked), JSON.stringify(asked));
      assert.deepEqual(asked.words, { k: 500 });
      assert.equal(inKernel(server), 500 * (i + 1));
    }
    for (const address of ['127.0.0.1', '::1', OURS_V4, OURS_V6]) {
      const asked = await ask([], address, portOf(server), 100);
      assert.ok(answeredAll(asked), `${address}: ${JSON.stringify(asked)}`);
    }
    const { answering, rxDatagrams } = server.stats();
    assert.deepEqual([answering.kernelReplies, answering.replies, rxDatagrams], [1400, 1400, 0]);
    assert.deepEqual(server.ruleHits(), { say: 1400 });
    await server.stop();
    assert.deepEqual([hasProgram(OURS), hasProgram('lo')], [false, false]);
    assert.equal(server.stats().answering.kernelReplies, 1400);
    assert.deepEqual(server.kernel, { state: 'off', interfaces: [], passed: {} });
  },

  'a native program answers where the other end takes its frames': async () => {
    await using host = await hosts();
    const server = serving({ kernel: { interfaces: [OURS], mode: 'native', required: true } });
    await server.start();
    assert.deepEqual(modes(server), [[OURS, 'native']]);
    await using other = new Child(host.before[0], [...host.before.slice(1), process.execPath, '-e', `(${otherEnd})()`]);
    await other.line(/^attached$/);
    const asked = await ask(host.before, OURS_V4, portOf(server), 500);
    assert.ok(answeredAll(asked), JSON.stringify(asked));
    assert.equal(inKernel(server), 500);
    await server.stop();
  },

  'a server that is bound to one address answers at that': async () => {
    await using host = await hosts();
    ip('addr', 'add', '192.0.2.3/24', 'dev', OURS);
    const server = serving({ address: '192.0.2.3' });
    await server.start();
    assert.deepEqual(modes(server), [[OURS, 'generic']]);
    assert.ok(answeredAll(await ask(host.before, '192.0.2.3', portOf(server), 100)));
    assert.equal((await ask(host.before, OURS_V4, portOf(server), 10)).answered, 0);
    assert.equal(inKernel(server), 100);
    await server.stop();
  },

  'the event loop goes on while the kernel attaches to many interfaces': async () => {
    for (let i = 0; i < 12; i++) {
      if (i % 2 === 0) ip('link', 'add', `many${i}`, 'type', 'veth', 'peer', 'name', `many${i + 1}`);
      ip('addr', 'add', `198.51.100.${i + 1}/32`, 'dev', `many${i}`);
      ip('link', 'set', `many${i}`, 'up');
    }
    const server = serving();
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const begin = performance.now();
    await server.start();
    const took = performance.now() - begin;
    await setTimeout(10); // the last turn counts, too
    delay.disable();
    assert.equal(server.kernel.state, 'attached');
    assert.ok(server.kernel.interfaces.length >= 12);
    assert.ok(delay.max / 1e6 < took / 2 + 20, `${delay.max / 1e6} of ${took} ms`);
    await server.stop();
    for (let i = 0; i < 12; i++) assert.equal(hasProgram(`many${i}`), false);
  },

  'addresses that come are answered at, those that went are not': async () => {
    await using host = await hosts();
    const server = serving({ address: '0.0.0.0' });
    await server.start();
    ip('addr', 'add', '192.0.2.77/24', 'dev', OURS);
    // Until the kernel has said so the thread answers.
    let before = -1;
    do {
      before = inKernel(server);
      assert.ok(answeredAll(await ask(host.before, '192.0.2.77', portOf(server), 20)));
    } while (inKernel(server) !== before + 20);
    ip('addr', 'del', '192.0.2.77/24', 'dev', OURS);
    let answered = 1;
    while (answered > 0) ({ answered } = await ask(host.before, '192.0.2.77', portOf(server), 3));
    assert.ok(answeredAll(await ask(host.before, OURS_V4, portOf(server), 20)));
    await server.stop();
  },

  'interfaces that come later answer, and those that go are forgotten': async () => {
    await using _ = await hosts();
    const named = serving({ kernel: { interfaces: ['lo', 'later0'] } });
    await named.start();
    assert.deepEqual(named.kernel, {
      state: 'partly',
      interfaces: [
        { name: 'lo', mode: 'generic' },
        { name: 'later0', mode: null, reason: 'ENODEV: there is no such interface' },
      ],
      passed: {},
    });
    ip('link', 'add', 'later0', 'type', 'veth', 'peer', 'name', 'later1');
    await becomes(named, ({ state }) => state === 'attached');
    assert.ok(hasProgram('later0'));
    ip('link', 'del', 'later0');
    await becomes(named, ({ state }) => state === 'partly');
    await named.stop();
    const any = serving({ address: '0.0.0.0' });
    await any.start();
    assert.deepEqual(modes(any).length, 2);
    ip('link', 'add', 'later0', 'type', 'veth', 'peer', 'name', 'later1');
    ip('addr', 'add', '198.51.100.1/24', 'dev', 'later0');
    ip('link', 'set', 'later0', 'up');
    await becomes(any, ({ interfaces }) =>
      interfaces.some(({ name, mode }) => name === 'later0' && mode === 'generic'),
    );
    ip('addr', 'del', '198.51.100.1/24', 'dev', 'later0');
    await becomes(any, ({ interfaces }) => interfaces.length === 2);
    assert.equal(hasProgram('later0'), false);
    await any.stop();
  },

  'where another program is attached the thread answers, until that one goes': async () => {
    await using host = await hosts();
    await using other = startProgram(holding, [OURS]);
    await other.line(/^attached$/);
    const second = serving({ kernel: { interfaces: [OURS] } });
    await second.start();
    const reason = 'EBUSY: another XDP program is attached';
    assert.deepEqual(second.kernel, {
      state: 'unavailable',
      interfaces: [{ name: OURS, mode: null, reason }],
      reason: `${OURS}: ${reason}`,
      passed: {},
    });
    assert.ok(answeredAll(await ask(host.before, OURS_V4, portOf(second), 100)));
    assert.equal(second.stats().rxDatagrams, 100);
    const third = serving({ kernel: { interfaces: [OURS], required: true } });
    await assert.rejects(third.start(), {
      code: 'EBUSY',
      syscall: 'bpf',
      message: `bpf EBUSY: options.kernel: ${OURS}: another XDP program is attached`,
    });
    assert.equal(third.running, false);
    other.kill('SIGKILL');
    await becomes(second, ({ state }) => state === 'attached');
    assert.ok(answeredAll(await ask(host.before, OURS_V4, portOf(second), 100)));
    assert.equal(inKernel(second), 100);
    await second.stop();
  },

  'servers of one process share an interface': async () => {
    await using host = await hosts();
    ip('addr', 'add', '192.0.2.3/24', 'dev', OURS);
    const any = serving({ rules: [saying('any')] });
    await any.start();
    const others = [
      serving({ rules: [saying('two')] }),
      serving({ rules: [saying('three')], kernel: { interfaces: [OURS] } }),
    ];
    for (const server of others) await server.start();
    const words = async (address: string, port: number) =>
      Object.keys((await ask(host.before, address, port, 30)).words).join();
    const all = async () => {
      const said = [];
      for (const server of [any, ...others])
        said.push(await words(OURS_V4, portOf(server)), await words(OURS_V6, portOf(server)));
      return said;
    };
    for (const server of [any, ...others]) assert.equal(server.kernel.state, 'attached');
    assert.deepEqual(await all(), ['any', 'any', 'two', 'two', 'three', 'three']);
    assert.deepEqual([any, ...others].map(inKernel), [60, 60, 60]);
    // One swaps, one goes: the others stay as they are.
    const asker = await Asker.start(host.before, OURS_V4, portOf(any), 4000, 2000);
    await others[1].update([saying('four')]);
    await others[0].stop();
    await others[0].start();
    await others[0].stop();
    assert.ok(answeredAll(await asker.end()));
    assert.equal(inKernel(any), 4060);
    assert.equal(await words(OURS_V4, portOf(others[1])), 'four');
    assert.equal(hasProgram(OURS), true);
    await others[1].stop();
    await any.stop();
    assert.equal(hasProgram(OURS), false);
  },

  'servers at one port answer each at its own address': async () => {
    await using host = await hosts();
    ip('addr', 'add', '192.0.2.3/24', 'dev', OURS);
    const one = serving({ address: OURS_V4, rules: [saying('one')] });
    await one.start();
    const port = portOf(one);
    const three = serving({ address: '192.0.2.3', port, rules: [saying('three')] });
    await three.start();
    assert.deepEqual((await ask(host.before, '192.0.2.3', port, 30)).words, { three: 30 });
    assert.deepEqual((await ask(host.before, OURS_V4, port, 30)).words, { one: 30 });
    assert.deepEqual([inKernel(one), inKernel(three)], [30, 30]);
    await one.stop();
    await three.stop();
  },

  'a monitor has what the kernel counts': async () => {
    await using host = await hosts();
    const server = serving();
    await server.start();
    const monitor = createMonitor({ servers: [server], port: 0 });
    await monitor.start();
    assert.ok(answeredAll(await ask(host.before, OURS_V4, portOf(server), 100)));
    const metric = async (name: string) => {
      const response = await fetch(`http://127.0.0.1:${monitor.address()?.port}/metrics`);
      return Number(new RegExp(`^ksocket_${name}_total{[^}]*} (\\d+)$`, 'm').exec(await response.text())?.[1]);
    };
    await waitFor(async () => (await metric('kernel_replies')) === 100);
    assert.deepEqual([await metric('replies'), await metric('received_datagrams')], [100, 0]);
    await monitor.stop();
    await server.stop();
  },

  'a worker that ends leaves nothing attached': async () => {
    await using _ = await hosts();
    const program = `require('ksocket').createServer({ port: 0, rules: [], kernel: true }).start().then(() => require('node:worker_threads').parentPort.postMessage(0))`;
    const worker = new Worker(program, { eval: true });
    await once(worker, 'message');
    assert.deepEqual([hasProgram(OURS), hasProgram('lo')], [true, true]);
    await worker.terminate();
    await waitFor(() => !hasProgram(OURS) && !hasProgram('lo'));
  },

  'shards share what the kernel answers': async () => {
    await using host = await hosts();
    const server = serving({ address: '0.0.0.0', shards: 2 });
    await server.start();
    assert.ok(answeredAll(await ask(host.before, OURS_V4, portOf(server), 50)));
    await server.setShards(3);
    assert.ok(answeredAll(await ask(host.before, OURS_V4, portOf(server), 50)));
    await server.setShards(1);
    assert.ok(answeredAll(await ask(host.before, OURS_V4, portOf(server), 50)));
    assert.deepEqual([inKernel(server), server.ruleHits().say], [150, 150]);
    await server.stop();
  },
};

const body = cases[process.argv[2]];
if (body !== undefined) {
  await body();
  console.log(`${process.argv[2]}: done`);
}
