// Workers that are ended in the middle of a native call: Node-API reads no object any more then, and makes none.
import assert from 'node:assert/strict';
import { runProgram } from '../support/child.js';
import { test } from '../support/test.js';

const lib = new URL('../../build-lib/', import.meta.url).href;

/** What a worker does over and over, as a function of what it has. */
const calls: Record<string, string> = {
  adopt: `
    const own = thread.reserve();
    native.adopt(own, { fd: native.copyFd(id), copy: false, flags: 0, libuv: true, family: 4 });
    thread.release(own);`,
  changeMembership: `
    const given = { group: '239.1.2.3', networkInterface: '127.0.0.1', source: '', everywhere: false };
    native.changeMembership(id, { join: true, ...given });
    native.changeMembership(id, { join: false, ...given });`,
  setFilter: `native.setFilter(id, { program: new Uint8Array(8), lock: false, ofFlows: true });`,
  answers: `
    const target = { family: 4, address: '127.0.0.1', port: 9 };
    native.guardLoops(id, { servicePorts: [1, 2, 3], servicesGetReplies: false, repeats: { rate: 1, burst: 1 } });
    native.findOwn(id, [target, target]);
    native.respond(id, { echo: false, reply: new Uint8Array(3), keepBytesMax: 100, target });
    native.loadHandler(id, { path: '/nowhere/nothing.so', argument: '' });`,
  protect: `
    native.protect(id, {
      deny: new Uint8Array(32),
      allow: new Uint8Array(32).fill(255),
      perSource: { rate: 1, burst: 1, sources: 1024 },
      total: { rate: 1, burst: 1 },
      before: new Uint8Array(8),
    });`,
  setRules: `
    const forward = { targets: [{ family: 4, address: '127.0.0.1', port: 9 }], balance: 0, idleMs: 1000, flows: 16 };
    native.setRules(server, { bytes: rules.bytes, names: rules.names, forwards: [forward] });
    native.getRuleHits(server);`,
  'new IoThread': `
    const made = new binding.IoThread(settings);
    made.addCounters(page);
    made.start(() => {}, () => true, () => true, settings);
    made.setCpus([]);
    made.stop();`,
  results: `
    native.getName(id, false);
    native.getBacklog(id);
    native.setRawOption(id, 1, 15, new Uint8Array(4));
    native.keepContext(id, {});
    binding.formatAddress(4, new Uint8Array(20));
    if (Math.random() < 0.05) binding.probeFeatures();`,
};

test('worker.terminate() in the middle of any native call that reads objects, or makes them', async () => {
  const { code, signal, stdout, stderr } = await runProgram(
    async (lib, calls: Record<string, string>, rounds) => {
      const { Worker } = await import('node:worker_threads');
      const { once } = await import('node:events');
      const sourceOf = (call: string) => `
        const { parentPort } = require('node:worker_threads');
        (async () => {
          const { binding } = await import('${lib}backend/load.js');
          const { sharedThread } = await import('${lib}thread/io-thread.js');
          const { allocateThreadMemory } = await import('${lib}thread/memory.js');
          const { encodeRules } = await import('${lib}server/rules/encode.js');
          const thread = sharedThread();
          thread.hold();
          const native = thread.changing();
          const [id, server] = [thread.reserve(), thread.reserve()];
          for (const each of [id, server]) native.open(each, 4, 0), native.bind(each, '127.0.0.1', 0);
          const named = Array.from({ length: 20 }, (_, i) => ({ name: String(i), match: { length: i }, action: 'drop' }));
          const rules = encodeRules([...named, { name: 'on', action: { forward: { address: '127.0.0.1', port: 9 } } }]);
          const page = new BigUint64Array(new SharedArrayBuffer(48 * 128 * 8));
          const settings = {
            ...allocateThreadMemory(1024, 1 << 18, 1024, 1 << 18),
            engine: '', busyPoll: 0, rxUsecs: 0, rxFrames: 1, adaptiveRx: false, shareLoop: false,
          };
          const call = () => { ${call} };
          call();
          parentPort.postMessage('runs');
          for (;;) call();
        })();
      `;
      let ended = 0;
      const end = async (call: string) => {
        for (let i = 0; i < rounds; i++) {
          const worker = new Worker(sourceOf(call), { eval: true, execArgv: [] });
          await once(worker, 'message');
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
          const code = await worker.terminate();
          ended += code;
        }
      };
      const all = Object.values(calls);
      await Promise.all(
        [0, 1].map(async (half) => {
          for (let i = half; i < all.length; i += 2) await end(all[i]);
        }),
      );
      console.log(ended);
    },
    [lib, calls, 12],
    { deadlineMs: 80_000 },
  );
  assert.deepEqual([code, signal, stderr, stdout], [0, null, '', `${12 * Object.keys(calls).length}\n`]);
});
