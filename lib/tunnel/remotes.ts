// Where a tunnel's remotes are: their names are looked up, and each is one machine that is no other remote.
import dns from 'node:dns';
import { SocketAddress } from 'node:net';
import type { NativeAddress } from '../backend/contract.js';
import * as errors from '../base/errors.js';
import { type Family, familyOfAddress, familyOfText } from '../base/family.js';
import type { CheckedTunnelOptions } from './options.js';

async function resolve(host: string, family: Family | undefined): Promise<string> {
  if (familyOfText(host) !== undefined) return host;
  return (await dns.promises.lookup(host, { family: family?.number ?? 0 })).address;
}

/** One text for each address: those of IPv6 can be written in many ways. */
function canonical(text: string): string {
  if (!text.includes(':')) return text;
  const [address, zone] = text.split('%');
  const { address: written } = new SocketAddress({ address, family: 'ipv6' });
  return zone === undefined ? written : `${written}%${zone}`;
}

/** Frames come from the address of one machine: what is sent to a group or to everybody comes back from others. */
function isOneMachine(address: string): boolean {
  const v4 = address.replace(/^::ffff:(?=\d+\.)/, '');
  if (v4.includes(':')) return !/^(::$|ff)/.test(v4);
  const first = Number(v4.split('.')[0]);
  return first !== 0 && (first < 224 || first > 239) && v4 !== '255.255.255.255';
}

/** @throws ERR_INVALID_ARG_VALUE; as dns.lookup() */
export async function resolveRemotes({ local, remotes, vxlan }: CheckedTunnelOptions): Promise<NativeAddress[]> {
  let family = local.address === undefined ? undefined : familyOfText(local.address);
  const known = new Set<string>();
  const out: NativeAddress[] = [];
  for (const [i, { address: host, port }] of remotes.entries()) {
    const refuse = (reason: string) => errors.invalidArgValue(`options.remotes[${i}].address`, host, reason);
    const address = canonical(await resolve(host, family));
    family ??= familyOfAddress(address);
    if (familyOfAddress(address) !== family) throw refuse(`must be an ${family.name} address, as the tunnel's own`);
    if (!isOneMachine(address)) throw refuse('must be the address of one machine');
    const key = vxlan ? address : `${address} ${port}`;
    if (known.has(key)) throw refuse('is the address of another remote, too');
    known.add(key);
    out.push({ family: family.number, address, port });
  }
  return out;
}
