// Does a datagram fulfil a rule? native/core/answer/rules/conditions.cc, and what a trie decides there.
import type { Cidr, Mask, Match, Request } from './rule.js';

function maskHolds({ at, mask, value }: Mask, payload: Uint8Array): boolean {
  return payload.length >= at + mask.length && mask.every((bits, i) => (payload[at + i] & bits) === value[i]);
}

function contains({ prefixBits, bytes }: Cidr, ip: Uint8Array): boolean {
  if (ip.length !== bytes.length) return false;
  const whole = prefixBits >> 3;
  for (let i = 0; i < whole; i++) if (ip[i] !== bytes[i]) return false;
  const rest = prefixBits & 7;
  return rest === 0 || (ip[whole] ^ bytes[whole]) >> (8 - rest) === 0;
}

function beginsWith(payload: Uint8Array, beginning: Uint8Array): boolean {
  if (payload.length < beginning.length) return false;
  for (let i = 0; i < beginning.length; i++) if (payload[i] !== beginning[i]) return false;
  return true;
}

export function holds(match: Match, { payload, from, destinationPort }: Request): boolean {
  const { length } = payload;
  if (length < match.lengthMin || length > match.lengthMax) return false;
  if (match.kind === 'exact' && length !== match.payload.length) return false;
  if (match.kind !== 'any' && !beginsWith(payload, match.payload)) return false;
  if (!match.masks.every((mask) => maskHolds(mask, payload))) return false;
  if (match.sources.length > 0) {
    const { ip } = from;
    if (!match.sources.some((network) => contains(network, ip))) return false;
  }
  const { destinationPorts } = match;
  return destinationPorts.length === 0 || destinationPorts.includes(destinationPort);
}
