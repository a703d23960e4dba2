// Runs the tests that notice a mutant of native/core/ or native/engine/: GoogleTest's cases of the file, then of its room, then all;
// then, with an addon that has the mistake, the TypeScript tests of what the room does.
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { cppMutants } from './cpp-operators.mjs';
import { apply } from './mutant.mjs';

const BUILD = 'build-native/default';
const PROGRAM = `./${BUILD}/test/native_tests`;
const BUILD_LIMIT_MS = 900_000;
const TEST_LIMIT_MS = 100_000;

/** The TypeScript tests for code of these rooms: parts of their names. */
const seenFrom = [
  [/^native\/core\/answer\//, ['server/', 'protection/', 'monitor/health']],
  [/^native\/core\/control\//, ['socket/metadata', 'socket/bursts', 'socket/stats']],
  [/./, ['socket/', 'lifecycle/exit', 'dgram/differential']],
];

export class NativeTests {
  #scratch;
  #suites = new Map(); // test file → its filter
  #ms = new Map(); // filter → how long it takes
  #addon = false; // has it been built here?

  constructor(scratch) {
    this.#scratch = scratch;
    for (const name of readdirSync(join(scratch.path, 'native/test'), { recursive: true })) {
      if (name.endsWith('_test.cc')) this.#suites.set(name, filterOf(scratch.read(`native/test/${name}`)));
    }
  }

  mutants() {
    return ['native/core', 'native/engine'].flatMap((folder) =>
      readdirSync(join(this.#scratch.path, folder), { recursive: true })
        .filter((name) => /\.(?:cc|h)$/.test(name))
        .flatMap((name) => cppMutants(`${folder}/${name}`, this.#scratch.read(`${folder}/${name}`))),
    );
  }

  async prepare(say) {
    const { status, output } = await this.#scratch.run(
      process.execPath,
      ['scripts/native-build.mjs', 'default', 'native_tests'],
      { limitMs: BUILD_LIMIT_MS, env: this.#compilers() },
    );
    if (status !== 0) throw new Error(`native tests do not build: ${output}`);
    const all = await this.#test('*', 600_000);
    if (all.status !== 0) say(`native tests fail as they are: ${failures(all.output).join(', ') || all.output}`);
  }

  // ccache, where there is one, finds what other trees have compiled.
  #compilers() {
    return {
      CMAKE_CXX_COMPILER_LAUNCHER: process.env.CMAKE_CXX_COMPILER_LAUNCHER,
      CCACHE_BASEDIR: this.#scratch.path,
      CCACHE_NOHASHDIR: '1',
    };
  }

  async look(mutant, budgetMs) {
    const { file } = mutant;
    const before = this.#scratch.read(file);
    this.#scratch.write(file, apply(before, mutant));
    try {
      const built = await this.#build();
      if (built !== 0) return { outcome: 'nothing' };
      return (await this.#lookNatively(file)) ?? (await this.#lookFromTypescript(file, budgetMs));
    } finally {
      this.#scratch.write(file, before);
    }
  }

  async #build() {
    const args = ['--build', BUILD, '--target', 'native_tests', '-j', String(availableParallelism())];
    return (await this.#scratch.run('cmake', args, { limitMs: BUILD_LIMIT_MS, env: this.#compilers() })).status;
  }

  async #lookNatively(file) {
    for (const filter of this.#filters(file)) {
      const limitMs = 20_000 + 3 * (this.#ms.get(filter) ?? 20_000);
      const { status, output, ms } = await this.#test(filter, limitMs);
      if (status === null) return { outcome: 'noticed', by: 'a native test (hangs)' };
      const [failed] = failures(output);
      if (status !== 0 && failed === undefined)
        return { outcome: 'noticed', by: `native tests that end with ${status}` };
      // On a busy machine a test may fail by itself, once.
      if (status !== 0 && (await this.#test(failed, limitMs)).status !== 0) return { outcome: 'noticed', by: failed };
      this.#ms.set(filter, ms);
    }
    return undefined;
  }

  // From the narrowest to all.
  #filters(file) {
    const name = basename(file).replace(/\.\w+$/, '');
    const room = dirname(file).replace(/^native\/(?:core\/)?/, '');
    const of = (wanted) =>
      [...this.#suites]
        .filter(([test]) => wanted(test))
        .map(([, filter]) => filter)
        .join(':');
    const own = of((test) => test.startsWith(`${room}/${name}`));
    const near = of((test) => test.startsWith(`${room}/`));
    return [own, near, '*'].filter((filter) => filter !== '');
  }

  #test(filter, limitMs) {
    return this.#scratch.run(PROGRAM, ['--gtest_brief=1', '--gtest_fail_fast', `--gtest_filter=${filter}`], {
      limitMs,
    });
  }

  async #lookFromTypescript(file, budgetMs) {
    const built = await this.#buildAddon();
    if (built !== 0) return { outcome: 'noticed', by: 'the addon does not build' };
    const parts = seenFrom.find(([pattern]) => pattern.test(file))[1];
    const engine = file.includes('engine/posix') ? 'posix' : 'mmsg';
    const end = performance.now() + budgetMs;
    for (const test of this.#scratch.tests().filter((test) => parts.some((part) => test.includes(part)))) {
      if (performance.now() > end) break;
      const { status } = await this.#scratch.runTest(test, engine, TEST_LIMIT_MS);
      if (status !== 0) return { outcome: 'noticed', by: `${test}${status === null ? ' (hangs)' : ''}` };
    }
    return { outcome: 'survived', by: `all native tests and ${parts.join(', ')}` };
  }

  async #buildAddon() {
    const launcher = process.env.CMAKE_CXX_COMPILER_LAUNCHER ?? '';
    const env = { ...this.#compilers(), CXX: `${launcher} ${process.env.CXX ?? 'c++'}`.trim() };
    if (!this.#addon) {
      this.#addon = true;
      return (await this.#scratch.run(process.execPath, ['scripts/build-addon.mjs'], { env, limitMs: BUILD_LIMIT_MS }))
        .status;
    }
    const make = await this.#scratch.run('make', ['-C', 'build', 'BUILDTYPE=Release', `-j${availableParallelism()}`], {
      env,
    });
    if (make.status !== 0) return make.status;
    const target = `prebuilds/${process.platform}-${process.arch}/ksocket.node`;
    return (await this.#scratch.run('cp', ['build/Release/ksocket.node', target])).status;
  }
}

// GoogleTest's names of what is defined in a test file.
function filterOf(text) {
  const names = new Set();
  for (const [, kind, suite] of text.matchAll(/^(TEST|TEST_F|TEST_P|TYPED_TEST)\((\w+),/gm)) {
    names.add(kind === 'TEST_P' ? `*${suite}.*` : kind === 'TYPED_TEST' ? `${suite}/*` : `${suite}.*`);
  }
  return [...names].join(':');
}

function failures(output) {
  return [...output.matchAll(/^\[ {2}FAILED {2}\] ([\w/.]+)/gm)].map(([, name]) => name);
}
