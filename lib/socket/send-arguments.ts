// The many forms of dgram's send(), sorted out. Checks come in node:dgram's order.
import * as errors from '../base/errors.js';
import { badPayload, bytesOfPayload, isPayload, type SendCallback } from '../base/payload.js';
import { validatePort, validateString } from '../base/validate.js';

export type Address = string | null | undefined;

export interface SendArguments {
  payload: Uint8Array | Uint8Array[];
  /** Undefined on a connected socket. */
  port: number | undefined;
  /** As given: undefined, null and '' mean the loopback address. */
  address: Address;
  callback: SendCallback | undefined;
}

/** `offset` and `length` count bytes of a string's UTF-8, too. */
function slice(payload: unknown, offset: unknown, length: unknown): Uint8Array {
  const bytes = bytesOfPayload(payload, 'buffer');
  const from = (offset as number) >>> 0;
  const count = (length as number) >>> 0;
  if (from > bytes.byteLength) throw errors.bufferOutOfBounds('offset');
  if (from + count > bytes.byteLength) throw errors.bufferOutOfBounds('length');
  return bytes.subarray(from, from + count);
}

function toPayload(given: unknown): Uint8Array | Uint8Array[] {
  if (!Array.isArray(given)) return bytesOfPayload(given, 'buffer');
  const parts: Uint8Array[] = [];
  for (const part of given) {
    if (!isPayload(part)) throw badPayload('buffer list arguments', given);
    parts.push(bytesOfPayload(part, 'buffer'));
  }
  return parts;
}

/** (msg, port[, address][, callback]) or (msg, offset, length, port[, address][, callback]); on a connected socket
 * (msg[, callback]) or (msg, offset, length[, callback]). */
export function parseSendArguments(
  connected: boolean,
  payload: unknown,
  offset: unknown,
  length: unknown,
  port: unknown,
  address: unknown,
  callback: unknown,
): SendArguments {
  if (connected) {
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
  const checkedPort = connected ? undefined : validatePort(port, 'Port', false);
  if (typeof callback !== 'function') callback = undefined;
  if (typeof address === 'function') {
    callback = address;
    address = undefined;
  } else if (address !== undefined && address !== null) {
    validateString(address, 'address');
  }
  return {
    payload: checked,
    port: checkedPort,
    address: address as Address,
    callback: callback as SendCallback | undefined,
  };
}
