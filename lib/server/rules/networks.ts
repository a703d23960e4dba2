// Addresses and CIDRs of conditions.
import * as errors from '../../base/errors.js';
import { type Family, familyOfText, udp4, udp6 } from '../../base/family.js';
import { validateString } from '../../base/validate.js';
import { parseLiteral } from '../../thread/address.js';

/** A network: `address` has no bits behind the prefix. */
export interface CheckedNetwork {
  family: Family;
  prefixBits: number;
  address: Uint8Array;
}

const V4_MAPPED = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

export function checkNetwork(source: unknown, name: string): CheckedNetwork {
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
