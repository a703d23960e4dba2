// The zones of IPv6 addresses (RFC 4007): interfaces' names, behind a '%'.
import { SocketAddress } from 'node:net';

/** One text for each address: those of IPv6 can be written in many ways. */
export function canonical(text: string): string {
  if (!text.includes(':')) return text;
  const [address, zone] = text.split('%');
  const { address: written } = new SocketAddress({ address, family: 'ipv6' });
  return zone === undefined ? written : `${written}%${zone}`;
}

/** The zone that it says. */
export function zoneOf(address: string): string | undefined {
  const at = address.indexOf('%');
  return at < 0 ? undefined : address.slice(at + 1);
}

/** Is it of one link alone, so that the same address may be another machine's on another one? */
export function isLinkLocal(address: string): boolean {
  return /^fe[89ab][\da-f]:/.test(canonical(address)); // fe80::/10
}

/** What is wrong with the zone that it has, or has not. The kernel heeds those of link-local addresses alone. */
export function wrongZone(address: string): string | undefined {
  const zone = zoneOf(address);
  if (isLinkLocal(address)) return zone ? undefined : "must say on which link it is, as 'fe80::1%eth0'";
  return zone === undefined ? undefined : 'must have no zone: those of link-local addresses alone count';
}
