// Where a tunnel's remotes are: their names are looked up, and each is one machine that is no other remote.
import dns from 'node:dns';
import type { NativeAddress, NativeIoThread } from '../backend/contract.js';
import { EACCES, EINVAL } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { type Family, familyOfAddress, familyOfText } from '../base/family.js';
import { canonical, isLinkLocal, isOneMachine, ONE_MACHINE, wrongZone, zoneOf } from './addresses.js';
import type { CheckedTunnelOptions } from './options.js';

async function resolve(host: string, family: Family | undefined): Promise<string> {
  if (familyOfText(host) !== undefined) return host;
  return (await dns.promises.lookup(host, { family: family?.number ?? 0 })).address;
}

/** A socket that is on one link sends to no other. */
function otherLink(address: string, local: string | undefined): string | undefined {
  if (local === undefined || !isLinkLocal(local) || !isLinkLocal(address)) return undefined;
  return zoneOf(local) === zoneOf(address) ? undefined : 'must be on the link of options.local.address';
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
    if (!isOneMachine(address)) throw refuse(ONE_MACHINE);
    const wrong = wrongZone(address) ?? otherLink(address, local.address);
    if (wrong !== undefined) throw refuse(wrong);
    const key = vxlan ? address : `${address} ${port}`;
    if (known.has(key)) throw refuse('is the address of another remote, too');
    known.add(key);
    out.push({ family: family.number, address, port });
  }
  return out;
}

/** What the kernel says of the way to each, for the socket of this id: bytes, or 0 where there is none by now.
 * @throws ERR_INVALID_ARG_VALUE for the broadcast address of a network, and a zone that is no interface */
export function pathsTo(native: NativeIoThread, id: number, remotes: readonly NativeAddress[]): number[] {
  return remotes.map(({ address }, i) => {
    const refuse = (reason: string) => errors.invalidArgValue(`options.remotes[${i}].address`, address, reason);
    const path = native.getPathMtu(id, address, false);
    if (path > 0) return path;
    if (path === EACCES && native.getPathMtu(id, address, true) > 0) throw refuse(ONE_MACHINE);
    if (path === EINVAL && isLinkLocal(address)) throw refuse('has the zone of no interface of this machine');
    return 0;
  });
}
