// The ring's memory where there is no WebAssembly, or little address space.
import assert from 'node:assert/strict';
import { allocateThreadMemory } from '../../build-lib/thread/memory.js';
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
