// What rules need the kernel to say of each datagram: a socket asks for that, and for no more.
import { type CheckedRule, describeRule } from './check.js';
import { ANY_DSCP, ANY_ECN } from './check-kernel-match.js';
import { TTL_MAX } from './types.js';

/** Of what is needed: the first rule that does, and its condition or slot, `rules[3] "near": match.ttl`. */
export type KernelNeeds = Partial<Record<'local' | 'ttl' | 'tos', string>>;

function wishesOf({
  match: { kernel },
  action,
}: CheckedRule): [need: keyof KernelNeeds, by: string, wanted: boolean][] {
  const has = (kind: string) =>
    action.kind === 'reply' && action.parts.some((part) => !(part instanceof Uint8Array) && part.slot === kind);
  return [
    ['local', 'match.local', kernel !== undefined && kernel.locals.length > 0],
    ['local', 'slot.localAddress()', has('localAddress')],
    ['ttl', 'match.ttl', kernel !== undefined && (kernel.ttl.min > 0 || kernel.ttl.max < TTL_MAX)],
    ['ttl', 'slot.ttl()', has('ttl')],
    ['tos', 'match.dscp', kernel !== undefined && kernel.dscps !== ANY_DSCP],
    ['tos', 'match.ecn', kernel !== undefined && kernel.ecns !== ANY_ECN],
    ['tos', 'slot.dscp()', has('dscp')],
    ['tos', 'slot.ecn()', has('ecn')],
  ];
}

export function needsOf(rules: CheckedRule[]): KernelNeeds {
  const needs: KernelNeeds = {};
  rules.forEach((rule, i) => {
    for (const [need, by, wanted] of wishesOf(rule)) {
      if (wanted) needs[need] ??= `${describeRule(rule, i)}: ${by}`;
    }
  });
  return needs;
}
