// Which binary a process takes.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { targetHere, traced } from '../../build-lib/backend/targets.js';
import { root } from '../support/child.js';
import { test } from '../support/test.js';

test('this process takes the binary of its platform and architecture', () => {
  assert.equal(targetHere(), `linux-${process.arch}`);
});

test('the binaries of a release are those that are looked for', async () => {
  const { TARGETS } = await import(join(root, 'scripts/package/targets.mjs'));
  assert.deepEqual(Object.keys(traced).sort(), (TARGETS as { name: string }[]).map(({ name }) => name).sort());
  for (const [name, ways] of Object.entries(traced)) {
    assert.ok(ways?.url().href.endsWith(`/prebuilds/${name}/ksocket.node`), name);
    assert.match(String(ways?.require), new RegExp(`prebuilds/${name}/ksocket\\.node`));
  }
});
