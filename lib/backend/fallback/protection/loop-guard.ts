// Whom a server does not answer, because the answer would come back or get nowhere, and whom it answers less and less:
// native/core/answer/protection/loop_guard.h.
import { interfaces } from '../addresses.js';
import type { SocketCounters } from '../counters.js';
import { Host } from '../hosts.js';
import { type Exchange, Exchanges } from './exchanges.js';
import { FlowRepeats } from './flow-repeats.js';
import type { RateLimit } from './token-buckets.js';

const STALE_MS = 1000;
const IPV4_BROADCAST = 0xffff_ffff;
const LOOPBACK_NET = 127;
const LOOPBACK_IPV4 = 0xffff_7f00_0001n;
const LOOPBACK_IPV6 = 1n;

/** A host and a port. */
export interface Place {
  readonly host: Host;
  readonly port: number;
}

function key({ host, port }: Place): string {
  return `${host.text} ${port}`;
}

function isUnspecified({ ipv4, number }: Host): boolean {
  return ipv4 < 0 ? number === 0n : ipv4 === 0;
}

// RFC 1112 section 4, RFC 4291 section 2.7, and the limited broadcast of RFC 919.
function isMany({ ipv4, bytes }: Host): boolean {
  return ipv4 < 0 ? bytes[0] === 0xff : ipv4 >>> 28 === 0xe || ipv4 === IPV4_BROADCAST;
}

/** Which IP addresses are this machine's; read again when that is old, as interfaces come and go. */
export class LocalAddresses {
  #hosts = new Set<bigint>();
  #readAt = Number.NEGATIVE_INFINITY;

  has({ ipv4, number }: Host, now: number): boolean {
    if (ipv4 >>> 24 === LOOPBACK_NET && ipv4 >= 0) return true;
    if (now - this.#readAt >= STALE_MS) {
      this.#hosts = new Set(interfaces().flatMap(([, all]) => all.map(({ address }) => new Host(address).number)));
      this.#readAt = now;
    }
    return this.#hosts.has(number);
  }
}

/** Does what is sent to `other` come to a socket that is bound to `own`? */
export function listensOn(own: Place, other: Place, local: LocalAddresses, now: number): boolean {
  if (own.port !== other.port) return false;
  const ipv4 = other.host.ipv4 >= 0;
  if (isUnspecified(own.host)) {
    // A socket bound to :: gets IPv4, too.
    return (own.host.family === 6 || ipv4) && (isUnspecified(other.host) || local.has(other.host, now));
  }
  const loopback = ipv4 ? LOOPBACK_IPV4 : LOOPBACK_IPV6;
  return own.host.number === (isUnspecified(other.host) ? loopback : other.host.number);
}

/** What answers are, and where they go: back to the source, or to a place of the server's choice. */
export type AnswerKind = 'echo' | 'reply' | 'elsewhere';

export interface LoopGuardOptions {
  /** Where the server's socket is bound. */
  readonly own: Place;
  readonly servicePorts: readonly number[];
  readonly servicesGetReplies: boolean;
  readonly repeats?: RateLimit;
}

export class LoopGuard {
  readonly #options: LoopGuardOptions;
  readonly #counters: SocketCounters;
  readonly #local = new LocalAddresses();
  readonly #others = new Set<string>();
  readonly #exchanges: Exchanges | undefined;
  #exchange: Exchange | undefined; // of the source that was asked about last
  /** For flows of forwarders; undefined: all may have one. */
  readonly flowRepeats: FlowRepeats | undefined;

  constructor(options: LoopGuardOptions, counters: SocketCounters) {
    this.#options = options;
    this.#counters = counters;
    if (options.repeats === undefined) return;
    this.#exchanges = new Exchanges(options.repeats);
    this.flowRepeats = new FlowRepeats(options.repeats);
  }

  /** May an answer to what `source` has said leave? */
  admits(source: Place, payload: Uint8Array, kind: AnswerKind, now: number): boolean {
    if (kind !== 'elsewhere' && (!this.#isAnswerable(source, now) || this.#isService(source, kind))) {
      this.#counters.add('loopSources');
      return false;
    }
    if (this.#exchanges === undefined) return true;
    this.#exchange = this.#exchanges.find(key(source), now);
    if (this.#exchanges.admits(this.#exchange, payload, now)) return true;
    this.#counters.add('loopRepeats');
    return false;
  }

  /** This is the answer that was admitted last. */
  said(answer: Uint8Array): void {
    if (this.#exchange !== undefined && this.#exchanges?.listens(this.#exchange)) {
      this.#exchanges.said(this.#exchange, answer);
    }
  }

  /** A further socket of the server, from which it sends: what comes from there went in a circle. */
  addOwn(place: Place): void {
    this.#others.add(key(place));
  }
  removeOwn(place: Place): void {
    this.#others.delete(key(place));
  }
  hasOwn(place: Place): boolean {
    return this.#others.size > 0 && this.#others.has(key(place));
  }

  #isAnswerable(source: Place, now: number): boolean {
    const { host, port } = source;
    if (port === 0 || isUnspecified(host) || isMany(host)) return false;
    return !listensOn(this.#options.own, source, this.#local, now) && !this.hasOwn(source);
  }

  #isService({ port }: Place, kind: AnswerKind): boolean {
    const { servicePorts, servicesGetReplies } = this.#options;
    return servicePorts.includes(port) && (kind === 'echo' || !servicesGetReplies);
  }
}
