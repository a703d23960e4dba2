// The language of filters: what expressions mean, in our own words and in tcpdump's, and what is said of those that mean nothing.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { type BpfInstruction, compileFilter } from 'ksocket';
import { type PacketFields, packetOf, parseDecimal, run } from '../support/bpf.js';
import { runClient } from '../support/clients.js';
import { expressions, packets } from '../support/filter-expressions.js';
import { test } from '../support/test.js';

const ipv4: PacketFields = {
  version: 4,
  src: [192, 0, 2, 1],
  dst: [198, 51, 100, 7],
  sport: 40_000,
  dport: 53,
  ttl: 64,
  tos: 0xb9, // ef, ect(1)
  payload: Buffer.from('GET /'),
};
const ipv6: PacketFields = {
  ...ipv4,
  version: 6,
  src: [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  dst: [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfb],
};
const accepts = (expression: string, packet: PacketFields, type: 'udp4' | 'udp6' = 'udp6') =>
  run(compileFilter(expression, type), packetOf(packet)) !== 0;

test('each word of the language', () => {
  const rows: [expression: string, ipv4: boolean, ipv6: boolean][] = [
    ['udp', true, true],
    ['ip', true, false],
    ['ip6', false, true],
    ['not ip', false, true],
    ['! ip6', true, false],
    ['not not ip', true, false],
    ['host 192.0.2.1', true, false],
    ['host 198.51.100.7', true, false],
    ['src host 192.0.2.1', true, false],
    ['dst host 192.0.2.1', false, false],
    ['src 192.0.2.1', true, false],
    ['192.0.2.1', true, false],
    ['host ::ffff:192.0.2.1', true, false],
    ['ip host 192.0.2.1', true, false],
    ['src host 2001:db8::1', false, true],
    ['src 2001:DB8:0:0:0:0:0:1', false, true],
    ['src 2001:db8::0.0.0.1', false, true],
    ['src net 192.0.2.0/24', true, false],
    ['src net 192.0.2', true, false],
    ['src net 192.0.2.0 mask 255.255.255.0', true, false],
    ['net 192', true, false],
    ['src net 10', false, false],
    ['src net 192/8', true, false],
    ['src net ::ffff:192.0.2.0/120', true, false],
    ['src net 0.0.0.0/0', true, false],
    ['src net ::/0', false, true],
    ['net 2001:db8::/32', false, true],
    ['net 2001:db8::/33', false, true],
    ['net 2001:db8:8000::/33', false, false],
    ['port 53', true, true],
    ['src port 53', false, false],
    ['dst port 0x35', true, true],
    ['udp dst port 53', true, true],
    ['ip6 dst port 53', false, true],
    ['src or dst port 53', true, true],
    ['src and dst port 53', false, false],
    ['dst or src 192.0.2.1', true, false],
    ['dst and src net 192.0.0.0/8', false, false],
    ['src portrange 39999-40001', true, true],
    ['src portrange 40001-39999', true, true],
    ['portrange 1-52', false, false],
    ['dst portrange 53', true, true],
    ['port 1 or 53', true, true],
    ['port 1 or 2 or 53', true, true],
    ['not src port 53 and 54', false, false],
    ['not src port 53 and 40000', true, true],
    ['src port 40000 and not 53', true, true],
    ['portrange 1-2 or 50-60', true, true],
    ['host 10.0.0.1 or 192.0.2.1', true, false],
    ['net 10 or 192.0.2', true, false],
    ['net 10.0.0.0/8 or 192/8', true, false],
    ['ip multicast', false, false],
    ['ip6 multicast', false, true],
    ['multicast', false, true],
    ['less 33', true, false],
    ['less 32', false, false],
    ['greater 33', true, true],
    ['greater 34', false, true],
    ['len = 33', true, false],
    ['len == 53', false, true],
    ['payload len = 5', true, true],
    ['payload len != 5', false, false],
    ['ttl = 64', true, true],
    ['ttl > 64', false, false],
    ['dscp = ef', true, true],
    ['dscp = 46', true, true],
    ['dscp = af41', false, false],
    ['ecn = ect1', true, true],
    ['ecn != ce', true, true],
    ['ip[8] = 64', true, false],
    ['ip6[7] = 64', false, true],
    ['ip[0] & 0xf = 5', true, false],
    ['ip[2:2] = 33', true, false],
    ['udp[2:2] = 53', true, true],
    ['udp[4:2] = 13', true, true],
    ['udp[8] = 71', true, true],
    ['payload[0] = 0x47', true, true],
    ['payload[0:4] = 0x47455420', true, true],
    ['payload[4] = 47', true, true],
    ['payload[5] = 0', false, false],
    ['payload[payload len - 1] = 47', true, true],
    ['payload[3:2] = 0x202f', true, true],
    ['payload[4:2] = 0x202f', false, false],
    ['payload prefix "GET "', true, true],
    ['payload prefix 0x4745', true, true],
    ['payload prefix "POST"', false, false],
    ['payload = "GET /"', true, true],
    ['payload == 0x474554202f', true, true],
    ['payload = "GET"', false, false],
    ['payload != "GET"', true, true],
    ['payload prefix "\\x47\\x45"', true, true],
    ['payload prefix ""', true, true],
    ['payload = ""', false, false],
    ['1 = 1', true, true],
    ['1 > 2', false, false],
    ['not 1 = 1', false, false],
    ['2 + 3 * 4 = 14', true, true],
    ['7 & 3 << 1 = 6', true, true],
    ['1 | 6 ^ 2 & 3 = 5', true, true],
    ['-1 = 0xffffffff', true, true],
    ['10 - 3 - 2 = 5', true, true],
    ['(payload len + 1) * 2 = 12', true, true],
    ['((ip))', true, false],
    ['port 53 && ip', true, false],
    ['port 54 || ip', true, false],
    ['\tport\n53 ', true, true],
  ];
  for (const [expression, four, six] of rows) {
    assert.deepEqual([accepts(expression, ipv4), accepts(expression, ipv6)], [four, six], expression);
    assert.equal(accepts(expression, ipv4, 'udp4'), four, `${expression}, on an IPv4 socket`);
  }
});

test('and and or bind alike, from left to right, as in tcpdump', () => {
  assert.equal(accepts('ip or udp and ip6', ipv4), false);
  assert.equal(accepts('ip or (udp and ip6)', ipv4), true);
  assert.equal(accepts('ip6 and udp or ip', ipv4), true);
  assert.equal(accepts('not ip6 and ip', ipv4), true);
});

test('no relation holds of what is not there, and its negation does', () => {
  for (const missing of [
    'payload[5]',
    'payload[4:2]',
    'udp[13]',
    'ip[20]',
    'ip[60]',
    'ip6[0]',
    'payload[ttl]',
    '5 / ip[10]',
  ]) {
    for (const relation of ['=', '!=', '<', '<=', '>', '>=']) {
      assert.equal(accepts(`${missing} ${relation} 1`, ipv4), false, `${missing} ${relation} 1`);
      assert.equal(accepts(`not ${missing} ${relation} 1`, ipv4), true, `not ${missing} ${relation} 1`);
      assert.equal(accepts(`1 ${relation} ${missing} or ip`, ipv4), true, `1 ${relation} ${missing} or ip`);
    }
  }
  assert.equal(accepts('ip[20] = 1', { ...ipv4, options: 1 }), true, 'options are of the header');
  assert.equal(accepts('ip[24] = 1', { ...ipv4, options: 1 }), false, 'and UDP is not');
});

test('expressions that are none: where, and why', () => {
  const rows: [expression: string, at: number | undefined, reason: RegExp][] = [
    ['', 0, /a condition, .* is expected, and it ends/],
    ['src port htp', 9, /a port is expected, not 'htp'/],
    ['port 65536', 5, /a port is at most 65535, not 65536/],
    ['port 053', 5, /could be octal/],
    ['port', 4, /a port is expected, and it ends/],
    ['host example.org', 5, /names are not looked up.*, not 'example.org'/],
    ['host 10.1', 5, /an IP address is expected/],
    ['ip host ::1', 8, /'::1' is no address of IPv4/],
    ['ip6 net 10', 8, /'10' is no address of IPv6/],
    ['net 192.0.2.1/24', 4, /'192.0.2.1' has bits behind the first 24/],
    ['net 2001:db8::1/64', 4, /has bits behind the first 64/],
    ['net 192.0.2.0/33', 14, /a number of bits is at most 32, not 33/],
    ['net ::ffff:0:0/95', 15, /96 bits and more/],
    ['net 192.0.2.0 mask 255.0.255.0', 19, /are not its first bits/],
    ['net 1.2.3.4.5', 4, /is no IP address/],
    ['net 300', 4, /is at most 255/],
    ['port 53 53', 8, /'and' or 'or' is expected, not '53'/],
    ['port 53 and', 11, /is expected, and it ends/],
    ['(port 53', 8, /'\)' is expected, and it ends/],
    ['port 53)', 7, /'and' or 'or' is expected, not '\)'/],
    ['53', 2, /a comparison .* is expected/],
    ['tcp port 80', 0, /'tcp' is nothing that a filter on a UDP socket can ask for/],
    ['udp[0:3] = 1', 6, /1, 2 or 4 bytes are expected, not '3'/],
    ['udp[0 = 1', 6, /'\]' is expected/],
    ['(ip[0] + ) = 3', 9, /a number, or a field .*, is expected, not '\)'/],
    ['len > 5 > 3', 8, /'and' or 'or' is expected/],
    ['len / 0 = 1', 6, /divides by 0/],
    ['len % (1 - 1) = 1', 6, /divides by 0/],
    ['len << 32 = 1', 7, /more than 31 bits/],
    ['len << ttl = 1', 7, /how far to shift is a number/],
    ['len = 4294967296', 6, /at most 4294967295/],
    ['len = 0x', 6, /digits are expected behind 0x/],
    ['payload = 0x123', 10, /two digits/],
    ['payload = 12', 10, /a text in quotes, or bytes/],
    ['payload prefix "a', 15, /the text has no end/],
    ['payload prefix "ab\\q"', 18, /'\\q' is none of/],
    ['payload', 0, /a condition/],
    ['port 53 § 54', 8, /'§' has no meaning here/],
    ['port 53 😀', 8, /'😀' has no meaning here/],
    ['len > foo', 6, /a number, or a field/],
    [`${'('.repeat(101)}ip${')'.repeat(101)}`, 100, /more than 100 conditions are nested/],
    [`len${' + len'.repeat(257)} = 1`, 3 + 256 * 6 + 1, /at most 256 operators/],
    [`udp${' or udp'.repeat(4096)}`, 4096 * 7, /more than 4096 conditions/],
    [`port 1${' or 1'.repeat(4000)}`, undefined, /more than the 4096 instructions/],
    [`payload = 0x${'00'.repeat(20_000)}`, undefined, /more than the 4096 instructions/],
    [' '.repeat(65_537), 65_536, /longer than 65536 characters/],
  ];
  for (const [expression, at, reason] of rows) {
    const name = expression.slice(0, 60);
    assert.throws(
      () => compileFilter(expression, 'udp6'),
      (error: Error & { code: string; position?: number }) => {
        assert.equal(error.code, 'ERR_INVALID_ARG_VALUE');
        assert.ok(error instanceof TypeError);
        const place = at === undefined ? 'is no filter: ' : `is no filter at character ${at + 1}: `;
        assert.ok(error.message.startsWith(`The argument 'expression' ${place}`), `${name}: ${error.message}`);
        assert.match(error.message.split('. Received')[0], reason);
        assert.equal(error.position, at, name);
        return true;
      },
    );
  }
});

test('numbers that are kept in mind: sixteen at most', () => {
  const nested = (depth: number) => `${'(len - '.repeat(depth)}len${')'.repeat(depth)} = 0`;
  assert.equal(accepts(nested(15), ipv4), true);
  assert.equal(accepts(nested(16), ipv4), false);
  assert.throws(() => compileFilter(nested(17), 'udp4'), /at character \d+: more than 16 numbers/);
  // One more is kept where both sides of a relation are computed.
  const beside = (depth: number) => `len = ${'(len - '.repeat(depth)}len${')'.repeat(depth)}`;
  assert.equal(accepts(beside(14), ipv4), true);
  assert.equal(accepts(beside(15), ipv4), false);
  assert.throws(() => compileFilter(beside(16), 'udp4'), /at character \d+: more than 16 numbers/);
});

test('other arguments are refused as Node refuses them', () => {
  for (const expression of [undefined, null, 5, {}]) {
    assert.throws(() => compileFilter(expression as unknown as string, 'udp4'), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  assert.throws(() => compileFilter('udp', 'tcp' as 'udp4'), { code: 'ERR_SOCKET_BAD_TYPE' });
});

test('long lists: jumps that are too long for a comparison', () => {
  const list = Array.from({ length: 700 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
  const filter = compileFilter(`src host ${list.join(' or ')}`, 'udp6');
  const packet = (src: number[]) => packetOf({ ...ipv4, src });
  for (let i = 0; i < 768; i++) assert.equal(run(filter, packet([10, 0, i >> 8, i & 255])) !== 0, i < 700, `${i}`);
  const none = compileFilter(`not (src host ${list.join(' or ')}) and port 53`, 'udp6');
  for (let i = 0; i < 768; i++) assert.equal(run(none, packet([10, 0, i >> 8, i & 255])) !== 0, i >= 700, `${i}`);
});

test('compiled filters decide as an interpreter of the language does', () => {
  const sample = fc.tuple(
    expressions(false),
    fc.array(packets(4), { minLength: 3 }),
    fc.array(packets(6), { minLength: 3 }),
  );
  let decided = [0, 0];
  fc.assert(
    fc.property(sample, ([{ text, holds }, four, six]) => {
      for (const type of ['udp4', 'udp6'] as const) {
        let filter: BpfInstruction[];
        try {
          filter = compileFilter(text, type);
        } catch (error) {
          // What numbers alone make of it is known while it is compiled.
          assert.match((error as Error).message, /divides by 0|numbers would have to be kept/, text);
          return;
        }
        for (const packet of type === 'udp4' ? four : [...four, ...six]) {
          const expected = holds(packet);
          decided[Number(expected)]++;
          assert.equal(run(filter, packetOf(packet)) !== 0, expected, `${text} of ${JSON.stringify(packet)}`);
        }
      }
    }),
    { numRuns: 3000 },
  );
  assert.ok(decided[0] > 5000 && decided[1] > 5000, `${decided}`);
  decided = [0, 0];
});

test('tcpdump means the same by the words that it has', async () => {
  const { code } = await runClient('tcpdump', 'tcpdump', '--version');
  assert.equal(code, 0);
  const cases = fc.sample(
    fc.tuple(expressions(true), fc.array(packets(4), { minLength: 4 }), fc.array(packets(6), { minLength: 4 })),
    300,
  );
  let compared = 0;
  for (const [{ text }, four, six] of cases) {
    // Not optimized (-O): libpcap 1.10 loses the second half of "A or B and ip6 or C and src and dst net D", of IPv6.
    const { status, stdout } = spawnSync('tcpdump', ['-O', '-y', 'RAW', '-ddd', '--', text], { encoding: 'utf8' });
    if (status !== 0) continue; // it refuses what can never be
    const theirs = parseDecimal(stdout);
    const ours = compileFilter(text, 'udp6');
    // Bytes of UDP it looks for in IPv4 alone, and forgets the version of IP of all but a term's first bytes (1.10).
    for (const packet of text.includes('[') ? four : [...four, ...six]) {
      const made = packetOf({ ...packet, payload: Buffer.concat([packet.payload, Buffer.alloc(20)]) });
      assert.equal(run(ours, made) !== 0, run(theirs, made, 0) !== 0, `${text} of ${JSON.stringify(packet)}`);
      compared++;
    }
  }
  assert.ok(compared > 1500, `${compared} were compared`);
});
