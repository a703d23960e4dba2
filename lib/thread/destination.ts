// Where a datagram goes, packed as descriptors carry it.
import * as errors from '../base/errors.js';
import type { Family } from '../base/family.js';
import { validateString } from '../base/validate.js';
import { type ParsedAddress, parseLiteral } from './address.js';
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

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE for what is no literal of the family */
export function literal(family: Family, address: unknown, name: string): ParsedAddress {
  validateString(address, name);
  const to = parseLiteral(family, address);
  if (to === null) throw errors.invalidArgValue(name, address, `must be an ${family.name} address`);
  return to;
}

/** Where a connected socket sends to. */
export const CONNECTED: Destination = { address: '', to: null, portWord: 0 };

export function literalDestination(family: Family, address: unknown, port: number, name: string): Destination {
  const to = literal(family, address, name);
  return { address: address as string, to, portWord: wordOfPort(port, to.family) };
}
