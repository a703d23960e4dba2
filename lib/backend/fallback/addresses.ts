// Addresses between text and the bytes of a record (native/core/socket/address.h), without inet_pton(3) and its kin.
import { isIPv4, isIPv6 } from 'node:net';
import { type NetworkInterfaceInfo, networkInterfaces, platform } from 'node:os';
import { EINVAL } from '../../base/errno.js';

/** 16 bytes in network order, and the scope id in the machine's. */
export const ADDRESS_BYTES = 20;
/** Where IPv4 stands in IPv6: ::ffff:0:0/96, RFC 4291, section 2.5.5.2. */
const MAPPED = [0, 0, 0, 0, 0, 0xffff];
export const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
const zonesAreNumbers = platform() === 'win32'; // as libuv has them there

/** Everything that has an address here; nothing where a sandbox does not say. */
export function interfaces(): [name: string, addresses: NetworkInterfaceInfo[]][] {
  try {
    return Object.entries(networkInterfaces()).map(([name, addresses]) => [name, addresses ?? []]);
  } catch {
    return [];
  }
}

function scopeIn(addresses: NetworkInterfaceInfo[]): number {
  const scoped = addresses.find((each) => each.family === 'IPv6' && each.scopeid > 0);
  return scoped?.family === 'IPv6' ? scoped.scopeid : 0;
}

/** Interfaces without a link-local address: Node does not tell their numbers. Here they get some that no kernel gives. */
const unnumbered: string[] = [];
const UNNUMBERED_FIRST = 0x8000_0000;

function scopeOfUnnumbered(name: string): number {
  const known = unnumbered.indexOf(name);
  return UNNUMBERED_FIRST + (known < 0 ? unnumbered.push(name) - 1 : known);
}

// 0: there is no such interface.
function scopeOfZone(zone: string): number {
  if (zonesAreNumbers) return Number(zone) >>> 0;
  const found = interfaces().find(([name]) => name === zone);
  return found === undefined ? 0 : scopeIn(found[1]) || scopeOfUnnumbered(zone);
}

function zoneOfScope(scope: number): string {
  if (zonesAreNumbers) return String(scope);
  if (scope >= UNNUMBERED_FIRST) return unnumbered[scope - UNNUMBERED_FIRST];
  return interfaces().find(([, addresses]) => scopeIn(addresses) === scope)?.[0] ?? String(scope);
}

/** The eight groups of what isIPv6() takes, without a zone. */
function groupsOf(text: string): number[] {
  const dotted = text.lastIndexOf('.') < 0 ? -1 : text.lastIndexOf(':') + 1;
  if (dotted >= 0) {
    const [a, b, c, d] = text.slice(dotted).split('.').map(Number);
    return groupsOf(`${text.slice(0, dotted)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`);
  }
  const [left, right = []] = text.split('::').map((half) => (half === '' ? [] : half.split(':')));
  const zeros = new Array<string>(8 - left.length - right.length).fill('0');
  return [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16));
}

/** `out`: ADDRESS_BYTES. 0, or -EINVAL for what is no literal of the family; a zone that there is not is none. */
export function parseAddress(family: number, text: string, out: Uint8Array): number {
  if (family === 4) {
    if (!isIPv4(text)) return EINVAL;
    out.fill(0).set(text.split('.').map(Number));
    return 0;
  }
  const percent = text.indexOf('%');
  const literal = percent < 0 ? text : text.slice(0, percent);
  if (family !== 6 || !isIPv6(literal)) return EINVAL;
  out.fill(0).set(groupsOf(literal).flatMap((group) => [group >> 8, group & 0xff]));
  if (percent >= 0)
    new DataView(out.buffer, out.byteOffset).setUint32(16, scopeOfZone(text.slice(percent + 1)), littleEndian);
  return 0;
}

/** The longest run of zeros, of at least two groups; the first of several. RFC 5952, section 4.2. */
function longestZeros(groups: number[]): { at: number; length: number } {
  let best = { at: -1, length: 1 };
  for (let at = 0; at < groups.length; at++) {
    let end = at;
    while (end < groups.length && groups[end] === 0) end++;
    if (end - at > best.length) best = { at, length: end - at };
    at = Math.max(at, end - 1);
  }
  return best;
}

function formatIPv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i] << 8) | bytes[2 * i + 1]);
  const { at, length } = longestZeros(groups);
  // As inet_ntop(3) has it: the mapped ones, and those that are compatible (RFC 4291, section 2.5.5.1).
  const mapped = MAPPED.every((group, i) => groups[i] === group);
  const ipv4 = mapped || (at === 0 && length === 6);
  const shown = groups.slice(0, ipv4 ? 6 : 8).map((group) => group.toString(16));
  if (ipv4) shown.push(bytes.subarray(12, 16).join('.'));
  if (at < 0) return shown.join(':');
  return `${shown.slice(0, at).join(':')}::${shown.slice(at + length).join(':')}`;
}

/** The text of ADDRESS_BYTES as rinfo has it: of a link-local one with its zone. */
export function formatAddress(family: number, bytes: Uint8Array): string {
  const linkLocal = bytes[0] === 0xfe && (bytes[1] & 0xc0) === 0x80;
  return family === 6 && !linkLocal ? formatIPv6(bytes) : formatDestination(family, bytes);
}

/** The same with whatever zone it has: to a multicast address it says by which interface. */
export function formatDestination(family: number, bytes: Uint8Array): string {
  if (family === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  const scope = new DataView(bytes.buffer, bytes.byteOffset).getUint32(16, littleEndian);
  return scope === 0 ? formatIPv6(bytes) : `${formatIPv6(bytes)}%${zoneOfScope(scope)}`;
}
