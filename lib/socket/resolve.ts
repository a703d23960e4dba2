// Host names to IP literals, as a socket's `lookup` option has it.
import dns from 'node:dns';
import type { Family } from '../base/family.js';
import { nextTick } from '../base/runtime.js';
import { isLiteral } from '../thread/address.js';
import { type Answered, KnownNames } from './known-names.js';
import type { CheckedSocketOptions, LookupFunction } from './options.js';

// A program may replace dns.lookup (with a cache, say): then literals go through it, as in node:dgram. The original is
// not asked for them: it would return them as they are.
const originalLookup = dns.lookup;

// dgram calls it with the family as a number, which the types do not know.
export type Lookup = (host: string, family: number, done: (error: Error | null, address: string) => void) => void;

/** Who asks. `lookup` undefined: dns.lookup, and literals need none. */
export interface Asking {
  readonly lookup: Lookup | undefined;
  readonly family: Family;
  /** With `lookupTtlMs`. */
  readonly names: KnownNames | undefined;
}

export function lookupOf(options: CheckedSocketOptions): Lookup | undefined {
  const lookup = options.lookup ?? (dns.lookup === originalLookup ? undefined : (dns.lookup as LookupFunction));
  return lookup as Lookup | undefined;
}

export function namesOf(options: CheckedSocketOptions, asking: Asking): KnownNames | undefined {
  if (options.lookupTtlMs === 0) return undefined;
  return new KnownNames(options.lookupTtlMs, (host, done) => lookUp(asking, host, done));
}

/** The IP literal that the host is, or is known to be; undefined when it has to be looked up. */
export function literalOf({ lookup, names }: Asking, host: string): string | undefined {
  return lookup === undefined && isLiteral(host) ? host : names?.get(host);
}

/** To an IP literal. Never synchronous, unless the user's own lookup is. */
export function resolve(asking: Asking, host: string, done: Answered): void {
  const literal = literalOf(asking, host);
  if (literal !== undefined) nextTick(done, undefined, literal);
  else if (asking.names !== undefined) asking.names.ask(host, done);
  else lookUp(asking, host, done);
}

function lookUp(asking: Asking, host: string, done: Answered): void {
  const lookup = asking.lookup ?? (originalLookup as unknown as Lookup);
  lookup(host, asking.family.number, (error, ip) => done(error ?? undefined, ip));
}
