// The mistakes that `npm run test:mutants` makes, on texts that have each kind; and the list of those that change nothing.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/child.js';
import { test } from '../support/test.js';

interface Mutant {
  id: string;
  line: number;
  operator: string;
  start: number;
  end: number;
  replacement: string;
  before: string;
  after: string;
}
type Mutants = (file: string, text: string) => Mutant[];

const scripts = join(root, 'scripts/mutants');
const { typescriptMutants, transpile } = await import(join(scripts, 'typescript-operators.mjs'));
const { cppMutants } = await import(join(scripts, 'cpp-operators.mjs'));
const { apply, choose } = await import(join(scripts, 'mutant.mjs'));
const { includes } = await import(join(scripts, 'typescript.mjs'));

/** Each mistake as `line: operator: the line with it`. */
function mistakes(mutants: Mutants, text: string): string[] {
  return mutants('file', text).map(({ line, operator, after }) => `${line}: ${operator}: ${after}`);
}

test('TypeScript: what mistakes are made', () => {
  const text = `import { a } from '1';
interface Options { size: 5 }
function f(n: number, list: string[]): boolean {
  if (n < 3) return false;
  list.push('text' + n);
  while (!ready()) n++;
  return n > 1 && a(n - 1);
}`;
  assert.deepEqual(mistakes(typescriptMutants, text), [
    '4: no early end: ;',
    '4: negated: if (!(n < 3)) return false;',
    '4: operator: if (n <= 3) return false;',
    '4: number: if (n < 4) return false;',
    '4: number: if (n < 2) return false;',
    '4: boolean: if (n < 3) return true;',
    '5: removed: ;',
    '6: not again: while (false) n++;',
    '6: not negated: while (ready()) n++;',
    '6: operator: while (!ready()) n--;',
    '6: removed: while (!ready()) ;',
    '7: operator: return n >= 1 && a(n - 1);',
    '7: number: return n > 2 && a(n - 1);',
    '7: number: return n > 0 && a(n - 1);',
    '7: operator: return n > 1 || a(n - 1);',
    '7: operator: return n > 1 && a(n + 1);',
    '7: number: return n > 1 && a(n - 2);',
    '7: number: return n > 1 && a(n - 0);',
  ]);
});

test('C++: what mistakes are made, and none in comments, strings, templates and declarations', () => {
  const text = `#include "a < b"
// if (a < b) return;
static_assert(sizeof(int) == 4);
template <typename T>
class C {
 public:
  int size(int of);
};
bool f(std::vector<int>& list, int n) {
  const char* text = "a == b && c";
  if (n == 0) return false;
  if (int error = g(n); error != 0) {
    report(error, 2);
    count_ += n;
    total++;
  }
  return !list.empty() && n <= 7;
}`;
  assert.deepEqual(mistakes(cppMutants, text), [
    '11: no early end: ;',
    '11: negated: if (!(n == 0)) return false;',
    '11: operator: if (n != 0) return false;',
    '11: number: if (n == 1) return false;',
    '11: boolean: if (n == 0) return true;',
    '12: operator: if (int error = g(n); error == 0) {',
    '12: number: if (int error = g(n); error != 1) {',
    '13: removed: ;',
    '13: number: report(error, 3);',
    '13: number: report(error, 1);',
    '14: removed: ;',
    '14: operator: count_ -= n;',
    '15: removed: ;',
    '15: operator: total--;',
    '17: not negated: return list.empty() && n <= 7;',
    '17: operator: return !list.empty() || n <= 7;',
    '17: operator: return !list.empty() && n < 7;',
    '17: number: return !list.empty() && n <= 8;',
    '17: number: return !list.empty() && n <= 6;',
  ]);
});

test('an id is the same when lines come before, and another for the same line once more', () => {
  const ids = (text: string): string[] => typescriptMutants('file', text).map(({ id }: Mutant) => id);
  const line = 'if (a < b) c();\n';
  const once = ids(line);
  assert.deepEqual(ids(`// first\n${line}`), once);
  const twice = ids(line + line);
  assert.equal(new Set(twice).size, 2 * once.length);
  assert.deepEqual(
    once.filter((id) => !twice.includes(id)),
    [],
  );
});

test('the same seed chooses the same, whatever else there is, another one others, and light ones come last', () => {
  const all = Array.from({ length: 1000 }, (_, i) => ({ id: `${i}` }));
  const first = choose(all, 50, 1);
  assert.equal(new Set(first).size, 50);
  assert.deepEqual(choose(all, 50, 1), first);
  assert.notDeepEqual(choose(all, 50, 2), first);
  const half = all.slice(500);
  const ofHalf = first.filter((each: { id: string }) => half.includes(each));
  assert.ok(ofHalf.length > 0);
  assert.deepEqual(choose(half, ofHalf.length, 1), ofHalf);
  const isLight = ({ id }: { id: string }): boolean => Number(id) < 500;
  const light = choose(all, 200, 1, (each: { id: string }) => (isLight(each) ? 0.01 : 1)).filter(isLight);
  assert.ok(light.length < 20, `${light.length} of 200`);
});

test('what is compiled has the mistake, and nothing else', () => {
  const text = 'export const f = (a: number): number => a + 1;\n';
  const [mutant] = typescriptMutants('file.ts', text);
  assert.equal(transpile('file.ts', apply(text, mutant)), 'export const f = (a) => a - 1;\n');
});

test('a place is reached where a stretch of code that ran has it', () => {
  assert.deepEqual(
    [0, 4, 5, 9, 10, 20, 25].map((at) => includes([5, 10, 20, 30], at)),
    [false, false, true, true, false, true, true],
  );
});

test('each mistake that is said to change nothing can still be made, and has its reason', () => {
  const equivalents: { file: string; before: string; after: string; why: string }[] = JSON.parse(
    readFileSync(join(scripts, 'equivalent.json'), 'utf8'),
  );
  for (const { file, before, after, why } of equivalents) {
    const text = readFileSync(join(root, file), 'utf8');
    const all: Mutant[] = (file.endsWith('.ts') ? typescriptMutants : cppMutants)(file, text);
    assert.ok(
      all.some((mutant) => mutant.before === before && mutant.after === after),
      `${file} has no ${before}`,
    );
    assert.ok(why.length > 20, before);
  }
});
