// Random filters: each as it is written, and what it means, which its own interpreter says.
import fc from 'fast-check';
import type { PacketFields } from './bpf.js';

/** Undefined: not there. */
type Reckon = (packet: PacketFields) => number | undefined;

export interface Term {
  text: string;
  value: Reckon;
}
export interface Expression {
  text: string;
  holds: (packet: PacketFields) => boolean;
}

const ipv4s = ['192.0.2.1', '192.0.2.2', '198.51.100.7', '224.0.0.251'];
const ipv6s = ['2001:db8::1', '2001:db8:0:1::2', '::1', 'ff02::fb'];
const bytesOf = (text: string): number[] => {
  if (!text.includes(':')) return text.split('.').map(Number);
  const [before, after] = text.split('::').map((half) => (half === '' ? [] : half.split(':')));
  const groups = [...before, ...Array(8 - before.length - after.length).fill('0'), ...after];
  return groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]);
};
const ports = [0, 1, 53, 5353, 0x1234, 65_535];
const someBytes = fc.uint8Array({ maxLength: 12 }).map((bytes) => bytes.map((byte) => byte & 3));

export function packets(version: 4 | 6): fc.Arbitrary<PacketFields> {
  const address = fc.constantFrom(...(version === 4 ? ipv4s : ipv6s)).map(bytesOf);
  return fc.record({
    version: fc.constant(version),
    src: address,
    dst: address,
    sport: fc.constantFrom(...ports),
    dport: fc.constantFrom(...ports),
    ttl: fc.constantFrom(1, 64, 255),
    tos: fc.constantFrom(0, 0x01, 0xb8, 0xff),
    payload: someBytes,
    options: version === 4 ? fc.constantFrom(0, 1, 10) : fc.constant(0),
  });
}

// ---- terms

const headerBytes = (packet: PacketFields) => (packet.version === 4 ? 20 + 4 * (packet.options ?? 0) : 40);
const header = (packet: PacketFields): number[] => {
  const { version, src, dst, ttl, tos, payload, options = 0 } = packet;
  const length = 8 + payload.length + (version === 4 ? headerBytes(packet) : 0);
  if (version === 6) {
    return [0x60 | (tos >> 4), ((tos & 15) << 4) | 1, 0x23, 0x45, length >> 8, length & 255, 17, ttl, ...src, ...dst];
  }
  const rest = [length >> 8, length & 255, 0, 0, 0, 0, ttl, 17, 0, 0, ...src, ...dst];
  return [0x45 + options, tos, ...rest, ...new Array(4 * options).fill(1)];
};
const udp = ({ sport, dport, payload }: PacketFields): number[] => {
  const length = 8 + payload.length;
  return [sport >> 8, sport & 255, dport >> 8, dport & 255, length >> 8, length & 255, 0, 0, ...payload];
};

const bases: Record<string, (packet: PacketFields) => number[] | undefined> = {
  ip: (packet) => (packet.version === 4 ? header(packet) : undefined),
  ip6: (packet) => (packet.version === 6 ? header(packet) : undefined),
  udp,
  payload: ({ payload }) => [...payload],
};

const slice = (bytes: number[] | undefined, at: number | undefined, size: number): number | undefined => {
  if (bytes === undefined || at === undefined || at + size > bytes.length) return undefined;
  return bytes.slice(at, at + size).reduce((sum, byte) => sum * 256 + byte, 0);
};

const quantities: Record<string, Reckon> = {
  len: (packet) => headerBytes(packet) + 8 + packet.payload.length,
  'payload len': ({ payload }) => payload.length,
  ttl: ({ ttl }) => ttl,
  dscp: ({ tos }) => tos >> 2,
  ecn: ({ tos }) => tos & 3,
};

const reckon: Record<string, (a: bigint, b: bigint) => bigint | undefined> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => (b === 0n ? undefined : a / b),
  '%': (a, b) => (b === 0n ? undefined : a % b),
  '&': (a, b) => a & b,
  '|': (a, b) => a | b,
  '^': (a, b) => a ^ b,
  '<<': (a, b) => a << b,
  '>>': (a, b) => a >> b,
};

function calculated(operator: string, left: Term, right: Term): Term {
  return {
    text: `(${left.text} ${operator} ${right.text})`,
    value: (packet) => {
      const [a, b] = [left.value(packet), right.value(packet)];
      const result = a === undefined || b === undefined ? undefined : reckon[operator](BigInt(a), BigInt(b));
      return result === undefined ? undefined : Number(BigInt.asUintN(32, result));
    },
  };
}

const number = (value: number): Term => ({
  text: value > 9 ? `0x${value.toString(16)}` : `${value}`,
  value: () => value,
});
const numbers = fc.oneof(fc.nat(4), fc.constantFrom(31, 53, 64, 184, 5353, 0xc000_0201, 0xffff_ffff)).map(number);
const nonZero = fc.integer({ min: 1, max: 9 }).map(number);

/** `plain`: what tcpdump has, too, and means the same by. */
export function terms(plain: boolean): fc.Arbitrary<Term> {
  const offsets: Record<string, number> = plain ? { ip: 16, udp: 4 } : { ip: 64, ip6: 44, udp: 24, payload: 16 };
  const size = fc.constantFrom(1, 2, 4);
  const fixed = fc
    .tuple(fc.constantFrom(...Object.keys(offsets)), fc.nat(64), size)
    .map(([base, at, bytes]) => bytesTerm(base, number(at % (offsets[base] + 1)), bytes));
  const quantity = fc
    .constantFrom(...(plain ? ['len'] : Object.keys(quantities)))
    .map((text): Term => ({ text, value: quantities[text] }));
  const { term } = fc.letrec<{ term: Term }>((tie) => ({
    term: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      numbers,
      quantity,
      fixed,
      fc
        .tuple(fc.constantFrom('+', '-', '*', '&', '|', '^'), tie('term'), tie('term'))
        .map((args) => calculated(...args)),
      fc.tuple(fc.constantFrom('/', '%', '<<', '>>'), tie('term'), nonZero).map((args) => calculated(...args)),
      ...(plain
        ? []
        : [
            fc.tuple(fc.constantFrom('/', '%'), tie('term'), quantity).map((args) => calculated(...args)),
            fc.tuple(fc.constantFrom(...Object.keys(offsets)), tie('term'), size).map((args) => bytesTerm(...args)),
          ]),
    ),
  }));
  return term;
}

function bytesTerm(base: string, index: Term, size: number): Term {
  return {
    text: `${base}[${index.text}${size === 1 ? '' : `:${size}`}]`,
    value: (packet) => slice(bases[base](packet), index.value(packet), size),
  };
}

// ---- conditions

const relations: Record<string, (a: number, b: number) => boolean> = {
  '=': (a, b) => a === b,
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
};

function compared(relation: string, left: Term, right: Term): Expression {
  return {
    text: `${left.text} ${relation} ${right.text}`,
    holds: (packet) => {
      const [a, b] = [left.value(packet), right.value(packet)];
      return a !== undefined && b !== undefined && relations[relation](a, b);
    },
  };
}

const sides: Record<string, (test: (side: 'src' | 'dst') => boolean) => boolean> = {
  '': (test) => test('src') || test('dst'),
  'src ': (test) => test('src'),
  'dst ': (test) => test('dst'),
  'src or dst ': (test) => test('src') || test('dst'),
  'src and dst ': (test) => test('src') && test('dst'),
};
const direction = fc.constantFrom(...Object.keys(sides));
const bitsOf = (bytes: number[]) => bytes.map((byte) => byte.toString(2).padStart(8, '0')).join('');

const hosts = fc.tuple(direction, fc.constantFrom(...ipv4s, ...ipv6s)).map(
  ([side, address]): Expression => ({
    text: `${side}host ${address}`,
    holds: (packet) => sides[side]((which) => String(packet[which]) === String(bytesOf(address))),
  }),
);

const networks = [
  ...['0.0.0.0/0', '192.0.2.0/24', '192.0.2.0/31', '224.0.0.0/4', '198.51.100.7/32'],
  ...['::/0', '2001:db8::/32', '2001:db8:0:1::/64', '2001:db8::/63', 'ff00::/8', '::1/128'],
];
const nets = fc.tuple(direction, fc.constantFrom(...networks)).map(([side, network]): Expression => {
  const [address, length] = network.split('/');
  const bits = bitsOf(bytesOf(address));
  return {
    text: `${side}net ${network}`,
    holds: (packet) =>
      sides[side]((which) => {
        const own = bitsOf(packet[which]);
        return own.length === bits.length && own.slice(0, Number(length)) === bits.slice(0, Number(length));
      }),
  };
});

const portOf = (packet: PacketFields, side: 'src' | 'dst') => (side === 'src' ? packet.sport : packet.dport);
const portRanges = fc
  .tuple(direction, fc.constantFrom(...ports), fc.constantFrom(...ports))
  .map(([side, one, other]): Expression => {
    const [first, last] = [Math.min(one, other), Math.max(one, other)];
    return {
      text: one === other ? `${side}port ${one}` : `${side}portrange ${first}-${last}`,
      holds: (packet) => sides[side]((which) => portOf(packet, which) >= first && portOf(packet, which) <= last),
    };
  });

const words: Expression[] = [
  { text: 'ip', holds: ({ version }) => version === 4 },
  { text: 'ip6', holds: ({ version }) => version === 6 },
  { text: 'udp', holds: () => true },
  { text: 'ip multicast', holds: ({ version, dst }) => version === 4 && dst[0] >= 224 && dst[0] < 240 },
  { text: 'ip6 multicast', holds: ({ version, dst }) => version === 6 && dst[0] === 255 },
  { text: 'less 40', holds: (packet) => (quantities.len(packet) as number) <= 40 },
  { text: 'greater 0x28', holds: (packet) => (quantities.len(packet) as number) >= 40 },
];

const begins = (whole: Uint8Array, part: Uint8Array) => part.every((byte, i) => whole[i] === byte);
const payloads = fc
  .tuple(fc.constantFrom('prefix', '=', '!='), fc.oneof(someBytes, fc.constant(new Uint8Array(5))))
  .filter(([, bytes]) => bytes.length > 0)
  .map(([how, bytes]): Expression => {
    const same = (payload: Uint8Array) => payload.length === bytes.length && begins(payload, bytes);
    return {
      text: `payload ${how} 0x${Buffer.from(bytes).toString('hex')}`,
      holds: ({ payload }) => (how === 'prefix' ? begins(payload, bytes) : same(payload) === (how === '=')),
    };
  });

export function expressions(plain: boolean): fc.Arbitrary<Expression> {
  const term = terms(plain);
  const comparison = fc.tuple(fc.constantFrom(...Object.keys(relations)), term, term).map((args) => compared(...args));
  const simple = [hosts, nets, portRanges, fc.constantFrom(...words), comparison, ...(plain ? [] : [payloads])];
  const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
    expression: fc.oneof(
      { maxDepth: 5, depthSize: 'small' },
      ...simple,
      tie('expression').map((of): Expression => ({ text: `not (${of.text})`, holds: (packet) => !of.holds(packet) })),
      fc
        .tuple(
          tie('expression'),
          fc.array(fc.tuple(fc.constantFrom('and', 'or', '&&', '||'), tie('expression')), {
            minLength: 1,
            maxLength: 4,
          }),
        )
        .map(([first, rest]) => chained(first, rest)),
    ),
  }));
  return expression;
}

// `and` and `or` bind alike.
function chained(first: Expression, rest: [string, Expression][]): Expression {
  return {
    text: [`(${first.text})`, ...rest.map(([word, { text }]) => `${word} (${text})`)].join(' '),
    holds: (packet) =>
      rest.reduce(
        (held, [word, { holds }]) => (word === 'and' || word === '&&' ? held && holds(packet) : held || holds(packet)),
        first.holds(packet),
      ),
  };
}
