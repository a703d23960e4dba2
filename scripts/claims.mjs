// Holds the documents to docs/claims.md: each sentence that promises a behaviour stands there with the test that holds
// it, and each other one with why it promises none. Prints every violation and fails when there is one.
//
//   node scripts/claims.mjs [directory]            the project without one
//   node scripts/claims.mjs --write [directory]    writes docs/claims.md again in the documents' order: takes out what is
//                                                  gone, puts `?` behind what is new
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const DOCUMENTS = ['README.md', 'docs/design.md', 'docs/protection.md', 'docs/compatibility.md'];
const TABLE = 'docs/claims.md';
const NO_PROMISE = 'no promise: ';
const UNSORTED = '?';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { write: { type: 'boolean', default: false } },
});
const project = resolve(import.meta.dirname, '..');
const root = resolve(positionals[0] ?? project);
const read = (file) => readFileSync(join(root, file), 'utf8');

/** The prose of a Markdown document, sentence by sentence: a row of a table is one. Headings, code blocks and images say
 * nothing; of a table of figures (between `bench:` marks) a row is what it measures. */
function sentencesOf(markdown) {
  const sentences = [];
  let block = '';
  const end = () => {
    sentences.push(...split(block));
    block = '';
  };
  const figures = /<!-- bench:[\s\S]*?<!-- \/bench -->/g;
  const rows = (text) => text.match(/^\| [^|\n]*\w[^|\n]*(?= \|)/gm)?.join('\n') ?? '';
  let code = false;
  for (const line of markdown.replaceAll(figures, rows).split('\n')) {
    if (line.startsWith('```')) code = !code;
    if (code || /^(```|#|!\[|\|[-| ]+\|$|\s*$)/.test(line)) end();
    else if (line.startsWith('|')) {
      end();
      sentences.push(line.replace(/^\|\s*|\s*\|$/g, ''));
    } else {
      if (/^\s*(-|\d+\.) /.test(line)) end();
      block += ` ${line.replace(/^\s*(-|\d+\.) /, '').trim()}`;
    }
  }
  end();
  const headers = [...markdown.matchAll(/^\|\s*(.*?)\s*\|\n\|[-| ]+\|$/gm)].map(([, header]) => header);
  return sentences.filter((sentence) => !headers.includes(sentence));
}

/** A sentence ends at its stop where the next begins like one; what stands in backquotes has no stops. */
function split(block) {
  const plain = block.replaceAll(/`[^`]*`/g, (code) => code.replaceAll(/[.?!]/g, '_'));
  const sentences = [];
  let begin = 0;
  for (const { index, 0: stop } of plain.matchAll(/[.?!:]\)?\*{0,2} (?=[*('"]*[A-Z`[])|$/g)) {
    const sentence = block.slice(begin, index + stop.length).trim();
    if (stop.startsWith(':') || /^\*\*[^*]+\*\*$/.test(sentence)) continue; // a lead-in
    begin = index + stop.length;
    if (sentence !== '') sentences.push(sentence);
  }
  return sentences;
}

/** docs/claims.md: what stands before the first document, and for each sentence what stands below it. */
function readTable() {
  const table = { head: '', documents: new Map() };
  let sentences;
  let evidence;
  for (const line of existsSync(join(root, TABLE)) ? read(TABLE).split('\n') : []) {
    if (line.startsWith('## ')) {
      sentences = new Map();
      table.documents.set(line.slice(3), sentences);
    } else if (sentences === undefined) {
      table.head += `${line}\n`;
    } else if (line.startsWith('- ')) {
      evidence = [];
      sentences.set(line.slice(2), evidence);
    } else if (line.startsWith('  - ')) {
      evidence.push(line.slice(4));
    }
  }
  return table;
}

function writeTable({ head, documents }) {
  const parts = DOCUMENTS.map((document) => {
    const known = documents.get(document) ?? new Map();
    const items = new Set(sentencesOf(read(document)));
    for (const sentence of known.keys()) if (!items.has(sentence)) console.log(`${document}: gone: ${sentence}`);
    const lines = [...items].map((each) => [`- ${each}`, ...(known.get(each) ?? [UNSORTED]).map((e) => `  - ${e}`)]);
    return `## ${document}\n\n${lines.flat().join('\n')}\n`;
  });
  writeFileSync(join(root, TABLE), head + parts.join('\n'));
}

/** The names of the tests of a file: of TypeScript as they are written, of GoogleTest as `Suite.name`, of
 * hand-written cases of test/dgram/ and test/kernel/ their keys, of a model what it is told to look at. */
const names = new Map();
function namesIn(file) {
  if (!names.has(file)) {
    const code = read(file);
    const found = file.endsWith('.cc')
      ? [...code.matchAll(/^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)/gm)].map(([, suite, name]) => `${suite}.${name}`)
      : [...code.matchAll(namePattern(file))].map(([, quote, name]) => name.replaceAll(`\\${quote}`, quote));
    names.set(file, new Set(found));
  }
  return names.get(file);
}

function namePattern(file) {
  if (file.endsWith('.test.ts')) return /[tT]est\(\s*(?:'[^']*',\s*(?=['"`]))?(['"`])((?:\\.|(?!\1).)*)\1/g; // addonTest() says first what it needs
  if (/^test\/(dgram\/cases|kernel)\//.test(file)) return /^ {2}\[?(['"`])((?:\\.|(?!\1).)*)\1\]?:/gm;
  if (/^scripts\/(check-model|stepping-mistakes)\.mjs$/.test(file)) return /^ {2}(')([^']+)': \[/gm;
  if (file === 'scripts/simulation-mistakes.mjs') return /^ {2}(['"])(.+?)\1: \{/gm;
  if (file === 'scripts/explore-ring.mjs') return /\[\s*(')([^']+)',/g;
  return /(?!)/g;
}

/** A whole id or its beginning up to a slash, as `--only` takes them. */
const { scenarios } = await import(pathToFileURL(join(root, 'bench/scenarios/index.mjs')).href);
const isBenchmark = (name) => scenarios.some(({ id }) => id === name || id.startsWith(`${name}/`));

function wrongIn(evidence) {
  const [, where, name] = /^(.*?): (.*)$/.exec(evidence) ?? [];
  if (evidence.startsWith(NO_PROMISE)) return undefined;
  if (where === 'bench') return isBenchmark(name) ? undefined : `no benchmark is called ${name}`;
  if (where === undefined || !/^(native\/)?(test|scripts)\//.test(where))
    return `says neither a test nor that it is ${NO_PROMISE}…`;
  if (!existsSync(join(root, where))) return `there is no ${where}`;
  return namesIn(where).has(name) ? undefined : `${where} has no test '${name}'`;
}

function violations({ documents }) {
  const found = [];
  for (const document of DOCUMENTS) {
    const known = documents.get(document) ?? new Map();
    const sentences = new Set(sentencesOf(read(document)));
    for (const sentence of sentences)
      if (!known.has(sentence)) found.push(`${document}: not in the table: ${sentence}`);
    for (const [sentence, evidence] of known) {
      if (!sentences.has(sentence)) found.push(`${document}: does not say any more: ${sentence}`);
      if (evidence.length === 0) found.push(`${document}: nothing holds: ${sentence}`);
      for (const each of evidence) {
        const wrong = each === UNSORTED ? 'is not sorted yet' : wrongIn(each);
        if (wrong) found.push(`${document}: ${sentence}\n    ${wrong}`);
      }
    }
  }
  return found;
}

if (values.write) writeTable(readTable());
const found = violations(readTable());
for (const each of found) console.log(each);
if (found.length > 0) process.exitCode = 1;
