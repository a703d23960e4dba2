// What an expression consists of once it is parsed. Names, directions and protocols are gone: each is one of these, or some.

/** src or dst. */
export type Side = 'src' | 'dst';

export type Relation = '=' | '!=' | '<' | '<=' | '>' | '>=';
export type ArithmeticOperator = '+' | '-' | '*' | '/' | '%' | '&' | '|' | '^' | '<<' | '>>';

/** What is true of a datagram, or is not. */
export type Condition =
  | { kind: 'always' }
  | { kind: 'not'; of: Condition }
  | { kind: 'and' | 'or'; left: Condition; right: Condition }
  /** The datagram came in this version of IP. */
  | { kind: 'version'; version: 4 | 6 }
  /** The first `bits` bits of an address are those of `words`, which are 32 bits each, one for IPv4 or four for IPv6. */
  | { kind: 'address'; side: Side; version: 4 | 6; words: number[]; bits: number }
  | { kind: 'port'; side: Side; first: number; last: number }
  | { kind: 'relation'; relation: Relation; left: Term; right: Term }
  /** The payload begins with these bytes; `whole`: and ends with them. */
  | { kind: 'payload'; bytes: Uint8Array; whole: boolean };

/** What of a datagram has a number by itself: bytes of the IP packet, of the payload, and fields of either version of IP. */
export type Quantity = 'len' | 'payload len' | 'ttl' | 'dscp' | 'ecn';

/** Where bytes are counted from. */
export type Base = 'ip' | 'ip6' | 'udp' | 'payload';

/** An unsigned number of 32 bits. Where it would be made of bytes that are not there it has no value, and no relation with
 * it holds. */
export type Term =
  | { kind: 'number'; value: number }
  | { kind: 'quantity'; quantity: Quantity }
  | { kind: 'bytes'; base: Base; index: Term; size: 1 | 2 | 4 }
  /** `at`: where the right one stands in the expression. */
  | { kind: 'arithmetic'; operator: ArithmeticOperator; left: Term; right: Term; at: number };

export const always: Condition = { kind: 'always' };
export const never: Condition = { kind: 'not', of: always };
