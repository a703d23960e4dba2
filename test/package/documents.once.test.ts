// The programs in README.md and docs/ are programs: each JavaScript block of them runs, in a network of its own.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, root } from '../support/child.js';
import { inNamespace } from '../support/namespace.js';
import { test } from '../support/test.js';

const documents = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)];

/** Compiled, and beside each program. */
const examples = join(root, 'build-test/programs');

/** A program that goes on for ever ends after this: what it does at its start has worked by then. */
const RUNS_MS = 1500;
const ends = `data:text/javascript,${encodeURIComponent(`setTimeout(() => process.exit(), ${RUNS_MS}).unref();`)}`;
/** The addresses that they name. */
const network = 'ip link set lo up && ip address add 192.0.2.1/24 dev lo';

interface Block {
  document: string;
  line: number;
  code: string;
}

function blocksOf(document: string): Block[] {
  const text = readFileSync(join(root, document), 'utf8');
  return [...text.matchAll(/^```js\n(.*?)^```$/gms)].map(({ 1: code, index }) => ({
    document,
    line: text.slice(0, index).split('\n').length,
    code,
  }));
}

const blocks = documents.flatMap(blocksOf);

test('there are programs in the documents', () => {
  assert.ok(blocks.filter(({ document }) => document === 'README.md').length >= 5);
});

for (const { document, line, code } of blocks) {
  test(`${document}, line ${line}`, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
    try {
      mkdirSync(join(directory, 'node_modules'));
      symlinkSync(root, join(directory, 'node_modules/ksocket'));
      for (const name of readdirSync(examples)) symlinkSync(join(examples, name), join(directory, name));
      writeFileSync(join(directory, 'program.mjs'), code);
      const [command, ...before] = inNamespace(network);
      const args = [...before, process.execPath, '--import', ends, 'program.mjs'];
      await using child = new Child(command, args, { cwd: directory, env: { KSOCKET_ENGINE: undefined } });
      const { code: status, stderr } = await child.end();
      assert.deepEqual([status, stderr], [0, '']);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}
