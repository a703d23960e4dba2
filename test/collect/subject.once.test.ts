// What batches are sorted by.
import assert from 'node:assert/strict';
import { covers, examplesOf, laneOf, subjectOf } from '../../build-lib/collect/subject.js';
import { test } from '../support/test.js';

const flow = { address: '192.0.2.7', port: 514, local: '2001:db8::1', localPort: 5514 };

test('a template says addresses as one token, ports, and numbers of the source', () => {
  assert.equal(subjectOf('syslog.{source}')(flow), 'syslog.192_0_2_7');
  assert.equal(subjectOf('a.{local}.{port}.{localPort}')(flow), 'a.2001:db8::1.514.5514');
  assert.equal(subjectOf('a.{local}')({ ...flow, local: undefined }), 'a.unknown');
  const byHost = subjectOf('a.{hash:8}');
  const byFlow = subjectOf('a.{flow:8}');
  const numbers = (subject: typeof byHost) =>
    new Set(Array.from({ length: 200 }, (_, port) => subject({ ...flow, port })));
  assert.equal(numbers(byHost).size, 1, 'one host is in one place, whichever port it sends from');
  assert.equal(numbers(byFlow).size, 8);
  const hosts = new Set(Array.from({ length: 200 }, (_, i) => byHost({ ...flow, address: `10.0.0.${i}` })));
  assert.deepEqual(
    [...hosts].sort(),
    Array.from({ length: 8 }, (_, i) => `a.${i}`),
  );
  assert.equal(laneOf(flow, 64), laneOf({ ...flow, port: 1 }, 64));
});

test('what is no template is refused when it is given, what a function says when it has said it', () => {
  for (const [subject, message] of [
    ['a.{sauce}', /has \{sauce\}, and what is known is \{source\}/],
    ['a.{hash}', /has \{hash\}/],
    ['a.{hash:0}', /has \{hash:0\}/],
    ['a.{hash:1025}', /has \{hash:1025\}/],
    ['a.{source', /has a brace without the other one/],
    ['a.source}', /has a brace/],
    ['a.{source:2}', /has \{source:2\}/],
    ['a.{__proto__}', /has \{__proto__\}/],
    ['', /must be tokens/],
    ['a..b', /must be tokens/],
    ['a.*', /must be tokens/],
    ['a b', /must be tokens/],
    ['a'.repeat(256), /of 255 characters at most/],
  ] as const) {
    assert.throws(() => subjectOf(subject), { code: 'ERR_INVALID_ARG_VALUE', message }, subject);
  }
  assert.throws(() => subjectOf(5 as never), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.equal(subjectOf(({ port }) => `p.${port}`)(flow), 'p.514');
  assert.throws(() => subjectOf(() => 'a.>')(flow), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => subjectOf(() => undefined as never)(flow), { code: 'ERR_INVALID_ARG_VALUE' });
});

test('which subjects a template can say, and whether a stream has them', () => {
  assert.deepEqual(examplesOf('a.{source}.b'), ['a.*.b']);
  assert.deepEqual(examplesOf('a.x{source}'), ['a.*']);
  assert.deepEqual(examplesOf('a.{hash:3}'), ['a.0', 'a.1', 'a.2']);
  assert.deepEqual(
    examplesOf(() => 'a'),
    [],
  );
  const cases: [string, string, boolean][] = [
    ['a.>', 'a.*', true],
    ['a.>', 'a.b.c', true],
    ['a.>', 'a', false],
    ['>', 'a', true],
    ['a.*', 'a.*', true],
    ['a.*', 'a.b', true],
    ['a.b', 'a.*', false],
    ['a.*', 'a.b.c', false],
    ['a.*', 'a.>', false],
    ['a.b', 'a.b', true],
    ['a.b.c', 'a.b', false],
  ];
  for (const [wider, pattern, expected] of cases) assert.equal(covers(wider, pattern), expected, `${wider} ${pattern}`);
});
