// Runs the receive ring (native/core/memory/rx_ring.h) on a memory as weak as C++ allows, native/test/explore/, and
// shows that each of its memory orders is needed: weaker by one step or more, something is found.
//   node scripts/explore-ring.mjs [--seed N] [--schedules N] [--no-mistakes]
// Prints `✖ …` for what failed; the last line is `N passed, N failed`.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildNative, root } from './native-build.mjs';
import { requireWholeNumbers } from './whole-numbers.mjs';

const { values: options } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    schedules: { type: 'string', default: '1000000' },
    'no-mistakes': { type: 'boolean', default: false },
  },
});
requireWholeNumbers(options, { seed: 0, schedules: 1 });

const RING = 'core/memory/rx_ring.h';
const READER = 'test/support/ring_reader.h';
const native = join(root, 'native');
const textOf = (file) => readFileSync(join(native, file), 'utf8');
/** Schedules in which a mistake has to show. */
const UNTIL_FOUND = '300000';

/** What each access may be instead, from the weakest on. */
const WEAKER = {
  load: { seq_cst: ['relaxed', 'acquire'], acquire: ['relaxed'] },
  store: { seq_cst: ['relaxed', 'release'], release: ['relaxed'] },
  exchange: {
    seq_cst: ['relaxed', 'acquire', 'release', 'acq_rel'],
    acq_rel: ['relaxed', 'acquire', 'release'],
    acquire: ['relaxed'],
    release: ['relaxed'],
  },
};

/** One mistake for each weaker order of each access of the ring. */
function* weakened() {
  const text = textOf(RING);
  const access = /cell\(memory_\.control->(\w+)\)\.(load|store|exchange)\([^;]*?std::memory_order_(\w+)\)/g;
  for (const { 0: whole, 1: word, 2: kind, 3: order, index } of text.matchAll(access)) {
    for (const weaker of WEAKER[kind][order] ?? []) {
      const line = text.slice(0, index).split('\n').length;
      const changed = whole.replace(`memory_order_${order}`, `memory_order_${weaker}`);
      yield {
        name: `${RING}:${line} ${word} ${kind} ${order} → ${weaker}`,
        file: RING,
        text: text.slice(0, index) + changed + text.slice(index + whole.length),
      };
    }
  }
}

/** JavaScript's accesses are sequentially consistent or plain: each Atomics call that is needed, as a plain access. */
const PLAIN = [
  ['the first look at head', 'uint32_t head = cell(memory_.control->head).load()', 'load(std::memory_order_relaxed)'],
  [
    'clearing wake_pending',
    'cell(memory_.control->wake_pending).store(0);\n    } while',
    '.store(0, std::memory_order_relaxed);',
  ],
  ['the second look at head', 'while (cell(memory_.control->head).load()', 'load(std::memory_order_relaxed)'],
  ['moving the tail', 'cell(memory_.control->tail).store(tail_)', 'store(tail_, std::memory_order_relaxed)'],
  ['the look at producer_waiting', 'cell(memory_.control->producer_waiting).load()', 'load(std::memory_order_relaxed)'],
].map(([name, from, to]) => {
  const plain = from.replace(
    /\.?(load|store)\([^)]*\);?/,
    (was) => `${was.startsWith('.') ? '.' : ''}${to.replace(/^\./, '')}`,
  );
  return { name: `receiver.ts, plain: ${name}`, file: READER, text: replaced(READER, from, plain) };
});

/** Accesses in the wrong order, and promises that the ring does not keep. */
const WRONG = [
  [
    'the flag is exchanged before head is stored',
    RING,
    /( +cell\(memory_\.control->head\)\.store\(head_, std::memory_order_seq_cst\);\n) +return (cell\(memory_\.control->wake_pending\)[^;]+;)\n/,
    '    bool sleeps = $2\n$1    return sleeps;\n',
  ],
  [
    'base is stored after head',
    RING,
    /( +cell\(memory_\.control->base\)\.store[^;]+;\n)([^;]+cell\(memory_\.control->head\)\.store[^;]+;\n)/,
    '$2$1',
  ],
  [
    'a crowded ring is not looked at again',
    RING,
    /(if \(!leaves_too_little\(\)\) return false;\n) +look_at_tail\(\);.*\n/,
    '$1',
  ],
  ['no second look for room', RING, 'if (!has_room()) return true;', 'return true;'],
  [
    'it starts over with records unread',
    RING,
    'if (head_ == tail_) {\n      start_over',
    'if (published_ == head_) {\n      start_over',
  ],
  ['it writes into the oldest record', RING, 'oldest_ - write_ > length', 'oldest_ - write_ >= length'],
  ['a slot too many', RING, 'if (head_ - tail_ >= memory_.slots) return', 'if (head_ - tail_ > memory_.slots) return'],
  ['places beyond the oldest record', RING, 'oldest_ - 1;\n    Places', 'oldest_ + 1;\n    Places'],
  [
    'head is looked at before the flag is cleared',
    READER,
    /( +)cell\(memory_\.control->wake_pending\)\.store\(0\);\n +\} while \((cell\(memory_\.control->head\)\.load\(\)) != tail_\);/,
    '$1now = $2;\n$1cell(memory_.control->wake_pending).store(0);\n    } while (now != tail_);',
  ],
  ['the flag is not cleared', READER, '.store(0);\n    } while', '.store(1);\n    } while'],
  [
    'producer_waiting is looked at before the tail moves',
    READER,
    /( +)move_tail\(\);\n +if \((cell\(memory_\.control->producer_waiting\)\.load\(\)) == 0\)/,
    '$1uint32_t waiting = $2;\n$1move_tail();\n    if (waiting == 0)',
  ],
  [
    'records go back before they are read',
    READER,
    'if (cell(memory_.control->tail).load(std::memory_order_relaxed) == tail_) return;',
    'tail_++;\n    move_tail();\n    tail_--;',
  ],
].map(([name, file, from, to]) => ({ name, file, text: replaced(file, from, to) }));

function replaced(file, from, to) {
  let text = textOf(file);
  if (file === READER) text = text.replace('    do {\n', '    [[maybe_unused]] uint32_t now = 0;\n    do {\n');
  const changed = text.replace(from, to);
  if (changed === text) throw new Error(`${file} has no ${from}`);
  return changed;
}

function run(command, args, environment = {}) {
  return new Promise((done) => {
    const env = { ...process.env, ...environment };
    execFile(command, args, { env, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      done({ status: error === null ? 0 : (error.code ?? 1), out: stdout + stderr });
    });
  });
}

const total = { passed: 0, failed: 0 };
function count(name, failure) {
  total[failure === undefined ? 'passed' : 'failed']++;
  if (failure !== undefined) console.log(`✖ ${name}: ${failure}`);
}

const directory = buildNative('default', 'explore');
const program = join(directory, 'test/explore');
await explore();
if (!options['no-mistakes']) await findMistakes();
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;

async function explore() {
  const { status, out } = await run(program, [], {
    KSOCKET_SEED: options.seed,
    KSOCKET_SCHEDULES: options.schedules,
  });
  for (const [, name] of out.matchAll(/^\[ {7}OK \] (\S+)/gm)) count(name);
  for (const [, name] of out.matchAll(/^\[ {2}FAILED {2}\] (\S+) \(/gm)) count(name, `\n${out}`);
  if (status !== 0 && total.failed === 0) count('explore', `ended with ${status}: ${out}`);
  console.log(/^explored: .*$/m.exec(out)?.[0] ?? 'explored: nothing');
}

async function findMistakes() {
  const mistakes = [...weakened(), ...PLAIN, ...WRONG];
  const scratch = mkdtempSync(join(tmpdir(), 'ksocket-explore-'));
  try {
    const worker = async () => {
      for (let next = mistakes.shift(); next !== undefined; next = mistakes.shift()) {
        const place = mkdtempSync(join(scratch, 'mistake-'));
        count(next.name, await tryMistake(next, place));
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() }, worker));
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** The ring's test, compiled with the mistake: undefined when it is found. */
async function tryMistake({ file, text }, place) {
  // Found before the true file by the same name.
  const shadow = file === READER ? join(place, 'support/ring_reader.h') : join(place, file);
  mkdirSync(dirname(shadow), { recursive: true });
  writeFileSync(shadow, text);
  const objects = join(directory, 'test/CMakeFiles/explore.dir/explore');
  const { status, out } = await run('c++', [
    ...['-std=c++20', '-O1', '-w', '-pthread', '-I', place, '-I', native, '-I', join(native, 'test')],
    ...['-isystem', join(root, 'node_modules/@xpack-3rd-party/googletest/googletest/include')],
    ...[join(native, 'test/explore/ring_test.cc'), join(objects, 'weak_memory.cc.o'), join(objects, 'main.cc.o')],
    ...[join(directory, 'test/googletest/libxpack-3rd-party-googletest-static.a'), '-o', join(place, 'explore')],
  ]);
  if (status !== 0) return `does not compile: ${out}`;
  const result = await run(join(place, 'explore'), [], { KSOCKET_SEED: '1', KSOCKET_SCHEDULES: UNTIL_FOUND });
  if (result.status === 0) return 'is not found';
  // A crash, or a compiler's library that is missing, is no finding.
  return /^\[ {2}FAILED {2}\] \S+ \(/m.test(result.out) ? undefined : `ends with ${result.status}: ${result.out}`;
}
