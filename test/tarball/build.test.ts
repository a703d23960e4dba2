// `npx ksocket build`, from what the tarball has, with a compiler and nothing else.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from '../support/test.js';
import { Consumer, received } from './consumer.js';

test('what it has compiled is loaded, whatever backend is asked for', async () => {
  using consumer = new Consumer();
  await consumer.install();
  // Takes all that a compiler takes, and writes nothing that loads.
  consumer.write(
    'no-compiler.cjs',
    `const out = process.argv.indexOf('-o');
     if (out > 0) require('node:fs').writeFileSync(process.argv[out + 1], 'nothing');`,
  );
  const env = { KSOCKET_BACKEND: 'dgram', CXX: `${process.execPath} ${consumer.path('no-compiler.cjs')}` };
  const args = ['build', '--out', consumer.path('made.node')];
  const { code, stderr } = await consumer.run('node_modules/.bin/ksocket', args, { env, compilers: true });
  assert.equal(code, 1);
  assert.match(stderr, /^ksocket: compiled .*made\.node, which does not load: Error \[ERR_KSOCKET_ADDON_FAILS\]/);
});

test('it compiles where the package has nothing that fits', async () => {
  using consumer = new Consumer();
  await consumer.install();
  const command = 'node_modules/.bin/ksocket';
  rmSync(consumer.path('node_modules/ksocket/prebuilds'), { recursive: true });
  const before = await consumer.run(process.execPath, ['receive.mjs']);
  assert.equal(before.code, 1);
  assert.match(before.stderr, /ksocket has no addon for linux-\w+ \(none is built\); "npx ksocket build" makes one/);
  const refused = await consumer.run(command, ['build']);
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /^ksocket: there is no C\+\+ compiler \(looked for c\+\+, g\+\+, clang\+\+; Debian, Ubuntu: apt install g\+\+/,
  );
  // A compiler with its assembler and linker: no make, no Python, and nothing of npm's.
  for (const name of ['c++', 'as', 'ld']) {
    symlinkSync(execFileSync('which', [name], { encoding: 'utf8' }).trim(), join(consumer.bin, name));
  }
  const { code, stdout, stderr } = await consumer.run(command, ['build'], { deadlineMs: 600_000 });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^compiling the addon for linux-\w+ with c\+\+/);
  assert.ok(existsSync(consumer.path(`node_modules/ksocket/prebuilds/linux-${process.arch}/ksocket.node`)));
  assert.equal(await consumer.runWell(process.execPath, ['receive.mjs']), received);
}, 600_000);
