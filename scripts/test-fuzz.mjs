// Builds the fuzzers of native/fuzz/ with clang and runs them from their corpora. Prints a line each, with the inputs
// that it takes in a second of processor time; the last line is `N passed, N failed`.
//
//   node scripts/test-fuzz.mjs [--seconds S | --runs N] [--grow] [NAME …]    10 seconds each without a number
//   node scripts/test-fuzz.mjs --mistakes [NAME …]   shows that each mistake of native/fuzz/mistakes.json is found:
//                                                    by a check or a sanitizer, or, where the list says `dies`, by its end
//
// An input that fails stays in build-native/fuzz/findings/; build-native/fuzz/fuzz/NAME FILE runs it alone. A corpus is
// a file of native/fuzz/corpus/, with an input a line in base64. --grow adds what a run has found, and leaves out what
// that makes superfluous.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildNative, root } from './native-build.mjs';
import { requireWholeNumbers } from './whole-numbers.mjs';

const source = join(root, 'native/fuzz');
/** A fuzzer that takes fewer in a second does too much. */
const INPUTS_PER_SECOND_MIN = 20_000;
/** The speed of a shorter run says nothing. */
const SPEED_SECONDS_MIN = 5;
const MISTAKE_SECONDS_MAX = 60;
/** Where how often a line runs counts as something new, hardly any but long inputs are kept, or large sets of rules. */
const ARGS = { tx: ['-use_counters=0'], kernel: ['-use_counters=0'] };

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '10' },
    runs: { type: 'string' },
    grow: { type: 'boolean', default: false },
    mistakes: { type: 'boolean', default: false },
  },
});
requireWholeNumbers(options, { seconds: 1, runs: 1 });

const known = readdirSync(source)
  .filter((file) => file.endsWith('_fuzz.cc'))
  .map((file) => basename(file, '_fuzz.cc'));
const names = positionals.length > 0 ? positionals : known;
const unknown = names.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`no fuzzer ${unknown.join(', ')}, only ${known.join(', ')}`);
  process.exit(1);
}

const total = { passed: 0, failed: 0 };
const scratch = mkdtempSync(join(tmpdir(), 'ksocket-fuzz-'));
try {
  await (options.mistakes ? findMistakes() : fuzz());
} catch (error) {
  total.failed++;
  console.log(`✖ ${error.message}`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;

async function fuzz() {
  const built = join(buildNative('fuzz'), 'fuzz');
  const findings = join(built, '../findings');
  mkdirSync(findings, { recursive: true });
  const limit = options.runs ? `-runs=${options.runs}` : `-max_total_time=${options.seconds}`;
  const waiting = [...names];
  const worker = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const found = join(scratch, name);
      const { failure, inputs, seconds } = await run(
        built,
        name,
        [limit, `-artifact_prefix=${findings}/${name}-`],
        found,
      );
      total[failure === undefined ? 'passed' : 'failed']++;
      if (failure !== undefined) console.log(`✖ ${name}: ${failure}`);
      else console.log(`✔ ${name}: ${inputs} inputs, ${speed(inputs, seconds)}`);
      if (options.grow && failure === undefined) grow(built, name, found);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
}

/** Said, and no failure: processor time, too, depends on what else runs, and the slowest are near the limit. */
function speed(inputs, seconds) {
  const perSecond = Math.round(inputs / seconds);
  const slow = seconds >= SPEED_SECONDS_MIN && perSecond < INPUTS_PER_SECOND_MIN;
  return `${perSecond} a second${slow ? `, fewer than ${INPUTS_PER_SECOND_MIN}` : ''}`;
}

/** Runs a fuzzer from its corpus; what it finds goes to `found`. */
function run(built, name, args, found) {
  mkdirSync(found, { recursive: true });
  const corpus = unpack(name);
  // Short inputs are quick ones; without entropic power schedules a third of the time is saved.
  const all = ['-max_len=256', '-entropic=0', '-timeout=20', ...(ARGS[name] ?? []), ...args, found, corpus];
  return new Promise((resolve, reject) => {
    const child = spawn(join(built, name), all, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(-1 << 16);
    });
    child.on('error', reject);
    child.on('close', (status, signal) => {
      const [, inputs, seconds] = /(\d+) inputs, ([\d.]+) s of processor time/.exec(said) ?? [];
      if (status === 0 && inputs !== undefined) resolve({ inputs: Number(inputs), seconds: Number(seconds) });
      else resolve({ failure: describe(said) ?? `ended with ${signal ?? status}`, died: !isFinding(said) });
    });
  });
}

/** Has a check or a sanitizer said something, or has it only died or not ended? */
function isFinding(said) {
  return /✖ |runtime error: |ERROR: AddressSanitizer: /.test(said);
}

/** What of a fuzzer's output says why it failed, and with which input. */
function describe(said) {
  const why = /✖ .*|.*runtime error: .*|ERROR: (?:AddressSanitizer|libFuzzer): .*/.exec(said)?.[0];
  const input = /Test unit written to (\S+)/.exec(said)?.[1];
  return why && `${why.replace(/^✖ /, '')}${input ? ` (${input})` : ''}`;
}

function corpusOf(name) {
  return join(source, 'corpus', `${name}.txt`);
}

/** The inputs of a corpus as files; the directory. */
function unpack(name) {
  const directory = join(scratch, `${name}-corpus`);
  mkdirSync(directory, { recursive: true });
  const lines = existsSync(corpusOf(name)) ? readFileSync(corpusOf(name), 'utf8').split('\n').filter(Boolean) : [];
  for (const [i, line] of lines.entries()) writeFileSync(join(directory, String(i)), Buffer.from(line, 'base64'));
  return directory;
}

function grow(built, name, found) {
  const merged = join(scratch, `${name}-merged`);
  mkdirSync(merged, { recursive: true });
  const args = ['-merge=1', '-max_len=256', ...(ARGS[name] ?? []), merged, found, unpack(name)];
  if (spawnSync(join(built, name), args, { stdio: 'ignore' }).status !== 0) {
    throw new Error(`the corpus of ${name} does not merge`);
  }
  const lines = readdirSync(merged).map((file) => readFileSync(join(merged, file), 'base64'));
  writeFileSync(
    corpusOf(name),
    lines
      .sort()
      .map((line) => `${line}\n`)
      .join(''),
  );
}

/** Makes each mistake in a copy of native/; its fuzzer has to find it. */
async function findMistakes() {
  const copy = join(scratch, 'native');
  cpSync(join(root, 'native'), copy, { recursive: true, filter: (file) => !file.includes('/fuzz/corpus') });
  const cmake = (...args) => {
    const { status, stdout, stderr } = spawnSync('cmake', args, { cwd: copy, encoding: 'utf8' });
    if (status !== 0) throw new Error(`cmake ${args.join(' ')}: ${stderr || stdout}`);
  };
  cmake('--preset', 'fuzz');
  const mistakes = JSON.parse(readFileSync(join(source, 'mistakes.json'), 'utf8'));
  for (const [
    i,
    { fuzzer, file, from, to, dies = false, name = `${from.trim()} → ${to.trim()}` },
  ] of mistakes.entries()) {
    if (!names.includes(fuzzer)) continue;
    const path = join(copy, file);
    const right = readFileSync(path, 'utf8');
    const title = `${fuzzer} (${file}: ${name})`;
    if (right.split(from).length !== 2) {
      total.failed++;
      console.log(`✖ ${title}: the text is not there, or more than once`);
      continue;
    }
    writeFileSync(
      path,
      right.replace(from, () => to),
    );
    cmake('--build', '--preset', 'fuzz', '--target', fuzzer, '--parallel', String(availableParallelism()));
    const started = performance.now();
    const args = [`-max_total_time=${MISTAKE_SECONDS_MAX}`, `-artifact_prefix=${scratch}/${i}-`];
    const { failure, died = false } = await run(
      join(scratch, 'build-native/fuzz/fuzz'),
      fuzzer,
      args,
      join(scratch, String(i)),
    );
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const found = failure !== undefined && died === dies;
    total[found ? 'passed' : 'failed']++;
    console.log(
      !found
        ? `✖ ${title}: ${failure ?? 'is not found'}`
        : `✔ ${title}: ${seconds} s, ${failure.replace(/ \(\/.*/, '')}`,
    );
    writeFileSync(path, right);
  }
}
