// ksocket and node:dgram, side by side: the hand-written cases and random scripts, on this Node and on others.
//
// KSOCKET_SCRIPTS: how many random scripts for each Node. KSOCKET_SEED: where they begin.
import assert from 'node:assert/strict';
import { after, test as longTest } from 'node:test';
import { Child, root } from '../support/child.js';
import { test } from '../support/test.js';
import { cases } from './cases/all.js';
import { Comparison } from './differential.js';
import { nodeBinary } from './nodes.js';

const SCRIPTS = Number(process.env.KSOCKET_SCRIPTS ?? 1000);
const SEED = Number(process.env.KSOCKET_SEED ?? 2026);
const OTHER_NODES = [22, 24, 26];
const DEADLINE_MS = 85_000 + SCRIPTS * 10;

const comparison = await Comparison.open();
after(() => comparison[Symbol.asyncDispose]());

for (const [name, script] of Object.entries(cases)) {
  test(name, async () => {
    const found = await comparison.differenceOf(script);
    if (found !== undefined) assert.fail(found);
  });
}

void longTest(`${SCRIPTS} random scripts from seed ${SEED}`, { timeout: DEADLINE_MS }, async (t) => {
  const found = await comparison.randomDifference(SCRIPTS, SEED, (done) => t.diagnostic(`${done} scripts`));
  if (found !== undefined) assert.fail(found);
});

for (const version of OTHER_NODES) {
  const name = `all cases and ${SCRIPTS} random scripts on node ${version}`;
  void longTest(name, { timeout: DEADLINE_MS }, async () => {
    const args = ['build-test/dgram/differential.js', '--scripts', `${SCRIPTS}`, '--seed', `${SEED + version}`];
    await using child = new Child(nodeBinary(version), args, { cwd: root, deadlineMs: DEADLINE_MS });
    const { code, stdout, stderr } = await child.end();
    assert.equal(code, 0, `${stdout}${stderr}`);
    assert.match(stdout, new RegExp(`node v${version}\\.`));
    assert.equal(stderr, '');
  });
}
