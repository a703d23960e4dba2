// What `npm run lint` says of imports in lib/: nothing as it is, and what is wrong by its name.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { root } from '../support/child.js';
import { test } from '../support/test.js';

/** A copy of lib/, to be spoiled. */
class Copy {
  readonly path = mkdtempSync(join(tmpdir(), 'ksocket-test-'));

  constructor() {
    for (const part of ['lib', 'tsconfig.json', 'package.json', '.dependency-cruiser.mjs', 'biome.json']) {
      cpSync(join(root, part), join(this.path, part), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(this.path, 'node_modules'));
  }

  add(file: string, line: string): void {
    mkdirSync(join(this.path, dirname(file)), { recursive: true });
    appendFileSync(join(this.path, file), `${line}\n`);
  }

  /** The exit code, and each violation as `rule: from → to`. */
  lint(): { code: number | null; found: string[] } {
    const command = [join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs'), 'lib', '-T', 'err'];
    const { status, stdout } = spawnSync(process.execPath, command, { cwd: this.path, encoding: 'utf8' });
    const lines = stdout.split('\n').filter((line) => line.startsWith('  error '));
    return { code: status, found: lines.map((line) => line.replace(/^ +error +/, '')).sort() };
  }

  /** The rules of biome.json that are violated. */
  lintGlobals(): string[] {
    const command = ['lint', '--vcs-enabled=false', '--reporter=json', 'lib'];
    const biome = join(root, 'node_modules/.bin/biome');
    const { stdout } = spawnSync(biome, command, { cwd: this.path, encoding: 'utf8' });
    const { diagnostics } = JSON.parse(stdout) as { diagnostics: { category: string }[] };
    return diagnostics.map(({ category }) => category);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

test('no file of lib/ imports what it must not', () => {
  using copy = new Copy();
  assert.deepEqual(copy.lint(), { code: 0, found: [] });
});

test('a file in an unknown room is found, though it imports nothing', () => {
  using copy = new Copy();
  copy.add('lib/newroom/alone.ts', 'export const alone = 1;');
  const { code, found } = copy.lint();
  assert.notEqual(code, 0);
  assert.deepEqual(found, ['no-unknown-room-alone: lib/newroom/alone.ts']);
});

const wrong: [what: string, file: string, line: string, violation: RegExp][] = [
  [
    'a value from a room above',
    'lib/base/errno.ts',
    "export { features } from '../backend/features.js';",
    /^only-below-base: lib\/base\/errno\.ts → lib\/backend\/features\.ts$/,
  ],
  [
    'a type from a room above',
    'lib/socket/options.ts',
    "import type { Server } from '../server/server.js';",
    /^only-below-socket: lib\/socket\/options\.ts → lib\/server\/server\.ts$/,
  ],
  [
    'a type in place from a room above',
    'lib/base/errno.ts',
    "export type Above = import('../thread/batch.js').Batch;",
    /^only-below-base: lib\/base\/errno\.ts → lib\/thread\/batch\.ts$/,
  ],
  [
    'a type from a room beside',
    'lib/dgram/state.ts',
    "export type { IoThread } from '../thread/io-thread.js';",
    /^only-below-dgram: lib\/dgram\/state\.ts → lib\/thread\/io-thread\.ts$/,
  ],
  [
    'two files of a room import each other, one of them a type',
    'lib/thread/batch.ts',
    "import type { Endpoint } from './endpoint.js';",
    /^no-circle: lib\/thread\/(batch|endpoint)\.ts → *$/,
  ],
  [
    'a third-party type in what `ksocket` loads',
    'lib/server/options.ts',
    "import type { Registry } from 'prom-client';",
    /^no-third-party: lib\/server\/options\.ts → .*node_modules\/prom-client\//,
  ],
  [
    'a file that is not there',
    'lib/index.ts',
    "export type { Nothing } from './socket/nothing.js';",
    /^no-unresolved: lib\/index\.ts → \.\/socket\/nothing\.js$/,
  ],
  [
    'a room that nobody knows',
    'lib/elsewhere/tap.ts',
    "import '../base/errno.js';",
    /^no-unknown-room: lib\/elsewhere\/tap\.ts → lib\/base\/errno\.ts$/,
  ],
];

for (const [what, file, line, violation] of wrong) {
  test(`${what}: lint fails`, async () => {
    using copy = new Copy();
    copy.add(file, line);
    const { code, found } = copy.lint();
    assert.notEqual(code, 0);
    assert.ok(
      found.some((each) => violation.test(each)),
      `${violation} in ${found.join('\n')}`,
    );
  });
}

// Programs replace these: lib/base/runtime.ts alone looks them up, when it is imported.
const lookups = [
  'setImmediate(f)',
  'setTimeout(f, 1)',
  'queueMicrotask(f)',
  'process.nextTick(f)',
  'performance.now()',
  'Date.now()',
  'globalThis.setTimeout(f, 1)',
  "import { setImmediate } from 'node:timers';\nsetImmediate(f)",
  "import { nextTick } from 'node:process';\nnextTick(f)",
  "import { performance } from 'node:perf_hooks';\nperformance.now()",
];

for (const code of lookups) {
  test(`a late look-up is found: ${code}`, () => {
    using copy = new Copy();
    copy.add('lib/socket/late.ts', `${code};\nexport function f(): void {}`);
    const found = copy.lintGlobals();
    assert.equal(found.length, 1);
    assert.match(found[0], /^lint\/style\/noRestricted(Globals|Imports)$/);
  });
}

test('lib/ has no late look-ups', () => {
  using copy = new Copy();
  assert.deepEqual(copy.lintGlobals(), []);
});
