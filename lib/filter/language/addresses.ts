// The addresses, networks and ports of a filter. Names are not looked up: a filter is compiled at once, and for good.
import { isIP } from 'node:net';
import { Problem } from './problem.js';
import type { Token } from './tokens.js';
import { numberOf, type Words } from './words.js';

/** The first `bits` bits are those of `words`, 32 each: one of them is IPv4, four are IPv6. */
export interface Network {
  version: 4 | 6;
  words: number[];
  bits: number;
}

const PORT_MAX = 0xffff;

export function parsePort(words: Words): number {
  return words.number('a port', PORT_MAX);
}

/** `A-B`, in either order, or a port alone. */
export function parsePorts(words: Words): [first: number, last: number] {
  const one = parsePort(words);
  const other = words.accept('-') ? parsePort(words) : one;
  return one <= other ? [one, other] : [other, one];
}

export function parseHost(words: Words): Network {
  if (words.peek().kind !== 'address') words.fail('an IP address is expected (names are not looked up)');
  return networkOf(words.take());
}

/** `10.0.0.0/8`, `10.0.0.0 mask 255.0.0.0`, `2001:db8::/32`; with fewer than four numbers, `10` or `10.1`, these are the
 * network. */
export function parseNetwork(words: Words): Network {
  const token = words.peek();
  if (!['address', 'dotted', 'number'].includes(token.kind)) words.fail('a network, as 192.0.2.0/24, is expected');
  words.take();
  const network = token.kind === 'address' ? networkOf(token) : partialNetwork(token);
  const wholeBits = network.words.length * 32;
  if (words.accept('/')) {
    // An address of IPv4 in IPv6's form is one of IPv4.
    const mapped = network.version === 4 && token.text.includes(':') ? 96 : 0;
    const lengthToken = words.peek();
    const length = words.number('a number of bits', wholeBits + mapped);
    if (length < mapped) throw new Problem(lengthToken.at, 'a network of IPv4-mapped addresses has 96 bits and more');
    network.bits = length - mapped;
  } else if (token.kind !== 'number' && words.accept('mask')) {
    network.bits = parseMask(words, network);
  }
  if (network.words.some((word, i) => (word & ~maskOf(network.bits - 32 * i)) !== 0)) {
    throw new Problem(token.at, `'${token.text}' has bits behind the first ${network.bits}`);
  }
  return network;
}

/** The first `bits` of 32 bits. */
export function maskOf(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? 0xffff_ffff : ~(0xffff_ffff >>> bits) >>> 0;
}

function parseMask(words: Words, { version }: Network): number {
  const token = words.peek();
  if (token.kind !== 'address' || version !== 4) words.fail('a mask of IPv4, as 255.255.255.0, is expected');
  const [mask] = networkOf(words.take()).words;
  const bits = Math.clz32(~mask);
  if (mask !== maskOf(bits)) throw new Problem(token.at, `the ones of '${token.text}' are not its first bits`);
  return bits;
}

function partialNetwork(token: Token): Network {
  const octets = token.text.split('.');
  if (octets.length > 3) throw new Problem(token.at, `'${token.text}' is no IP address`);
  let word = 0;
  for (const octet of octets) word = word * 256 + numberOf({ ...token, text: octet, value: Number(octet) }, 'it', 255);
  return { version: 4, words: [(word << (32 - 8 * octets.length)) >>> 0], bits: 8 * octets.length };
}

function networkOf({ text }: Token): Network {
  if (isIP(text) === 4) return { version: 4, words: [wordOf(text)], bits: 32 };
  const words = wordsOf(text);
  const isMapped = words[0] === 0 && words[1] === 0 && words[2] === 0xffff;
  return isMapped ? { version: 4, words: [words[3]], bits: 32 } : { version: 6, words, bits: 128 };
}

function wordOf(text: string): number {
  return text.split('.').reduce((word, octet) => word * 256 + Number(octet), 0);
}

/** Of an address that isIP() has taken for one of IPv6. */
function wordsOf(text: string): number[] {
  const dotted = /[^:]*\.[^:]*$/.exec(text)?.[0];
  const plain = dotted === undefined ? text : text.slice(0, -dotted.length) + hexOf(wordOf(dotted));
  const [before, after] = plain.split('::').map((half) => (half === '' ? [] : half.split(':')));
  const groups =
    after === undefined ? before : [...before, ...Array(8 - before.length - after.length).fill('0'), ...after];
  const numbers = groups.map((group) => Number.parseInt(group, 16));
  return [0, 2, 4, 6].map((i) => numbers[i] * 0x1_0000 + numbers[i + 1]);
}

function hexOf(word: number): string {
  return `${(word >>> 16).toString(16)}:${(word & 0xffff).toString(16)}`;
}
