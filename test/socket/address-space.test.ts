// The ring's memory where there is no WebAssembly, or little address space.
import assert from 'node:assert/strict';
import { DESCRIPTOR_BYTES, SOURCE_BYTES } from '../../build-lib/backend/layout.js';
import { binding } from '../../build-lib/backend/load.js';
import { allocateThreadMemory } from '../../build-lib/thread/memory.js';
import { addonTest } from '../support/backend.js';
import { type ChildOptions, runProgram } from '../support/child.js';
import { detachBatches } from '../support/detach-batches.js';
import { test } from '../support/test.js';

test('where WebAssembly is missing or its address space is not to be had, the memory cannot be detached either', async () => {
  const constrained: ChildOptions[] = [
    { execArgv: ['--jitless'] },
    { under: ['sh', '-c', 'ulimit -v 6000000; exec "$@"', 'sh'] },
  ];
  for (const options of constrained) {
    const { code, signal, stdout, stderr } = await runProgram(detachBatches, [], options);
    assert.deepEqual([code, signal, stderr.replaceAll(/.*conflicting flags.*\n/g, '')], [0, null, '']);
    assert.deepEqual(JSON.parse(stdout), { received: 1000, lost: [] });
  }
});

test('what nobody is lent is a SharedArrayBuffer, and the arena an ordinary ArrayBuffer', () => {
  const { arena, ...others } = allocateThreadMemory(1024, 1 << 20, 64, 1 << 16);
  assert.equal(Object.keys(others).length, 5);
  for (const [name, { buffer }] of Object.entries(others)) assert.ok(buffer instanceof SharedArrayBuffer, name);
  assert.ok(arena.buffer instanceof ArrayBuffer);
});

test('whether there is room is asked of all that a thread takes before any of it is allocated', (t) => {
  const asked: number[] = [];
  const hasRoom = t.mock.method(binding as { hasRoom(bytes: number): boolean }, 'hasRoom', (bytes: number) => {
    asked.push(bytes);
    return asked.length > 1;
  });
  const [slots, arenaBytes, txSlots, txArenaBytes] = [2048, 1 << 20, 128, 1 << 17];
  assert.throws(() => allocateThreadMemory(slots, arenaBytes, txSlots, txArenaBytes), { code: 'ENOMEM' });
  hasRoom.mock.restore();
  const ring = slots * DESCRIPTOR_BYTES + arenaBytes;
  const outgoing = txSlots * DESCRIPTOR_BYTES + txSlots * SOURCE_BYTES + txArenaBytes;
  assert.deepEqual(asked, [ring + outgoing + binding.threadBytes]);
});

/** What comes of opening these where so many MiB more are to be had than the process has. */
async function openWith(allMiB: string) {
  const { spawnSync } = await import('node:child_process');
  const { once } = await import('node:events');
  const { readFileSync } = await import('node:fs');
  const { createServer, createSocket } = await import('ksocket');
  const limit = (bytes: string) => spawnSync('prlimit', ['--pid', `${process.pid}`, `--as=${bytes}:`]);
  const here = { address: '127.0.0.1', port: 0 };
  const openings: Record<string, () => Promise<unknown>> = {
    'a server with shards': async () => {
      const server = createServer({ ...here, reply: 'echo', shards: 64 });
      await server.start();
      await server.stop();
    },
    'a socket with shards': async () => {
      const socket = createSocket({ type: 'udp4', shards: 64 });
      try {
        await once(socket.bind(0, '127.0.0.1'), 'listening');
      } finally {
        socket.close();
      }
    },
    'lists of sources': async () => {
      const server = createServer({
        ...{ ...here, reply: 'echo' },
        limits: { perSource: { rate: 1, burst: 1, sources: 1 << 20 } },
      });
      await server.start();
      await server.stop();
    },
    flows: async () => {
      const to = { address: '127.0.0.1', port: 9 };
      const forward = (name: string) => ({ name, action: { forward: to, flows: 65_535 } });
      const rules = Array.from({ length: 200 }, (_, i) => forward(`${i}`));
      const server = createServer({ ...here, rules });
      await server.start();
      await server.stop();
    },
  };
  const came: Record<string, string[]> = {};
  const warm = createServer({ ...here, reply: 'echo' });
  await warm.start();
  for (const [what, open] of Object.entries(openings)) {
    came[what] = [];
    for (const mib of JSON.parse(allMiB)) {
      const kib = Number(/VmSize:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
      limit(String((kib + mib * 1024) * 1024));
      try {
        await open();
        came[what].push('open');
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        came[what].push(code ?? message);
      } finally {
        limit('unlimited');
      }
    }
  }
  // And then it goes on.
  const client = createSocket('udp4');
  client.send('x', warm.address()?.port as number, '127.0.0.1');
  await once(client, 'message');
  client.close();
  await warm.stop();
  process.stdout.write(JSON.stringify(came));
}

addonTest(
  'a thread of its own',
  'where address space is short, an opening fails with ENOMEM, and the process goes on',
  async () => {
    const all = [32, 48, 64, 100, 200]; // with less the runtime itself ends
    const { code, signal, stdout, stderr } = await runProgram(openWith, [JSON.stringify(all)]);
    assert.deepEqual([code, signal, stderr], [0, null, '']);
    const came: Record<string, string[]> = JSON.parse(stdout);
    assert.equal(Object.keys(came).length, 4);
    for (const [what, results] of Object.entries(came)) {
      for (const result of results) assert.match(result, /^(open|ENOMEM)$/, `${what}: ${results}`);
      assert.ok(results.includes('ENOMEM'), what);
    }
  },
);
