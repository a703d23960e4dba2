// What is published, and what its source may include.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/child.js';
import { test } from '../support/test.js';

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

function packedFiles(): string[] {
  // Scripts would build, while other tests use what is built.
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts', '--offline'];
  const output = execFileSync('npm', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const parsed = JSON.parse(output);
  const [{ files }] = Array.isArray(parsed) ? parsed : (Object.values(parsed) as [{ files: { path: string }[] }]);
  return files.map(({ path }: { path: string }) => path);
}

test('the tarball has what a user needs', () => {
  const files = packedFiles();
  const needed = [
    'package.json',
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
    'binding.gyp',
    'dist/index.js',
    'dist/index.d.ts',
    'dist/cli/main.js',
    `prebuilds/${process.platform}-${process.arch}/ksocket.node`,
    'native/addon.cc',
  ];
  for (const file of needed) assert.ok(files.includes(file), `${file} is missing`);
  // Who builds it from the tarball has every source that binding.gyp names or globs.
  for (const folder of ['bridge', 'core', 'engine']) {
    const all = readdirSync(join(root, 'native', folder), { recursive: true, encoding: 'utf8' });
    for (const file of all.filter((name) => /\.\w+$/.test(name))) {
      assert.ok(files.includes(`native/${folder}/${file}`), `native/${folder}/${file} is missing`);
    }
  }
  // All that is compiled has been packed.
  const compiled = readdirSync(join(root, 'dist'), { recursive: true, encoding: 'utf8' }).filter((f) =>
    /\.\w+$/.test(f),
  );
  for (const file of compiled) assert.ok(files.includes(`dist/${file}`), `dist/${file} is missing`);
});

test('the tarball has no tests, benchmarks, sources of another build or build trees', () => {
  const stray = packedFiles().filter((file) =>
    /^(test|bench|build|build-\w+|node_modules|lib|docs|scripts|\.)|^native\/(test|build)|\.(test\.\w+|tgz|o|a)$/.test(
      file,
    ),
  );
  assert.deepEqual(stray, []);
});

test('installing runs nothing', () => {
  for (const script of ['preinstall', 'install', 'postinstall']) assert.equal(manifest.scripts[script], undefined);
  // Without this npm runs node-gyp for a package that has a binding.gyp.
  assert.equal(manifest.gypfile, false);
  assert.ok(!('bundleDependencies' in manifest || 'bundledDependencies' in manifest));
});

test('the manifest names files that exist', () => {
  const named: string[] = [manifest.types, ...Object.values<string>(manifest.bin)];
  for (const entry of Object.values<string | Record<string, string>>(manifest.exports)) {
    named.push(...(typeof entry === 'string' ? [entry] : Object.values(entry)));
  }
  const files = packedFiles();
  for (const file of named) {
    assert.ok(existsSync(join(root, file)), file);
    assert.ok(files.includes(file.replace(/^\.\//, '')), `${file} is not packed`);
  }
  assert.equal(manifest.type, 'module');
  assert.match(readFileSync(join(root, manifest.bin.ksocket), 'utf8'), /^#!\/usr\/bin\/env node\n/);
});

/** Every source of native/ but its tests, with what it includes. */
function nativeIncludes(): [file: string, includes: string[]][] {
  const files = readdirSync(join(root, 'native'), { recursive: true, encoding: 'utf8' });
  return files
    .filter((file) => /\.(cc|h)$/.test(file) && !file.startsWith('test/'))
    .map((file) => {
      const source = readFileSync(join(root, 'native', file), 'utf8');
      return [file, [...source.matchAll(/^\s*#\s*include\s*[<"]([^>"]+)[>"]/gm)].map((match) => match[1])];
    });
}

test('only native/bridge and addon.cc include Node’s headers', () => {
  const all = nativeIncludes();
  assert.ok(all.length > 30, 'the sources were found');
  const nodes = /^(node_?api.*|napi.*|node.*|v8.*|uv)\.h$/;
  const offenders = all.filter(
    ([file, includes]) => !/^bridge\/|^addon\.cc$/.test(file) && includes.some((include) => nodes.test(include)),
  );
  assert.deepEqual(offenders, []);
  assert.ok(
    all.some(([file, includes]) => file.startsWith('bridge/') && includes.some((include) => nodes.test(include))),
    'the pattern finds those that do',
  );
});

test('core does not include the bridge or an engine by name, engines do not include the bridge', () => {
  const offenders: string[] = [];
  for (const [file, includes] of nativeIncludes()) {
    for (const include of includes) {
      if (/^(core|engine)\//.test(file) && include.startsWith('bridge/')) offenders.push(`${file}: ${include}`);
      if (/^core\//.test(file) && include.startsWith('engine/') && include !== 'engine/engine.h') {
        offenders.push(`${file}: ${include}`);
      }
    }
  }
  assert.deepEqual(offenders, []);
});
