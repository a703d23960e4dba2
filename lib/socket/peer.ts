// A destination that is checked and packed once: socket.peer().
import type { Family } from '../base/family.js';
import { refuseUnknown } from '../base/known-keys.js';
import { validateObject, validatePort } from '../base/validate.js';
import { type Destination, literalDestination } from '../thread/destination.js';
import { moreOf, type SendMore, sendMetadataKeys } from '../thread/send-more.js';

/**
 * Where to send to, made by `socket.peer(address, port)`; for any socket of that family. `send()` and `sendMany()` take
 * it in the place of port and address.
 */
export interface Peer {
  /** The IP literal, as it was given. */
  readonly address: string;
  /** 1 to 65 535. */
  readonly port: number;
  /** The family of the address, and of the sockets that take it. */
  readonly family: 'IPv4' | 'IPv6';
}

class PreparedPeer implements Peer {
  readonly address: string;
  readonly port: number;
  readonly family: 'IPv4' | 'IPv6';
  readonly #destination: Destination;

  constructor(family: Family, address: string, port: number, destination: Destination) {
    this.address = address;
    this.port = port;
    this.family = family.name;
    this.#destination = destination;
    Object.freeze(this);
  }

  static destinationOf(value: object): Destination | undefined {
    return #destination in value ? value.#destination : undefined;
  }
}

/** @throws ERR_SOCKET_BAD_PORT, ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE for what is no literal of the family */
export function makePeer(family: Family, address: unknown, port: unknown, options: unknown): Peer {
  const number = validatePort(port, 'Port', false);
  let destination = literalDestination(family, address, number, 'address');
  if (options !== undefined) destination = { ...destination, more: onlyMore(family, options) };
  return new PreparedPeer(family, address as string, number, destination);
}

/** Of options that have no destination: what is said.
 * @throws ERR_INVALID_ARG_VALUE for one that is not known, and as moreOf */
export function onlyMore(family: Family, options: unknown): SendMore | undefined {
  validateObject(options, 'options');
  refuseUnknown(options, 'options', sendMetadataKeys);
  return moreOf(family, options, 'options', undefined);
}

/** What `makePeer` has packed; undefined for anything else, however much it looks like a peer. */
export function destinationOf(value: unknown): Destination | undefined {
  return typeof value === 'object' && value !== null ? PreparedPeer.destinationOf(value) : undefined;
}

export function isPeer(value: unknown): value is Peer {
  return destinationOf(value) !== undefined;
}
