// The rules of a server as decode.ts reads them: native/core/answer/rules/rule.h.
import type { Host } from '../hosts.js';

/** A received datagram, as rules see it. */
export interface Request {
  readonly payload: Uint8Array;
  readonly from: Host;
  readonly port: number;
  readonly destinationPort: number;
  /** Nanoseconds since 1970. */
  readonly timeNs: bigint;
}

/** In the order of their numbers. */
export const ACTIONS = ['drop', 'deliver', 'echo', 'count', 'reply', 'forward'] as const;
export type Action = (typeof ACTIONS)[number];

export interface Mask {
  readonly at: number;
  readonly mask: Uint8Array;
  readonly value: Uint8Array;
}

export interface Cidr {
  readonly prefixBits: number;
  /** 4 or 16. */
  readonly bytes: Uint8Array;
}

export interface Match {
  readonly kind: 'any' | 'exact' | 'prefix';
  readonly payload: Uint8Array;
  readonly lengthMin: number;
  readonly lengthMax: number;
  readonly masks: Mask[];
  readonly sources: Cidr[];
  readonly destinationPorts: number[];
}

export type Part =
  | { readonly kind: 'literal'; readonly bytes: Uint8Array }
  | { readonly kind: 'request'; readonly start: number; readonly end: number | undefined }
  | { readonly kind: 'sourceAddress' | 'sourcePort'; readonly xor: number }
  | { readonly kind: 'ntp' | 'unix' }
  | { readonly kind: 'counter'; readonly bytes: number };

export interface Rule {
  readonly match: Match;
  readonly action: Action;
  readonly amplify: boolean;
  /** How many rules before this one forward. */
  readonly forward: number;
  readonly parts: Part[];
}

export interface RuleSpec {
  readonly rules: Rule[];
  readonly otherwise: Action;
  /** How many rules forward. */
  readonly forwards: number;
}
