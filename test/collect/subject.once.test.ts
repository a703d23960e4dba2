// What batches are sorted by.
import assert from 'node:assert/strict';
import { jetstream } from 'ksocket/collect';
import { consume } from 'ksocket/consume';
import { addressText } from '../../build-lib/collect/frame.js';
import { covers, examplesOf, laneOf, subjectOf, wrongWithFilter } from '../../build-lib/collect/subject.js';
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
    ['a'.repeat(256), /must have 255 bytes at most/],
    ['ä'.repeat(128), /must have 255 bytes at most/],
    ['.a', /must be tokens/],
    ['a.', /must be tokens/],
    ['a\r\nPUB b 0', /must be tokens/],
    ['a\0b', /must be without control characters/],
    ['a.\x1b[2J', /must be without control characters/],
    ['a\x7f', /must be without control characters/],
    ['a\ud800', /halves of surrogate pairs/],
    ['$JS.API.STREAM.DELETE.LOGS', /must not begin with '\$' or '_INBOX'/],
    ['$SYS', /must not begin with/],
    ['$x{hash:2}', /must not begin with/],
    ['_INBOX.{source}', /must not begin with/],
    ['_INBOX', /must not begin with/],
  ] as const) {
    assert.throws(() => subjectOf(subject), { code: 'ERR_INVALID_ARG_VALUE', message }, subject);
  }
  assert.throws(() => subjectOf(5 as never), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.equal(subjectOf(({ port }) => `p.${port}`)(flow), 'p.514');
  for (const said of ['a.>', '$JS.API.INFO', '_INBOX.a', 'a\0', 'a..b', 'a b', 'a'.repeat(10_000_000), null, 5, '']) {
    const told = (error: Error & { code: string }) =>
      error.code === 'ERR_INVALID_ARG_VALUE' && error.message.length < 1000 && !error.message.includes('\0');
    assert.throws(() => subjectOf(() => said as never)(flow), told);
  }
  for (const said of ['_INBOXES.a', 'a.$JS', 'a._INBOX', 'ä.😀', 'a:b%c'])
    assert.equal(subjectOf(() => said)(flow), said);
  assert.throws(() => subjectOf(() => undefined as never)(flow), { code: 'ERR_INVALID_ARG_VALUE' });
});

test('no address that can be received from is more than its one token, and none makes a subject of a template another one', () => {
  const bytes = new Uint8Array(16);
  const odd = [0, 1, 0x20, 0x2a, 0x2e, 0x3e, 0x24, 0x0d, 0x0a, 0x7f, 0xff];
  for (const family of [4, 6]) {
    for (let n = 0; n < 3000; n++) {
      for (let i = 0; i < 16; i++) bytes[i] = odd[(n * (i + 3) + (n >> 4) * i) % odd.length];
      const address = addressText(bytes, 0, family, family === 6 ? n * 1_431_655 : 0);
      const source = subjectOf('a.{source}.b')({ ...flow, address }).split('.');
      assert.equal(source.length, 3);
      assert.match(source[1], /^[0-9a-f:_]+(?:%\d+)?$/);
    }
  }
  for (const address of ['a.>', '*', '1.2.3.4 x', '1\r\nPUB x 0', '', '\0'])
    for (const template of ['{source}', 'a.{source}', 'a.{source}.b', 'a.{local}'])
      try {
        const [first, ...others] = subjectOf(template)({ ...flow, address, local: address }).split('.');
        assert.ok(others.length === template.split('.').length - 1 && /^[\w]+$/.test(first), address);
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ERR_INVALID_ARG_VALUE');
      }
});

test('what a consumer asks for may have wildcards, as tokens; two of a name are refused', () => {
  for (const filter of ['a', 'a.*', 'a.*.b', 'a.>', '>', '*', '$KV.a', 'ä.b'])
    assert.equal(wrongWithFilter(filter), undefined);
  for (const filter of ['', '.', 'a.', 'a..b', 'a*', 'a.b>', 'a.>.b', 'a b', 'a\0', 'a\x1b', 'x'.repeat(256)])
    assert.equal(typeof wrongWithFilter(filter), 'string', filter);
  const given = { servers: 'a', stream: 'S', durable: 'd' };
  for (const subject of [['a.b', 'a_b'], ['a', 'a'], ['a.*', 'a.any'], 'a.b>', ['a', 'a\n']])
    assert.throws(() => consume({ ...given, subject }), { code: 'ERR_INVALID_ARG_VALUE' }, String(subject));
  for (const name of ['a\0b', 'a\x1b', 'x'.repeat(256), 'ä'.repeat(128), 'a\nb']) {
    assert.throws(() => consume({ ...given, durable: name }), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => consume({ ...given, stream: name }), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => jetstream({ servers: 'a', stream: name, subject: 'a' }), { code: 'ERR_INVALID_ARG_VALUE' });
  }
  const long = { ...given, durable: 'x'.repeat(250), subject: ['abc', 'defghi'] };
  assert.throws(() => consume(long), { message: /must have 255 bytes at most/ });
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
