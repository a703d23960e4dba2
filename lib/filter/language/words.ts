// A position in the words of an expression, and what is said where other words are expected.
import { Problem } from './problem.js';
import { type Token, tokensOf } from './tokens.js';

/** Parentheses, indices and `not` in one another. */
const NESTING_MAX = 100;

export class Words {
  readonly #tokens: Token[];
  #next = 0;
  #nesting = 0;

  constructor(expression: string) {
    this.#tokens = tokensOf(expression);
  }

  /** The next one, or one behind it. */
  peek(ahead = 0): Token {
    return this.#tokens[Math.min(this.#next + ahead, this.#tokens.length - 1)];
  }

  take(): Token {
    const token = this.peek();
    this.#next++;
    return token;
  }

  /** Is it one of these words or operators? */
  is(texts: readonly string[], ahead = 0): boolean {
    const { kind, text } = this.peek(ahead);
    return (kind === 'word' || kind === 'operator') && texts.includes(text);
  }

  /** Takes it if it is one of these. */
  accept(...texts: string[]): Token | undefined {
    return this.is(texts) ? this.take() : undefined;
  }

  expect(text: string): Token {
    return this.accept(text) ?? this.fail(`'${text}' is expected`);
  }

  number(what: string, max: number): number {
    const token = this.peek();
    if (token.kind !== 'number') this.fail(`${what} is expected`);
    return numberOf(this.take(), what, max);
  }

  /** Where it is, to come back to. */
  get place(): number {
    return this.#next;
  }

  set place(place: number) {
    this.#next = place;
  }

  /** One more in one another. */
  nested<T>(parse: () => T): T {
    if (++this.#nesting > NESTING_MAX) this.fail(`more than ${NESTING_MAX} conditions are nested`);
    try {
      return parse();
    } finally {
      this.#nesting--;
    }
  }

  /** `reason`: what is expected. */
  fail(reason: string): never {
    const { kind, text, at } = this.peek();
    throw new Problem(at, kind === 'end' ? `${reason}, and it ends` : `${reason}, not '${text}'`);
  }
}

/** A number's value, where it can be meant in one way only. */
export function numberOf({ text, value, at }: Token, what: string, max: number): number {
  if (/^0\d/.test(text)) throw new Problem(at, `'${text}' could be octal: a number begins with 1 to 9, or 0x`);
  if (/^0[xX]$/.test(text)) throw new Problem(at, 'digits are expected behind 0x');
  if (value > max) throw new Problem(at, `${what} is at most ${max}, not ${text}`);
  return value;
}
