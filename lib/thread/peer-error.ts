// What the network says of a datagram that was sent, as 'peererror' tells it.
import { D_TOS, D_USER_DATA, P_LOCAL, P_LOCAL_FAMILY } from '../backend/layout.js';
import { exceptionWithHostPort } from '../base/errors.js';
import type { ReceivedRecords } from './records.js';

/** An ICMP message about a datagram of ours: its receiver is not there, or does not want it, or it is too long for the path.
 * `code` is the kernel's (ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EMSGSIZE, …), `syscall` is `send`. ip(7), IP_RECVERR. */
export interface PeerError extends NodeJS.ErrnoException {
  /** The address that the datagram was sent to. */
  address: string;
  /** The port that it was sent to. */
  port: number;
  /** ICMP's type (RFC 792; RFC 4443 where the address is IPv6). */
  icmpType: number;
  /** ICMP's code, which says more of the type. */
  icmpCode: number;
  /** Who says so: the host itself, or a router. */
  reporter: string | undefined;
  /** Of EMSGSIZE: how many bytes a packet may have on this path, with its headers (RFC 1191, RFC 8201). */
  mtu: number | undefined;
  /** The beginning of the datagram, as much as has come back of it: perhaps nothing. */
  data: Buffer;
}

/** @internal Of the KIND_PEER_ERROR record at `at`. */
export function peerErrorOf(records: ReceivedRecords, at: number, arena: Uint8Array): PeerError {
  const error = exceptionWithHostPort(records.result(at), 'send', records.address(at), records.port(at));
  const icmp = records.half(at, D_TOS);
  const offset = records.offset(at);
  const more = {
    icmpType: icmp >> 8,
    icmpCode: icmp & 0xff,
    reporter: records.packetInfo(at)?.address(at, P_LOCAL, P_LOCAL_FAMILY),
    mtu: records.words[at + (D_USER_DATA >> 2)] || undefined,
    data: Buffer.from(arena.subarray(offset, offset + records.length(at))),
  };
  return Object.assign(error, more) as PeerError;
}
