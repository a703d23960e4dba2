// The real receiver and sender of lib/thread/ against the real I/O thread, one access to the ring at a time: fast-check
// chooses what happens and in which order (test/stepping/). Its last line is `N passed, N failed`.
//
//   node scripts/test-stepping.mjs [--runs N] [--seed N]      another seed each time; a failure is printed with its own
//   node scripts/test-stepping.mjs --seed N --path P          that one again
//   node scripts/test-stepping.mjs --mistakes [PART …]        makes each mistake of stepping-mistakes.mjs: is it found?
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { buildAddon, buildProgram } from './stepping-build.mjs';
import { deadly, mistakes } from './stepping-mistakes.mjs';
import { requireWholeNumbers } from './whole-numbers.mjs';

/** Of what may happen, in a run of so many schedules each must have. */
const RUNS_ENOUGH = 20_000;
/** A mistake is found within so many. */
const RUNS_FOR_A_MISTAKE = 100_000;
/** What runs for longer does not end. */
const LIMIT_MS = 30 * 60_000;
const MISTAKE_LIMIT_MS = 5 * 60_000;

const { values: options, positionals: parts } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    path: { type: 'string' },
    jobs: { type: 'string', default: String(Math.min(4, availableParallelism())) },
    mistakes: { type: 'boolean', default: false },
  },
});
requireWholeNumbers(options, { runs: 1, seed: 0, jobs: 1 });
const total = { passed: 0, failed: 0 };
const check = (name, failure) => {
  total[failure === undefined ? 'passed' : 'failed']++;
  if (failure !== undefined) console.log(`✖ ${name}\n  ${failure.replaceAll('\n', '\n  ')}`);
};

if (options.mistakes) await lookForMistakes();
else await lookForFailures();
if (total.passed + total.failed === 0) check(parts.join(' '), 'no mistake is called that');
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;

/** { played, seen, failure } of `runs` schedules from this seed on; `failure` says also how it died. */
function play({ program, addon }, limitMs, seed, runs, path) {
  const args = [program, String(seed), String(runs), ...(path === undefined ? [] : [path])];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, KSOCKET_STEPPING: addon },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let said = '';
  child.stdout.on('data', (data) => {
    out += data;
  });
  child.stderr.on('data', (data) => {
    said += data;
  });
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const last = JSON.parse(out.trimEnd().split('\n').pop() || '{}');
      if (code === 0) return resolve(last);
      const how = signal === 'SIGKILL' ? 'does not end' : `ended with ${signal ?? code}: ${said.trim()}`;
      resolve({ played: 0, seen: {}, failure: { seed: last.seed ?? seed, error: how, died: true } });
    });
  });
}

function describe({ seed, path, error, scenario }) {
  const again = path === undefined ? `--seed ${seed}` : `--seed ${seed} --path ${path}`;
  const shown = scenario === undefined ? '' : `\n${JSON.stringify(scenario)}`;
  return `${error}${shown}\nagain: npm run test:stepping -- ${again}`;
}

async function lookForFailures() {
  const product = { program: buildProgram('product'), addon: await buildAddon('product') };
  const seed = Number(options.seed);
  const runs = Number(options.runs);
  const jobs = options.path === undefined ? Number(options.jobs) : 1;
  const started = performance.now();
  const results = await Promise.all(
    Array.from({ length: jobs }, (_, job) =>
      play(product, LIMIT_MS, seed + job * 1e6, Math.ceil(runs / jobs), options.path),
    ),
  );
  const seen = {};
  let played = 0;
  for (const result of results) {
    played += result.played;
    for (const [what, times] of Object.entries(result.seen)) seen[what] = (seen[what] ?? 0) + times;
    check('stepping', result.failure && describe(result.failure));
  }
  if (played >= RUNS_ENOUGH) {
    for (const [what, times] of Object.entries(seen)) check(what, times > 0 ? undefined : 'has never happened');
  }
  const seconds = (performance.now() - started) / 1000;
  console.log(
    Object.entries(seen)
      .map(([what, times]) => `${what}: ${times}`)
      .join(', '),
  );
  console.log(
    `stepping: ${played} schedules, ${seen.steps} steps of the thread in ${seconds.toFixed(0)} s, seed ${seed}`,
  );
}

async function lookForMistakes() {
  const product = { program: buildProgram('product'), addon: await buildAddon('product') };
  for (const [name, changes] of Object.entries(mistakes)) {
    if (parts.length > 0 && !parts.some((part) => name.includes(part))) continue;
    const native = changes.some(([file]) => file.startsWith('native/'));
    const wrong = native
      ? { addon: await buildAddon('mistake', changes) }
      : { program: buildProgram('mistake', changes) };
    const { played, failure } = await play({ ...product, ...wrong }, MISTAKE_LIMIT_MS, 1, RUNS_FOR_A_MISTAKE);
    const found = failure !== undefined && (!failure.died || deadly.has(name));
    check(name, found ? undefined : (failure?.error ?? `is not found in ${played} schedules`));
    if (found) console.log(`✔ ${name}: ${failure.error.split('\n')[0]}`);
  }
}
