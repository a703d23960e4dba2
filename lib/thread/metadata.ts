// What the kernel says beside a datagram, for sockets that ask for it. A kind is an option, fields of `rinfo`, columns of a
// batch (`Batch` in batch.ts), and a row of `metadataKinds`; its other half is a row of native/core/control/kinds.h.
import {
  CREDENTIALS,
  D_RECEIVED_NS,
  D_TOS,
  D_TTL,
  DATAGRAM_BYTES_MAX,
  OPEN_OPTIONAL_SHIFT,
  OPEN_RECEIVE_CREDENTIALS,
  OPEN_RECEIVE_RIGHTS,
  P_IFINDEX,
  P_LOCAL,
  P_LOCAL_FAMILY,
  P_ORIGINAL,
  P_ORIGINAL_FAMILY,
  P_ORIGINAL_PORT,
  RIGHTS_TRUNCATED,
  TOS_SAID,
} from '../backend/layout.js';
import { backend } from '../backend/load.js';
import { type MetadataName, metadataOptions } from '../backend/metadata-options.js';
import * as errors from '../base/errors.js';
import { validateBoolean, validateInteger } from '../base/validate.js';
import { littleEndian, type ReceivedRecords } from './records.js';

/** `true`: the kernel has to say it, or bind() fails; `'auto'`: where it can. Off by default. */
export type MetadataWish = boolean | 'auto';

/** What a socket wants to be told of each datagram besides its source. */
export interface MetadataOptions {
  /** IP_RECVTTL, IPV6_RECVHOPLIMIT: say of each datagram how many hops it had left (`rinfo.ttl`, `batch.ttl(i)`). */
  receiveTtl?: MetadataWish;
  /** IP_RECVTOS, IPV6_RECVTCLASS: say how it was marked (`rinfo.dscp` and `ecn`, `batch.dscp(i)` and `ecn(i)`). */
  receiveTos?: MetadataWish;
  /** IP_PKTINFO, IPV6_RECVPKTINFO: say where it was sent to, and which interface it came in by (`rinfo.local` and
   * `ifindex`, `batch.local(i)` and `ifindex(i)`). */
  receiveLocal?: MetadataWish;
  /** SO_TIMESTAMPNS: say when the kernel has received it (`rinfo.receivedUs` and `receivedNs`, `batch.receivedUs(i)` and
   * `receivedNs(i)`). */
  receiveTimes?: MetadataWish;
  /** IP_RECVORIGDSTADDR, IPV6_RECVORIGDSTADDR: say where it was sent before it was redirected here, as a transparent proxy
   * wants to know (`rinfo.originalDst`, `batch.originalDst(i)`). */
  receiveOriginalDst?: MetadataWish;
  /** IP_RECVERR, IPV6_RECVERR: what the network says of datagrams that were sent comes as `'peererror'`, and never as the
   * result of another one. */
  receiveErrors?: MetadataWish;
  /** Keep no more than so many bytes of each datagram, 1 to 65 535, and say how many it had (`rinfo.truncated` and
   * `size`, `batch.truncated(i)` and `fullSize(i)`). The rest is not copied, and takes no place. */
  maxBytes?: number;
}

/** An address and port that a datagram was sent to. */
export interface OriginalDestination {
  /** The IP address. */
  address: string;
  /** 1 to 65 535. */
  port: number;
}

/** Who has sent a datagram, as the kernel knows it. unix(7), SCM_CREDENTIALS. */
export interface Credentials {
  /** The process; 0 where it is in a namespace that this one does not see. */
  pid: number;
  /** Its user. */
  uid: number;
  /** Its group. */
  gid: number;
}

/** What the kernel says beside a datagram. Only what the socket has asked for is there; undefined where the kernel did not say. */
export interface Metadata {
  /** The hop limit (IPv4: TTL) that the datagram came with, 1 to 255. Asked for with `receiveTtl`. ip(7), ipv6(7). */
  ttl?: number;
  /** Differentiated services code point, 0 to 63, RFC 2474. Asked for with `receiveTos`. */
  dscp?: number;
  /** Explicit congestion notification, RFC 3168: 0 not capable, 1 ECT(1), 2 ECT(0), 3 congestion experienced. Asked for
   * with `receiveTos`. */
  ecn?: number;
  /** The address that the datagram was sent to: one of this machine's, or a group. Asked for with `receiveLocal`. */
  local?: string;
  /** The index of the interface that it came in by, as if_nametoindex(3) has it. Asked for with `receiveLocal`. */
  ifindex?: number;
  /** When the kernel has received it, as microseconds since 1970 with a fraction (of a quarter). Asked for with
   * `receiveTimes`. socket(7), SO_TIMESTAMPNS. */
  receivedUs?: number;
  /** The same to the nanosecond. */
  receivedNs?: bigint;
  /** Where it was sent before it was redirected here. Asked for with `receiveOriginalDst`. */
  originalDst?: OriginalDestination;
  /** Was the datagram longer than what is here of it? Asked for with `maxBytes`. recv(2), MSG_TRUNC. */
  truncated?: boolean;
}

/** @internal Of these the kernel says more than a record takes (PacketInfo in native/core/memory/layout.h). */
export const NEED_PACKET_INFO =
  metadataOptions.receiveLocal.flag |
  metadataOptions.receiveOriginalDst.flag |
  metadataOptions.receiveErrors.flag |
  OPEN_RECEIVE_CREDENTIALS |
  OPEN_RECEIVE_RIGHTS;

/** @internal */
export interface MetadataKind {
  /** Puts it into `out`; `at` is the record's first word. */
  read(records: ReceivedRecords, at: number, out: Metadata): void;
}

interface AskedKind extends MetadataKind {
  readonly option: MetadataName;
}

// The kernel need not be asked for it.
const truncation: MetadataKind = {
  read(records, at, out) {
    out.truncated = records.truncated(at);
  },
};

const metadataKinds: readonly AskedKind[] = [
  {
    option: 'receiveTtl',
    read(records, at, out) {
      out.ttl = ttlOf(records, at);
    },
  },
  {
    option: 'receiveTos',
    read(records, at, out) {
      out.dscp = dscpOf(records, at);
      out.ecn = ecnOf(records, at);
    },
  },
  {
    option: 'receiveLocal',
    read(records, at, out) {
      out.local = localOf(records, at);
      out.ifindex = ifindexOf(records, at);
    },
  },
  {
    option: 'receiveTimes',
    read(records, at, out) {
      out.receivedUs = receivedUsOf(records, at);
      out.receivedNs = receivedNsOf(records, at);
    },
  },
  {
    option: 'receiveOriginalDst',
    read(records, at, out) {
      out.originalDst = originalDstOf(records, at);
    },
  },
];

// An object as any other, of which V8 keeps inside what is added to it: it learns that of what a constructor makes.
const Described = function (this: Record<string, unknown>, plain: Readonly<Record<string, unknown>>): void {
  this.address = plain.address;
  this.family = plain.family;
  this.port = plain.port;
  this.size = plain.size;
} as unknown as { new (plain: object): object; prototype: object };
Described.prototype = Object.prototype;

/** `plain` with all that the kernel says of the record at `at`.
 * @internal */
export function describe<Plain extends object>(
  kinds: readonly MetadataKind[],
  records: ReceivedRecords,
  at: number,
  plain: Plain,
): Plain & Metadata {
  const out = new Described(plain) as Plain & Metadata;
  for (const kind of kinds) kind.read(records, at, out);
  return out;
}

function flagsOf(options: MetadataOptions, name: MetadataName): number {
  return wishFlags(options[name], name, metadataOptions[name].flag);
}

/** @internal As OPEN_ flags.
 * @throws ERR_INVALID_ARG_TYPE, ERR_KSOCKET_NEEDS_ADDON */
export function wishFlags(wish: MetadataWish | undefined, name: string, flag: number): number {
  if (wish === undefined || wish === false) return 0;
  if (wish === 'auto') return flag | (flag << OPEN_OPTIONAL_SHIFT);
  validateBoolean(wish, `options.${name}`);
  if (backend === 'dgram') throw errors.needsAddon(`options.${name}`);
  return flag;
}

/** What is asked for, as kinds and as OPEN_ flags.
 * @internal
 * @throws ERR_INVALID_ARG_VALUE, ERR_KSOCKET_NEEDS_ADDON */
export function checkMetadata(options: MetadataOptions): { kinds: readonly MetadataKind[] | undefined; flags: number } {
  let flags = 0;
  const kinds: MetadataKind[] = [];
  for (const kind of metadataKinds) {
    const asked = flagsOf(options, kind.option);
    if (asked !== 0) kinds.push(kind);
    flags |= asked;
  }
  flags |= flagsOf(options, 'receiveErrors');
  const { maxBytes } = options;
  if (maxBytes !== undefined) {
    validateInteger(maxBytes, 'options.maxBytes', 1, DATAGRAM_BYTES_MAX);
    kinds.push(truncation);
  }
  return { kinds: kinds.length > 0 ? kinds : undefined, flags };
}

/** @internal */
export function ttlOf(records: ReceivedRecords, at: number): number | undefined {
  return records.byte(at, D_TTL) || undefined;
}

/** @internal */
export function dscpOf(records: ReceivedRecords, at: number): number | undefined {
  const tos = records.half(at, D_TOS);
  return tos === 0 ? undefined : (tos & ~TOS_SAID) >> 2;
}

/** @internal */
export function ecnOf(records: ReceivedRecords, at: number): number | undefined {
  const tos = records.half(at, D_TOS);
  return tos === 0 ? undefined : tos & 3;
}

/** @internal */
export function localOf(records: ReceivedRecords, at: number): string | undefined {
  return records.packetInfo(at)?.address(at, P_LOCAL, P_LOCAL_FAMILY);
}

/** @internal */
export function ifindexOf(records: ReceivedRecords, at: number): number | undefined {
  return records.packetInfo(at)?.words[at + (P_IFINDEX >> 2)] || undefined;
}

/** @internal Of a local socket, of which that is a bundle of descriptors: were there more? */
export function isBundleTruncated(records: ReceivedRecords, at: number): boolean {
  return (ifindexOf(records, at) ?? 0) >= RIGHTS_TRUNCATED;
}

/** @internal */
export function receivedUsOf(records: ReceivedRecords, at: number): number | undefined {
  const first = at + (D_RECEIVED_NS >> 2);
  const low = records.words[first + (littleEndian ? 0 : 1)];
  const high = records.words[first + (littleEndian ? 1 : 0)];
  // 2^32 ns are 4 294 967 us and 296 ns: no product is rounded.
  return high === 0 && low === 0 ? undefined : high * 4_294_967 + (high * 296 + low) / 1000;
}

/** @internal */
export function receivedNsOf(records: ReceivedRecords, at: number): bigint | undefined {
  return records.quad(at, D_RECEIVED_NS) || undefined;
}

/** @internal */
export function originalDstOf(records: ReceivedRecords, at: number): OriginalDestination | undefined {
  const info = records.packetInfo(at);
  const address = info?.address(at, P_ORIGINAL, P_ORIGINAL_FAMILY);
  if (info === undefined || address === undefined) return undefined;
  return { address, port: info.half(at, P_ORIGINAL_PORT) };
}

/** @internal Undefined where the kernel did not say. */
export function credentialsOf(records: ReceivedRecords, at: number): Credentials | undefined {
  const info = records.packetInfo(at);
  if (info === undefined || info.byte(at, P_LOCAL_FAMILY) !== CREDENTIALS) return undefined;
  const first = at + (P_LOCAL >> 2);
  return { pid: info.words[first], uid: info.words[first + 1], gid: info.words[first + 2] };
}
