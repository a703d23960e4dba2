// The many forms of dgram's send(), sorted out. Checks come in node:dgram's order.
import * as errors from '../base/errors.js';
import { validatePort, validateString } from './options.js';

export type Payload = string | ArrayBufferView;
export type SendCallback = (error: Error | null, bytes: number) => void;

export type Address = string | null | undefined;

export interface SendArguments {
  payload: Uint8Array | Uint8Array[];
  /** Undefined on a connected socket. */
  port: number | undefined;
  /** As given: undefined, null and '' mean the loopback address. */
  address: Address;
  callback: SendCallback | undefined;
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return view instanceof Uint8Array ? view : new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function isPayload(value: unknown): value is Payload {
  return typeof value === 'string' || ArrayBuffer.isView(value);
}

function badPayload(name: string, value: unknown): Error {
  return errors.invalidArgType(name, 'of type string or an instance of Buffer, TypedArray, or DataView', value);
}

/** A string as UTF-8, a view as its bytes. `name` is the argument's in the error. */
export function bytesOfPayload(payload: unknown, name: string): Uint8Array {
  if (!isPayload(payload)) throw badPayload(name, payload);
  return typeof payload === 'string' ? Buffer.from(payload) : bytesOf(payload);
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
