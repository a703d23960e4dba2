// Runs the tests that notice a mutant of lib/: of those that reach its place, first the ones of its room, the quickest first.
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { apply } from './mutant.mjs';
import { Kept } from './scratch.mjs';
import { transpile, typescriptMutants } from './typescript-operators.mjs';

const ENGINE = 'mmsg'; // lib/ does not know which one it is
const COVERING_LIMIT_MS = 150_000;

/** Tests that take minutes: other versions of Node, other people's programs, a browser, many random runs. */
const slow =
  /^(?:dgram\/(?:deprecations|packages)|lifecycle\/(?:chaos|memory)|monitor\/page|package\/(?:contents|kernel))/;

export class TypescriptTests {
  #scratch;
  #compiled = new Map(); // file → its JavaScript without a mistake
  #tests = []; // { test, ms, reached: { file: [start, end, start, end, …] } }

  constructor(scratch) {
    this.#scratch = scratch;
    for (const file of sourcesOf(scratch)) {
      const text = transpile(file, scratch.read(file));
      this.#compiled.set(file, text);
      scratch.write(compiledName(file), text);
    }
  }

  mutants() {
    return [...this.#compiled.keys()].flatMap((file) => typescriptMutants(file, this.#scratch.read(file)));
  }

  /** Finds out which test reaches what, and how long it takes. */
  async prepare(say) {
    const tests = this.#scratch.tests();
    const kept = new Kept('coverage', hashOf(...this.#compiled.values()));
    const textOf = (test) => hashOf(this.#scratch.read(`build-test/${test}`));
    this.#tests = (kept.read() ?? []).filter(({ test, text }) => tests.includes(test) && textOf(test) === text);
    const known = new Set(this.#tests.map(({ test }) => test));
    const waiting = tests.filter((test) => !known.has(test) && !slow.test(test));
    const cover = async () => {
      for (let test = waiting.shift(); test !== undefined; test = waiting.shift()) {
        const found = { text: textOf(test), ...(await this.#cover(test)) };
        if (found.ms === undefined) say(`${test} fails as it is, and is left out`);
        this.#tests.push(found);
        kept.write(this.#tests);
      }
    };
    await Promise.all([cover(), cover()]);
    this.#tests = this.#tests.filter(({ ms }) => ms !== undefined).sort((a, b) => a.ms - b.ms);
  }

  async #cover(test) {
    const folder = mkdtempSync(join(this.#scratch.path, 'coverage-'));
    try {
      const { status, ms } = await this.#run(test, COVERING_LIMIT_MS, { NODE_V8_COVERAGE: folder });
      return status === 0 ? { test, ms, reached: this.#reached(folder) } : { test };
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  #reached(folder) {
    const painted = new Map();
    const dist = pathToFileURL(join(this.#scratch.path, 'dist/')).href;
    for (const name of readdirSync(folder)) {
      for (const { url, functions } of resultsOf(join(folder, name))) {
        if (!url.startsWith(dist)) continue;
        const file = `lib/${url.slice(dist.length).replace(/\?.*$/, '').replace(/\.js$/, '.ts')}`;
        const compiled = this.#compiled.get(file);
        if (compiled === undefined) continue;
        const all = painted.get(file) ?? new Uint8Array(compiled.length);
        painted.set(file, all);
        paint(all, functions);
      }
    }
    return Object.fromEntries([...painted].map(([file, all]) => [file, stretches(all)]));
  }

  /**
   * What became of a mutant: `noticed` by whom, or `survived`; `nothing` when what is compiled is the same. Tests that take longer
   * than the budget, all together, are not run.
   */
  async look(mutant, budgetMs) {
    const { file } = mutant;
    const before = this.#compiled.get(file);
    const after = transpile(file, apply(this.#scratch.read(file), mutant));
    const at = differsAt(before, after);
    if (at < 0) return { outcome: 'nothing' };
    const reaching = this.#tests.filter(({ reached }) => includes(reached[file] ?? [], at));
    const tests = [
      ...reaching.filter(({ test }) => near(file, test)),
      ...reaching.filter(({ test }) => !near(file, test)),
    ];
    let left = budgetMs;
    for (const { test, ms } of tests) {
      left -= ms;
      if (left < 0) return { outcome: 'survived', by: `the first of the ${tests.length} tests that reach it` };
      this.#scratch.write(compiledName(file), after);
      const { status } = await this.#run(test, 15_000 + 3 * ms);
      this.#scratch.write(compiledName(file), before);
      if (status === 0) continue;
      // On a busy machine a test may fail by itself.
      const { status: without } = await this.#run(test, 15_000 + 3 * ms);
      if (without === 0) return { outcome: 'noticed', by: `${test}${status === null ? ' (hangs)' : ''}` };
    }
    return { outcome: 'survived', by: `${tests.length} tests that reach it` };
  }

  #run(test, limitMs, env = {}) {
    return this.#scratch.runTest(test, ENGINE, limitMs, env);
  }
}

/** Where tests of a room's files are, other than in the folder of its name. */
const nearby = {
  thread: ['socket', 'lifecycle'],
  server: ['server', 'rules', 'protection'],
  base: ['socket', 'server'],
};

function near(file, test) {
  const room = file.split('/')[1];
  return (nearby[room] ?? [room]).some((folder) => test.startsWith(`${folder}/`));
}

/** What a native test compares with its source. */
const generated = ['backend/layout.ts'];

function sourcesOf(scratch) {
  const names = readdirSync(join(scratch.path, 'lib'), { recursive: true });
  return names.filter((name) => name.endsWith('.ts') && !generated.includes(name)).map((name) => `lib/${name}`);
}

function compiledName(file) {
  return file.replace(/^lib/, 'dist').replace(/\.ts$/, '.js');
}

function hashOf(...texts) {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(text);
  return hash.digest('hex');
}

// A process that was killed may leave half a file.
function resultsOf(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).result;
  } catch {
    return [];
  }
}

// Of nested ranges the innermost says whether its text has run.
function paint(all, functions) {
  const own = new Uint8Array(all.length);
  const ranges = functions.flatMap((each) => each.ranges);
  ranges.sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset);
  for (const { startOffset, endOffset, count } of ranges) own.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  for (let i = 0; i < all.length; i++) all[i] |= own[i];
}

function stretches(painted) {
  const out = [];
  for (let i = 0; i <= painted.length; i++) {
    if ((painted[i] ?? 0) !== (painted[i - 1] ?? 0)) out.push(i);
  }
  return out;
}

export function includes(stretches, at) {
  return stretches.filter((end) => end <= at).length % 2 === 1;
}

function differsAt(before, after) {
  if (before === after) return -1;
  let at = 0;
  while (before[at] === after[at]) at++;
  return at;
}
