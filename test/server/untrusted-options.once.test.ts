// What programs pass on from their own users: whatever it is, it is refused with an error that has a code, or taken as
// what native code understands.
import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import { InvalidArgumentError } from 'commander';
import fc from 'fast-check';
import { bytesOfPayload, isPayload, ownBytes } from '../../build-lib/base/payload.js';
import { parseEndpoint, parseListen, parsePort, printable } from '../../build-lib/cli/endpoint.js';
import { checkServerOptions } from '../../build-lib/server/options.js';
import { checkProtection } from '../../build-lib/server/protection.js';
import { encodeRules } from '../../build-lib/server/rules/encode.js';
import { readRules } from '../support/rules-decoder.js';
import { test } from '../support/test.js';

// biome-ignore lint/suspicious/noExplicitAny: wrong types are the point
type Any = any;

const INPUTS = Number(process.env.KSOCKET_FUZZ_INPUTS ?? 5000);

/** What the body makes of as many inputs, in how many cases something. */
function taken<T>(inputs: fc.Arbitrary<T>, take: (input: T) => boolean): number {
  let count = 0;
  const property = fc.property(inputs, (input) => {
    if (take(input)) count++;
  });
  fc.assert(property, { numRuns: INPUTS });
  return count;
}

/** Of a call that may refuse: its result, or undefined. */
function orRefused<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    assert.match(String((error as Any).code), /^ERR_/, (error as Any).stack);
    assert.notEqual((error as Any).message, '');
    return undefined;
  }
}

const junk = fc.anything({ withTypedArray: true, withBigInt: true, withNullPrototype: true, withSparseArray: true });
/** Mostly as it should be. */
const or = <T>(good: fc.Arbitrary<T>): fc.Arbitrary<Any> =>
  fc.oneof({ weight: 60, arbitrary: good }, { weight: 1, arbitrary: junk });
const fields = (shape: Record<string, fc.Arbitrary<Any>>) => or(fc.record(shape, { requiredKeys: [] }));

const offset = fc.oneof(
  fc.integer({ min: -20, max: 20 }),
  fc.constantFrom(-65_536, -65_535, 65_535, 65_536, 0.5, -0, NaN),
);
const bytes = fc.oneof(fc.string({ maxLength: 6 }), fc.uint8Array({ maxLength: 6 }));
const address = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('::ffff:10.0.0.1', '127.0.0.1', ''));
const network = fc.tuple(address, fc.integer({ min: -1, max: 129 })).map(([one, bits]) => `${one}/${bits}`);
const someOf = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<Any> => fc.oneof(one, fc.array(or(one), { maxLength: 3 }));

const mask = fc.uint8Array({ minLength: 1, maxLength: 4 });
const bits = mask.chain((of) =>
  fields({ at: offset, mask: fc.constant(of), value: fc.uint8Array({ minLength: of.length, maxLength: of.length }) }),
);
const conditions = {
  exact: or(bytes),
  prefix: or(bytes),
  length: fc.oneof(offset, fields({ min: offset, max: offset })),
  bits: someOf(bits),
  source: someOf(fc.oneof(address, network)),
  destinationPort: someOf(or(fc.integer({ min: -1, max: 65_536 }))),
};
// One, or some of them that may contradict each other.
const match = fc.oneof(
  fc.constant({}),
  ...Object.entries(conditions).map(([name, condition]) => or(fc.record({ [name]: condition }))),
  fields(conditions),
);
const part = fc.oneof(
  bytes,
  fc.record({ slot: fc.constant('request'), start: offset, end: fc.option(offset, { nil: undefined }) }),
  fc.record({ slot: fc.constantFrom('sourceAddress', 'sourcePort'), xor: fc.option(offset, { nil: undefined }) }),
  fc.record({ slot: fc.constant('time'), format: fc.constantFrom('ntp', 'unix', 'local') }),
  fc.record({ slot: fc.constant('counter'), bytes: fc.integer({ min: 0, max: 9 }) }),
);
const action = or(
  fc.oneof(
    fc.constantFrom('echo', 'drop', 'deliver', 'count', 'reply'),
    fields({ reply: fc.oneof(bytes, fc.array(or(part), { maxLength: 4 })), amplify: or(fc.boolean()) }),
    fields({
      forward: someOf(fields({ address, port: or(fc.integer({ min: 0, max: 65_536 })) })),
      balance: fc.constantFrom('source', 'round-robin', 'all', 'any'),
      idleMs: offset,
      flows: offset,
    }),
  ),
);
const rule = or(fc.record({ name: or(fc.string()), match, action }, { requiredKeys: ['action'] }));
const rules = or(fc.array(rule, { maxLength: 2 }));

test('rules are refused, or encoded as native code reads them', () => {
  const encoded = taken(fc.tuple(rules, fc.constantFrom('drop', 'echo', 'deliver', 'reply')), ([given, otherwise]) => {
    const made = orRefused(() => encodeRules(given, otherwise as Any));
    if (made === undefined) return false;
    assert.equal(readRules(made.bytes), given.length);
    assert.equal(made.names.length, given.length);
    assert.equal(new Set(made.names).size, given.length);
    return given.length > 0;
  });
  assert.ok(encoded > INPUTS / 20, `${encoded} of ${INPUTS} are no test`);
});

const range = fc.oneof(
  address,
  network,
  fc.tuple(address, address).map((ends) => ends.join('-')),
  fc.tuple(fc.string({ maxLength: 12 }), address).map((parts) => parts.join('')),
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef:.-/% '), maxLength: 24 }),
);

test('lists are refused, or ranges in order', () => {
  const encoded = taken(or(fc.array(or(range), { maxLength: 2 })), (list) => {
    const made = orRefused(() => checkProtection({ deny: list }))?.deny;
    if (made === undefined) return false;
    const numbers = Array.from({ length: made.length / 16 }, (_, i) =>
      Buffer.from(made.subarray(16 * i, 16 * i + 16)).toString('hex'),
    );
    assert.equal(numbers.length, 2 * list.length);
    for (let i = 0; i < numbers.length; i += 2) {
      assert.ok(numbers[i] <= numbers[i + 1], 'a range goes up');
      assert.ok(i === 0 || numbers[i - 2] <= numbers[i], 'ranges are in order');
    }
    for (const text of list) {
      const ends = text.split(/[/-]/);
      const areAddresses = ends.every(
        (end: string, i: number) => isIPv4(end) || isIPv6(end) || (i === 1 && /^\d+$/.test(end)),
      );
      assert.ok(areAddresses, `${text} is no range`);
    }
    return list.length > 0;
  });
  assert.ok(encoded > INPUTS / 20, `${encoded} of ${INPUTS} are no test`);
});

test('options of servers are refused, or checked', () => {
  const rate = fields({ rate: offset, burst: offset, sources: fc.constantFrom(0, 1024, 1025, 2048) });
  const options = fields({
    address: or(address),
    port: or(fc.integer({ min: -1, max: 65_536 })),
    reply: fc.oneof(bytes, fc.constantFrom('echo', null)),
    replyTo: fc.oneof(fc.constant('source'), fields({ address, port: offset })),
    limits: fields({ perSource: rate, total: rate }),
    loops: or(fc.constantFrom(undefined, false)),
    maxBytes: offset,
    busyPoll: offset,
  });
  const checked = taken(options, (given) => {
    const made = orRefused(() => checkServerOptions(given));
    if (made === undefined) return false;
    assert.ok(made.maxBytes >= 1 && made.maxBytes <= 65_535 && Number.isInteger(made.maxBytes));
    assert.ok(made.port >= 0 && made.port <= 65_535 && Number.isInteger(made.port));
    return true;
  });
  assert.ok(checked > INPUTS / 50, `${checked} of ${INPUTS} are no test`);
});

test('payloads are refused, or their bytes', () => {
  const view = fc
    .tuple(
      fc.uint8Array({ maxLength: 32 }),
      fc.nat(32),
      fc.nat(32),
      fc.constantFrom(Uint8Array, Buffer, Uint16Array, DataView),
    )
    .map(([memory, from, count, View]) => {
      const size = View === Uint16Array ? 2 : 1;
      const at = Math.min(from, memory.length) & -size;
      const length = Math.floor(Math.min(count, memory.length - at) / size);
      return View === Buffer ? Buffer.from(memory.buffer, at, length) : new (View as Any)(memory.buffer, at, length);
    });
  const some = taken(fc.oneof(view, fc.string(), junk), (given: Any) => {
    if (!isPayload(given)) {
      assert.equal(
        orRefused(() => bytesOfPayload(given, 'msg')),
        undefined,
      );
      return false;
    }
    const wanted =
      typeof given === 'string' ? Buffer.from(given) : Buffer.from(given.buffer, given.byteOffset, given.byteLength);
    assert.ok(wanted.equals(bytesOfPayload(given, 'msg')));
    const own = typeof given === 'string' || given instanceof Uint8Array ? ownBytes(given) : undefined;
    assert.ok(own === undefined || (wanted.equals(own) && (own.length === 0 || own.buffer !== (given as Any).buffer)));
    return true;
  });
  assert.ok(some > INPUTS / 2, `${some} of ${INPUTS} are no test`);
});

test('what people type is refused in words, or a place', () => {
  const orInvalid = <T>(call: () => T): T | undefined => {
    try {
      return call();
    } catch (error) {
      assert.ok(error instanceof InvalidArgumentError, String((error as Error).stack));
      return undefined;
    }
  };
  const host = fc.oneof(
    fc.ipV4(),
    fc.ipV6().map((one) => `[${one}]`),
    fc.domain(),
    fc.string({ maxLength: 8 }),
  );
  const port = fc.oneof(fc.integer({ min: 0, max: 70_000 }).map(String), fc.string({ maxLength: 4 }));
  const text = fc.oneof(
    port,
    fc.tuple(host, port).map((parts) => parts.join(':')),
    fc.string(),
  );
  const places = taken(text, (given) => {
    const [end, listen, number] = [parseEndpoint, parseListen, parsePort].map((parse) =>
      orInvalid(() => parse(given)),
    ) as Any[];
    if (number !== undefined) assert.equal(listen.port, number);
    if (end === undefined) return false;
    assert.ok(end.port > 0 && end.port <= 65_535 && end.address !== '');
    assert.ok(given === `${end.address}:${given.split(':').at(-1)}` || given.startsWith(`[${end.address}]:`));
    assert.deepEqual([listen.host, listen.port], [end.address, end.port]);
    return true;
  });
  assert.ok(places > INPUTS / 10, `${places} of ${INPUTS} are no test`);
  taken(
    fc.oneof(
      fc.uint8Array(),
      fc.string().map((one) => Buffer.from(one)),
    ),
    (data) => {
      assert.doesNotMatch(printable(data), /\p{Cc}/u);
      return true;
    },
  );
});
