// Every package manager installs it from a lock file, with no compiler, no make and no Python to be had.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { nodeBinary } from '../dgram/nodes.js';
import { test } from '../support/test.js';
import { Consumer, received, tarball } from './consumer.js';
import { bun, deno, tool } from './tools.js';

const manifest = { dependencies: { ksocket: `file:${tarball}` } };
const newest = nodeBinary(24);

/** Neither what node-gyp makes nor what it is run for. */
function assertNothingCompiled(consumer: Consumer): void {
  const all = readdirSync(consumer.directory, { recursive: true, encoding: 'utf8' });
  assert.deepEqual(
    all.filter((name) => /(^|\/)(binding\.gyp|config\.gypi|build\/Makefile|obj\.target)$/.test(name)),
    [],
  );
}

for (const major of [10, 11, 12]) {
  test(`npm ${major}`, async () => {
    using consumer = new Consumer(manifest);
    consumer.useNode(newest);
    const npm = tool(`npm@${major}`, 'npm/bin/npm-cli.js');
    const quiet = ['--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=warn', '--foreground-scripts'];
    await consumer.runWell(newest, [npm, 'install', '--package-lock-only', ...quiet]);
    const output = await consumer.runWell(newest, [npm, 'ci', ...quiet]);
    assert.match(output, /^\s*added \d+ packages/);
    assert.doesNotMatch(output, /gyp/);
    assertNothingCompiled(consumer);
    assert.equal(await consumer.runWell(newest, ['receive.mjs']), received);
  });
}

for (const major of [9, 10]) {
  test(`pnpm ${major}`, async () => {
    using consumer = new Consumer(manifest);
    consumer.useNode(newest);
    const pnpm = tool(`pnpm@${major}`, 'pnpm/bin/pnpm.cjs');
    const env = { XDG_DATA_HOME: consumer.path('.data'), XDG_CACHE_HOME: consumer.path('.cache'), CI: 'true' };
    await consumer.runWell(newest, [pnpm, 'install', '--lockfile-only'], { env });
    const output = await consumer.runWell(newest, [pnpm, 'install', '--frozen-lockfile'], { env });
    assert.doesNotMatch(output, /gyp|WARN|Ignored build scripts/);
    assertNothingCompiled(consumer);
    assert.equal(await consumer.runWell(newest, ['receive.mjs']), received);
  });
}

test('yarn 1', async () => {
  using consumer = new Consumer(manifest);
  const yarn = tool('yarn@1', 'yarn/bin/yarn.js');
  const cache = ['--cache-folder', consumer.path('.yarn-cache'), '--non-interactive', '--silent'];
  await consumer.runWell(process.execPath, [yarn, 'install', ...cache]);
  assert.ok(existsSync(consumer.path('yarn.lock')));
  const output = await consumer.runWell(process.execPath, [yarn, 'install', '--frozen-lockfile', '--force', ...cache]);
  assert.equal(output, '');
  assertNothingCompiled(consumer);
  assert.equal(await consumer.runWell(process.execPath, ['receive.mjs']), received);
});

for (const linker of ['node-modules', 'pnp']) {
  test(`yarn 4, ${linker}`, async () => {
    using consumer = new Consumer(manifest);
    const yarn = tool('@yarnpkg/cli-dist@4', '@yarnpkg/cli-dist/bin/yarn.js');
    consumer.write('.yarnrc.yml', `nodeLinker: ${linker}\nenableTelemetry: false\nenableGlobalCache: false\n`);
    const env = { YARN_ENABLE_COLORS: '0', YARN_ENABLE_IMMUTABLE_INSTALLS: 'false' };
    await consumer.runWell(process.execPath, [yarn, 'install'], { env });
    const output = await consumer.runWell(process.execPath, [yarn, 'install', '--immutable', '--inline-builds'], {
      env,
    });
    assert.doesNotMatch(output, /gyp|build failed|YN0007/);
    assertNothingCompiled(consumer);
    assert.equal(await consumer.runWell(process.execPath, [yarn, 'node', 'receive.mjs'], { env }), received);
  });
}

test('bun', async () => {
  using consumer = new Consumer(manifest);
  const env = { BUN_INSTALL_CACHE_DIR: consumer.path('.bun') };
  const install = async (...more: string[]) => {
    const { code, stderr } = await consumer.run(bun(), ['install', '--no-progress', ...more], { env });
    assert.equal(code, 0, stderr); // it tells what it does on standard error
    assert.doesNotMatch(stderr, /gyp|warn|error|Blocked/i);
  };
  await install();
  assert.ok(existsSync(consumer.path('bun.lock')));
  await install('--frozen-lockfile');
  assertNothingCompiled(consumer);
  assert.equal(await consumer.runWell(bun(), ['receive.mjs'], { env }), received);
});

test('deno', async () => {
  using consumer = new Consumer();
  await consumer.install(); // it takes no file of its own, but what another one has installed
  const env = { DENO_DIR: consumer.path('.deno'), NO_COLOR: '1', DENO_NO_UPDATE_CHECK: '1' };
  assert.equal(await consumer.runWell(deno(), ['run', '--allow-all', 'receive.mjs'], { env }), received);
});
