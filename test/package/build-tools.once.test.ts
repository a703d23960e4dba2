// What is said where there is no compiler: by a checkout that is built, and by `ksocket build`.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, root } from '../support/child.js';
import { test } from '../support/test.js';

interface Said {
  code: number | null;
  stderr: string;
}

const CHECKOUT = ['scripts/build-addon.mjs'];
const COMMAND = ['dist/cli/main.js', 'build', '--out', '/nonexistent/ksocket.node'];

/** Builds the addon with these programs on PATH, each a shell script with that text, and nothing else. */
async function build(programs: Record<string, string>, by = CHECKOUT, CXX?: string): Promise<Said> {
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  try {
    const bin = join(directory, 'bin');
    mkdirSync(bin);
    symlinkSync('/bin/sh', join(bin, 'sh'));
    for (const [name, text] of Object.entries(programs)) {
      writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    }
    const env = { PATH: bin, CXX, MAKE: undefined, PYTHON: undefined, npm_config_python: undefined };
    await using child = new Child(process.execPath, [join(root, by[0]), ...by.slice(1)], { env });
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

test('the command looks for one compiler after the other, and has the words of the first that is too old', async () => {
  const nothing = await build({}, COMMAND);
  assert.equal(nothing.code, 1);
  assert.match(
    nothing.stderr,
    /^ksocket: there is no C\+\+ compiler \(looked for c\+\+, g\+\+, clang\+\+; Debian, Ubuntu:/,
  );
  const old = await build(
    { 'g++': "echo 'no such standard' >&2; echo more >&2; exit 1", 'clang++': 'exit 1' },
    COMMAND,
  );
  assert.equal(old.code, 1);
  assert.match(
    old.stderr,
    /^ksocket: g\+\+ does not compile C\+\+20: no such standard; g\+\+ 11 or clang\+\+ 14 does \(Debian, Ubuntu:/,
  );
});

test('CXX names the compiler and its first arguments, and then no other is looked for', async () => {
  const programs = {
    python3: 'exit 0',
    make: 'exit 0',
    'c++': 'exit 0',
    mine: 'test "$1" = --modern && test "$2" = -std=c++20',
  };
  const old = await build(programs, CHECKOUT, ' mine --ancient ');
  assert.equal(old.code, 1);
  assert.match(old.stderr, /^ {2}a C\+\+20 compiler: mine --ancient is older than g\+\+ 11 or clang\+\+ 14 \(/m);
  assert.match((await build(programs, CHECKOUT, 'other --modern')).stderr, /^ {2}a C\+\+ compiler, other \(/m);
  assert.match(
    (await build(programs, COMMAND, 'mine --ancient')).stderr,
    /^ksocket: mine --ancient does not compile C\+\+20/,
  );
  assert.match((await build(programs, COMMAND, 'other --modern')).stderr, /\(looked for other --modern; Debian/);
  const found = await build({ ...programs, make: 'exit 1' }, CHECKOUT, 'mine --modern');
  assert.equal(found.stderr.trim().split('\n').length, 2);
  assert.match(found.stderr, /^ {2}make \(/m);
});
