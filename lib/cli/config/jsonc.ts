// JSON (RFC 8259) with comments and with commas behind last members, as editors call it JSONC; and where an error is.

/** `message` begins with the place: `3:14: expected ':'`. Lines and columns count from 1. */
export class JsoncError extends Error {}

const DEPTH_MAX = 100;
const STRING = /"(?:[^"\\\p{Cc}]|[\x7f-\x9f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy; // one way to read each character: no backtracking
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /[\w$]+/y;
const SPACE = /(?:[ \t\r\n]+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*/y;
const WORDS = new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

/** @throws JsoncError for what is no JSON, and for a name that an object has twice */
export function parseJsonc(text: string): unknown {
  return new Parser(text).all();
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  all(): unknown {
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.#text.length) this.#fail('expected nothing more');
    return value;
  }

  #fail(problem: string, at = this.#at): never {
    const before = this.#text.slice(0, at).split('\n');
    throw new JsoncError(`${before.length}:${before[before.length - 1].length + 1}: ${problem}`);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #space(): void {
    this.#match(SPACE);
    if (this.#text.startsWith('/*', this.#at)) this.#fail('this comment does not end');
  }

  /** Takes the character, if it is the next one. */
  #takes(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #value(depth: number): unknown {
    if (depth > DEPTH_MAX) this.#fail(`more than ${DEPTH_MAX} values in one another`);
    if (this.#takes('{')) return this.#object(depth);
    if (this.#takes('[')) return this.#array(depth);
    if (this.#text[this.#at] === '"') return this.#string();
    const number = this.#match(NUMBER);
    if (number !== undefined) return Number(number);
    const begin = this.#at;
    const word = this.#match(WORD) ?? '';
    if (WORDS.has(word)) return WORDS.get(word);
    return this.#fail(word === '' ? 'expected a value' : `expected a value, and '${word}' is none`, begin);
  }

  #string(): string {
    const literal = this.#match(STRING);
    return literal === undefined
      ? this.#fail('this text does not end in its line, or has a \\ that JSON does not know')
      : JSON.parse(literal);
  }

  #array(depth: number): unknown[] {
    const values: unknown[] = [];
    while (!this.#takes(']')) {
      values.push(this.#value(depth + 1));
      if (!this.#takes(',') && this.#text[this.#at] !== ']') this.#fail("expected ',' or ']'");
    }
    return values;
  }

  #object(depth: number): object {
    const members = new Map<string, unknown>();
    while (!this.#takes('}')) {
      const begin = this.#at;
      if (this.#text[begin] !== '"') this.#fail('expected a name in double quotes');
      const name = this.#string();
      if (members.has(name)) this.#fail(`${JSON.stringify(name)} is there twice`, begin);
      if (!this.#takes(':')) this.#fail("expected ':'");
      members.set(name, this.#value(depth + 1));
      if (!this.#takes(',') && this.#text[this.#at] !== '}') this.#fail("expected ',' or '}'");
    }
    return Object.fromEntries(members); // a name such as __proto__, too, is a member
  }
}
