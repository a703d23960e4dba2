// What createServer's protection options take and what they refuse.
import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { checkLoops } from '../../build-lib/server/loops.js';
import { checkProtection, type ProtectionOptions } from '../../build-lib/server/protection.js';
import { test } from '../support/test.js';

// biome-ignore lint/suspicious/noExplicitAny: wrong types are the point
type Any = any;

function refuses(options: Any, code: string, message: RegExp): void {
  assert.throws(() => checkProtection(options as ProtectionOptions), { code, message });
}

test('without options there is no protection', () => {
  const none = { allow: undefined, deny: undefined, perSource: undefined, total: undefined };
  assert.deepEqual(checkProtection({}), none);
  assert.deepEqual(checkProtection({ limits: {} }), none);
  assert.deepEqual(checkProtection({ limits: { perSource: undefined, total: undefined } }), none);
});

test('an empty list is a list', () => {
  for (const empty of [[], new BlockList()]) {
    const { allow, deny } = checkProtection({ allow: empty, deny: empty });
    assert.equal(allow?.byteLength, 0);
    assert.equal(deny?.byteLength, 0);
  }
});

test('limits have defaults', () => {
  const { perSource, total } = checkProtection({ limits: { perSource: { rate: 100 }, total: { rate: 5000 } } });
  assert.deepEqual(perSource, { rate: 100, burst: 100, sources: 65_536 });
  assert.deepEqual(total, { rate: 5000, burst: 5000 });
});

test('limits are taken as they are', () => {
  const perSource = { rate: 1, burst: 1_000_000_000, sources: 1024 };
  const total = { rate: 1_000_000_000, burst: 1 };
  const checked = checkProtection({ limits: { perSource, total } });
  assert.deepEqual(checked.perSource, perSource);
  assert.deepEqual(checked.total, total);
  assert.equal(checkProtection({ limits: { perSource: { rate: 1, sources: 1 << 20 } } }).perSource?.sources, 1 << 20);
});

test('wrong limits are refused by name', () => {
  for (const limits of [null, 5, 'fast', []]) refuses({ limits }, 'ERR_INVALID_ARG_TYPE', /"options\.limits"/);
  for (const which of ['perSource', 'total']) {
    const refused = (limit: Any, code: string, property = '') =>
      refuses({ limits: { [which]: limit } }, code, new RegExp(`"options\\.limits\\.${which}${property}"`));
    for (const limit of [null, 100, []]) refused(limit, 'ERR_INVALID_ARG_TYPE');
    for (const rate of [undefined, '100', null, 5n]) refused({ rate }, 'ERR_INVALID_ARG_TYPE', '\\.rate');
    for (const burst of ['100', null, 5n]) refused({ rate: 1, burst }, 'ERR_INVALID_ARG_TYPE', '\\.burst');
    for (const value of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 1_000_000_001]) {
      refused({ rate: value }, 'ERR_OUT_OF_RANGE', '\\.rate');
      refused({ rate: 1, burst: value }, 'ERR_OUT_OF_RANGE', '\\.burst');
    }
  }
  const refusedSources = (sources: Any, code: string) =>
    refuses({ limits: { perSource: { rate: 1, sources } } }, code, /"options\.limits\.perSource\.sources"/);
  for (const sources of [0, 512, 1023, 1025, 3000, 1 << 21, 2048.5]) refusedSources(sources, 'ERR_OUT_OF_RANGE');
  for (const sources of ['1024', null]) refusedSources(sources, 'ERR_INVALID_ARG_TYPE');
});

test('what is no list is refused by name', () => {
  for (const name of ['allow', 'deny']) {
    for (const list of [null, '10.0.0.1', 5, {}, new Set(['10.0.0.1'])]) {
      refuses(
        { [name]: list },
        'ERR_INVALID_ARG_TYPE',
        new RegExp(`"options\\.${name}" property must be an instance of`),
      );
    }
    for (const entry of [5, null, undefined, ['10.0.0.1']]) {
      const message = new RegExp(`"options\\.${name}\\[1\\]" property must be of type string`);
      refuses({ [name]: ['10.0.0.1', entry] }, 'ERR_INVALID_ARG_TYPE', message);
    }
  }
});

test('what is no address is refused by its place', () => {
  const wrong = [
    ...['', ' ', 'localhost', '10.0.0', '10.0.0.256', '010.0.0.1', '10.0.0.1 ', '10.0.0.1:53'],
    ...['10.0.0.0/', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/8/8', '10.0.0.0/8.0', '10.0.0.0/0x8', '/8'],
    ...[
      '10.0.0.1-',
      '-10.0.0.1',
      '10.0.0.2-10.0.0.1',
      '10.0.0.1 - 10.0.0.2',
      '10.0.0.1-9',
      '10.0.0.1-10.0.0.2-10.0.0.3',
    ],
    ...['10.0.0.0/8-10.0.0.9', '10.0.0.1-10.0.0.0/8', '10.0.0.1-::1', '::ffff:10.0.0.1-10.0.0.9'],
    ...['::1::', ':::', '12345::', '::/129', '::2-::1', 'fe80::1%lo', 'fe80::1%1/64', 'fe80::1-fe80::2%1', '[::1]'],
  ];
  for (const text of wrong) {
    assert.throws(
      () => checkProtection({ deny: ['::1', text] }),
      { code: 'ERR_INVALID_ARG_VALUE', message: /The property 'options\.deny\[1\]' must be an IP address/ },
      text,
    );
  }
});

test('a list that is too long is refused', () => {
  const longest = new Array<string>(1 << 20).fill('10.0.0.1');
  assert.equal(checkProtection({ deny: longest }).deny?.byteLength, 32 << 20);
  longest.push('10.0.0.2');
  refuses({ deny: longest }, 'ERR_OUT_OF_RANGE', /"options\.deny\.length"/);
});

test('loops: what holds by default, and what is given instead', () => {
  const everyService = [7, 13, 17, 19, 37, 53, 69, 123];
  const repeats = { rate: 100, burst: 16_384 };
  assert.deepEqual(checkLoops(), { servicePorts: everyService, servicesGetReplies: true, repeats });
  assert.deepEqual(checkLoops({ servicePorts: true }), {
    servicePorts: everyService,
    servicesGetReplies: false,
    repeats,
  });
  assert.deepEqual(checkLoops({ servicePorts: [1, 65_535], repeats: { burst: 1 } }), {
    servicePorts: [1, 65_535],
    servicesGetReplies: false,
    repeats: { rate: 100, burst: 1 },
  });
  assert.deepEqual(checkLoops({ servicePorts: false, repeats: false }), {
    servicePorts: [],
    servicesGetReplies: false,
    repeats: undefined,
  });
  assert.equal(checkLoops(false), undefined);
  assert.equal(checkLoops({ servicePorts: new Array(1024).fill(9) })?.servicePorts.length, 1024);
  assert.throws(() => checkLoops({ servicePorts: new Array(1025).fill(9) }), { code: 'ERR_OUT_OF_RANGE' });
  const largest = { rate: 1_000_000_000, burst: 1_000_000_000 };
  assert.deepEqual(checkLoops({ repeats: largest })?.repeats, largest);
});
