// Rules that are refused: with which error, and that it says where.
import assert from 'node:assert/strict';
import { encodeRules } from '../../build-lib/server/rules/encode.js';
import { slot } from '../../build-lib/server/rules/slots.js';
import { test } from '../support/test.js';

// biome-ignore lint/suspicious/noExplicitAny: wrong types are the point
type Any = any;

const TYPE = 'ERR_INVALID_ARG_TYPE';
const VALUE = 'ERR_INVALID_ARG_VALUE';
const RANGE = 'ERR_OUT_OF_RANGE';

function refused(rules: Any, code: string, begin: string, otherwise?: Any): void {
  assert.throws(
    () => encodeRules(rules, otherwise),
    (error: Any) => {
      assert.equal(error.code, code, error.message);
      const Class = code === RANGE || code === 'ERR_SOCKET_BAD_PORT' ? RangeError : TypeError;
      assert.equal(error.constructor, Class);
      assert.ok(error.message.startsWith(begin), `"${error.message}" does not begin with "${begin}"`);
      assert.ok(error.stack.startsWith(`${error.name} [${code}]: ${error.message}\n`), error.stack);
      return true;
    },
    begin,
  );
}

/** Each: a match, the code, what the message says after `rules[0]: `. */
function refusedMatches(cases: [match: Any, code: string, begin: string][]): void {
  for (const [match, code, begin] of cases) refused([{ match, action: 'drop' }], code, `rules[0]: ${begin}`);
}
function refusedActions(cases: [action: Any, code: string, begin: string][], match?: Any): void {
  for (const [action, code, begin] of cases) refused([{ match, action }], code, `rules[0]: ${begin}`);
}

test('rules are an array of objects', () => {
  for (const rules of [undefined, null, {}, 'rules', 1]) {
    refused(rules, TYPE, 'The "options.rules" property must be an instance of Array. Received');
  }
  for (const rule of [null, undefined, 'echo', 1, []]) {
    refused([{ action: 'echo' }, rule], TYPE, 'rules[1]: The "rule" argument must be of type object. Received');
  }
  refused(new Array(65_537).fill({ action: 'drop' }), RANGE, 'The value of "options.rules.length" is out of range.');
});

test('an error names the rule and the place', () => {
  const rules = [1, 2, 3].map(() => ({ action: 'count' }) as Any);
  rules.push({ name: 'dns', match: { length: { min: -1 } }, action: 'echo' });
  refused(
    rules,
    RANGE,
    'rules[3] "dns": The value of "match.length.min" is out of range. It must be >= 0 && <= 65535. Received -1',
  );
  assert.throws(
    () => encodeRules([{ name: '$& "x"', action: 'no' as Any }]),
    /^TypeError \[ERR_INVALID_ARG_VALUE\]: rules\[0\] "\$& \\"x\\"": The property 'action' must be one of /,
  );
});

test('names are text, and no two the same', () => {
  for (const name of [null, 1, {}]) {
    refused([{ name, action: 'drop' }], TYPE, 'rules[0]: The "name" property must be of type string.');
  }
  refused([{ name: '', action: 'drop' }], RANGE, 'rules[0] "": The value of "name.length" is out of range.');
  refused([{ name: 'x'.repeat(257), action: 'drop' }], RANGE, 'rules[0] "xxx');
  const twice = [{ name: 'a', action: 'drop' }, { action: 'drop' }, { name: 'a', action: 'drop' }];
  refused(twice, VALUE, `rules[2] "a": The property 'name' is that of rules[0], too.`);
  // Also that of a rule without one.
  refused(
    [{ name: '#1', action: 'drop' }, { action: 'drop' }],
    VALUE,
    `rules[1]: The property 'name' is that of rules[0]`,
  );
});

test('the default action ends', () => {
  for (const otherwise of ['count', 'reply', '', null, 1, { reply: 'x' }]) {
    refused([], VALUE, `The property 'options.otherwise' must be one of: 'echo', 'drop', 'deliver'.`, otherwise);
  }
});

test('what is not known is a typing error', () => {
  refused(
    [{ matches: {}, action: 'drop' }],
    VALUE,
    `rules[0]: The property 'rule.matches' is not known (did you mean 'match'?), only name, match`,
  );
  refusedMatches([
    [
      { lenght: 1 },
      VALUE,
      `The property 'match.lenght' is not known (did you mean 'length'?), only exact, prefix, length`,
    ],
    [{ length: { minimum: 1 } }, VALUE, `The property 'match.length.minimum' is not known, only min, max.`],
    [{ bits: { mask: 1, values: 2 } }, VALUE, `The property 'match.bits.values' is not known`],
  ]);
  refusedActions([
    [{ reply: 'x', forward: {} }, VALUE, `The property 'action.forward' is not known`],
    [{ reply: 'x', amplified: true }, VALUE, `The property 'action.amplified' is not known`],
    [{ forward: { address: 'x', port: 1, host: 'x' } }, VALUE, `The property 'action.forward.host' is not known`],
  ]);
});

test('payloads are text or bytes, one of the two kinds', () => {
  refusedMatches([
    [null, TYPE, 'The "match" property must be of type object. Received null'],
    [[], TYPE, 'The "match" property must be of type object.'],
    [{ exact: 'a', prefix: 'a' }, VALUE, `The property 'match.prefix' cannot be given together with match.exact.`],
    [{ exact: null }, TYPE, 'The "match.exact" property must be of type string or an instance of Uint8Array.'],
    [{ prefix: [1, 2] }, TYPE, 'The "match.prefix" property must be of type string or an instance of Uint8Array.'],
    [{ prefix: 'x'.repeat(65_536) }, RANGE, 'The value of "match.prefix.length" is out of range. It must be <= 65535'],
  ]);
});

test('lengths are those that payloads have', () => {
  refusedMatches([
    [{ length: 65_536 }, RANGE, 'The value of "match.length" is out of range. It must be >= 0 && <= 65535.'],
    [{ length: 1.5 }, RANGE, 'The value of "match.length" is out of range. It must be an integer.'],
    [{ length: '1' }, TYPE, 'The "match.length" property must be of type number or an object with min and max.'],
    [{ length: null }, TYPE, 'The "match.length" property must be of type number or an object with min and max.'],
    [{ length: { max: NaN } }, RANGE, 'The value of "match.length.max" is out of range. It must be an integer.'],
    [{ length: { min: '1' } }, TYPE, 'The "match.length.min" property must be of type number.'],
    [
      { length: { min: 2, max: 1 } },
      RANGE,
      'The value of "match.length.min" is out of range. It must be <= match.length.max (1)',
    ],
  ]);
});

test('masks and values belong together', () => {
  const one = Uint8Array.of(1);
  refusedMatches([
    [{ bits: 1 }, TYPE, 'The "match.bits" property must be of type object.'],
    [{ bits: [] }, RANGE, 'The value of "match.bits.length" is out of range. It must be >= 1 && <= 256. Received 0'],
    [{ bits: { mask: one, value: one } }, TYPE, 'The "match.bits.at" property must be of type number.'],
    [
      { bits: { at: 65_535, mask: one, value: one } },
      RANGE,
      'The value of "match.bits.at" is out of range. It must be <= 65534.',
    ],
    [
      { bits: { at: 0, mask: 'x', value: one } },
      TYPE,
      'The "match.bits.mask" property must be an instance of Uint8Array.',
    ],
    [{ bits: { at: 0, mask: one } }, TYPE, 'The "match.bits.value" property must be an instance of Uint8Array.'],
    [
      { bits: { at: 0, mask: new Uint8Array(0), value: one } },
      RANGE,
      'The value of "match.bits.mask.length" is out of range.',
    ],
    [
      { bits: { at: 0, mask: new Uint8Array(257), value: one } },
      RANGE,
      'The value of "match.bits.mask.length" is out of range.',
    ],
    [
      { bits: { at: 0, mask: one, value: new Uint8Array(2) } },
      RANGE,
      'The value of "match.bits.value.length" is out of range. It must be 1',
    ],
    [
      {
        bits: [
          { at: 0, mask: one, value: one },
          { at: 0, mask: Uint8Array.of(1, 2), value: Uint8Array.of(1, 4) },
        ],
      },
      VALUE,
      `The property 'match.bits[1].value' has bits in byte 1 that match.bits[1].mask does not have.`,
    ],
  ]);
});

test('sources are addresses or CIDRs', () => {
  const wrong = ['', 'localhost', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/08', '10.0.0.0/-1', '10.0.0/8', '10.0.0.0/8/8'];
  for (const source of [...wrong, '::/129', 'fe80::1%lo', 'fe80::%1/10', '10.0.0.0 /8', '/8', '10.0.0.0/1e1']) {
    refusedMatches([
      [{ source }, VALUE, `The property 'match.source' must be an IP address, or one with a prefix length`],
    ]);
  }
  refusedMatches([
    [{ source: 1 }, TYPE, 'The "match.source" property must be of type string.'],
    [{ source: null }, TYPE, 'The "match.source" property must be of type string.'],
    [{ source: ['::1', 'x'] }, VALUE, `The property 'match.source[1]' must be an IP address`],
    [{ source: [] }, RANGE, 'The value of "match.source.length" is out of range.'],
    [{ source: new Array(4097).fill('::1') }, RANGE, 'The value of "match.source.length" is out of range.'],
  ]);
});

test('of each thing there may be as much as is said', () => {
  const mask = new Uint8Array(256).fill(0xff);
  const matches = [
    { exact: new Uint8Array(65_535) },
    { prefix: new Uint8Array(65_535) },
    { length: { min: 65_535, max: 65_535 } },
    { bits: new Array(256).fill({ at: 65_535 - 256, mask, value: mask }) },
    { source: new Array(4096).fill('::1') },
    { destinationPort: new Array(1024).fill(65_535) },
    { local: ['::/0', '10.0.0.1'], ttl: { min: 0, max: 255 }, dscp: [0, 63], ecn: [0, 1, 2, 3] },
    { ttl: 0, dscp: 0, ecn: 0 },
  ];
  for (const match of matches) assert.ok(encodeRules([{ match, action: 'drop' }]).bytes.length > 0);
  const target = { address: '127.0.0.1', port: 65_535 };
  const actions = [
    { reply: new Array(256).fill('x'), amplify: true },
    { reply: 'x'.repeat(65_507), amplify: true },
    { forward: new Array(256).fill(target), idleMs: 86_400_000, flows: 65_535 },
    { forward: target, idleMs: 1, flows: 1 },
  ];
  for (const action of actions) assert.ok(encodeRules([{ action }]).bytes.length > 0);
  assert.deepEqual(encodeRules([{ name: 'n'.repeat(256), action: 'drop' }]).names, ['n'.repeat(256)]);
  assert.equal(encodeRules(new Array(65_536).fill({ action: 'drop' })).names.length, 65_536);
});

test('ports are numbers', () => {
  refusedMatches([
    [
      { destinationPort: 0 },
      RANGE,
      'The value of "match.destinationPort" is out of range. It must be >= 1 && <= 65535.',
    ],
    [{ destinationPort: [53, 65_536] }, RANGE, 'The value of "match.destinationPort[1]" is out of range.'],
    [{ ttl: 256 }, RANGE, 'The value of "match.ttl" is out of range. It must be >= 0 && <= 255.'],
    [{ ttl: { min: 2, max: 1 } }, RANGE, 'The value of "match.ttl.min" is out of range.'],
    [{ dscp: 64 }, RANGE, 'The value of "match.dscp" is out of range. It must be >= 0 && <= 63.'],
    [{ ecn: [1, 4] }, RANGE, 'The value of "match.ecn[1]" is out of range. It must be >= 0 && <= 3.'],
    [{ ecn: [] }, RANGE, 'The value of "match.ecn.length" is out of range.'],
    [{ local: 'fe80::1%lo' }, VALUE, "The property 'match.local' must be an IP address"],
    [{ destinationPort: '53' }, TYPE, 'The "match.destinationPort" property must be of type number.'],
    [
      { destinationPort: new Array(1025).fill(1) },
      RANGE,
      'The value of "match.destinationPort.length" is out of range.',
    ],
  ]);
});

test('an action is one of the words, a reply or a target', () => {
  const expected = `one of 'echo', 'drop', 'deliver', 'count', or an object with reply or forward.`;
  refusedActions([
    [undefined, TYPE, `The "action" property must be ${expected} Received undefined`],
    [null, TYPE, `The "action" property must be ${expected}`],
    [{}, TYPE, `The "action" property must be ${expected}`],
    [{ echo: true }, TYPE, `The "action" property must be ${expected}`],
    ['Echo', VALUE, `The property 'action' must be ${expected} Received 'Echo'`],
  ]);
});

test('a reply is text, bytes and slots', () => {
  refusedActions([
    [{ reply: undefined }, TYPE, 'The "action.reply" property must be a part or an array of parts.'],
    [{ reply: null }, TYPE, 'The "action.reply" property must be of type string, an instance of Uint8Array or a slot.'],
    [
      { reply: ['a', 5] },
      TYPE,
      'The "action.reply[1]" property must be of type string, an instance of Uint8Array or a slot.',
    ],
    [{ reply: [{ slot: 'no' }] }, TYPE, 'The "action.reply[0]" property must be of type string'],
    [
      { reply: [{ slot: 'time', format: 'iso' }] },
      VALUE,
      `action.reply[0]: The argument 'format' must be one of: 'ntp', 'unix'.`,
    ],
    [
      { reply: [{ slot: 'sourcePort', xor: -1 }] },
      RANGE,
      'action.reply[0]: The value of "options.xor" is out of range.',
    ],
    [{ reply: 'x', amplify: 1 }, TYPE, 'The "action.amplify" property must be of type boolean.'],
    [
      { reply: 'x'.repeat(65_508) },
      RANGE,
      'The value of "action.reply.length" is out of range. It must be <= 65507 bytes.',
    ],
    [
      { reply: ['x'.repeat(65_507), slot.request(), 'y'] },
      RANGE,
      'The value of "action.reply.length" is out of range.',
    ],
    [
      { reply: new Array(257).fill('') },
      RANGE,
      'The value of "action.reply.length" is out of range. It must be >= 1 && <= 256.',
    ],
  ]);
});

test('literals of as many bytes as a datagram can have are a reply, also with a slot beside them', () => {
  const literal = new Uint8Array(65_507);
  const rule: Any = { action: { reply: [literal, slot.request()], amplify: true } };
  assert.ok(encodeRules([rule]).bytes.length > literal.length);
});

test('each slot is as long as it is filled at least', () => {
  const slots: [slot: Any, bytes: number][] = [
    [slot.request(), 0],
    [slot.sourceAddress(), 4],
    [slot.sourcePort(), 2],
    [slot.time('unix'), 8],
    ...([1, 2, 4, 8] as const).map((bytes): [Any, number] => [slot.counter(bytes), bytes]),
    [slot.localAddress(), 4],
    [slot.ttl(), 1],
    [slot.dscp(), 1],
    [slot.ecn(), 1],
  ];
  for (const [part, bytes] of slots) {
    encodeRules([{ match: { length: bytes }, action: { reply: part } }]);
    if (bytes === 0) continue;
    const why = `The property 'action.reply' is at least ${bytes} bytes`;
    refusedActions([[{ reply: part }, VALUE, why]], { length: { max: bytes - 1 } });
  }
});

test('a reply that would always be too long to be sent is refused', () => {
  const reply = ['12', slot.sourceAddress(), slot.sourcePort(), slot.time('ntp'), slot.counter(4), slot.request()];
  refusedActions(
    [
      [
        { reply },
        VALUE,
        `The property 'action.reply' is at least 20 bytes, the request at most 19: it would never be sent`,
      ],
    ],
    { length: { max: 19 } },
  );
  refusedActions([[{ reply: 'pong!' }, VALUE, `The property 'action.reply' is at least 5 bytes`]], { exact: 'ping' });
  encodeRules([{ match: { length: 20 }, action: { reply } }]);
  encodeRules([{ match: { exact: 'ping' }, action: { reply: 'pong' } }]);
  encodeRules([{ match: { prefix: 'ping' }, action: { reply: 'pong!' } }]);
  encodeRules([{ match: { exact: 'ping' }, action: { reply: 'pong!', amplify: true } }]);
});

test('targets have an address and a port', () => {
  const target = { address: '127.0.0.1', port: 1 };
  refusedActions([
    [{ forward: undefined }, TYPE, 'The "action.forward" property must be a target or an array of targets.'],
    [{ forward: null }, TYPE, 'The "action.forward" property must be of type object.'],
    [{ forward: [] }, RANGE, 'The value of "action.forward.length" is out of range. It must be >= 1 && <= 256.'],
    [{ forward: [target, { port: 1 }] }, TYPE, 'The "action.forward[1].address" property must be of type string.'],
    [{ forward: { address: '', port: 1 } }, VALUE, `The property 'action.forward.address' must not be empty.`],
    [{ forward: { address: '::1', port: 0 } }, 'ERR_SOCKET_BAD_PORT', 'action.forward.port should be > 0 and < 65536.'],
    [
      { forward: target, balance: 'random' },
      VALUE,
      `The property 'action.balance' must be one of: 'source', 'round-robin', 'all'.`,
    ],
    [{ forward: target, idleMs: 0 }, RANGE, 'The value of "action.idleMs" is out of range.'],
    [{ forward: target, flows: 65_536 }, RANGE, 'The value of "action.flows" is out of range.'],
  ]);
});

test('slots say at once what is wrong', () => {
  const wrong: [() => unknown, string][] = [
    [() => slot.request(-65_536), RANGE],
    [() => slot.request(0, 1.5), RANGE],
    [() => slot.request('0' as Any), TYPE],
    [() => slot.sourceAddress({ xor: 65_536 }), RANGE],
    [() => slot.sourcePort(null as Any), TYPE],
    [() => slot.time('NTP' as Any), VALUE],
    [() => slot.counter(3 as Any), VALUE],
  ];
  for (const [body, code] of wrong) assert.throws(body, { code }, String(body));
});

test('rules take no more than 64 MiB', () => {
  const prefix = new Uint8Array(65_535);
  const rules = new Array(1025).fill({ match: { prefix }, action: 'drop' });
  refused(rules, RANGE, 'The value of "options.rules" is out of range. It must be <= 67108864 bytes altogether.');
  const lengths = [...new Array(1023).fill(65_520), 65_508];
  const most = lengths.map((length) => ({ match: { prefix: prefix.subarray(0, length) }, action: 'drop' }) as Any);
  assert.equal(encodeRules(most).bytes.length, 64 * 1024 * 1024);
  const more = most.with(-1, { match: { prefix: prefix.subarray(0, 65_509) }, action: 'drop' });
  refused(more, RANGE, 'The value of "options.rules" is out of range.');
});
