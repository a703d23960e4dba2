// What is said of a datagram to send beside where it goes, packed as records carry it.

import { S_ADDRESS, S_IFINDEX, S_TX_TIME_NS, SOURCE_BYTES, TOS_SAID } from '../backend/layout.js';
import { backend } from '../backend/load.js';
import * as errors from '../base/errors.js';
import type { Family } from '../base/family.js';
import { validateInteger } from '../base/validate.js';
import { literal } from './address.js';

/** Each is said by the kernel's own means, cmsg(3), of this datagram only: nothing of the socket changes. */
export interface SendMetadata {
  /** IP_TTL, IPV6_HOPLIMIT: how many hops it may take, 1 to 255, to a group, too. ip(7). */
  ttl?: number | undefined;
  /** Differentiated services code point, 0 to 63, RFC 2474: the upper six bits of IP_TOS or IPV6_TCLASS. */
  dscp?: number | undefined;
  /** Explicit congestion notification, RFC 3168: 0 not capable, 1 ECT(1), 2 ECT(0), 3 congestion experienced. */
  ecn?: number | undefined;
  /** IP_PKTINFO, IPV6_PKTINFO: the source address, an IP literal of this machine's; what the kernel does not take is
   * EINVAL in the callback. */
  local?: string | undefined;
  /** IP_PKTINFO, IPV6_PKTINFO: the index of the interface that it leaves by, if_nametoindex(3). */
  ifindex?: number | undefined;
}

/** What is said of a datagram's time. On a socket that has not asked for it, ERR_INVALID_ARG_VALUE; where it has asked with
 * `'auto'` and the kernel has refused, it is passed over. */
export interface SendTiming {
  /** 0 to 4 294 967 295: asks for a `'sendtime'` event of this id, on sockets with `sendTimes`. Of a list it is the first
   * one's; those behind it have the numbers that follow. Such a datagram leaves alone (no GSO). */
  id?: number | undefined;
  /** SCM_TXTIME: when it is to leave, in nanoseconds (1 to 2^64 - 1) of the clock of the socket's option `txTime`. The qdisc `fq` or `etf` of
   * the device heeds it; without one it leaves at once. */
  txTimeNs?: bigint | undefined;
}

/** @internal Has the socket the option? Undefined: it has not asked for it. */
export interface HasTimes {
  has(option: 'sendTimes' | 'txTime'): boolean | undefined;
}

/** @internal The names of all that may be said. */
export const sendMetadataKeys = ['ttl', 'dscp', 'ecn', 'local', 'ifindex'] as const;

/** @internal */
export const sendTimingKeys = ['id', 'txTimeNs'] as const;

const SOURCE_WORDS = SOURCE_BYTES >> 2;
const IFINDEX_MAX = 0x7fffffff;
const ID_MAX = 0xffffffff;

/** @internal */
export class SendMore {
  /** What it was made of. */
  readonly given: Readonly<SendMetadata>;
  /** As Descriptor::tos and ttl: 0 says nothing. */
  readonly tos: number;
  readonly ttl: number;
  /** A Source in words. */
  readonly source: Uint32Array | undefined;
  /** Of the first datagram; undefined: nobody asks when it is sent. */
  readonly id: number | undefined;

  /** @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_INVALID_ARG_VALUE */
  constructor(family: Family, given: Readonly<SendMetadata>, name: string, timing?: SendTiming) {
    const { ttl, dscp, ecn, local, ifindex } = given;
    if (ttl !== undefined) validateInteger(ttl, `${name}.ttl`, 1, 255);
    if (dscp !== undefined) validateInteger(dscp, `${name}.dscp`, 0, 63);
    if (ecn !== undefined) validateInteger(ecn, `${name}.ecn`, 0, 3);
    if (ifindex !== undefined) validateInteger(ifindex, `${name}.ifindex`, 1, IFINDEX_MAX);
    this.given = { ttl, dscp, ecn, local, ifindex };
    this.tos = dscp === undefined && ecn === undefined ? 0 : TOS_SAID | ((dscp ?? 0) << 2) | (ecn ?? 0);
    this.ttl = ttl ?? 0;
    this.id = timing?.id;
    const txTimeNs = timing?.txTimeNs;
    if (local === undefined && ifindex === undefined && txTimeNs === undefined) return;
    const source = new Uint32Array(SOURCE_WORDS);
    if (local !== undefined) {
      const { words } = literal(family, local, `${name}.local`);
      if (local.includes('%') && words[4] === 0) {
        throw errors.invalidArgValue(`${name}.local`, local, 'must name an interface that there is');
      }
      source.set(words.subarray(0, family.addressBytes >> 2), S_ADDRESS >> 2);
      source[S_IFINDEX >> 2] = family.number === 6 ? words[4] : 0;
    }
    if (ifindex !== undefined) source[S_IFINDEX >> 2] = ifindex;
    if (txTimeNs !== undefined) new BigUint64Array(source.buffer)[S_TX_TIME_NS >> 3] = txTimeNs;
    this.source = source;
  }
}

function timingOf(options: Readonly<SendTiming>, name: string, socket: HasTimes): SendTiming | undefined {
  const { id, txTimeNs } = options;
  if (id !== undefined) validateInteger(id, `${name}.id`, 0, ID_MAX);
  if (txTimeNs !== undefined && typeof txTimeNs !== 'bigint') {
    throw errors.invalidArgType(`${name}.txTimeNs`, 'of type bigint', txTimeNs);
  }
  if (txTimeNs !== undefined && (txTimeNs < 1n || txTimeNs >= 1n << 64n)) {
    throw errors.invalidArgValue(`${name}.txTimeNs`, txTimeNs, 'must be 1 to 2^64 - 1');
  }
  const ask = (key: string, value: unknown, option: 'sendTimes' | 'txTime') => {
    const had = value !== undefined && socket.has(option);
    if (had === undefined) {
      throw errors.invalidArgValue(`${name}.${key}`, value, `is of sockets with the option ${option}`);
    }
    return had;
  };
  const out = {
    id: ask('id', id, 'sendTimes') ? id : undefined,
    txTimeNs: ask('txTimeNs', txTimeNs, 'txTime') ? txTimeNs : undefined,
  };
  return out.id === undefined && out.txTimeNs === undefined ? undefined : out;
}

/** @internal What `options` says beside the destination, over what `always` says; undefined: nothing.
 * @throws as SendMore; ERR_KSOCKET_NEEDS_ADDON */
export function moreOf(
  family: Family,
  options: Readonly<SendMetadata & SendTiming>,
  name: string,
  always: SendMore | undefined,
  socket?: HasTimes,
): SendMore | undefined {
  const said = sendMetadataKeys.filter((key) => options[key] !== undefined);
  const timing = socket && timingOf(options, name, socket);
  if (said.length === 0 && timing === undefined) return always;
  if (backend === 'dgram') throw errors.needsAddon(`${name}.${said[0]}`);
  const given: Record<string, unknown> = { ...always?.given };
  for (const key of said) given[key] = options[key];
  return new SendMore(family, given, name, timing);
}
