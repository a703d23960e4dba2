// Checks native/model/ring.pml with Spin: searches every state of some configurations, shows that each known mistake is
// found, and that the functions the model stands for are the ones it was written after.
//   node scripts/check-model.mjs            prints `✖ …` for what failed; the last line is `N passed, N failed`
//   node scripts/check-model.mjs --accept   the model has been looked at again: takes the functions as they are
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const model = join(root, 'native/model/ring.pml');
const list = join(root, 'native/model/functions.json');

/** What must hold, in states that all are looked at. */
const configurations = {
  'two sockets and a result': ['A=2', 'B=1', 'RESULTS=1'],
  'a socket that blocks': ['A=4', 'B=0', 'RESULTS=0'],
  'a socket that drops, and reuse of the arena': ['A=0', 'B=5', 'RESULTS=0', 'SLOTS=4', 'ARENA=4'],
  'two that wait for one place': ['A=2', 'B=1', 'RESULTS=1', 'SLOTS=1', 'BOTH_BLOCK'],
  'two that wait, one closes': ['A=2', 'B=1', 'RESULTS=1', 'SLOTS=1', 'BOTH_BLOCK', 'CLOSES'],
  'close and stop': ['A=2', 'B=1', 'RESULTS=0', 'STOPS', 'CLOSES'],
  'close and stop with a result': ['A=1', 'B=1', 'RESULTS=1', 'STOPS', 'CLOSES'],
};

/** Mistakes, and where something must be found. */
const small = ['A=2', 'B=0', 'RESULTS=0'];
const mistakes = {
  STARTS_OVER_TOO_EARLY: small,
  CATCHES_UP: configurations['a socket that drops, and reuse of the arena'],
  FLAG_BEFORE_HEAD: small,
  BASE_AFTER_HEAD: small,
  NO_SECOND_LOOK: small,
  OTHERS_LEFT_WAITING: ['A=2', 'B=1', 'RESULTS=0', 'SLOTS=1', 'BOTH_BLOCK'],
  RESULTS_LEFT_WAITING: ['A=2', 'B=0', 'RESULTS=1', 'SLOTS=1'],
  WAITING_BEFORE_TAIL: small,
  HEAD_BEFORE_CLEAR: small,
  NEVER_CLEARED: small,
  DOES_NOT_COME_BACK: small,
  GIVES_BACK_TOO_EARLY: small,
};

/** The text of a function: from the line that begins with `name` to the one that closes it at the same depth, without comments. */
function textOf(file, name) {
  const lines = readFileSync(join(root, file), 'utf8').split('\n');
  const begin = lines.findIndex((line) => line.trimStart().startsWith(name));
  if (begin < 0) throw new Error(`${file} has no ${name}`);
  const depth = /^\s*/.exec(lines[begin])[0];
  let end = begin;
  if (!lines[begin].trimEnd().endsWith('}')) {
    end = lines.findIndex((line, i) => i > begin && line.startsWith(`${depth}}`));
  }
  const text = lines.slice(begin, end + 1).map((line) => line.replace(/\/\/.*/, '').trim());
  return text.filter((line) => line !== '').join('\n');
}

function hashOf(file, name) {
  return createHash('sha256').update(textOf(file, name)).digest('hex').slice(0, 16);
}

function run(command, args, cwd) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr || stdout}`);
  return stdout;
}

/** Errors, and how many states were looked at; throws when those were not all. */
function search(defines) {
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-model-'));
  try {
    run('spin', ['-a', ...defines.map((define) => `-D${define}`), model], directory);
    run('cc', ['-O2', '-w', '-DSAFETY', '-DCOLLAPSE', '-DMEMLIM=3000', '-o', 'pan', 'pan.c'], directory);
    const out = run('./pan', ['-E', '-m100000'], directory); // -E: both threads wait for ever in the end
    const errors = Number(/errors: (\d+)/.exec(out)?.[1]);
    const states = Number(/(\d+) states, stored/.exec(out)?.[1]);
    if (!Number.isInteger(errors) || !(states > 0)) throw new Error(out);
    if (/max search depth too small|MEMLIM|Search not completed/.test(out) && errors === 0) {
      throw new Error(`not all states were looked at: ${out}`);
    }
    return { errors, states };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const functions = JSON.parse(readFileSync(list, 'utf8'));
if (process.argv.includes('--accept')) {
  for (const [file, names] of Object.entries(functions)) {
    for (const name of Object.keys(names)) names[name] = hashOf(file, name);
  }
  writeFileSync(list, `${JSON.stringify(functions, null, 2)}\n`);
  process.exit();
}

const total = { passed: 0, failed: 0 };
function check(name, test) {
  let failure;
  try {
    failure = test();
  } catch (error) {
    failure = error.message;
  }
  total[failure === undefined ? 'passed' : 'failed']++;
  if (failure !== undefined) console.log(`✖ ${name}: ${failure}`);
}

for (const [file, names] of Object.entries(functions)) {
  for (const [name, hash] of Object.entries(names)) {
    check(`${file} ${name}`, () =>
      hashOf(file, name) === hash
        ? undefined
        : 'has changed: does native/model/ring.pml still say what it does? Then: node scripts/check-model.mjs --accept',
    );
  }
}
let looked = 0;
for (const [name, defines] of Object.entries(configurations)) {
  check(name, () => {
    const { errors, states } = search(defines);
    looked += states;
    return errors === 0 ? undefined : `something does not hold (spin -a ${defines.map((d) => `-D${d}`).join(' ')})`;
  });
}
for (const [mistake, defines] of Object.entries(mistakes)) {
  check(mistake, () => (search([...defines, mistake]).errors > 0 ? undefined : 'is not found'));
}
console.log(`model: ${looked} states, all of them`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;
