// Compiles test/ to build-test/, examples/ to build-test/programs/, and runs it with node:test, on each engine in turn. Its last line is
// `N passed, N failed`, over all.
//
//   node scripts/test-ts.mjs [--engine mmsg|posix|dgram] [--jobs N] [--verbose] [--tarball] [FILTER …]
//
// FILTER is part of a test file's path. What does not depend on the engine is named *.once.test.ts and runs once. The engine
// `dgram` is what stands in for the addon.
// --tarball: what is in test/tarball/, and only that: it tests ksocket-VERSION.tgz, which `npm run package` has made.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { run } from 'node:test';
import { inspect, parseArgs } from 'node:util';
import { runCompiler } from './compiler.mjs';
import { runsOn, variablesOf } from './test-engines.mjs';

const root = dirname(import.meta.dirname);
const built = join(root, 'build-test');

/** Each test has a limit of its own (test/support/test.ts); what says nothing for longer than that is a process that
 * has done its tests and does not end, and that is a failure. */
const SILENCE_LIMIT_MS = 100_000;
/** Where a test compiles the addon. */
const COMPILING_LIMIT_MS = 600_000;

const { values: options, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: {
    engine: { type: 'string', multiple: true, default: ['mmsg', 'posix', 'dgram'] },
    jobs: { type: 'string', default: '2' },
    verbose: { type: 'boolean', default: false },
    tarball: { type: 'boolean', default: false },
    /** Not these, though a filter has them. */
    without: { type: 'string', multiple: true, default: [] },
    /** A shared object that is loaded into the tests and all that they start. */
    preload: { type: 'string' },
  },
});

build();
if (options.preload) process.env.LD_PRELOAD = options.preload; // the test processes inherit it
const files = readdirSync(built, { recursive: true })
  .filter((file) => file.endsWith('.test.js') && (filters.length === 0 || filters.some((part) => file.includes(part))))
  .filter((file) => file.startsWith('tarball/') === options.tarball)
  .filter((file) => !options.without.some((part) => file.includes(part)))
  .sort();
const total = { passed: 0, failed: 0 };
let once = files.filter((file) => file.endsWith('.once.test.js'));
for (const engine of options.engine) {
  const { passed, failed, seconds } = await runEngine(
    engine,
    files.filter((file) => runsOn(engine, file) && (!file.endsWith('.once.test.js') || once.includes(file))),
  );
  once = [];
  console.log(`engine ${engine}: ${passed} passed, ${failed} failed (${seconds.toFixed(0)} s)\n`);
  total.passed += passed;
  total.failed += failed;
}
if (total.passed + total.failed === 0) {
  console.error('no test file matches');
  process.exitCode = 1;
}
console.log(`${total.passed} passed, ${total.failed} failed`);
if (total.failed > 0) process.exitCode = 1;

/** The tests, and the programs in test/support that send what no JavaScript could, at the rate they say. */
function build() {
  if (!existsSync(join(root, 'dist/index.js'))) fail('there is no dist/: run `npm run build` first');
  rmSync(built, { recursive: true, force: true });
  const path = `${join(root, 'node_modules/.bin')}:${process.env.PATH}`;
  for (const project of ['test', 'examples']) {
    const env = { ...process.env, PATH: path };
    const tsc = spawnSync('tsc', ['-p', `${project}/tsconfig.json`], { cwd: root, stdio: 'inherit', env });
    if (tsc.status !== 0) fail(`${project}/ does not compile`);
  }
  const support = join(root, 'test/support');
  mkdirSync(join(built, 'bin'), { recursive: true });
  for (const source of readdirSync(support).filter((file) => file.endsWith('.cc'))) {
    const name = basename(source, '.cc');
    const shared = name.endsWith('_preload') ? ['-shared', '-fPIC'] : [];
    const out = join(built, 'bin', shared.length > 0 ? `${name}.so` : name);
    const args = ['-std=c++20', '-O2', '-Wall', '-Wextra', ...shared, '-o', out, join(support, source)];
    try {
      runCompiler(args, { stdio: 'inherit' });
    } catch {
      fail(`${source} does not compile`);
    }
  }
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

async function runEngine(engine, files) {
  const { variable, other } = variablesOf(engine);
  console.log(`engine ${engine} (${variable}=${engine}), ${files.length} files, node ${process.version}`);
  process.env[variable] = engine; // the test processes inherit it
  delete process.env[other];
  const started = performance.now();
  const sum = { passed: 0, failed: 0 };
  const waiting = [...files];
  const worker = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const { passed, failed } = await runFile(file);
      sum.passed += passed;
      sum.failed += failed;
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Number(options.jobs)) }, worker));
  return { ...sum, seconds: (performance.now() - started) / 1000 };
}

/** Runs one file in a process of its own and prints what became of it. */
async function runFile(file) {
  const path = join(built, file);
  const tooLong = new AbortController();
  const timer = setTimeout(() => tooLong.abort(), options.tarball ? COMPILING_LIMIT_MS : SILENCE_LIMIT_MS);
  const started = performance.now();
  const lines = [];
  let passed = 0;
  let failed = 0;
  const fails = (name, error) => {
    failed++;
    lines.push(`  ✖ ${name}`, ...indent(describeError(error)));
  };
  const onEvent = {
    'test:pass': ({ name, details, skip, todo }) => {
      if (details.type === 'suite') return;
      if (skip !== undefined || todo !== undefined) return fails(name, 'is not run: skipped, or to do');
      if (name === path) return fails(name, 'has no tests');
      passed++;
      if (options.verbose) lines.push(`  ✔ ${name} (${details.duration_ms.toFixed(0)} ms)`);
    },
    'test:fail': ({ name, details }) => {
      if (details.type === 'suite' && details.error.failureType === 'subtestsFailed') return;
      const error = name === path && tooLong.signal.aborted ? 'does not end' : details.error;
      fails(name === path ? `the process of ${file}` : name, error);
    },
    'test:stdout': ({ message }) => lines.push(...indent(message.trimEnd())),
    'test:stderr': ({ message }) => lines.push(...indent(message.trimEnd())),
  };
  for await (const { type, data } of run({ files: [path], signal: tooLong.signal })) {
    timer.refresh();
    onEvent[type]?.(data);
  }
  clearTimeout(timer);

  const mark = failed > 0 ? '✖' : '✔';
  const counts = failed > 0 ? `${passed} passed, ${failed} failed` : `${passed}`;
  const source = relative(root, join(root, 'test', file.replace(/\.js$/, '.ts')));
  console.log(`${mark} ${source}: ${counts} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  for (const line of lines) console.log(line);
  return { passed, failed };
}

// With what it was caused by: a property's failure has there what failed.
function told(error) {
  if (!(error instanceof Error)) return inspect(error);
  const text = error.stack ?? error.message;
  return error.cause === undefined ? text : `${text}\ncaused by ${told(error.cause)}`;
}

function describeError(error) {
  if (typeof error === 'string') return error;
  const { failureType, exitCode, signal, cause } = error;
  if (exitCode !== undefined || signal !== undefined) return `ended with exit code ${exitCode}, signal ${signal}`;
  const text = told(cause);
  return `${failureType}: ${text.replaceAll(/\n +at .*\(?node:internal.*/g, '')}`;
}

function indent(text) {
  return text.split('\n').map((line) => `      ${line}`);
}
