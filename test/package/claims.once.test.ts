// Each sentence that promises something has its test: docs/claims.md, and what scripts/claims.mjs finds there.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../support/child.js';
import { test } from '../support/test.js';

/** What is found in a directory; its exit code says whether that is anything. */
function check(directory: string): string[] {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'scripts/claims.mjs'), directory], {
    encoding: 'utf8',
  });
  assert.equal(stderr, '');
  assert.equal(status, stdout === '' ? 0 : 1);
  return stdout.split('\n').slice(0, -1);
}

/** A copy of the documents and of what they are held by, to be spoiled. */
class Copy {
  readonly path = mkdtempSync(join(tmpdir(), 'ksocket-test-'));

  constructor() {
    for (const part of ['README.md', 'docs', 'test', 'native/test', 'scripts', 'bench/scenarios', 'bench/harness']) {
      cpSync(join(root, part), join(this.path, part), { recursive: true });
    }
  }

  replace(file: string, from: string | RegExp, to: string): void {
    const path = join(this.path, file);
    const before = readFileSync(path, 'utf8');
    const after = before.replace(from, () => to);
    assert.notEqual(after, before, `${file} has ${from}`);
    writeFileSync(path, after);
  }

  remove(file: string): void {
    rmSync(join(this.path, file));
  }

  get found(): string[] {
    return check(this.path);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

test('each sentence of the documents is in the table, with tests that exist', () => {
  assert.deepEqual(check(root), []);
});

const documents = ['README.md', 'docs/design.md', 'docs/protection.md', 'docs/compatibility.md'];
for (const document of documents) {
  test(`a sentence that is new in ${document} is found, wherever it stands`, () => {
    using copy = new Copy();
    const sentences = ['It is new.', 'So is `this.`', 'And an item', 'and | a | row'];
    const text = `${sentences[0]} ${sentences[1]}\n\n- ${sentences[2]}\n\n| ${sentences[3]} |\n`;
    copy.replace(document, /$/, `\n${text}`);
    assert.deepEqual(
      copy.found,
      sentences.map((sentence) => `${document}: not in the table: ${sentence}`),
    );
  });
}

test('code, headings and figures promise nothing', () => {
  using copy = new Copy();
  copy.replace('README.md', /$/, '\n## It is new.\n\n```\nIt is new.\n```\n');
  copy.replace('README.md', /(?<=\| send to one peer, sendMany \| datagrams\/s \|) [\d.]+ M/, ' 0.01 M');
  assert.deepEqual(copy.found, []);
});

test('a sentence that has changed is two findings', () => {
  using copy = new Copy();
  copy.replace('docs/design.md', 'A `Server` that answers never waits.', 'A `Server` hardly ever waits.');
  assert.deepEqual(copy.found, [
    'docs/design.md: not in the table: A `Server` hardly ever waits.',
    'docs/design.md: does not say any more: A `Server` that answers never waits.',
  ]);
});

test('a test that is gone, or has another name, is found', () => {
  const gone: [spoil: (copy: Copy) => void, sentence: RegExp, found: RegExp][] = [
    [
      (copy) =>
        copy.replace(
          'test/server/no-wait.test.ts',
          "'a server that answers never waits",
          "'a server that answers seldom waits",
        ),
      /never waits/,
      /no-wait\.test\.ts has no test 'a server that answers never waits/,
    ],
    [
      (copy) => copy.replace('native/test/answer/guarded_responder_test.cc', 'spends_the_sources_token', 'spends_it'),
      /its source's token is spent/,
      /guarded_responder_test\.cc has no test 'GuardedResponder\.spends_the_sources_token/,
    ],
    [
      (copy) => copy.replace('test/dgram/cases/newer.ts', '"port \'0\'"', '"port 0"'),
      /A port of `'0'` is refused/,
      /newer\.ts has no test 'port '0''/,
    ],
    [(copy) => copy.remove('test/server/no-wait.test.ts'), /never waits/, /there is no test\/server\/no-wait/],
    [
      (copy) => copy.replace('bench/scenarios/sending.mjs', "id: 'send/1000-peers'", "id: 'send/peers'"),
      /send to 1 000 peers/,
      /no benchmark is called send\/1000-peers/,
    ],
  ];
  for (const [spoil, sentence, found] of gone) {
    using copy = new Copy();
    spoil(copy);
    const lines = copy.found;
    assert.match(lines[0], sentence);
    assert.match(lines[1], found);
    assert.equal(lines.length, 2);
  }
});

test('a sentence with nothing below it, or something that holds nothing, is found', () => {
  for (const [evidence, found] of [
    ['', 'nothing holds'],
    ['  - ?\n', 'is not sorted yet'],
    ['  - surely\n', 'says neither a test'],
    ['  - lib/server/server.ts: rxUsecs\n', 'says neither a test'],
  ]) {
    using copy = new Copy();
    copy.replace('docs/claims.md', /(?<=- A `Server` that answers never waits\.\n)( {2}- .*\n)+/, evidence);
    const text = copy.found.join('\n');
    assert.ok(text.includes(found) && text.includes('A `Server` that answers never waits.'), text);
  }
});

test('it writes what is new into the table, and takes out what is gone', () => {
  using copy = new Copy();
  copy.replace('docs/design.md', 'A `Server` that answers never waits.', 'A `Server` hardly ever waits.');
  spawnSync(process.execPath, [join(root, 'scripts/claims.mjs'), '--write', copy.path]);
  assert.deepEqual(copy.found, ['docs/design.md: A `Server` hardly ever waits.', '    is not sorted yet']);
});
