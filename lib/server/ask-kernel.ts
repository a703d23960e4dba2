// Turns on what the kernel has to say of a server's datagrams, for rules that heed it, and off again.
import { SocketOption } from '../backend/layout.js';
import * as errors from '../base/errors.js';
import type { IoThread } from '../thread/io-thread.js';
import type { EncodedRules } from './rules/encode.js';

const OPTIONS = [
  ['ttl', SocketOption.receiveTtl, 'IP_RECVTTL, IPV6_RECVHOPLIMIT'],
  ['tos', SocketOption.receiveTos, 'IP_RECVTOS, IPV6_RECVTCLASS'],
] as const;

// As getsockname(2) has them, the last of an IPv6 socket for IPv4 only.
const UNSPECIFIED = ['0.0.0.0', '::', '::ffff:0.0.0.0'];

function check(errno: number, what: string, option: string): void {
  if (errno === 0) return;
  const reason = errors.refusalReason(errno, 'a permission that this process lacks');
  throw errors.optionRefused(errno, 'setsockopt', `${what} (${option})`, reason);
}

/** Before the rules are set.
 * @throws the kernel's error, with the rule and the option in its message */
export function askKernel(thread: IoThread, id: number, { needs }: EncodedRules): void {
  const native = thread.changing();
  for (const [need, option, name] of OPTIONS) {
    const what = needs[need];
    if (what !== undefined) check(native.setOption(id, option, 1), what, name);
  }
  if (needs.local === undefined) return;
  // A socket with an address of its own is asked at no other.
  const own = native.getName(id, false);
  if (typeof own !== 'number' && !UNSPECIFIED.includes(own[0])) return;
  check(native.receiveLocal?.(id) ?? 0, needs.local, 'IP_PKTINFO, IPV6_RECVPKTINFO');
}

/** After that, or when they were refused: what only the rules that do not hold needed. Rules that forward look for loops
 * by the hops, too. */
export function askKernelNoMore(
  thread: IoThread,
  id: number,
  before: EncodedRules,
  { needs, forwards }: EncodedRules,
): void {
  for (const [need, option] of OPTIONS) {
    if (before.needs[need] === undefined || needs[need] !== undefined || (need === 'ttl' && forwards.length > 0))
      continue;
    thread.changing().setOption(id, option, 0);
  }
}
