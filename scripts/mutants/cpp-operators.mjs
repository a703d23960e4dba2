// Mistakes in C++, found in its text. It relies on the format: clang-format puts spaces around binary operators and none inside
// template arguments.
import { besides, mutantsOf, swaps } from './mutant.mjs';

export function cppMutants(file, text) {
  const code = withoutComments(text);
  const found = [...operators(code), ...literals(code), ...conditions(code), ...statements(code)];
  return mutantsOf(file, text, found);
}

/** Comments, strings and preprocessor lines as spaces: all else is where it was. */
export function withoutComments(text) {
  const blank = (part) => part.replaceAll(/[^\n]/g, ' ');
  return text
    .replaceAll(/\/\/.*|\/\*.*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])'/g, blank)
    .replaceAll(/^[ \t]*#.*(?:\\\n.*)*/gm, blank)
    .replaceAll(/\bstatic_assert\([^;]*\);|^template <.*$|\balignas\(\d+\)|\boperator\S+(?=\()/gm, blank);
}

function* operators(code) {
  for (const { 1: operator, index } of code.matchAll(/(?<= )(<=|>=|==|!=|&&|\|\||<<|>>|[+\-|&]=|[<>+\-*/%&|])(?= )/g)) {
    for (const replacement of swaps[operator] ?? []) {
      yield { operator: 'operator', start: index, end: index + operator.length, replacement };
    }
  }
  for (const { 0: operator, index } of code.matchAll(/(?<=[\w\])])(\+\+|--)(?=[;)\],])/g)) {
    yield { operator: 'operator', start: index, end: index + 2, replacement: operator === '++' ? '--' : '++' };
  }
  for (const { index } of code.matchAll(/(?<=[( ])!(?=[\w(])/g)) {
    yield { operator: 'not negated', start: index, end: index + 1, replacement: '' };
  }
}

function* literals(code) {
  for (const { 0: literal, index } of code.matchAll(/(?<=[ (])\b\d+\b(?=[;),]| [^"])(?!')/g)) {
    for (const replacement of besides(literal)) {
      yield { operator: 'number', start: index, end: index + literal.length, replacement };
    }
  }
  for (const { 0: literal, index } of code.matchAll(/\b(true|false)\b/g)) {
    const replacement = literal === 'true' ? 'false' : 'true';
    yield { operator: 'boolean', start: index, end: index + literal.length, replacement };
  }
}

function* conditions(code) {
  for (const { 0: keyword, index } of code.matchAll(/\b(?:if|while) \(/g)) {
    const start = index + keyword.length;
    const end = closing(code, start);
    const condition = code.slice(start, end);
    if (condition.includes(';') || /^[\w:<>*& ]+ \*?\w+ = /.test(condition)) continue; // declares something
    const again = keyword.startsWith('while');
    yield { operator: again ? 'not again' : 'negated', start, end, replacement: again ? 'false' : `!(${condition})` };
  }
  for (const { index, 0: whole } of code.matchAll(
    /\bif \([^;{]*?\) (?:return|continue|break)\b[^;{]*;(?!\s*else\b)/g,
  )) {
    yield { operator: 'no early end', start: index, end: index + whole.length, replacement: ';' };
  }
}

// Where the parenthesis closes in which `from` is.
function closing(code, from) {
  let depth = 1;
  for (let i = from; i < code.length; i++) {
    if (code[i] === '(') depth++;
    else if (code[i] === ')' && --depth === 0) return i;
  }
  return code.length;
}

// Statements that stand on a line, or a few, of their own: calls, assignments, returns of nothing.
function* statements(code) {
  const call = /^[ ]+(?:[\w\][:*>.()-]+(?:->|\.|::))?\w+\([^;{}]*\);$/gm;
  const assignment = /^[ ]+\*?[\w.\][>-]+ (?:[+\-|&^]?=|<<=|>>=) [^;{}]*;$/gm;
  const count = /^[ ]+[\w.\][>-]+(?:\+\+|--);$/gm;
  for (const pattern of [call, assignment, count]) {
    for (const { 0: whole, index } of code.matchAll(pattern)) {
      const text = whole.trimStart();
      if (/^(?:return|delete|using|throw|static_assert|co_)\b/.test(text) || isDeclaration(code, index)) continue;
      const start = index + whole.length - text.length;
      yield { operator: 'removed', start, end: index + whole.length, replacement: ';' };
    }
  }
}

// Outside of functions `name(…);` declares something, and a line that goes on from the one before is no statement.
function isDeclaration(code, index) {
  const before = code.slice(0, index).trimEnd();
  return (
    !/[;{})]$|\belse$|:$/.test(before) ||
    /\b(?:class|struct)\b[^;{}]*\{$/.test(before) ||
    /(?:public|private|protected):$/.test(before)
  );
}
