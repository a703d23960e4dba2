// JSON with comments, as `ksocket serve --config` reads it.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { JsoncError, parseJsonc } from '../../build-lib/cli/config/jsonc.js';
import { test } from '../support/test.js';

test('whatever JSON.parse reads is read the same, however it is written', () => {
  const written = fc.tuple(fc.json({ maxDepth: 5 }), fc.constantFrom(undefined, 1, '\t'));
  fc.assert(
    fc.property(written, ([json, space]) => {
      const value = JSON.parse(json);
      assert.deepEqual(parseJsonc(JSON.stringify(value, null, space)), value);
    }),
    { numRuns: 2000 },
  );
});

test('what is no JSON is refused wherever JSON.parse refuses it, but for comments and last commas', () => {
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"b"',
    '1',
    '-',
    '0',
    '.5',
    'e1',
    'true',
    'nul',
    ' ',
    '\n',
    '"',
    '\\',
  ];
  const strict = (text: string) => {
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  };
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 12 }), (parts) => {
      const text = parts.join('');
      const expected = strict(text) ?? strict(text.replaceAll(/([^\s[{,:]\s*),(\s*[}\]])/g, '$1$2'));
      const twice = /"([ab])"\s*:.*"\1"\s*:/s.test(text); // a name that is there twice
      let value: unknown;
      try {
        value = parseJsonc(text);
      } catch (error) {
        assert.ok(error instanceof JsoncError, String(error));
        if (!twice) assert.equal(expected, undefined, text);
        return;
      }
      assert.deepEqual(value, expected, text);
    }),
    { numRuns: 20_000 },
  );
});

test('comments, last commas, and a text that looks like one', () => {
  const text = `// first
    { /* a */ "a": [1, 2, /* none */ ], // behind
      "b // no": "/* no */", "c": { "d": null, }, }
    // last`;
  assert.deepEqual(parseJsonc(text), { a: [1, 2], 'b // no': '/* no */', c: { d: null } });
});

test('names that objects have by themselves are members', () => {
  const value = parseJsonc('{ "__proto__": 1, "toString": 2 }') as object;
  assert.deepEqual(Object.entries(value), [
    ['__proto__', 1],
    ['toString', 2],
  ]);
});

const WRONG: [text: string, problem: string][] = [
  ['', '1:1: expected a value'],
  ['{"a": tru}', "1:7: expected a value, and 'tru' is none"],
  ['{\n  "a" 1\n}', "2:7: expected ':'"],
  ['{\r\n  "a": 1\r\n  "b": 2 }', "3:3: expected ',' or '}'"],
  ['[1 2]', "1:4: expected ',' or ']'"],
  ['{a: 1}', '1:2: expected a name in double quotes'],
  ["{'a': 1}", '1:2: expected a name in double quotes'],
  ['{"a": 1, "a": 2}', '1:10: "a" is there twice'],
  ['[1] x', '1:5: expected nothing more'],
  ['[1, /* x', '1:5: this comment does not end'],
  ['["x\ny"]', '1:2: this text does not end in its line, or has a \\ that JSON does not know'],
  ['["\\x"]', '1:2: this text does not end in its line, or has a \\ that JSON does not know'],
  ['[01]', "1:3: expected ',' or ']'"],
  ['[NaN]', "1:2: expected a value, and 'NaN' is none"],
  ['[', '1:2: expected a value'],
  [`${'['.repeat(200)}`, '1:102: more than 100 values in one another'],
];

test('an error says its line and column', () => {
  for (const [text, message] of WRONG) assert.throws(() => parseJsonc(text), { message }, text);
});

test('a large text takes no longer than it is long', () => {
  assert.equal((parseJsonc(`"${'ab'.repeat(1e6)}"`) as string).length, 2e6);
  assert.deepEqual(parseJsonc(`${'// x\n'.repeat(3e5)}{}${' '.repeat(1e6)}`), {});
  const unfinished = { message: /^1:1: this text does not end in its line/ };
  assert.throws(() => parseJsonc(`"${'a'.repeat(1e6)}`), unfinished, 'a file that is being written');
  assert.throws(() => parseJsonc(`"${'a\x80\\n'.repeat(3e5)}\n"`), unfinished);
});
