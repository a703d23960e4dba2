// Links between documents lead somewhere: to a file, and where they have one to a heading in it. README.md has all pages.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../support/child.js';
import { test } from '../support/test.js';

const pages = readdirSync(join(root, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`);
const documents = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'bench/README.md', ...pages];

/** Without blocks of code. */
const prose = (document: string) => readFileSync(join(root, document), 'utf8').replaceAll(/^```.*?^```$/gms, '');

/** Where a document's links lead that stay in the repository, from its root. */
function linksOf(document: string): [path: string, heading: string | undefined][] {
  const links = [...prose(document).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
  return links
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path, heading] = target.split('#');
      return [path === '' ? document : join(dirname(document), path), heading];
    });
}

/** As GitHub makes them. */
function anchorsOf(document: string): string[] {
  const headings = [...prose(document).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

// docs/claims.md has others' sentences, with links as they stand there.
for (const document of documents.filter((name) => name !== 'docs/claims.md')) {
  test(`the links of ${document} lead somewhere`, () => {
    for (const [path, heading] of linksOf(document)) {
      assert.ok(existsSync(join(root, path)), path);
      if (heading !== undefined && path.endsWith('.md')) {
        assert.ok(anchorsOf(path).includes(heading), `${path} has no #${heading}: ${anchorsOf(path)}`);
      }
    }
  });
}

test('README.md leads to each page of docs/', () => {
  const linked = linksOf('README.md').map(([path]) => path);
  for (const page of pages) assert.ok(linked.includes(page), page);
});
