// Rules as the bytes that native code decodes. What those mean there is tested in native/test/answer/rules/decode_test.cc, with
// the same sample.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeRules } from '../../build-lib/server/rules/encode.js';
import { slot } from '../../build-lib/server/rules/slots.js';
import type { Rule } from '../../build-lib/server/rules/types.js';
import { root } from '../support/child.js';
import { test } from '../support/test.js';

const stunCookie = Uint8Array.of(0x21, 0x12, 0xa4, 0x42);

const sample: Rule[] = [
  {
    name: 'stun',
    match: {
      prefix: Uint8Array.of(0, 1),
      length: { min: 20 },
      bits: { at: 4, mask: new Uint8Array(4).fill(0xff), value: stunCookie },
      source: ['10.0.0.0/8', '::1'],
      destinationPort: 3478,
    },
    action: {
      reply: [
        Uint8Array.of(1, 1, 0, 12),
        slot.request(4, 20),
        Uint8Array.of(0, 32, 0, 8),
        Uint8Array.of(0, 1),
        slot.sourcePort({ xor: 4 }),
        slot.sourceAddress({ xor: 4 }),
      ],
      amplify: true,
    },
  },
  { match: { exact: 'ping' }, action: 'count' },
  { match: { length: 3 }, action: { forward: { address: '127.0.0.1', port: 9 } } },
  {
    action: { reply: [slot.request(-4), '', slot.time('ntp'), slot.time('unix'), slot.counter(2)], amplify: true },
  },
  { action: 'echo' },
  {
    match: { local: ['192.0.2.0/24', '::1'], ttl: { min: 250, max: 254 }, dscp: [0, 46], ecn: [1, 3] },
    action: { reply: [slot.localAddress({ xor: 2 }), slot.ttl(), slot.dscp(), slot.ecn()], amplify: true },
  },
];

const HEADER_BYTES = 12;

/** The only rule, without the header. */
function encoded(rule: Rule): number[] {
  return [...encodeRules([rule]).bytes.subarray(HEADER_BYTES)];
}

test('the bytes are those that native code reads', () => {
  const file = join(root, 'native/test/support/rules_sample.inc');
  const expected = Uint8Array.from(readFileSync(file, 'utf8').match(/0x[0-9a-f]{2}/g) ?? [], Number);
  assert.ok(expected.length > HEADER_BYTES);
  assert.deepEqual(encodeRules(sample, 'deliver').bytes, expected);
});

test('names and forward actions come in the order of the rules', () => {
  const first = { address: '192.0.2.1', port: 53 };
  const second = { address: 'host.example', port: 54 };
  const { names, forwards } = encodeRules([
    { action: { forward: [first, second], balance: 'all', idleMs: 5, flows: 6 } },
    { name: 'middle', action: 'drop' },
    { action: { forward: second } },
  ]);
  assert.deepEqual(names, ['#0', 'middle', '#2']);
  assert.deepEqual(forwards, [
    { targets: [first, second], balance: 'all', idleMs: 5, flows: 6 },
    { targets: [second], balance: 'source', idleMs: 120_000, flows: 4096 },
  ]);
});

test('no rules are a header', () => {
  assert.deepEqual([...encodeRules([]).bytes], [...Buffer.from('ksrl'), 1, 0, 0, 0, 0, 0, 0, 0]);
  assert.equal(encodeRules([], 'echo').bytes[6], 2);
});

test('a rule is what it was when it was encoded', () => {
  const prefix = Uint8Array.of(1, 2);
  const rule: Rule = { match: { prefix }, action: 'echo' };
  const { bytes } = encodeRules([rule]);
  const before = [...bytes];
  prefix[0] = 9;
  assert.deepEqual([...bytes], before);
});

test('text is UTF-8', () => {
  assert.deepEqual(encoded({ match: { exact: 'é' }, action: 'drop' }).slice(-2), [0xc3, 0xa9]);
  assert.deepEqual(
    encoded({ match: { exact: 'é' }, action: 'drop' }),
    encoded({ match: { exact: Uint8Array.of(0xc3, 0xa9) }, action: 'drop' }),
  );
});

test('a source is a network', () => {
  const source = (text: string) => encoded({ match: { source: text }, action: 'drop' }).slice(16);
  const zeroes = (count: number) => new Array(count).fill(0);
  assert.deepEqual(source('10.0.0.0/8'), [4, 8, 10, 0, 0, 0]);
  assert.deepEqual(source('10.255.255.255/9'), [4, 9, 10, 128, 0, 0]);
  assert.deepEqual(source('192.0.2.7'), [4, 32, 192, 0, 2, 7]);
  assert.deepEqual(source('192.0.2.7/0'), [4, 0, 0, 0, 0, 0]);
  assert.deepEqual(source('::1'), [6, 128, ...zeroes(15), 1]);
  assert.deepEqual(source('2001:db8:ffff::/33'), [6, 33, 0x20, 0x01, 0x0d, 0xb8, 0x80, ...zeroes(11)]);
  assert.deepEqual(source('::/0'), [6, 0, ...zeroes(16)]);
  // IPv4-mapped
  assert.deepEqual(source('::ffff:10.1.2.3'), [4, 32, 10, 1, 2, 3]);
  assert.deepEqual(source('::ffff:10.1.2.3/104'), [4, 8, 10, 0, 0, 0]);
  assert.deepEqual(source('::ffff:0:0/96'), [4, 0, 0, 0, 0, 0]);
  assert.deepEqual(source('::ffff:0:0/95'), [6, 95, ...zeroes(10), 0xff, 0xfe, ...zeroes(4)]);
});

test('one condition is a list of one', () => {
  const bits = { at: 0, mask: Uint8Array.of(1), value: Uint8Array.of(1) };
  assert.deepEqual(
    encoded({ match: { bits, source: '::1', destinationPort: 1 }, action: 'drop' }),
    encoded({ match: { bits: [bits], source: ['::1'], destinationPort: [1] }, action: 'drop' }),
  );
});

test('literal parts side by side are one', () => {
  assert.deepEqual(
    encoded({ action: { reply: ['a', '', Uint8Array.of(98), slot.counter(1), 'c', 'd'] } }),
    encoded({ action: { reply: ['ab', slot.counter(1), 'cd'] } }),
  );
  assert.deepEqual(encoded({ action: { reply: '' } }), encoded({ action: { reply: [] } }));
});

test('slots written by hand are those the functions make', () => {
  const byHand = JSON.parse(JSON.stringify([slot.request(-4, 2), slot.sourcePort({ xor: 1 }), slot.time('unix')]));
  assert.deepEqual(
    encoded({ action: { reply: byHand } }),
    encoded({ action: { reply: [slot.request(-4, 2), slot.sourcePort({ xor: 1 }), slot.time('unix')] } }),
  );
});

test('65 536 rules are encoded', () => {
  const rules: Rule[] = Array.from({ length: 65_536 }, (_, i) => ({ match: { exact: `key ${i}` }, action: 'echo' }));
  const { bytes, names } = encodeRules(rules);
  assert.equal(names[65_535], '#65535');
  assert.equal(bytes.length, HEADER_BYTES + rules.reduce((sum, { match }) => sum + 16 + `${match?.exact}`.length, 0));
});
