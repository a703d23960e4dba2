// The many forms of dgram's send(), sorted out. Checks come in node:dgram's order.
import { DATAGRAM_BYTES_MAX } from '../backend/layout.js';
import * as errors from '../base/errors.js';
import {
  badPayload,
  byteLengthOf,
  bytesOfPayload,
  bytesOfView,
  copyBytes,
  isBytes,
  isPayload,
  lengthOf,
  type SendCallback,
} from '../base/payload.js';
import { validatePort, validateString } from '../base/validate.js';
import { isPeer, type Peer } from './peer.js';
import { checkSendOptions, isSendOptions, refuseBesidePeer, type SendOptions } from './send-options.js';

export type Address = string | null | undefined;

export interface SendArguments {
  payload: Uint8Array | Uint8Array[];
  /** Undefined on a connected socket. A peer has the address, too. */
  port: number | Peer | undefined;
  /** As given: undefined, null and '' mean the loopback address. */
  address: Address;
  callback: SendCallback | undefined;
  /** What is said besides. */
  options?: SendOptions | undefined;
}

/** `offset` and `length` count bytes of a string's UTF-8, too. */
export function slice(payload: unknown, offset: unknown, length: unknown): Uint8Array {
  if (!isPayload(payload)) throw badPayload('buffer', payload);
  const view = typeof payload === 'string' ? Buffer.from(payload) : payload;
  const from = (offset as number) >>> 0;
  const count = (length as number) >>> 0;
  const all = byteLengthOf(view);
  if (from > all) throw errors.bufferOutOfBounds('offset');
  if (from + count > all) throw errors.bufferOutOfBounds('length');
  return bytesOfView(view, from, count);
}

// Memory that is gone makes node:dgram throw only in a list, and not when it is a Buffer's.
const isThere = (view: ArrayBufferView) => (isBytes(view) && lengthOf(view) > 0) || Buffer.isBuffer(view);

export function toPayload(given: unknown): Uint8Array | Uint8Array[] {
  if (!Array.isArray(given)) return bytesOfPayload(given, 'buffer');
  const parts: Uint8Array[] = [];
  for (let i = 0; i < given.length; i++) {
    const part: unknown = given[i];
    if (!isPayload(part)) throw badPayload('buffer list arguments', given);
    parts.push(typeof part === 'string' || isThere(part) ? bytesOfPayload(part, 'buffer') : bytesOfView(part));
  }
  return parts;
}

/** The payload as it is now, for a send that has to wait. Of what is too long for a datagram nothing but that. */
export function keptPayload(payload: Uint8Array | Uint8Array[]): Buffer {
  const parts = Array.isArray(payload) ? payload : [payload];
  const length = parts.reduce((sum, part) => sum + lengthOf(part), 0);
  if (length > DATAGRAM_BYTES_MAX) return Buffer.alloc(DATAGRAM_BYTES_MAX + 1);
  const kept = Buffer.allocUnsafeSlow(length); // not from the pool, which a program can reach
  let at = 0;
  for (const part of parts) {
    copyBytes(part, kept, at);
    at += lengthOf(part);
  }
  return kept;
}

/** (msg, options[, callback]). The options are read once, here. */
function ofOptions(connected: boolean, payload: unknown, given: object, callback: unknown): SendArguments {
  checkSendOptions(given);
  const options = { ...given };
  const { port, address, peer } = options;
  const out: SendArguments = {
    payload: toPayload(payload),
    port: undefined,
    address: undefined,
    callback: typeof callback === 'function' ? (callback as SendCallback) : undefined,
    options,
  };
  if (connected) {
    if (port !== undefined || address !== undefined || peer !== undefined) throw errors.isConnected();
  } else if (peer !== undefined) {
    if (!isPeer(peer)) throw errors.invalidArgType('options.peer', 'what socket.peer() returns', peer);
    refuseBesidePeer(options);
    out.port = peer;
  } else {
    out.port = validatePort(port, 'Port', false);
    if (address !== undefined && address !== null) validateString(address, 'options.address');
    out.address = address;
  }
  return out;
}

/** (msg, port[, address][, callback]) or (msg, offset, length, port[, address][, callback]), where a peer may stand for
 * port and address; on a connected socket (msg[, callback]) or (msg, offset, length[, callback]). */
export function parseSendArguments(
  connected: boolean,
  payload: unknown,
  offset: unknown,
  length: unknown,
  port: unknown,
  address: unknown,
  callback: unknown,
): SendArguments {
  if (typeof offset === 'object' && isSendOptions(offset)) {
    return ofOptions(connected, payload, offset, length);
  }
  if (connected) {
    if (isPeer(offset)) throw errors.isConnected();
    if (typeof length === 'number') {
      payload = slice(payload, offset, length);
      if (typeof port === 'function') {
        callback = port;
        port = undefined;
      }
    } else {
      callback = offset;
    }
    if (port || address) throw errors.isConnected();
  } else if (address || (port && typeof port !== 'function')) {
    payload = slice(payload, offset, length);
  } else {
    callback = port;
    port = offset;
    address = length;
  }

  const checked = toPayload(payload);
  const checkedPort = connected ? undefined : isPeer(port) ? port : validatePort(port, 'Port', false);
  if (typeof callback !== 'function') callback = undefined;
  if (typeof address === 'function') {
    callback = address;
    address = undefined;
  } else if (address !== undefined && address !== null) {
    validateString(address, 'address');
    if (typeof checkedPort === 'object') throw errors.invalidArgValue('address', address, 'must not follow a peer');
  }
  return {
    payload: checked,
    port: checkedPort,
    address: address as Address,
    callback: callback as SendCallback | undefined,
  };
}
