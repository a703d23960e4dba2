import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { features } from 'ksocket';
import { root, runCli } from '../support/child.js';
import { test } from '../support/test.js';

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

test('info shows version, backend, engine and features', async () => {
  const { code, stdout, stderr } = await runCli(['info']);
  assert.equal(stderr, '');
  assert.equal(code, 0);
  const facts = Object.fromEntries(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/, 2)),
  );
  assert.equal(facts.ksocket, version);
  assert.equal(facts.node, process.version);
  assert.equal(facts.kernel, release());
  const { backend, engine, missing, ...kernel } = features();
  assert.equal(facts.backend, backend);
  assert.equal(backend, process.env.KSOCKET_BACKEND ?? 'addon', 'the backend that the tests ask for');
  assert.equal(facts.engine, engine);
  assert.equal(engine, process.env.KSOCKET_ENGINE ?? 'dgram', 'the engine that the tests ask for');
  for (const [name, has] of Object.entries(kernel)) {
    assert.equal(facts[name], typeof has === 'number' ? `${has}` : has ? 'yes' : 'no', name);
    const why = missing[name as keyof typeof missing];
    if (why !== undefined) assert.match(stdout, new RegExp(`^${name} +(no|0) \\(`, 'm'));
    if (why !== undefined) assert.ok(stdout.includes(`(${why})`), why);
  }
});

test('info --json is JSON with the same facts', async () => {
  const { code, stdout } = await runCli(['info', '--json']);
  assert.equal(code, 0);
  const facts = JSON.parse(stdout);
  const { backend, engine, ...kernel } = features();
  assert.equal(facts.ksocket, version);
  assert.equal(facts.backend, backend);
  assert.equal(facts.engine, engine);
  assert.deepEqual(facts.features, kernel);
});
