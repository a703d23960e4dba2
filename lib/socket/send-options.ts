// The object that send(), sendMany() and peer() take where they take a port and an address: where to, and what is said
// besides.
import * as errors from '../base/errors.js';
import type { Family } from '../base/family.js';
import { refuseUnknown } from '../base/known-keys.js';
import { isRecord, validateObject, validatePort } from '../base/validate.js';
import { CONNECTED, type Destination, literalDestination } from '../thread/destination.js';
import {
  type HasTimes,
  moreOf,
  type SendMetadata,
  type SendMore,
  type SendTiming,
  sendMetadataKeys,
  sendTimingKeys,
} from '../thread/send-more.js';
import { destinationOf, isPeer, type Peer } from './peer.js';

/** Where to, and what is said besides. On a connected socket without a destination. */
export interface SendOptions extends SendMetadata, SendTiming {
  /** 1 to 65535. */
  port?: number;
  /** A literal or a name; nothing is the loopback address. */
  address?: string;
  /** In the place of both. */
  peer?: Peer;
}

const KNOWN = ['port', 'address', 'peer', ...sendMetadataKeys, ...sendTimingKeys];

/** What has to be known of the socket that sends. */
interface Sends extends HasTimes {
  readonly family: Family;
  readonly connectState: 'disconnected' | 'connecting' | 'connected';
  /** What is said of each datagram that says nothing else. */
  readonly sendDefaults: SendMore | undefined;
}

/** Is it meant as such, in the place of a port? Any other object is refused, or passed over, as node:dgram does. */
export function isSendOptions(value: object | null): value is object {
  return isRecord(value) && !isPeer(value) && KNOWN.some((key) => key in value);
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE */
export function checkSendOptions(options: unknown, also: readonly string[] = []): asserts options is SendOptions {
  validateObject(options, 'options');
  refuseUnknown(options, 'options', [...also, ...KNOWN]);
}

/** What a socket of this core says of a datagram with these options. */
export function moreToSay(socket: Sends, options: SendMetadata & SendTiming): SendMore | undefined {
  return moreOf(socket.family, options, 'options', socket.sendDefaults, socket);
}

/** The destination, packed, with all that is said. */
export function destinationOfOptions(socket: Sends, given: Peer | SendOptions): Destination {
  const connected = socket.connectState === 'connected';
  if (isPeer(given)) {
    if (connected) throw errors.isConnected();
    return destinationOfPeer(socket, given, 'options');
  }
  const { port, address, peer } = given;
  if (connected) {
    if (port !== undefined || address !== undefined || peer !== undefined) throw errors.isConnected();
    return saying(CONNECTED, moreToSay(socket, given));
  }
  if (peer === undefined) {
    const to = literalDestination(socket.family, address, validatePort(port, 'Port', false), 'options.address');
    return saying(to, moreToSay(socket, given));
  }
  refuseBesidePeer(given);
  const to = destinationOfPeer(socket, peer, 'options.peer');
  return saying(to, moreOf(socket.family, given, 'options', to.more, socket));
}

/** @throws ERR_INVALID_ARG_VALUE where there is a port or an address, too */
export function refuseBesidePeer({ port, address, peer }: SendOptions): void {
  if (port === undefined && address === undefined) return;
  throw errors.invalidArgValue('options.peer', peer, 'must be alone: it has port and address');
}

function saying(to: Destination, more: SendMore | undefined): Destination {
  return more === to.more ? to : { ...to, more };
}

/** @throws ERR_INVALID_ARG_TYPE for what socket.peer() has not made, ERR_INVALID_ARG_VALUE for one of another family */
export function destinationOfPeer(socket: Sends, value: unknown, name: string): Destination {
  const destination = destinationOf(value);
  if (destination === undefined) throw errors.invalidArgType(name, 'what socket.peer() returns', value);
  if (destination.to?.family !== socket.family.number) {
    throw errors.invalidArgValue(name, value, `must be an ${socket.family.name} peer`);
  }
  const { sendDefaults } = socket;
  if (sendDefaults === undefined) return destination;
  const { more } = destination;
  return saying(destination, more === undefined ? sendDefaults : moreOf(socket.family, more.given, name, sendDefaults));
}
