// Runs the tests that notice a mutant of lib/: of those that reach its place, first the ones of its room, the quickest first.
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runsOn } from '../test-engines.mjs';
import { apply } from './mutant.mjs';
import { Kept } from './scratch.mjs';
import { transpile, typescriptMutants } from './typescript-operators.mjs';

/** Elsewhere lib/ does not know which engine it is. */
const FALLBACK = 'lib/backend/fallback/';
const COVERING_LIMIT_MS = 150_000;

/** Tests that take minutes (other versions of Node, other people's programs, a browser, many random runs), and those of the
 * bundles, which are not here. */
const without =
  /^(?:dgram\/(?:deprecations|packages)|lifecycle\/(?:chaos|memory)|monitor\/page|package\/(?:contents|import\.|kernel|startup))/;

export class TypescriptTests {
  #scratch;
  #compiled = new Map(); // file → its JavaScript without a mistake
  #kept;
  #say;
  #tests = []; // { test, engine, text, ms, reached: { file: [start, end, start, end, …] } }

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

  /** What is known already of which test reaches what, and how long it takes. The rest is found out when it is needed. */
  prepare(say) {
    this.#say = say;
    this.#kept = new Kept('coverage', hashOf(...this.#compiled.values()));
    const known = this.#kept.read() ?? [];
    this.#tests = this.#scratch
      .tests()
      .filter((test) => !without.test(test))
      .flatMap((test) => ['mmsg', 'dgram'].filter((engine) => runsOn(engine, test)).map((engine) => ({ test, engine })))
      .map(({ test, engine }) => {
        const text = hashOf(this.#scratch.read(`build-test/${test}`));
        const same = (each) => each.test === test && each.engine === engine && each.text === text;
        return known.find(same) ?? { test, engine, text };
      });
  }

  // Does the test get to this place of the file?
  async #reaches(test, file, at) {
    if (test.reached === undefined) {
      let covered = await this.#cover(test);
      if (covered.ms === undefined) covered = await this.#cover(test); // on a busy machine one may fail by itself
      Object.assign(test, covered);
      if (test.ms === undefined) this.#say(`${test.test}, ${test.engine}, fails as it is, and is left out`);
      else this.#kept.write(this.#tests.filter(({ ms }) => ms !== undefined));
    }
    return includes(test.reached[file] ?? [], at);
  }

  async #cover(test) {
    const folder = mkdtempSync(join(this.#scratch.path, 'coverage-'));
    chmodSync(folder, 0o777); // tests start programs as other users, too
    try {
      const { status, ms } = await this.#run(test, COVERING_LIMIT_MS, { NODE_V8_COVERAGE: folder });
      return status === 0 ? { ms, reached: this.#reached(folder) } : { reached: {} };
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
    let left = budgetMs;
    let run = 0;
    for await (const each of this.#reaching(file, at)) {
      const { test, engine, ms } = each;
      left -= ms;
      if (left < 0) return { outcome: 'survived', by: `the first ${run} tests that reach it` };
      run++;
      const limitMs = 15_000 + 3 * ms;
      this.#scratch.write(compiledName(file), after);
      const { status } = await this.#run(each, limitMs);
      this.#scratch.write(compiledName(file), before);
      if (status === 0) continue;
      // On a busy machine a test may fail by itself.
      const { status: without } = await this.#run(each, limitMs);
      if (without === 0) return { outcome: 'noticed', by: `${test}, ${engine}${status === null ? ' (hangs)' : ''}` };
    }
    return { outcome: 'survived', by: `all ${run} tests that reach it` };
  }

  // The tests that get to this place of the file; where none says so, as a process that is killed does not, those of its room.
  async *#reaching(file, at) {
    const tests = this.#inOrder(file);
    let any = false;
    for (const each of tests) {
      if (!(await this.#reaches(each, file, at))) continue;
      any = true;
      yield each;
    }
    if (!any) yield* tests.filter((each) => each.ms !== undefined && near(file, each));
  }

  // First those of the file's room, the quickest first.
  #inOrder(file) {
    const key = (each) => (near(file, each) ? 0 : 1e9) + (each.ms ?? 1e6);
    const all = this.#tests.filter(({ engine }) => engine === 'mmsg' || file.startsWith(FALLBACK));
    return all.sort((a, b) => key(a) - key(b));
  }

  #run({ test, engine }, limitMs, env = {}) {
    return this.#scratch.runTest(test, engine, limitMs, env);
  }
}

/** Where tests of a room's files are, other than in the folder of its name. */
const nearby = {
  thread: ['socket', 'lifecycle'],
  server: ['server', 'rules', 'protection'],
  base: ['socket', 'server'],
};

function near(file, { test, engine }) {
  if (file.startsWith(FALLBACK)) return engine === 'dgram' || test.startsWith('backend/');
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
