// What a condition asks of a packet of one version of IP: comparisons of numbers that are loaded from it.

import { maskOf } from './addresses.js';
import { NETWORK_HEADER } from './operations.js';
import type { ArithmeticOperator, Condition, Quantity, Relation, Term } from './syntax.js';
import { calculate, holds } from './terms.js';

/** What has to be there before bytes are loaded, or the kernel would drop the datagram: the whole datagram, from the UDP header
 * on, has `end` bytes, or IPv4's header, with its options, has. */
export interface Needed {
  of: 'datagram' | 'ipv4 header';
  end: number;
}

export type Value =
  | { kind: 'number'; value: number }
  /** Bytes of the datagram, with the UDP header. */
  | { kind: 'length' }
  /** `offset`: as BPF counts. */
  | { kind: 'load'; offset: number; size: 1 | 2 | 4; needed: Needed | undefined }
  /** The same from `index` on. `end`: how many bytes there are is known, or asked. */
  | { kind: 'indexed'; offset: number; size: 1 | 2 | 4; index: Value; end: Needed['of'] | number }
  | { kind: 'arithmetic'; operator: ArithmeticOperator; left: Value; right: Value; at: number };

export type Test =
  | { kind: 'constant'; value: boolean }
  | { kind: 'not'; of: Test }
  | { kind: 'and' | 'or'; left: Test; right: Test }
  | { kind: 'compare'; relation: Relation; left: Value; right: Value };

type Version = 4 | 6;
type Size = 1 | 2 | 4;

const UDP_HEADER_BYTES = 8;
const IPV4_HEADER_BYTES = 20;
const IPV4_HEADER_BYTES_MAX = 60; // with options
const IPV6_HEADER_BYTES = 40;
const ADDRESS_OFFSETS = { 4: { src: 12, dst: 16 }, 6: { src: 8, dst: 24 } } as const;
const PORT_OFFSETS = { src: 0, dst: 2 } as const;

const yes: Test = { kind: 'constant', value: true };
const no: Test = { kind: 'constant', value: false };

/** What is left of it for packets of that version. */
export function testOf(condition: Condition, version: Version): Test {
  // Down to the left it is as deep as there are conditions.
  const joints: { kind: 'and' | 'or'; right: Condition }[] = [];
  let first = condition;
  while (first.kind === 'and' || first.kind === 'or') {
    joints.push(first);
    first = first.left;
  }
  let test = singleTest(first, version);
  for (const { kind, right } of joints.reverse()) test = join(kind, test, testOf(right, version));
  return test;
}

function singleTest(condition: Condition, version: Version): Test {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return testOf(condition, version);
    case 'always':
      return yes;
    case 'not':
      return negation(testOf(condition.of, version));
    case 'version':
      return condition.version === version ? yes : no;
    case 'address':
      return condition.version === version ? addressTest(condition) : no;
    case 'port': {
      const port = udp(PORT_OFFSETS[condition.side], 2);
      if (condition.first === condition.last) return compare('=', port, number(condition.first));
      const from = condition.first === 0 ? yes : compare('>=', port, number(condition.first));
      return join('and', from, condition.last === 0xffff ? yes : compare('<=', port, number(condition.last)));
    }
    case 'relation':
      return relationTest(condition, version);
    case 'payload':
      return payloadTest(condition.bytes, condition.whole);
  }
}

function negation(test: Test): Test {
  if (test.kind === 'constant') return test.value ? no : yes;
  return test.kind === 'not' ? test.of : { kind: 'not', of: test };
}

function join(kind: 'and' | 'or', left: Test, right: Test): Test {
  for (const [one, other] of [
    [left, right],
    [right, left],
  ]) {
    if (one.kind === 'constant') return one.value === (kind === 'and') ? other : one;
  }
  return { kind, left, right };
}

function addressTest({ side, version, words, bits }: Extract<Condition, { kind: 'address' }>): Test {
  let test = yes;
  words.forEach((word, i) => {
    const mask = maskOf(bits - 32 * i);
    if (mask === 0) return;
    const loaded = network(ADDRESS_OFFSETS[version][side] + 4 * i, 4);
    const masked = mask === 0xffff_ffff ? loaded : arithmetic('&', loaded, mask);
    test = join('and', test, compare('=', masked, number(word)));
  });
  return test;
}

function payloadTest(bytes: Uint8Array, whole: boolean): Test {
  const end = number(UDP_HEADER_BYTES + bytes.length);
  let test: Test = whole || bytes.length > 0 ? compare(whole ? '=' : '>=', { kind: 'length' }, end) : yes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; ) {
    const left = bytes.length - at;
    const size = left >= 4 ? 4 : left >= 2 ? 2 : 1;
    const expected = size === 4 ? view.getUint32(at) : size === 2 ? view.getUint16(at) : view.getUint8(at);
    test = join('and', test, compare('=', udp(UDP_HEADER_BYTES + at, size), number(expected)));
    at += size;
  }
  return test;
}

function relationTest({ relation, left, right }: Extract<Condition, { kind: 'relation' }>, version: Version): Test {
  const one = reckoned(left, version);
  const other = reckoned(right, version);
  if (one === undefined || other === undefined) return no;
  if (one.kind !== 'number' || other.kind !== 'number') return compare(relation, one, other);
  return holds(relation, one.value, other.value) ? yes : no;
}

/** Undefined: packets of that version have no such value. */
function reckoned(term: Term, version: Version): Value | undefined {
  switch (term.kind) {
    case 'number':
      return term;
    case 'quantity':
      return quantity(term.quantity, version);
    case 'bytes':
      return bytesValue(term, version);
    case 'arithmetic': {
      const left = reckoned(term.left, version);
      const right = reckoned(term.right, version);
      if (left === undefined || right === undefined) return undefined;
      if (left.kind === 'number' && right.kind === 'number') {
        return number(calculate(term.operator, left.value, right.value));
      }
      return { ...term, left, right };
    }
  }
}

function quantity(which: Quantity, version: Version): Value {
  const isIpv4 = version === 4;
  switch (which) {
    case 'len': // RFC 791 counts the header, RFC 8200 does not
      return isIpv4 ? network(2, 2) : arithmetic('+', network(4, 2), IPV6_HEADER_BYTES);
    case 'payload len':
      return arithmetic('-', { kind: 'length' }, UDP_HEADER_BYTES);
    case 'ttl':
      return network(isIpv4 ? 8 : 7, 1);
    case 'dscp':
      return isIpv4 ? arithmetic('>>', network(1, 1), 2) : arithmetic('&', arithmetic('>>', network(0, 2), 6), 0x3f);
    case 'ecn':
      return isIpv4 ? arithmetic('&', network(1, 1), 3) : arithmetic('&', arithmetic('>>', network(0, 2), 4), 3);
  }
}

function bytesValue({ base, index, size }: Extract<Term, { kind: 'bytes' }>, version: Version): Value | undefined {
  const at = reckoned(index, version);
  if (at === undefined) return undefined;
  if (base === 'ip' || base === 'ip6') {
    if (version !== (base === 'ip' ? 4 : 6)) return undefined;
    if (at.kind === 'number') return headerBytes(version, at.value, size);
    const end = version === 4 ? 'ipv4 header' : IPV6_HEADER_BYTES;
    return { kind: 'indexed', offset: NETWORK_HEADER, size, index: at, end };
  }
  const offset = base === 'payload' ? UDP_HEADER_BYTES : 0;
  if (at.kind !== 'number') return { kind: 'indexed', offset, size, index: at, end: 'datagram' };
  const end = offset + at.value + size;
  if (end > 0xffff) return undefined;
  const needed = end > UDP_HEADER_BYTES ? ({ of: 'datagram', end } as const) : undefined;
  return { kind: 'load', offset: offset + at.value, size, needed };
}

/** What lies behind the header is not asked of it: there the kernel loads relative to the IP header only what a network card has
 * put into the first piece of a packet. */
function headerBytes(version: Version, at: number, size: Size): Value | undefined {
  const end = at + size;
  if (end > (version === 4 ? IPV4_HEADER_BYTES_MAX : IPV6_HEADER_BYTES)) return undefined;
  if (version === 6 || end <= IPV4_HEADER_BYTES) return network(at, size);
  return { kind: 'load', offset: NETWORK_HEADER + at, size, needed: { of: 'ipv4 header', end } };
}

function compare(relation: Relation, left: Value, right: Value): Test {
  return { kind: 'compare', relation, left, right };
}
function number(value: number): Value {
  return { kind: 'number', value };
}
function arithmetic(operator: ArithmeticOperator, left: Value, right: number): Value {
  return { kind: 'arithmetic', operator, left, right: number(right), at: 0 };
}
/** Bytes of the IP header that are always there. */
function network(offset: number, size: Size): Value {
  return { kind: 'load', offset: NETWORK_HEADER + offset, size, needed: undefined };
}
/** Bytes of the datagram that are there, as was asked before. */
function udp(offset: number, size: Size): Value {
  return { kind: 'load', offset, size, needed: undefined };
}
