// Conditions as users write them, to conditions as they are encoded.
import * as errors from '../../base/errors.js';
import { type Family, familyOfText, udp4, udp6 } from '../../base/family.js';
import { refuseUnknown } from '../../base/known-keys.js';
import { isRecord, validateInteger, validateObject, validateString } from '../../base/validate.js';
import { parseLiteral } from '../../thread/address.js';
import { BITS_MAX, MASK_BYTES_MAX, PAYLOAD_BYTES_MAX, PORTS_MAX, SOURCES_MAX } from './types.js';
import { copyBytes, listOf } from './values.js';

export interface CheckedBits {
  at: number;
  mask: Uint8Array;
  value: Uint8Array;
}

/** A network: `address` has no bits behind the prefix. */
export interface CheckedSource {
  family: Family;
  prefixBits: number;
  address: Uint8Array;
}

export interface CheckedMatch {
  kind: 'any' | 'exact' | 'prefix';
  payload: Uint8Array;
  min: number;
  max: number;
  bits: CheckedBits[];
  sources: CheckedSource[];
  ports: number[];
}

export function checkMatch(match: unknown): CheckedMatch {
  if (!isRecord(match)) {
    throw errors.invalidArgType('match', 'of type object', match, 'property');
  }
  const known = ['exact', 'prefix', 'length', 'bits', 'source', 'destinationPort'] as const;
  refuseUnknown(match, 'match', known);
  const { exact, prefix, length, bits, source, destinationPort } = match as Record<(typeof known)[number], unknown>;
  if (exact !== undefined && prefix !== undefined) {
    throw errors.invalidArgValue('match.prefix', prefix, 'cannot be given together with match.exact');
  }
  const kind = exact !== undefined ? 'exact' : prefix !== undefined ? 'prefix' : 'any';
  return {
    kind,
    payload: kind === 'any' ? new Uint8Array(0) : copyBytes(exact ?? prefix, `match.${kind}`, PAYLOAD_BYTES_MAX),
    ...checkLength(length),
    bits: listOf(bits, 'match.bits', BITS_MAX, checkBits),
    sources: listOf(source, 'match.source', SOURCES_MAX, checkSource),
    ports: listOf(destinationPort, 'match.destinationPort', PORTS_MAX, (port, name) => {
      validateInteger(port, name, 1, 65535);
      return port;
    }),
  };
}

function checkLength(length: unknown): { min: number; max: number } {
  if (length === undefined) return { min: 0, max: PAYLOAD_BYTES_MAX };
  if (typeof length === 'number') {
    validateInteger(length, 'match.length', 0, PAYLOAD_BYTES_MAX);
    return { min: length, max: length };
  }
  if (!isRecord(length)) {
    throw errors.invalidArgType('match.length', 'of type number or an object with min and max', length);
  }
  refuseUnknown(length, 'match.length', ['min', 'max']);
  const { min = 0, max = PAYLOAD_BYTES_MAX } = length as { min?: unknown; max?: unknown };
  validateInteger(min, 'match.length.min', 0, PAYLOAD_BYTES_MAX);
  validateInteger(max, 'match.length.max', 0, PAYLOAD_BYTES_MAX);
  if (min > max) throw errors.outOfRange('match.length.min', `<= match.length.max (${max})`, min);
  return { min, max };
}

function checkBits(bits: unknown, name: string): CheckedBits {
  validateObject(bits, name);
  refuseUnknown(bits, name, ['at', 'mask', 'value']);
  const { at, mask, value } = bits as Record<'at' | 'mask' | 'value', unknown>;
  validateInteger(at, `${name}.at`, 0, PAYLOAD_BYTES_MAX);
  for (const [field, given] of Object.entries({ mask, value })) {
    if (!(given instanceof Uint8Array))
      throw errors.invalidArgType(`${name}.${field}`, 'an instance of Uint8Array', given);
  }
  const checked = { at, mask: Uint8Array.from(mask as Uint8Array), value: Uint8Array.from(value as Uint8Array) };
  validateInteger(checked.mask.length, `${name}.mask.length`, 1, MASK_BYTES_MAX);
  if (checked.value.length !== checked.mask.length) {
    throw errors.outOfRange(
      `${name}.value.length`,
      `${checked.mask.length}, as ${name}.mask.length`,
      checked.value.length,
    );
  }
  if (at + checked.mask.length > PAYLOAD_BYTES_MAX) {
    throw errors.outOfRange(`${name}.at`, `<= ${PAYLOAD_BYTES_MAX - checked.mask.length}`, at);
  }
  const stray = checked.value.findIndex((byte, i) => (byte & ~checked.mask[i]) !== 0);
  if (stray >= 0) {
    throw errors.invalidArgValue(`${name}.value`, value, `has bits in byte ${stray} that ${name}.mask does not have`);
  }
  return checked;
}

const V4_MAPPED = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

function checkSource(source: unknown, name: string): CheckedSource {
  validateString(source, name);
  const [text, bits, ...more] = source.split('/');
  // Conditions do not compare zones: an address with one is refused, not matched in every zone.
  const family = text.includes('%') ? undefined : familyOfText(text);
  const width = 8 * (family ?? udp6).addressBytes;
  const prefixBits = bits === undefined ? width : /^(0|[1-9]\d{0,2})$/.test(bits) ? Number(bits) : -1;
  const parsed = family === undefined ? null : parseLiteral(family, text);
  if (family === undefined || parsed === null || prefixBits < 0 || prefixBits > width || more.length > 0) {
    throw errors.invalidArgValue(name, source, 'must be an IP address, or one with a prefix length, as 10.0.0.0/8');
  }
  const address = new Uint8Array(parsed.words.slice().buffer, 0, width / 8);
  if (family === udp6 && prefixBits >= 96 && V4_MAPPED.every((byte, i) => address[i] === byte)) {
    return { family: udp4, prefixBits: prefixBits - 96, address: masked(address.slice(12), prefixBits - 96) };
  }
  return { family, prefixBits, address: masked(address, prefixBits) };
}

/** Without the bits behind the prefix: 10.1.2.3/8 is 10.0.0.0/8. */
function masked(address: Uint8Array, prefixBits: number): Uint8Array {
  return address.map((byte, i) => byte & ~(0xff >> Math.min(Math.max(prefixBits - 8 * i, 0), 8)));
}
