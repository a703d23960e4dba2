// Makes small mistakes in native/core, native/engine and lib, one at a time in a copy of the tree, and runs the tests that should
// notice. Prints those that nobody noticed. The last lines are `N noticed, N survived, N equivalent` and `N passed, N failed`.
//
//   node scripts/test-mutants.mjs [--seed N] [--count N] [--language typescript|c++] [--only ID] [--list] [FILTER …]
//
// FILTER is part of a file's path. The same seed makes the same mutants; half of --count are TypeScript's, half are C++'s. --only runs
// the one that was printed with this id, --list prints them and runs nothing. --budget S: how long all tests that reach a mutant
// may take. What is known to change nothing stands in scripts/mutants/equivalent.json, with the reason.
//
// Needs what `npm run build` and `npm run test:ts` have built.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { choose } from './mutants/mutant.mjs';
import { NativeTests } from './mutants/native.mjs';
import { root, Scratch } from './mutants/scratch.mjs';
import { TypescriptTests } from './mutants/typescript.mjs';
import { requireWholeNumbers } from './whole-numbers.mjs';

const { values: options, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '200' },
    language: { type: 'string', multiple: true, default: ['typescript', 'c++'] },
    only: { type: 'string', multiple: true },
    budget: { type: 'string', default: '180' },
    list: { type: 'boolean', default: false },
  },
});
requireWholeNumbers(options, { seed: 0, count: 1, budget: 1 });

/** A header is compiled with all that include it: of those, fewer. */
const HEADER_WEIGHT = 0.15;

const equivalents = JSON.parse(readFileSync(join(root, 'scripts/mutants/equivalent.json'), 'utf8'));

function reasonOf({ file, before, after }) {
  return equivalents.find((each) => each.file === file && each.before === before && each.after === after)?.why;
}

function print(sign, { id, file, line, operator, before, after }, note) {
  console.log(`${sign} ${file}:${line} ${operator} (--only ${id}): ${note}\n    - ${before}\n    + ${after}`);
}

const total = { noticed: 0, survived: 0, equivalent: 0 };

/** Some more are chosen than are wanted: not all of them are programs. */
async function run(language, tests, wanted) {
  const all = tests.mutants().filter(({ file }) => filters.length === 0 || filters.some((part) => file.includes(part)));
  const weight = ({ file }) => (file.endsWith('.h') ? HEADER_WEIGHT : 1);
  const chosen = options.only
    ? all.filter(({ id }) => options.only.includes(id))
    : choose(all, all.length, Number(options.seed), weight);
  if (options.list) {
    for (const mutant of chosen.slice(0, wanted)) print(' ', mutant, language);
    return;
  }
  if (chosen.length === 0) return;
  await tests.prepare(console.log);
  const own = { noticed: 0, survived: 0, equivalent: 0 };
  for (const mutant of chosen) {
    if (own.noticed + own.survived + own.equivalent === wanted) break;
    const why = reasonOf(mutant);
    const { outcome, by } = why ? { outcome: 'equivalent' } : await tests.look(mutant, 1000 * Number(options.budget));
    if (outcome === 'nothing') continue;
    own[outcome]++;
    if (outcome === 'survived') print('✖', mutant, `not noticed by ${by}`);
    else console.log(`  ${mutant.file}:${mutant.line} ${mutant.operator} ${mutant.id}: ${why ?? by}`);
  }
  console.log(`${language}: ${own.noticed} noticed, ${own.survived} survived, ${own.equivalent} equivalent\n`);
  for (const outcome of Object.keys(total)) total[outcome] += own[outcome];
}

for (const needed of ['build-lib', 'build-test', 'prebuilds']) {
  if (existsSync(join(root, needed))) continue;
  console.error(`there is no ${needed}: run \`npm run build\` and \`npm run test:ts\` first`);
  process.exit(1);
}
const scratch = new Scratch();
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    scratch.remove();
    process.exit(1);
  });
}
try {
  const languages = { typescript: TypescriptTests, 'c++': NativeTests };
  const wanted = options.language.filter((language) => language in languages);
  for (const language of wanted) {
    await run(language, new languages[language](scratch), Math.ceil(Number(options.count) / wanted.length));
  }
} finally {
  scratch.remove();
}
console.log(`${total.noticed} noticed, ${total.survived} survived, ${total.equivalent} equivalent`);
console.log(`${total.noticed} passed, ${total.survived} failed`);
if (total.survived > 0) process.exitCode = 1;
