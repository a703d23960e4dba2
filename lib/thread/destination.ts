// Where a datagram goes, packed as descriptors carry it.
import type { Family } from '../base/family.js';
import { literal, type ParsedAddress } from './address.js';
import { wordOfPort } from './records.js';
import type { SendMore } from './send-more.js';

export interface Destination {
  /** As text, for what is asked by it. */
  readonly address: string;
  /** Null on a connected socket, which has its own. */
  readonly to: ParsedAddress | null;
  readonly portWord: number;
  /** What is said of each datagram besides. */
  readonly more?: SendMore | undefined;
}

/** Where a connected socket sends to. */
export const CONNECTED: Destination = { address: '', to: null, portWord: 0 };

export function literalDestination(family: Family, address: unknown, port: number, name: string): Destination {
  const to = literal(family, address, name);
  return { address: address as string, to, portWord: wordOfPort(port, to.family) };
}
