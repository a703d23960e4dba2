// How a cluster's workers share ports and end, with node:dgram and under ksocket/register.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Child } from '../support/child.js';
import { test } from '../support/test.js';
import { programs, traces } from './cluster-traces.js';
import { nodeBinary } from './nodes.js';

const register = ['--import', 'ksocket/register'];
const nodes = [20, 22, 24, 26];

for (const node of nodes) {
  test(`workers with sockets disconnect, share and end as with node:dgram on node ${node}`, async () => {
    const [plain, ours] = await Promise.all([traces(node, []), traces(node, register)]);
    const shared = ['a listening', 'a is told to close 1 function', 'a close', 'disconnect', 'exit 0'];
    assert.deepEqual(plain['a shared bind: worker 0'], shared);
    assert.ok(plain['an exclusive bind: worker 0'].includes('still bound 127.0.0.1'));
    assert.ok(Object.keys(plain).length > 60);
    assert.deepEqual(ours, plain);
  });
}

test('workers of a primary that is gone end as with node:dgram', async () => {
  const plain = await traces(20, [], ['orphan']);
  assert.deepEqual(plain['orphan: worker'], ['a listening', 'exit 0']);
  assert.deepEqual(await traces(20, register, ['orphan']), plain);
});

async function output(node: number, flags: string[], name: string): Promise<string> {
  await using child = new Child(nodeBinary(node), [...flags, join(programs, `${name}.js`)]);
  const { stdout, ...end } = await child.end();
  assert.deepEqual(end, { code: 0, signal: null, stderr: '' }, stdout);
  return stdout;
}

test('a reload loses no request: the old worker answers what it has received before it closes', async () => {
  const expected = 'answered 600\nthe old worker 0 null\n';
  assert.equal(await output(20, [], 'cluster-reload'), expected);
  for (const node of nodes) assert.equal(await output(node, register, 'cluster-reload'), expected, `node ${node}`);
});

test('sockets and handles that are passed to children and workers are bound, answer and close', async () => {
  const expected = await output(20, [], 'ipc-handles');
  assert.equal(expected.match(/got hello true/g)?.length, 12);
  for (const node of nodes) assert.equal(await output(node, register, 'ipc-handles'), expected, `node ${node}`);
});
