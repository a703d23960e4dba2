// From the text of a filter to its words.
import { isIP } from 'node:net';
import { Problem } from './problem.js';

export type TokenKind = 'word' | 'number' | 'address' | 'dotted' | 'text' | 'operator' | 'end';

export interface Token {
  kind: TokenKind;
  /** As it stands in the expression. */
  text: string;
  /** Its first character, counted from 0. */
  at: number;
  /** Of a number. */
  value: number;
}

/** The longest expression, in characters: more conditions than BPF has instructions would not fit into it. */
export const EXPRESSION_LENGTH_MAX = 65_536;

const SPACE = /[ \t\r\n]+/y;
// A host's name is one, too: what is expected in its place is said of all of it.
const WORD = /[A-Za-z_]\w*(?:\.\w+)*/y;
const NUMBER = /0[xX][0-9a-fA-F]*|\d+/y;
// Whether it is an address says isIP(): udp[0:2] has digits and a colon, too.
const ADDRESS = /[0-9a-fA-F:]*[:.][0-9a-fA-F:.]*/y;
const DOTTED = /\d+(?:\.\d+)+/y;
const TEXT = /"(?:[^"\\]|\\[\s\S])*"/y;
const OPERATOR = /&&|\|\||==|!=|>=|<=|<<|>>|[!=<>&|^+\-*/%()[\]:]/y;

export function tokensOf(expression: string): Token[] {
  if (expression.length > EXPRESSION_LENGTH_MAX) {
    throw new Problem(EXPRESSION_LENGTH_MAX, `it is longer than ${EXPRESSION_LENGTH_MAX} characters`);
  }
  const tokens: Token[] = [];
  let at = 0;
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(expression)?.[0];
  };
  for (;;) {
    at += match(SPACE)?.length ?? 0;
    const token = at === expression.length ? tokenOf('end', '', at) : tokenAt(expression, at, match);
    tokens.push(token);
    if (token.kind === 'end') return tokens;
    at += token.text.length;
  }
}

function tokenAt(expression: string, at: number, match: (pattern: RegExp) => string | undefined): Token {
  const address = match(ADDRESS);
  if (address !== undefined && isIP(address) !== 0) return tokenOf('address', address, at);
  const dotted = match(DOTTED);
  if (dotted !== undefined) return tokenOf('dotted', dotted, at);
  const number = match(NUMBER);
  if (number !== undefined) return tokenOf('number', number, at);
  const word = match(WORD);
  if (word !== undefined) return tokenOf('word', word, at);
  const operator = match(OPERATOR);
  if (operator !== undefined) return tokenOf('operator', operator, at);
  const text = match(TEXT);
  if (text !== undefined) return tokenOf('text', text, at);
  if (expression[at] === '"') throw new Problem(at, 'the text has no end');
  const character = String.fromCodePoint(expression.codePointAt(at) as number);
  throw new Problem(at, `'${character}' has no meaning here`);
}

function tokenOf(kind: TokenKind, text: string, at: number): Token {
  return { kind, text, at, value: kind === 'number' ? Number(text) : 0 };
}
