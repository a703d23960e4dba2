// What is in ksocket-VERSION.tgz.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { root } from '../support/child.js';
import { test } from '../support/test.js';
import { Consumer, tarball, version } from './consumer.js';

const files = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split('\n');
const read = (name: string) => execFileSync('tar', ['-xzOf', tarball, `package/${name}`], { encoding: 'utf8' });
/** What `ksocket build` compiles: paths and texts. */
const archive = execFileSync('tar', ['-xzOf', tarball, 'package/native/sources.json.br']);
const sources = JSON.parse(brotliDecompressSync(archive).toString()) as Record<string, string>;
const targets = ['linux-x64', 'linux-arm64'];

test('it has a binary for each target, and is small', () => {
  for (const target of targets) assert.ok(files.includes(`package/prebuilds/${target}/ksocket.node`), target);
  const { size } = statSync(tarball);
  assert.ok(size <= 1_000_000, `${size} bytes`);
});

test('each binary serves glibc and musl: it names neither libraries nor versions, and wants no function that one of them lacks', async () => {
  const { inspectBinary } = await import(join(root, 'scripts/package/inspect.mjs'));
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  try {
    for (const target of targets) {
      const file = join(directory, `${target}.node`);
      writeFileSync(file, execFileSync('tar', ['-xzOf', tarball, `package/prebuilds/${target}/ksocket.node`]));
      const { needed, twofold, wanted } = inspectBinary(file);
      assert.deepEqual({ needed, twofold }, { needed: [], twofold: [] }, target);
      assert.ok(wanted.includes('recvmmsg'), 'what it wants is known');
      for (const only of ['__cmsg_nxthdr', '__sched_cpualloc', '__fxstat', '__lxstat', '__tls_get_addr', 'strerror_r'])
        assert.ok(!wanted.includes(only), `${target}: ${only}`);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('no package manager finds anything to run in it', () => {
  assert.deepEqual(
    files.filter((file) => /(^|\/)(binding\.gyp|\.npmrc|\.yarnrc.*|pnpm-.*|.*\.tgz|package-lock\.json)$/.test(file)),
    [],
  );
  const manifest = JSON.parse(read('package.json'));
  assert.equal(manifest.version, version);
  for (const key of ['scripts', 'devDependencies', 'gypfile', 'files', 'private']) assert.ok(!(key in manifest), key);
});

test('all that is built is in it, and the sources of the addon with the headers they need', () => {
  const built = readdirSync(join(root, 'dist'), { recursive: true, encoding: 'utf8' });
  // Maps are of what runs in users' programs.
  const seldom = /^((cli|monitor|collect|consume|shared\/\w+)\/.*|shared\/collect\.js)\.map$/;
  for (const file of built.filter((name) => /(?<!\.d)\.\w+$/.test(name)))
    assert.equal(files.includes(`package/dist/${file}`), !seldom.test(file), file);
  for (const folder of ['bridge', 'core', 'engine', 'include']) {
    const all = readdirSync(join(root, 'native', folder), { recursive: true, encoding: 'utf8' });
    for (const file of all.filter((name) => /\.\w+$/.test(name))) {
      assert.ok(sources[`${folder}/${file}`], file);
    }
  }
  for (const file of ['napi.h', 'node_api.h', 'uv.h']) assert.ok(sources[`vendor/${file}`], file);
  assert.ok(files.includes('package/native/include/ksocket_handler.h'));
  assert.match(read('native/LICENSES'), /node-addon-api[\s\S]*libuv/);
  const stray = files.filter((file) => !/^package\/(dist|native|prebuilds)\/|^package\/[\w.]+$/.test(file));
  assert.deepEqual(stray, []);
});

test('nothing in it tells of the machine that it was made on', async () => {
  using consumer = new Consumer();
  execFileSync('tar', ['-xzf', tarball, '-C', consumer.directory]);
  const places = [root, process.env.HOME ?? '/root'].filter((place) => place.length > 1);
  for (const file of files.filter((name) => !name.endsWith('/'))) {
    const bytes = readFileSync(consumer.path(file));
    for (const place of places) assert.ok(!bytes.includes(place), `${file} has ${place} in it`);
  }
  for (const [name, text] of Object.entries(sources)) {
    for (const place of places) assert.ok(!text.includes(place), `${name} has ${place} in it`);
  }
});

test('its bill of materials names what it depends on and what is compiled in', () => {
  const bom = JSON.parse(readFileSync(join(root, `ksocket-${version}.spdx.json`), 'utf8'));
  assert.equal(bom.spdxVersion, 'SPDX-2.3');
  const names = (bom.packages as { name: string }[]).map(({ name }) => name);
  for (const name of ['ksocket', 'commander', 'node-addon-api', 'libuv headers']) assert.ok(names.includes(name), name);
  assert.ok(!names.includes('typescript'));
});
