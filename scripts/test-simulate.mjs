// The I/O thread on a simulated kernel (native/test/simulate/): builds it and runs it. The last line is `N passed, N failed`, a
// kind of scenario each.
//   node scripts/test-simulate.mjs [--seed N] [--steps M] [--seconds S] [--kind NAME] [--trace 1]
//   node scripts/test-simulate.mjs --mistakes [PART]         is each known mistake (simulation-mistakes.mjs) noticed?
//   node scripts/test-simulate.mjs --fuzz [SECONDS [grow]]   libFuzzer decides, from the corpus; grow: keeps what it found
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildNative, root } from './native-build.mjs';
import { mistakes } from './simulation-mistakes.mjs';
import { requireWholeNumbers } from './whole-numbers.mjs';

/** How long a mistake may stay unnoticed. */
const SECONDS = 40;

const args = process.argv.slice(2);
const modes = { '--mistakes': checkMistakes, '--fuzz': fuzz };
process.exitCode = modes[args[0]] ? modes[args[0]](...args.slice(1)) : simulate(args);

function simulate(options) {
  const given = Object.fromEntries(options.map((name, i) => [name.replace(/^--/, ''), options[i + 1]]));
  requireWholeNumbers(given, { seed: 0, steps: 1, seconds: 1 });
  const program = join(buildNative('default', 'simulate'), 'test/simulate');
  const { status } = spawnSync(program, options, { stdio: 'inherit' });
  if (status === null) console.log('0 passed, 1 failed'); // it died, and has said where
  return status ?? 1;
}

/** The corpus is a file, an input a line in base64. */
function fuzz(seconds = '60', grow = undefined) {
  const built = buildNative('simulate-fuzz', 'simulate');
  const program = join(built, 'test/simulate');
  const kept = join(root, 'native/test/simulate/corpus.txt');
  const corpus = join(built, 'corpus');
  rmSync(corpus, { recursive: true, force: true });
  mkdirSync(corpus);
  const inputs = existsSync(kept) ? readFileSync(kept, 'utf8').split('\n').filter(Boolean) : [];
  for (const [i, line] of inputs.entries()) writeFileSync(join(corpus, String(i)), Buffer.from(line, 'base64'));
  const options = ['-max_len=3000', '-len_control=0', '-use_value_profile=1', `-artifact_prefix=${built}/`];
  const { status } = spawnSync(program, [corpus, `-max_total_time=${seconds}`, '-print_final_stats=1', ...options], {
    stdio: 'inherit',
  });
  if (status === 0 && grow !== undefined) {
    const merged = join(built, 'merged');
    rmSync(merged, { recursive: true, force: true });
    mkdirSync(merged);
    spawnSync(program, ['-merge=1', '-max_len=3000', merged, corpus], { stdio: 'ignore' });
    const lines = readdirSync(merged)
      .sort()
      .map((name) => readFileSync(join(merged, name)).toString('base64'));
    writeFileSync(kept, `${lines.join('\n')}\n`);
  }
  console.log(status === 0 ? '1 passed, 0 failed' : '0 passed, 1 failed');
  return status === 0 ? 0 : 1;
}

/** Builds with each mistake, in a copy; `part`: of its name. */
function checkMistakes(part = '') {
  const copy = join(tmpdir(), `ksocket-mistakes-${process.pid}`);
  const total = { passed: 0, failed: 0 };
  try {
    mkdirSync(copy);
    for (const each of ['native', 'scripts', 'examples', 'package.json'])
      cpSync(join(root, each), join(copy, each), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    for (const [name, mistake] of Object.entries(mistakes)) {
      if (!name.includes(part)) continue;
      const { noticed, said } = check(copy, mistake);
      total[noticed ? 'passed' : 'failed']++;
      console.log(`${noticed ? '✔' : '✖'} ${name}: ${said}`);
    }
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed > 0 ? 1 : 0;
}

/** Does the simulation notice it, and what does it say? */
function check(copy, { file, from, to, kind, dies = false }) {
  const path = join(copy, file);
  const source = readFileSync(path, 'utf8');
  if (source.split(from).length !== 2) return { noticed: false, said: `${file} does not have it once` };
  writeFileSync(
    path,
    source.replace(from, () => to),
  );
  const build = spawnSync(process.execPath, ['scripts/native-build.mjs', 'default', 'simulate'], {
    cwd: copy,
    encoding: 'utf8',
  });
  writeFileSync(path, source);
  if (build.status !== 0) return { noticed: false, said: `does not build: ${build.stdout}${build.stderr}` };
  const run = spawnSync(
    join(copy, 'build-native/default/test/simulate'),
    ['--kind', kind, '--seconds', String(SECONDS)],
    {
      encoding: 'utf8',
      timeout: 2 * SECONDS * 1000,
      killSignal: 'SIGKILL',
    },
  );
  if (run.status === 0) return { noticed: false, said: 'is not noticed' };
  if (run.status !== null) return { noticed: true, said: /✖ (.*)/.exec(run.stdout)?.[1] };
  const why = run.stderr.trim().split('\n').slice(-3).join(' ');
  return { noticed: dies, said: `${run.error ? 'does not end' : `died of ${run.signal}`}: ${why}` };
}
