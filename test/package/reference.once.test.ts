// The reference of the package (`npm run docs`) has every public name, documented, and nothing else: typedoc.json.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, root } from '../support/child.js';
import { test } from '../support/test.js';

interface Reflection {
  name: string;
  children?: Reflection[];
}

/** What typedoc says of a copy of lib/. */
class Copy {
  readonly path = mkdtempSync(join(tmpdir(), 'ksocket-test-'));

  constructor() {
    for (const part of ['lib', 'scripts/typedoc-plugin.mjs', 'typedoc.json', 'tsconfig.json', 'package.json']) {
      cpSync(join(root, part), join(this.path, part), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(this.path, 'node_modules'));
  }

  replace(file: string, from: string, to: string): void {
    const path = join(this.path, file);
    const before = readFileSync(path, 'utf8');
    assert.equal(before.split(from).length, 2, `${file} has ${from} once`);
    writeFileSync(
      path,
      before.replace(from, () => to),
    );
  }

  async typedoc(...args: string[]): Promise<{ code: number | null; output: string }> {
    const bin = join(root, 'node_modules/typedoc/bin/typedoc');
    await using child = new Child(process.execPath, [bin, ...args], { cwd: this.path, env: { NO_COLOR: '1' } });
    const { code, stdout, stderr } = await child.end();
    return { code, output: stdout + stderr };
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

test('the reference has all that the entries of the package export, and no name of ours besides', async () => {
  using copy = new Copy();
  const { code, output } = await copy.typedoc('--json', 'reference.json');
  assert.equal(code, 0, output);
  const text = readFileSync(join(copy.path, 'reference.json'), 'utf8');
  const modules = (JSON.parse(text) as Reflection).children ?? [];
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const typed = Object.entries<string | { types?: string }>(exports).filter(
    ([path, entry]) => typeof entry === 'object' && entry.types && path !== './register', // which is imported for what it does
  );
  assert.deepEqual(
    modules.map(({ name }) => name).sort(),
    typed.map(([path]) => path.replace(/^\./, 'ksocket')).sort(),
  );
  const namesOf = (name: string) => modules.find((each) => each.name === name)?.children?.map((child) => child.name);
  for (const name of ['createSocket', 'Socket', 'SocketEvents', 'Stats', 'Server', 'slot', 'features', 'default']) {
    assert.ok(namesOf('ksocket')?.includes(name), name);
  }
  assert.deepEqual(namesOf('ksocket/monitor')?.sort(), ['Monitor', 'MonitorEvents', 'MonitorOptions', 'createMonitor']);
  // Counters are named where native code has them, one by one.
  const stats = modules.flatMap(({ children }) => children ?? []).find(({ name }) => name === 'Stats');
  assert.ok(stats?.children?.some(({ name }) => name === 'rxKernelDrops'));
  assert.doesNotMatch(text, /"name":\s*"(Counted|counterIndex|SocketCore|IoThread|Replier|ReceivedRecords|observe)"/);
});

/** Docstrings of public names of each kind, and what is said where they are missing. */
const TAKEN: [file: string, docstring: string, said: RegExp][] = [
  ['lib/socket/types.ts', '  /** 0 or nothing: any free port. */\n', /BindOptions\.port \(Property\)/],
  [
    'lib/socket/types.ts',
    '  /** The socket is closed; no other event follows. */\n',
    /SocketEvents\.close \(Property\)/,
  ],
  ['lib/socket/socket.ts', '  /** SO_BROADCAST, socket(7). */\n', /Socket\.setBroadcast/],
  ['lib/socket/socket.ts', '  /** As above, on a connected socket. */\n', /Socket\.send /],
  ['lib/thread/batch.ts', '  /** Its length in bytes. */\n', /Batch\.size/],
  ['lib/server/server.ts', '  /** Is the thread receiving? */\n', /Server\.running/],
  ['lib/server/rules/types.ts', '/** Payload bytes. Text is UTF-8. */\n', /RuleBytes \(TypeAlias\)/],
  ['lib/backend/layout.ts', '  /** receive system calls */\n', /Stats\.rxCalls \(Property\)/],
  ['lib/monitor/index.ts', '/** What createMonitor() takes. */\n', /MonitorOptions \(Interface\)/],
];

test('a public name without its docstring, one that refers to what is not exported, and a link to nowhere fail', async () => {
  using copy = new Copy();
  for (const [file, docstring] of TAKEN) copy.replace(file, docstring, '');
  copy.replace('lib/index.ts', 'type { LookupFunction, SocketOptions }', 'type { SocketOptions }');
  copy.replace('lib/socket/peer.ts', 'The IP literal, as it was given.', 'The IP literal, see {@link Nowhere}.');
  const { code, output } = await copy.typedoc('--emit', 'none');
  assert.notEqual(code, 0);
  for (const [, docstring, said] of TAKEN) {
    const line = output.split('\n').find((each) => said.test(each));
    assert.match(line ?? '', /does not have any documentation/, `${docstring}\n${output}`);
  }
  const others = [/LookupFunction.* not included in the documentation/, /Failed to resolve link to "Nowhere"/];
  for (const said of others) assert.match(output, said);
  const known = [...TAKEN.map(([, , said]) => said), ...others, / Found 0 errors and /];
  const unexpected = output.split('\n').filter((line) => line.includes('[warning]') || line.includes('[error]'));
  assert.deepEqual(
    unexpected.filter((line) => !known.some((said) => said.test(line))),
    [],
  );
});
