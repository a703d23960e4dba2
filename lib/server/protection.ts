// What keeps unwanted datagrams away from a server, as users say it: the options checked, and the lists encoded for
// native/core/answer/protection/. docs/protection.md says what it does.
import { type BlockList, isIPv4, isIPv6 } from 'node:net';
import * as errors from '../base/errors.js';
import { refuseUnknown } from '../base/known-keys.js';
import { isBlockList, validateInteger, validateObject } from '../base/validate.js';

/** Addresses, IPv4 and IPv6: a net.BlockList, or texts of the forms `'192.0.2.1'`, `'10.0.0.0/8'` (CIDR, RFC 4632 and
 * RFC 4291) and `'10.0.0.1-10.0.0.9'` (both belong to it). Up to 1 048 576 of them, without IPv6 zones. */
export type BlockListLike = BlockList | readonly string[];

/** A token bucket: `burst` datagrams at once, `rate` a second over time. */
export interface RateLimit {
  /** Datagrams a second, a whole number from 1 to 1 000 000 000. */
  rate: number;
  /** Datagrams at once, a whole number from 1 to 1 000 000 000. Default: as many as `rate`. */
  burst?: number;
}

/** A token bucket for each source. */
export interface SourceRateLimit extends RateLimit {
  /** How many sources are remembered at a time (32 bytes each): a power of two from 1024 to 1 048 576, 65 536 by
   * default. */
  sources?: number;
}

/** Whom a server answers, and how often (docs/protection.md). */
export interface ProtectionOptions {
  /** Serve only these addresses. An empty list serves nobody. */
  allow?: BlockListLike;
  /** Do not serve these addresses, also where `allow` has them. */
  deny?: BlockListLike;
  /** Datagrams over these rates are dropped and counted (`limited`, `limitedTotal`). */
  limits?: {
    /** For each IPv4 address, and each /64 of IPv6. */
    perSource?: SourceRateLimit;
    /** For all sources together. */
    total?: RateLimit;
  };
}

/** What native code is told. A list is 32 bytes a range, its first and its last address in network byte order, IPv4 as
 * `::ffff:a.b.c.d`, ascending by the first; undefined: no list was given, which is not an empty one. */
export interface CheckedProtection {
  readonly allow: Uint8Array | undefined;
  readonly deny: Uint8Array | undefined;
  readonly perSource: Required<SourceRateLimit> | undefined;
  readonly total: Required<RateLimit> | undefined;
}

/** The names of all options. */
export const PROTECTION_KEYS = ['allow', 'deny', 'limits'] as const;

const RANGES_MAX = 1 << 20; // as AddressSet::kRangesMax
const RANGE_BYTES = 32;
const RATE_MAX = 1_000_000_000; // as RateLimit::kMax
const SOURCES_MIN = 1024;
const SOURCES_MAX = 1 << 20;
const SOURCES_DEFAULT = 65_536;

/**
 * Reads the options when it is called: a BlockList that changes later changes nothing.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE (a text that is no address), ERR_OUT_OF_RANGE
 */
export function checkProtection(options: ProtectionOptions): CheckedProtection {
  const { allow, deny, limits } = options;
  if (limits !== undefined) {
    validateObject(limits, 'options.limits');
    refuseUnknown(limits, 'options.limits', ['perSource', 'total']);
  }
  const { perSource, total } = limits ?? {};
  return {
    allow: allow === undefined ? undefined : encodeList(allow, 'options.allow'),
    deny: deny === undefined ? undefined : encodeList(deny, 'options.deny'),
    perSource: perSource === undefined ? undefined : checkSourceRate(perSource, 'options.limits.perSource'),
    total: total === undefined ? undefined : checkRate(total, 'options.limits.total'),
  };
}

function checkRate(limit: RateLimit, name: string, others: string[] = []): Required<RateLimit> {
  validateObject(limit, name);
  refuseUnknown(limit, name, ['rate', 'burst', ...others]);
  const { rate, burst = rate } = limit;
  validateInteger(rate, `${name}.rate`, 1, RATE_MAX);
  validateInteger(burst, `${name}.burst`, 1, RATE_MAX);
  return { rate, burst };
}

function checkSourceRate(limit: SourceRateLimit, name: string): Required<SourceRateLimit> {
  const checked = checkRate(limit, name, ['sources']);
  const { sources = SOURCES_DEFAULT } = limit;
  validateInteger(sources, `${name}.sources`, SOURCES_MIN, SOURCES_MAX);
  if ((sources & (sources - 1)) !== 0) throw errors.outOfRange(`${name}.sources`, 'a power of two', sources);
  return { ...checked, sources };
}

/** An IPv6 address as a number; IPv4 addresses are the IPv4-mapped ones, RFC 4291 section 2.5.5.2. */
type AddressNumber = bigint;
type Range = readonly [first: AddressNumber, last: AddressNumber];

const MAPPED = 0xffff_0000_0000n;

function encodeList(list: unknown, name: string): Uint8Array {
  const ranges = readList(list, name);
  if (ranges.length > RANGES_MAX) throw errors.outOfRange(`${name}.length`, `<= ${RANGES_MAX}`, ranges.length);
  ranges.sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
  const bytes = new Uint8Array(ranges.length * RANGE_BYTES);
  const view = new DataView(bytes.buffer);
  ranges.forEach((range, index) => {
    range.forEach((number, which) => {
      const at = index * RANGE_BYTES + which * 16;
      view.setBigUint64(at, number >> 64n);
      view.setBigUint64(at + 8, BigInt.asUintN(64, number));
    });
  });
  return bytes;
}

function readList(list: unknown, name: string): Range[] {
  if (isBlockList(list)) {
    return list.rules.map((rule) => {
      // "Address: IPv4 10.0.0.1", "Subnet: IPv6 fe80::/10", "Range: IPv4 10.0.0.1-10.0.0.9"
      const range = parseRange(rule.slice(rule.lastIndexOf(' ') + 1));
      if (range === undefined) throw errors.invalidArgValue(name, rule, 'has a rule that is not understood');
      return range;
    });
  }
  if (!Array.isArray(list)) {
    throw errors.invalidArgType(name, 'an instance of net.BlockList or an Array of strings', list);
  }
  return Array.from(list, (text: unknown, index) => {
    if (typeof text !== 'string') throw errors.invalidArgType(`${name}[${index}]`, 'of type string', text);
    const range = parseRange(text);
    if (range !== undefined) return range;
    throw errors.invalidArgValue(`${name}[${index}]`, text, "must be an IP address, 'address/prefix' or 'first-last'");
  });
}

/** Undefined: the text is no range, or its first address comes behind its last. */
function parseRange(text: string): Range | undefined {
  const [, address, separator, rest] = /^([^/-]*)(?:([/-])(.*))?$/.exec(text) ?? [];
  const first = parseAddress(address ?? '');
  if (first === undefined) return undefined;
  if (separator === undefined) return [first, first];
  const bits = isIPv4(address) ? 32 : 128;
  if (separator === '/') {
    if (!/^\d{1,3}$/.test(rest) || Number(rest) > bits) return undefined;
    const host = (1n << BigInt(bits - Number(rest))) - 1n;
    return [first & ~host, first | host];
  }
  const last = parseAddress(rest);
  if (last === undefined || isIPv4(rest) !== isIPv4(address) || last < first) return undefined;
  return [first, last];
}

function parseAddress(text: string): AddressNumber | undefined {
  if (isIPv4(text)) return MAPPED | ipv4Number(text);
  return isIPv6(text) && !text.includes('%') ? ipv6Number(text) : undefined;
}

function ipv4Number(text: string): bigint {
  return BigInt(text.split('.').reduce((number, part) => number * 256 + Number(part), 0));
}

/** `text`: what isIPv6() takes, without a zone. */
function ipv6Number(text: string): bigint {
  // The last two groups may be written as an IPv4 address.
  const colon = text.lastIndexOf(':') + 1;
  if (text.includes('.')) {
    const digits = ipv4Number(text.slice(colon)).toString(16).padStart(8, '0');
    return ipv6Number(`${text.slice(0, colon)}${digits.slice(0, 4)}:${digits.slice(4)}`);
  }
  const [left, right = []] = text.split('::').map((half) => (half === '' ? [] : half.split(':')));
  const zeros = new Array<string>(8 - left.length - right.length).fill('0');
  return BigInt(`0x${[...left, ...zeros, ...right].map((group) => group.padStart(4, '0')).join('')}`);
}
