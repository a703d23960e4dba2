// A mutant: one small mistake in one file, as a text that replaces another.
import { createHash } from 'node:crypto';

/**
 * The mutants of a file, of what an operator list has found in its text: `{ operator, start, end, replacement }`. Each gets the
 * line it is in, that line before and after, and an id of those: it stays the same when lines are added elsewhere.
 */
export function mutantsOf(file, text, found) {
  const seen = new Map();
  return found
    .sort((a, b) => a.start - b.start || a.end - b.end)
    .map(({ operator, start, end, replacement }) => {
      const from = text.lastIndexOf('\n', start - 1) + 1;
      const to = lineEnd(text, end);
      const before = text.slice(from, to);
      const after = text.slice(from, start) + replacement + text.slice(end, to);
      const key = `${file}\n${before.trim()}\n${after.trim()}`;
      const times = seen.get(key) ?? 0; // the same line may stand in a file twice
      seen.set(key, times + 1);
      const id = createHash('sha256').update(`${key}\n${times}`).digest('hex').slice(0, 8);
      const line = text.slice(0, start).split('\n').length;
      return { id, file, line, operator, start, end, replacement, before: before.trim(), after: after.trim() };
    });
}

function lineEnd(text, at) {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end;
}

export function apply(text, { start, end, replacement }) {
  return text.slice(0, start) + replacement + text.slice(end);
}

/** What another operator stands for, by mistake. */
export const swaps = {
  '<': ['<='],
  '<=': ['<'],
  '>': ['>='],
  '>=': ['>'],
  '==': ['!='],
  '!=': ['=='],
  '===': ['!=='],
  '!==': ['==='],
  '+': ['-'],
  '-': ['+'],
  '*': ['/'],
  '/': ['*'],
  '%': ['*'],
  '<<': ['>>'],
  '>>': ['<<'],
  '>>>': ['<<'],
  '&': ['|'],
  '|': ['&'],
  '&&': ['||'],
  '||': ['&&'],
  '??': ['&&'],
  '+=': ['-='],
  '-=': ['+='],
  '|=': ['&='],
  '&=': ['|='],
};

/** Numbers beside a literal; none for what is no plain decimal number. */
export function besides(literal) {
  if (!/^\d+$/.test(literal)) return [];
  const number = Number(literal);
  return number === 0 ? ['1'] : [String(number + 1), String(number - 1)];
}

/**
 * `count` of them, the same for the same seed whatever other code there is; what has a smaller `weight` comes later. A mutant's
 * place is a number 0 to 1, of the seed and its id.
 */
export function choose(mutants, count, seed, weight = () => 1) {
  return mutants
    .map((mutant) => ({ mutant, key: fraction(`${seed} ${mutant.id}`) ** (1 / weight(mutant)) }))
    .sort((a, b) => b.key - a.key)
    .slice(0, count)
    .map(({ mutant }) => mutant);
}

function fraction(text) {
  return createHash('sha256').update(text).digest().readUInt32BE(0) / 2 ** 32;
}
