// Arithmetic, and what of a datagram it is about.
import { Problem } from './problem.js';
import type { ArithmeticOperator, Base, Quantity, Relation, Term } from './syntax.js';
import { numberOf, type Words } from './words.js';

export const NUMBER_MAX = 0xffff_ffff;

/** How tight they bind, as in C; each is one row with those that bind as tight. */
const PRECEDENCE: readonly (readonly ArithmeticOperator[])[] = [
  ['|'],
  ['^'],
  ['&'],
  ['<<', '>>'],
  ['+', '-'],
  ['*', '/', '%'],
];
/** Operators of one term: the compiler goes down as deep. */
const OPERATORS_MAX = 256;

export const RELATIONS = ['=', '==', '!=', '<', '<=', '>', '>='] as const;
export const OPERATORS: readonly string[] = PRECEDENCE.flat();

const BASES = ['ip', 'ip6', 'udp', 'payload'] as const satisfies readonly Base[];
const QUANTITIES = ['len', 'ttl', 'dscp', 'ecn'] as const satisfies readonly Quantity[];

/** Names of numbers: code points of RFC 2474, RFC 2597, RFC 3246, RFC 5865 and RFC 8622, ECN's of RFC 3168. */
const CONSTANTS: ReadonlyMap<string, number> = new Map([
  ...Array.from({ length: 8 }, (_, n): [string, number] => [`cs${n}`, n << 3]),
  ...[1, 2, 3, 4].flatMap((group) =>
    [1, 2, 3].map((drop): [string, number] => [`af${group}${drop}`, (group << 3) | (drop << 1)]),
  ),
  ['ef', 46],
  ['va', 44],
  ['le', 1],
  ['ect1', 1],
  ['ect0', 2],
  ['ce', 3],
]);

/** Could a term begin here? */
export function beginsTerm(words: Words): boolean {
  const { kind, text } = words.peek();
  if (kind === 'number') return true;
  if (words.is(BASES)) return words.is(['['], 1) || (text === 'payload' && words.is(['len'], 1));
  return words.is(QUANTITIES) || words.is(['(', '-']) || (kind === 'word' && CONSTANTS.has(text));
}

export function parseTerm(words: Words): Term {
  let operators = 0;
  const level = (tightness: number): Term => {
    if (tightness === PRECEDENCE.length) return parseFactor(words);
    let left = level(tightness + 1);
    for (;;) {
      const token = words.accept(...PRECEDENCE[tightness]);
      if (token === undefined) return left;
      if (++operators > OPERATORS_MAX) throw new Problem(token.at, `a term has at most ${OPERATORS_MAX} operators`);
      const { at } = words.peek();
      left = combine(token.text as ArithmeticOperator, left, level(tightness + 1), at);
    }
  };
  return level(0);
}

export function parseRelation(words: Words): Relation {
  const token = words.accept(...RELATIONS);
  if (token === undefined) return words.fail('a comparison (= != < <= > >=) is expected');
  return token.text === '==' ? '=' : (token.text as Relation);
}

function parseFactor(words: Words): Term {
  return words.nested(() => {
    const token = words.peek();
    if (words.accept('-')) return combine('-', { kind: 'number', value: 0 }, parseFactor(words), token.at);
    if (words.accept('(')) {
      const inner = parseTerm(words);
      words.expect(')');
      return inner;
    }
    if (token.kind === 'number') return { kind: 'number', value: numberOf(words.take(), 'a number', NUMBER_MAX) };
    if (words.is(BASES) && words.is(['['], 1)) return parseBytes(words);
    if (words.is(['payload']) && words.is(['len'], 1)) {
      words.take();
      words.take();
      return { kind: 'quantity', quantity: 'payload len' };
    }
    const quantity = words.accept(...QUANTITIES);
    if (quantity !== undefined) return { kind: 'quantity', quantity: quantity.text as Quantity };
    const value = token.kind === 'word' ? CONSTANTS.get(token.text) : undefined;
    if (value === undefined) return words.fail('a number, or a field such as len, ttl or udp[0:2], is expected');
    words.take();
    return { kind: 'number', value };
  });
}

function parseBytes(words: Words): Term {
  const base = words.take().text as Base;
  words.expect('[');
  const index = parseTerm(words);
  let size = 1;
  if (words.accept(':')) {
    if (!['1', '2', '4'].includes(words.peek().text)) words.fail('1, 2 or 4 bytes are expected');
    size = words.take().value;
  }
  words.expect(']');
  return { kind: 'bytes', base, index, size: size as 1 | 2 | 4 };
}

/** Numbers are reckoned with at once. `at`: where the right one stands. */
function combine(operator: ArithmeticOperator, left: Term, right: Term, at: number): Term {
  const isShift = operator === '<<' || operator === '>>';
  if (isShift && right.kind !== 'number') throw new Problem(at, 'how far to shift is a number');
  if (right.kind === 'number') {
    if (right.value === 0 && (operator === '/' || operator === '%')) throw new Problem(at, 'that divides by 0');
    if (isShift && right.value > 31) throw new Problem(at, 'that shifts by more than 31 bits');
    if (left.kind === 'number') return { kind: 'number', value: calculate(operator, left.value, right.value) };
  }
  return { kind: 'arithmetic', operator, left, right, at };
}

/** As BPF does, with 32 bits. Nobody divides by 0. */
export function calculate(operator: ArithmeticOperator, left: number, right: number): number {
  switch (operator) {
    case '+':
      return (left + right) >>> 0;
    case '-':
      return (left - right) >>> 0;
    case '*':
      return Math.imul(left, right) >>> 0;
    case '/':
      return Math.floor(left / right);
    case '%':
      return left % right;
    case '&':
      return (left & right) >>> 0;
    case '|':
      return (left | right) >>> 0;
    case '^':
      return (left ^ right) >>> 0;
    case '<<':
      return (left << right) >>> 0;
    case '>>':
      return left >>> right;
  }
}

export function holds(relation: Relation, left: number, right: number): boolean {
  switch (relation) {
    case '=':
      return left === right;
    case '!=':
      return left !== right;
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
  }
}
