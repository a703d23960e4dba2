// What is published, and what native/ may include.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
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
    'dist/index.js',
    'dist/index.d.ts',
    'dist/cli/main.js',
    `prebuilds/${process.platform}-${process.arch}/ksocket.node`,
    'native/addon.cc',
  ];
  for (const file of needed) assert.ok(files.includes(file), `${file} is missing`);
  // Who builds it from the tarball has every source.
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
    /^(test|bench|build|build-\w+|node_modules|lib|docs|scripts|binding\.gyp|\.)|^native\/(test|fuzz|model|build)|\.(test\.\w+|tgz|o|a)$/.test(
      file,
    ),
  );
  assert.deepEqual(stray, []);
});

test('installing runs nothing', () => {
  for (const script of ['preinstall', 'install', 'postinstall']) assert.equal(manifest.scripts[script], undefined);
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

// What native/'s sources may include, and how long they may be, scripts/native-rules.mjs says; `npm run lint` runs it.

/** What it says about native/ with these files in it. */
function nativeViolations(files: Record<string, string> = {}): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  try {
    cpSync(join(root, 'native'), directory, { recursive: true });
    for (const [file, source] of Object.entries(files)) {
      mkdirSync(join(directory, dirname(file)), { recursive: true });
      writeFileSync(join(directory, file), source);
    }
    const args = [join(root, 'scripts/native-rules.mjs'), directory];
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    const sources = /^(\d+) sources/.exec(stdout)?.[1];
    assert.ok(Number(sources) > 100, `the sources were found: ${stdout}${stderr}`);
    const violations = stderr.split('\n').filter(Boolean);
    assert.equal(status, violations.length > 0 ? 1 : 0);
    return violations;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('native/ keeps to its rules', () => {
  assert.deepEqual(nativeViolations(), []);
});

test('an include against the direction of the rooms is found', () => {
  const wrong = {
    'core/base/wrong.h': '#include "core/thread/io_thread.h"\n',
    'core/datapath/wrong.cc': '  #  include "bridge/waker.h"\n',
    'core/socket/wrong.h': '#include "engine/mmsg.h"\n',
    'engine/wrong.h': '#include "core/socket/address.h"\n',
    'test/answer/wrong.cc': '#include "bridge/arguments.h"\n',
    'core/elsewhere/wrong.h': '',
    'core/socket/angles.cc': '#include <core/thread/io_thread.h>\n',
    'core/socket/climbs.cc': '#include <../core/thread/io_thread.h>\n',
    'core/thread/angles.cc': '#include <engine/posix.h>\n',
    'tools/wrong.cc': '#include "core/base/no_such_file.h"\n',
  };
  assert.deepEqual(nativeViolations(wrong), [
    'native/core/base/wrong.h includes core/thread/io_thread.h',
    'native/core/datapath/wrong.cc includes bridge/waker.h',
    'native/core/elsewhere/wrong.h is in no room',
    'native/core/socket/angles.cc includes core/thread/io_thread.h',
    'native/core/socket/climbs.cc includes core/thread/io_thread.h',
    'native/core/socket/wrong.h includes engine/mmsg.h',
    'native/core/thread/angles.cc includes engine/posix.h',
    'native/engine/wrong.h includes core/socket/address.h',
    'native/test/answer/wrong.cc includes bridge/arguments.h',
    'native/tools/wrong.cc includes "core/base/no_such_file.h", which is not there',
  ]);
});

test('Node’s headers are found where they are not bridge/ or addon.cc', () => {
  const headers = ['napi.h', 'node_api.h', 'node.h', 'v8.h', 'uv.h', 'js_native_api.h', 'js_native_api_types.h'];
  for (const header of [...headers, 'uv/unix.h', 'cppgc/heap.h', 'v8-isolate.h']) {
    assert.deepEqual(nativeViolations({ 'core/socket/wrong.cc': `#include <${header}>\n` }), [
      `native/core/socket/wrong.cc includes <${header}>: Node's headers are for bridge/ and addon.cc`,
    ]);
  }
  assert.deepEqual(nativeViolations({ 'bridge/right.h': '#include <napi.h>\n#include <uv.h>\n' }), []);
});

test('reading by napi.h, which can end the process, is found in bridge/', () => {
  for (const code of ['given.Get("fd")', 'value.As<Napi::Number>()', 'number.Uint32Value()', 'text.Utf8Value()']) {
    assert.deepEqual(nativeViolations({ 'bridge/wrong.cc': `auto wrong = ${code};\n` }), [
      'native/bridge/wrong.cc reads by napi.h: bridge/arguments.h has what does not end the process',
    ]);
  }
  assert.deepEqual(nativeViolations({ 'bridge/right.cc': '// not given.Get("fd")\n' }), []);
});

test('an include that is not written plainly is found, and a source of another kind', () => {
  const lines = [
    '#include /* here */ "core/base/fd.h"',
    '/**/ #include "core/base/fd.h"',
    '#/**/include "core/base/fd.h"',
    '%:include "core/base/fd.h"',
    '#import "core/base/fd.h"',
    '#include_next "core/base/fd.h"',
    '#include HEADER',
    '#include \\\n"core/base/fd.h"',
  ];
  for (const line of lines) {
    assert.deepEqual(
      nativeViolations({ 'core/socket/wrong.cc': `${line}\n` }),
      ['native/core/socket/wrong.cc has an include that is not written as #include "…" or <…>'],
      line,
    );
  }
  assert.deepEqual(nativeViolations({ 'core/socket/right.cc': '#include <vector>  // why\n' }), []);
  assert.deepEqual(nativeViolations({ 'core/socket/wrong.hpp': '', 'core/socket/wrong.cpp': '' }), [
    'native/core/socket/wrong.cpp is no .h, .cc, .c or .inc',
    'native/core/socket/wrong.hpp is no .h, .cc, .c or .inc',
  ]);
});

test('files that include each other are found', () => {
  const circle = {
    'core/base/a.h': '#include "core/base/b.h"\n',
    'core/base/b.h': '#include "core/base/c.h"\n',
    'core/base/c.h': '#include "core/base/a.h"\n',
  };
  assert.deepEqual(nativeViolations(circle), [
    'native/circle: core/base/a.h → core/base/b.h → core/base/c.h → core/base/a.h',
  ]);
});

test('a file and a function that are too long are found', () => {
  const lines = (count: number) => '  call();\n'.repeat(count);
  const source = (count: number) => `namespace ksocket {\nint\nlong_one(int a = 1) {\n${lines(count)}}\n}\n`;
  assert.deepEqual(nativeViolations({ 'core/base/a.cc': source(57) }), []);
  assert.deepEqual(nativeViolations({ 'core/base/a.cc': source(58) }), [
    'native/core/base/a.cc: long_one has 61 lines',
  ]);
  const test = `TEST(Wrong, is_long) {\n  if (a) {\n${lines(58)}  }\n}\n`;
  assert.deepEqual(nativeViolations({ 'test/base/a.cc': test }), [
    'native/test/base/a.cc: TEST(Wrong, is_long) has 62 lines',
  ]);
  assert.deepEqual(nativeViolations({ 'core/base/a.h': '// a\n'.repeat(351) }), ['native/core/base/a.h has 351 lines']);
});

test('the types compile in a strict program that checks those of libraries, too', () => {
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  try {
    const source = [
      `import { type Batch, createServer, createSocket } from '${root}/dist/index.js';`,
      `import { createMonitor } from '${root}/dist/monitor/index.js';`,
      `import unix from '${root}/dist/unix-dgram.js';`,
      "const socket = createSocket({ type: 'udp4', receiveTtl: true }, (_, rinfo) => {",
      '  const hops: number | undefined = rinfo.ttl;',
      '  void hops;',
      '});',
      "socket.on('batch', (batch: Batch) => void (batch.ttl(0) satisfies number | undefined));",
      'void [createServer, createMonitor];',
      "const local = unix.createSocket('unix_dgram', (_, { path }) => void (path satisfies string | null));",
      'local.send(Buffer.alloc(1), (error) => void (error?.code satisfies number | undefined));',
    ];
    writeFileSync(join(directory, 'strict.ts'), source.join('\n'));
    const compilerOptions = {
      target: 'es2023',
      module: 'nodenext',
      lib: ['es2023', 'esnext.disposable'],
      typeRoots: [join(root, 'node_modules/@types')],
      types: ['node'],
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
    };
    writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['strict.ts'] }));
    const { stdout } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', directory], { encoding: 'utf8' });
    const own = stdout.split('\n').filter((line) => /^\S.*error TS/.test(line) && !/node_modules\//.test(line));
    assert.deepEqual(own, []);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
