// What the addresses of a tunnel's ends may be. The zone of one of IPv6 (RFC 4007) is an interface's name, behind a '%'.
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

export const ONE_MACHINE = 'must be the address of one machine';

/** Frames come from the address of one machine: what is sent to a group or to everybody comes back from others. */
export function isOneMachine(address: string): boolean {
  const v4 = address.replace(/^::ffff:(?=\d+\.)/, '');
  if (v4.includes(':')) return !/^(::$|ff)/.test(v4);
  const first = Number(v4.split('.')[0]);
  return first !== 0 && (first < 224 || first > 239) && v4 !== '255.255.255.255';
}
