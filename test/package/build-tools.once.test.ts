// What a checkout says that cannot be built.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, root } from '../support/child.js';
import { test } from '../support/test.js';

/** Builds the addon with these programs on PATH, each a shell script with that text, and nothing else. */
async function build(programs: Record<string, string>): Promise<{ code: number | null; stderr: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  try {
    const bin = join(directory, 'bin');
    mkdirSync(bin);
    symlinkSync('/bin/sh', join(bin, 'sh'));
    for (const [name, text] of Object.entries(programs)) {
      writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    }
    const env = { PATH: bin, CXX: undefined, MAKE: undefined, PYTHON: undefined, npm_config_python: undefined };
    await using child = new Child(process.execPath, [join(root, 'scripts/build-addon.mjs')], { env });
    const { code, stderr } = await child.end();
    return { code, stderr };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('what a checkout needs and does not have is named, with the package to install', async () => {
  const nothing = await build({});
  assert.equal(nothing.code, 1);
  assert.match(nothing.stderr, /^ksocket: building it from source needs\n/);
  assert.match(nothing.stderr, /^ {2}Python 3 \(Debian, Ubuntu: apt install python3;/m);
  assert.match(nothing.stderr, /^ {2}make \(Debian, Ubuntu: apt install make;/m);
  assert.match(nothing.stderr, /^ {2}a C\+\+ compiler, c\+\+ \(Debian, Ubuntu: apt install g\+\+;/m);
  const noMake = await build({ python3: 'exit 0', 'c++': 'exit 0' });
  assert.equal(noMake.stderr.trim().split('\n').length, 2);
  assert.match(noMake.stderr, /^ {2}make \(/m);
});

test('a compiler without C++20, and a Python without version 3, are none', async () => {
  const old = await build({ python3: 'exit 1', make: 'exit 0', 'c++': 'test "$1" = --version' });
  assert.equal(old.code, 1);
  assert.match(
    old.stderr,
    /^ {2}a C\+\+20 compiler: c\+\+ is older than g\+\+ 11 or clang\+\+ 14 \(CXX names another one\)/m,
  );
  assert.match(old.stderr, /^ {2}Python 3 \(/m);
  assert.doesNotMatch(old.stderr, /^ {2}make/m);
});
