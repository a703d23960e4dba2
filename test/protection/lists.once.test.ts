// Lists as native code gets them, held against net.BlockList's own answers.
import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import fc from 'fast-check';
import { type BlockListLike, checkProtection } from '../../build-lib/server/protection.js';
import { test } from '../support/test.js';

/** The ranges of an encoded list, in hexadecimal. */
function ranges(list: BlockListLike): string[] {
  const bytes = Buffer.from(checkProtection({ deny: list }).deny!);
  assert.equal(bytes.byteLength % 32, 0);
  return Array.from({ length: bytes.byteLength / 32 }, (_, index) => {
    const at = index * 32;
    return `${bytes.toString('hex', at, at + 16)}-${bytes.toString('hex', at + 16, at + 32)}`;
  });
}

function hex(number: bigint): string {
  return number.toString(16).padStart(32, '0');
}

/** 16-bit groups in full: a text that takes no parser of ours to write. */
function ipv6Text(number: bigint): string {
  return hex(number).match(/.{4}/g)!.join(':');
}
const MAPPED = 0xffff_0000_0000n;

function ipv4Text(number: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (number >> shift) & 255n).join('.');
}

test('each form of a rule is a range', () => {
  const ipv4 = (part: string) => `00000000000000000000ffff${part}`;
  const cases: Record<string, [first: string, last: string]> = {
    '10.0.0.1': [ipv4('0a000001'), ipv4('0a000001')],
    '10.1.2.3/8': [ipv4('0a000000'), ipv4('0affffff')],
    '10.1.2.3/32': [ipv4('0a010203'), ipv4('0a010203')],
    '0.0.0.0/0': [ipv4('00000000'), ipv4('ffffffff')],
    '10.0.0.1-10.0.1.0': [ipv4('0a000001'), ipv4('0a000100')],
    '::1': [hex(1n), hex(1n)],
    '::': [hex(0n), hex(0n)],
    '::/0': [hex(0n), 'f'.repeat(32)],
    '1::': [`0001${'0'.repeat(28)}`, `0001${'0'.repeat(28)}`],
    '2001:db8::5/32': [`20010db8${'0'.repeat(24)}`, `20010db8${'f'.repeat(24)}`],
    '2001:DB8:1:2:3:4:5:6': ['20010db8000100020003000400050006', '20010db8000100020003000400050006'],
    '2001:db8::1:2-2001:db8::1:a': [`20010db8${'0'.repeat(16)}00010002`, `20010db8${'0'.repeat(16)}0001000a`],
    '::ffff:10.0.0.1': [ipv4('0a000001'), ipv4('0a000001')],
    '::ffff:a00:0/104': [ipv4('0a000000'), ipv4('0affffff')],
    '64:ff9b::192.0.2.33': [`0064ff9b${'0'.repeat(16)}c0000221`, `0064ff9b${'0'.repeat(16)}c0000221`],
    '1:2:3:4:5:6:7.8.9.10': ['0001000200030004000500060708090a', '0001000200030004000500060708090a'],
  };
  for (const [text, [first, last]] of Object.entries(cases)) {
    assert.deepEqual(ranges([text]), [`${first}-${last}`], text);
  }
});

test('rules are sorted', () => {
  const texts = ['ffff::', '10.0.0.9', '::1', '10.0.0.1-10.0.0.20', '2001:db8::/32'];
  const sorted = ranges(texts);
  assert.deepEqual(sorted, [...sorted].sort());
  assert.equal(sorted.length, texts.length);
});

test('a BlockList is its rules', () => {
  const list = new BlockList();
  list.addAddress('10.0.0.1');
  list.addAddress('::1', 'ipv6');
  list.addSubnet('10.1.2.3', 8);
  list.addSubnet('2001:db8::5', 32, 'ipv6');
  list.addRange('10.0.0.1', '10.0.0.9');
  list.addRange('::5', '::ffff', 'ipv6');
  list.addAddress('::ffff:192.0.2.1', 'ipv6');
  const texts = ['10.0.0.1', '::1', '10.0.0.0/8', '2001:db8::/32', '10.0.0.1-10.0.0.9', '::5-::ffff', '192.0.2.1'];
  assert.deepEqual(ranges(list).sort(), ranges(texts).sort());
});

test('a list is read once', () => {
  const list = new BlockList();
  list.addAddress('10.0.0.1');
  const { deny } = checkProtection({ deny: list });
  list.addAddress('10.0.0.2');
  assert.equal(deny?.byteLength, 32);
});

// Numbers with few different digits, so that rules meet.
const word = fc.oneof(fc.constantFrom(0n, 1n, 0xffffn, 0xffff_ffffn, 0x0a00_0000n), fc.bigInt(0n, 0xffff_ffffn));
const mapped = word.map((low) => MAPPED | low);
const any = fc.tuple(word, word, word, word).map((words) => words.reduce((number, one) => (number << 32n) | one));
const number = fc.oneof(mapped, any);
const isMapped = (one: bigint) => one >> 32n === 0xffffn;

/** A rule for addresses of one family: as text, and as a call of BlockList. */
const rule = fc
  .tuple(fc.boolean(), number, number, fc.integer({ min: 0, max: 128 }), fc.constantFrom('address', 'subnet', 'range'))
  .map(([asIpv4, one, other, prefix, kind]) => {
    const ipv4 = asIpv4 && isMapped(one) && (kind !== 'range' || isMapped(other));
    const family = ipv4 ? ('ipv4' as const) : ('ipv6' as const);
    const text = (address: bigint) => (ipv4 ? ipv4Text(address) : ipv6Text(address));
    const [first, last] = one < other ? [text(one), text(other)] : [text(other), text(one)];
    const bits = prefix % (ipv4 ? 33 : 129);
    if (kind === 'address') return { text: text(one), add: (list: BlockList) => list.addAddress(text(one), family) };
    if (kind === 'subnet') {
      return { text: `${text(one)}/${bits}`, add: (list: BlockList) => list.addSubnet(text(one), bits, family) };
    }
    return { text: `${first}-${last}`, add: (list: BlockList) => list.addRange(first, last, family) };
  });

test("a list contains what net.BlockList says of an address's IPv6 form", () => {
  let contained = 0;
  let checks = 0;
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 6 }),
      fc.array(number, { minLength: 1, maxLength: 20 }),
      (rules, numbers) => {
        const list = new BlockList();
        for (const { add } of rules) add(list);
        const encoded = ranges(rules.map(({ text }) => text));
        assert.deepEqual(new Set(ranges(list)), new Set(encoded), 'from the BlockList');
        for (const one of [...numbers, ...encoded.flatMap(borders)]) {
          const expected = list.check(ipv6Text(one), 'ipv6');
          const inside = encoded.some((range) => range.slice(0, 32) <= hex(one) && hex(one) <= range.slice(33));
          assert.equal(inside, expected, ipv6Text(one));
          checks++;
          if (inside) contained++;
        }
      },
    ),
    { numRuns: Number(process.env.KSOCKET_FUZZ_INPUTS ?? 20_000) / 20 },
  );
  assert.ok(contained > checks / 10 && contained < (checks * 9) / 10, `${contained} of ${checks} are no test`);
});

/** The addresses at the borders of an encoded range, and beside them. */
function borders(range: string): bigint[] {
  const [first, last] = range.split('-').map((digits) => BigInt(`0x${digits}`));
  return [first - 1n, first, last, last + 1n].filter((one) => one >= 0n && one >> 128n === 0n);
}

test('all of IPv6 without IPv4 is two ranges', () => {
  const [below, above] = ranges(['::-::fffe:ffff:ffff', '::1:0:0:0-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff']);
  const [first, last] = [hex(MAPPED), hex(MAPPED | 0xffff_ffffn)];
  assert.equal(below, `${hex(0n)}-${hex(MAPPED - 1n)}`);
  assert.equal(above, `${hex(MAPPED + 2n ** 32n)}-${hex(2n ** 128n - 1n)}`);
  assert.ok(below.slice(33) < first && last < above.slice(0, 32));
});
