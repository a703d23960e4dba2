// Conditions of what the kernel says beside a datagram, which node:dgram does not pass on.
import { backend } from '../../backend/load.js';
import * as errors from '../../base/errors.js';
import { validateInteger } from '../../base/validate.js';
import { type CheckedNetwork, checkNetwork } from './networks.js';
import { DSCP_MAX, ECN_MAX, LOCALS_MAX, TTL_MAX } from './types.js';
import { checkRange, listOf } from './values.js';

export interface CheckedKernelMatch {
  ttl: { min: number; max: number };
  /** Bit n: the code point n is one of them. */
  dscps: bigint;
  ecns: bigint;
  locals: CheckedNetwork[];
}

export const kernelConditions = ['local', 'ttl', 'dscp', 'ecn'] as const;
type Given = Partial<Record<(typeof kernelConditions)[number], unknown>>;

export const ANY_DSCP = (1n << BigInt(DSCP_MAX + 1)) - 1n;
export const ANY_ECN = (1n << BigInt(ECN_MAX + 1)) - 1n;

/** undefined where nothing is given that some datagram does not fulfil.
 * @throws ERR_KSOCKET_NEEDS_ADDON where the backend is node:dgram */
export function checkKernelMatch(match: object): CheckedKernelMatch | undefined {
  const given = match as Given;
  const first = kernelConditions.find((name) => given[name] !== undefined);
  if (first === undefined) return undefined;
  const { local, ttl, dscp, ecn } = given;
  const checked = {
    ttl: checkRange(ttl, 'match.ttl', TTL_MAX),
    dscps: bitsOf(dscp, 'match.dscp', DSCP_MAX) ?? ANY_DSCP,
    ecns: bitsOf(ecn, 'match.ecn', ECN_MAX) ?? ANY_ECN,
    locals: listOf(local, 'match.local', LOCALS_MAX, checkNetwork),
  };
  if (backend === 'dgram') throw errors.needsAddon(`match.${first}`);
  const { min, max } = checked.ttl;
  const selects =
    min > 0 || max < TTL_MAX || checked.dscps !== ANY_DSCP || checked.ecns !== ANY_ECN || checked.locals.length > 0;
  return selects ? checked : undefined;
}

function bitsOf(value: unknown, name: string, most: number): bigint | undefined {
  const numbers = listOf(value, name, most + 1, (one, oneName) => {
    validateInteger(one, oneName, 0, most);
    return one;
  });
  return numbers.length === 0 ? undefined : numbers.reduce((bits, n) => bits | (1n << BigInt(n)), 0n);
}
