// Runs the tests that notice a mutant of native/core/ or native/engine/: GoogleTest's cases of the file, then of its room, then all;
// then, with an addon that has the mistake, the TypeScript tests of what the room does.
import { copyFileSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { cppMutants } from './cpp-operators.mjs';
import { apply } from './mutant.mjs';
import { root } from './scratch.mjs';

const BUILD = 'build-native/default';
const ADDON = `prebuilds/${process.platform}-${process.arch}/ksocket.node`;
const PROGRAM = `./${BUILD}/test/native_tests`;
const BUILD_LIMIT_MS = 900_000;
const TEST_LIMIT_MS = 100_000;

/** The TypeScript tests for code of these rooms: parts of their names. */
const seenFrom = [
  [/hand_over|flow_row/, ['hand-over/']],
  [/^native\/core\/(?:answer\/tunnel|tunnel\/|socket\/tap)/, ['tunnel/']],
  [/^native\/core\/xdp\//, ['kernel/']],
  [/^native\/core\/answer\//, ['server/', 'protection/', 'monitor/health']],
  [/^native\/core\/control\//, ['socket/metadata', 'socket/bursts', 'socket/stats']],
  [
    /^native\/(?:core\/(?:endpoint|thread)|engine)\//,
    ['socket/', 'unix/', 'server/', 'lifecycle/exit', 'dgram/differential'],
  ],
  [/./, ['socket/', 'unix/', 'lifecycle/exit', 'dgram/differential']],
];

export class NativeTests {
  #scratch;
  #suites = new Map(); // test file → its filter
  #ms = new Map(); // filter → how long it takes
  #addon = false; // has it been built here?
  #without = []; // tests that fail without a mistake

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
    const once = new Set(); // on a busy machine a test may fail by itself
    for (;;) {
      const { status, output } = await this.#test('*', 600_000);
      if (status === 0) return;
      const [failed] = failures(output);
      if (failed === undefined) throw new Error(`native tests do not end as they are: ${output}`);
      if (once.has(failed)) {
        say(`${failed} fails as it is, and is left out`);
        this.#without.push(failed);
      }
      once.add(failed);
    }
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
      const by = await this.#noticedBy(filter);
      if (by !== undefined) return { outcome: 'noticed', by };
    }
    return undefined;
  }

  async #noticedBy(filter) {
    const limitMs = 20_000 + 3 * (this.#ms.get(filter) ?? 20_000);
    const passAlone = [];
    for (;;) {
      const { status, output, ms } = await this.#test(filter, limitMs, passAlone);
      if (status === null) return 'a native test (hangs)';
      if (status === 0) {
        this.#ms.set(filter, ms);
        return undefined;
      }
      const [failed] = failures(output);
      if (failed === undefined) return `native tests that end with ${status}`;
      if ((await this.#test(failed, limitMs)).status !== 0) return failed;
      passAlone.push(failed);
    }
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

  #test(filter, limitMs, passAlone = []) {
    const without = [...this.#without, ...passAlone];
    const tests = without.length === 0 ? filter : `${filter}-${without.join(':')}`;
    return this.#scratch.run(PROGRAM, ['--gtest_brief=1', '--gtest_fail_fast', `--gtest_filter=${tests}`], { limitMs });
  }

  async #lookFromTypescript(file, budgetMs) {
    const built = await this.#buildAddon();
    if (built !== 0) return { outcome: 'noticed', by: 'the addon does not build' };
    const parts = seenFrom.find(([pattern]) => pattern.test(file))[1];
    const engine = file.includes('engine/posix') ? 'posix' : 'mmsg';
    const end = performance.now() + budgetMs;
    const tests = this.#scratch.tests();
    for (const test of parts.flatMap((part) => tests.filter((test) => test.includes(part)))) {
      if (performance.now() > end) break;
      const { status } = await this.#scratch.runTest(test, engine, TEST_LIMIT_MS);
      if (status !== 0 && (await this.#passesWithout(test, engine))) {
        return { outcome: 'noticed', by: `${test}${status === null ? ' (hangs)' : ''}` };
      }
    }
    return { outcome: 'survived', by: `all native tests and ${parts.join(', ')}` };
  }

  // With the addon that has no mistake. On a busy machine a test may fail by itself.
  async #passesWithout(test, engine) {
    const mistaken = join(this.#scratch.path, 'mistaken.node');
    const addon = join(this.#scratch.path, ADDON);
    copyFileSync(addon, mistaken);
    copyFileSync(join(root, ADDON), addon);
    const { status } = await this.#scratch.runTest(test, engine, TEST_LIMIT_MS);
    copyFileSync(mistaken, addon);
    return status === 0;
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
    copyFileSync(join(this.#scratch.path, 'build/Release/ksocket.node'), join(this.#scratch.path, ADDON));
    return 0;
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
