// The rule language of a server: what a datagram has to be, and what becomes of it. docs/rules.md explains it.
import { families } from '../../base/family.js';
import type { Slot } from './slots.js';

/** Payload bytes. Text is UTF-8. */
export type RuleBytes = string | Uint8Array;

/** `(payload[at + i] & mask[i]) === value[i]` for each `i`. A payload too short for it does not match. */
export interface RuleBits {
  /** Offset into the payload; `at + mask.length` is at most 65 535. */
  at: number;
  /** 1 to 256 bytes. */
  mask: Uint8Array;
  /** As many bytes as `mask`, with no bit that the mask does not have. */
  value: Uint8Array;
}

/** What a datagram has to be. All conditions that are given must hold; none given: every datagram. */
export interface RuleMatch {
  /** The payload is exactly this, at most 65 535 bytes. Not together with `prefix`. */
  exact?: RuleBytes;
  /** The payload begins with this, at most 65 535 bytes. Not together with `exact`. */
  prefix?: RuleBytes;
  /** Payload bytes, 0 to 65 535: this many, or from `min` to `max`. */
  length?:
    | number
    | {
        /** 0 by default. */
        min?: number;
        /** 65 535 by default. */
        max?: number;
      };
  /** Bits of the payload; of several (at most 256) all must hold. */
  bits?: RuleBits | readonly RuleBits[];
  /** Where it comes from: an address or CIDR (RFC 4632, RFC 4291), IPv4 or IPv6; of several (at most 4096) one must
   * hold. IPv4-mapped IPv6 addresses count as IPv4, on both sides. */
  source?: string | readonly string[];
  /** Where it goes to, 1 to 65 535; of several (at most 1024) one must hold. */
  destinationPort?: number | readonly number[];
  /** The address that was asked: an address or CIDR as `source`; of several (at most 4096) one must hold. This, `ttl`,
   * `dscp` and `ecn` are not there without the addon: ERR_KSOCKET_NEEDS_ADDON. */
  local?: string | readonly string[];
  /** Hops that it had left (IPv4's time to live, IPv6's hop limit), 0 to 255: this many, or from `min` to `max`. */
  ttl?:
    | number
    | {
        /** 0 by default. */
        min?: number;
        /** 255 by default. */
        max?: number;
      };
  /** How it is marked, 0 to 63 (RFC 2474); of several (at most 64) one must hold. */
  dscp?: number | readonly number[];
  /** Congestion, 0 to 3 (RFC 3168); of several (at most 4) one must hold. */
  ecn?: number | readonly number[];
}

/** A piece of a reply: bytes, or something of the request. See `slot`. */
export type ReplyPart = RuleBytes | Slot;

/** Answers the source with these parts, one behind the other: at most 256 of them, and 65 507 bytes of text and
 * Uint8Arrays. */
export interface ReplyAction {
  /** The parts, in order. */
  reply: ReplyPart | readonly ReplyPart[];
  /** May the reply be longer than the request? No by default: sources can be spoofed, and a server that answers more
   * than it was asked with helps to flood them ("amplification"). A reply that would be longer is
   * not sent. */
  amplify?: boolean;
}

/** What `socket.address()` returns is one, too. */
export interface ForwardTarget {
  /** IP address or host name. */
  address: string;
  /** 1 to 65 535. */
  port: number;
}

/** Passes the datagram on, and what the target answers back to the source. */
export interface ForwardAction {
  /** At most 256. */
  forward: ForwardTarget | readonly ForwardTarget[];
  /** Which of several targets: `source` (the default) always the same one for a source, `round-robin` each in turn for
   * new sources, `all` every one of them. */
  balance?: 'source' | 'round-robin' | 'all';
  /** Milliseconds without a datagram after which a flow is forgotten, 1 to 86 400 000; 120 000 by default, the least
   * that RFC 4787 (REQ-5) asks of a NAT. */
  idleMs?: number;
  /** How many flows there may be at a time, 1 to 65 535; 4096 by default. Each is a socket, and a quarter of the
   * descriptors that the process may have is left to it (up to 1024). */
  flows?: number;
}

/** What becomes of a datagram: `echo` sends it back, `drop` ends here, `deliver` gives it to JavaScript, `count` counts
 * it and goes on with the rules behind. */
export type RuleAction = 'echo' | 'drop' | 'deliver' | 'count' | ReplyAction | ForwardAction;

/** What becomes of a datagram that no rule decides about. */
export type DefaultAction = 'echo' | 'drop' | 'deliver';

/** One of at most 65 536. The first that matches decides, in the order of the array. */
export interface Rule {
  /** What errors and counters call it: 1 to 256 characters, no two rules the same. `#<index>` by default. */
  name?: string;
  /** What a datagram has to be. Not given: every datagram matches. */
  match?: RuleMatch;
  /** What becomes of a datagram that matches. */
  action: RuleAction;
}

// native/core/answer/rules/rule.h has the same limits.
export const RULES_MAX = 65_536;
export const ENCODED_BYTES_MAX = 64 * 1024 * 1024;
export const PAYLOAD_BYTES_MAX = 65_535;
/** What fits into one datagram, of whichever family the source is. */
export const REPLY_BYTES_MAX = Math.min(...families.map((family) => family.payloadBytesMax));
export const PARTS_MAX = 256;
export const BITS_MAX = 256;
export const MASK_BYTES_MAX = 256;
export const SOURCES_MAX = 4096;
export const PORTS_MAX = 1024;
export const TTL_MAX = 255;
export const LOCALS_MAX = 4096;
export const DSCP_MAX = 63;
export const ECN_MAX = 3;
export const TARGETS_MAX = 256;
export const NAME_LENGTH_MAX = 256;
