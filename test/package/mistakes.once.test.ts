// The mistakes that the slow tools make can be made: each one's text stands in its file, once.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../support/child.js';
import { test } from '../support/test.js';

const load = async (tool: string) =>
  (await import(pathToFileURL(join(root, `scripts/${tool}-mistakes.mjs`)).href)).mistakes as Record<string, unknown>;

/** Those whose text stands there more or less often than once. */
function misplaced(mistakes: [name: string, file: string, text: string][]): string[] {
  return mistakes
    .map(([name, file, text]) => ({ name, count: readFileSync(join(root, file), 'utf8').split(text).length - 1 }))
    .filter(({ count }) => count !== 1)
    .map(({ name, count }) => `${name}: ${count} times`);
}

test('in what the stepping tests play', async () => {
  const mistakes = Object.entries(await load('stepping')) as [string, [file: string, text: string][]][];
  assert.ok(mistakes.length > 50);
  assert.deepEqual(misplaced(mistakes.flatMap(([name, edits]) => edits.map(([file, text]) => [name, file, text]))), []);
});

test('in the I/O thread on its simulated kernel', async () => {
  const mistakes = Object.entries(await load('simulation')) as [string, { file: string; from: string }][];
  assert.ok(mistakes.length > 10);
  assert.deepEqual(misplaced(mistakes.map(([name, { file, from }]) => [name, file, from])), []);
});

test('in what is fuzzed', () => {
  const listed = JSON.parse(readFileSync(join(root, 'native/fuzz/mistakes.json'), 'utf8'));
  const mistakes = Object.values(listed).flat() as { file: string; from: string }[];
  assert.ok(mistakes.length > 30);
  assert.deepEqual(misplaced(mistakes.map(({ file, from }) => [from, join('native', file), from])), []);
});
