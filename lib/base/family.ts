// The kinds of socket, a row each: where IPv4 and IPv6 differ, the row knows.
import { isIP } from 'node:net';

/** A socket's protocol: UDP over IPv4 (udp(7), ip(7)) or over IPv6 (ipv6(7)). */
export type SocketType = 'udp4' | 'udp6';

export interface Family {
  readonly type: SocketType;
  /** What native code and the records call it: native/core/socket/family.h. */
  readonly number: 4 | 6;
  /** What Node's addresses call it. */
  readonly name: 'IPv4' | 'IPv6';
  /** Has it addresses, and ports, or paths? */
  readonly isIp: boolean;
  /** What net.BlockList calls it. */
  readonly blockListName: 'ipv4' | 'ipv6';
  /** Every address of the machine. */
  readonly any: string;
  readonly loopback: string;
  readonly addressBytes: 4 | 16;
  /** Do its sockets take the other family's datagrams, too, unless IPV6_V6ONLY says no? */
  readonly dualStack: boolean;
  /** The largest payload: what IP's 16-bit length leaves behind UDP's header of 8 bytes and, with IPv4, IP's own of 20
   * (RFC 791, section 3.1; RFC 8200, section 3). */
  readonly payloadBytesMax: number;
}

export const udp4: Family = {
  type: 'udp4',
  number: 4,
  name: 'IPv4',
  isIp: true,
  blockListName: 'ipv4',
  any: '0.0.0.0',
  loopback: '127.0.0.1',
  addressBytes: 4,
  dualStack: false,
  payloadBytesMax: 65_507,
};

export const udp6: Family = {
  type: 'udp6',
  number: 6,
  name: 'IPv6',
  isIp: true,
  blockListName: 'ipv6',
  any: '::',
  loopback: '::1',
  addressBytes: 16,
  dualStack: true,
  payloadBytesMax: 65_527,
};

/** unix(7). What it has in common with IP is below the sockets' interfaces, which are two (lib/unix/): there alone these
 * names are seen. */
export const unixDgram = {
  type: 'unix_dgram',
  number: 1,
  name: 'unix',
  isIp: false,
  blockListName: 'ipv4',
  any: '',
  loopback: '',
  addressBytes: 16,
  dualStack: false,
  payloadBytesMax: 65_535,
} as unknown as Family;

/** Those of IP. */
export const families: readonly Family[] = [udp4, udp6];

const byType = new Map<unknown, Family>(families.map((family) => [family.type, family]));
const byNumber = Array.from({ length: 7 }, (_, number) =>
  [...families, unixDgram].find((family) => family.number === number),
);

/** By number, for what is asked once a datagram. */
export const familyNames: readonly Family['name'][] = byNumber.map((family) => (family ?? udp4).name);

/** Undefined: there is no such type. */
export function familyOfType(type: unknown): Family | undefined {
  return byType.get(type);
}

/** As dns.lookup() numbers them. */
export function familyOfNumber(number: number): Family {
  return byNumber[number] ?? udp4;
}

/** Undefined: it is no IP literal. */
export function familyOfText(text: string): Family | undefined {
  return byNumber[isIP(text)];
}

/** Of an IP literal. Only those of IPv6 have colons. */
export function familyOfAddress(address: string): Family {
  return address.includes(':') ? udp6 : udp4;
}
