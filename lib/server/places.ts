// Where a server listens and sends to, as native code takes it: names are looked up here.
import dns from 'node:dns';
import type { NativeAddress, NativeForward } from '../backend/contract.js';
import { type Family, familyOfNumber, familyOfText } from '../base/family.js';
import type { EncodedRules } from './rules/encode.js';

export interface Resolved {
  address: string;
  family: Family;
}

export async function resolve(host: string): Promise<Resolved> {
  const family = familyOfText(host);
  if (family !== undefined) return { address: host, family };
  const found = await dns.promises.lookup(host);
  return { address: found.address, family: familyOfNumber(found.family) };
}

export function toNative({ address, family, port }: Resolved & { port: number }): NativeAddress {
  return { family: family.number, address, port };
}

const BALANCES = ['source', 'round-robin', 'all'] as const;

export async function resolveForwards({ forwards }: EncodedRules): Promise<NativeForward[]> {
  return Promise.all(
    forwards.map(async ({ targets, balance, idleMs, flows }): Promise<NativeForward> => {
      const resolved = await Promise.all(
        targets.map(async (target) => ({ ...target, ...(await resolve(target.address)) })),
      );
      return {
        targets: resolved.map(toNative),
        balance: BALANCES.indexOf(balance),
        idleMs,
        flows,
      };
    }),
  );
}
