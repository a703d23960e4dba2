// What the kernel says beside a datagram, for sockets that ask for it. A kind is an option, a field of `rinfo`, a column
// of a batch (`Batch` in batch.ts), and a row of `metadataKinds`; its other half is a row of native/core/control/kinds.h.
import { D_TTL, OPEN_RECEIVE_TTL } from '../backend/layout.js';
import type { ReceivedRecords } from './records.js';

export interface MetadataOptions {
  /** IP_RECVTTL, IPV6_RECVHOPLIMIT: say of each datagram how many hops it had left (`rinfo.ttl`, `batch.ttl(i)`). */
  receiveTtl?: boolean;
}

/** Only what the socket has asked for is there. */
export interface Metadata {
  /** The hop limit (IPv4: TTL) that the datagram came with, 1 to 255; undefined where the kernel did not say. Asked for
   * with `receiveTtl`. ip(7), ipv6(7). */
  ttl?: number;
}

/** @internal */
export interface MetadataKind {
  readonly option: keyof MetadataOptions;
  readonly flag: number;
  /** Puts it into `out`; `at` is the record's first word. */
  read(records: ReceivedRecords, at: number, out: Metadata): void;
}

/** @internal */
export const metadataKinds: readonly MetadataKind[] = [
  {
    option: 'receiveTtl',
    flag: OPEN_RECEIVE_TTL,
    read(records, at, out) {
      out.ttl = ttlOf(records, at);
    },
  },
];

/** @internal */
export function ttlOf(records: ReceivedRecords, at: number): number | undefined {
  return records.byte(at, D_TTL) || undefined;
}
