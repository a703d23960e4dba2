// What a datagram may be made of, and as which bytes it is sent.
import * as errors from './errors.js';

export type Payload = string | ArrayBufferView;

/** `(null, bytes sent)` or `(error)`. */
export type SendCallback = (error: Error | null, bytes: number) => void;

export function isPayload(value: unknown): value is Payload {
  return typeof value === 'string' || ArrayBuffer.isView(value);
}

export function badPayload(name: string, value: unknown): Error {
  return errors.invalidArgType(name, 'of type string or an instance of Buffer, TypedArray, or DataView', value);
}

/** A string as UTF-8, a view as its bytes. `name` is the argument's in the error. */
export function bytesOfPayload(payload: unknown, name: string): Uint8Array {
  if (typeof payload === 'string') return Buffer.from(payload);
  if (!ArrayBuffer.isView(payload)) throw badPayload(name, payload);
  if (payload instanceof Uint8Array) return payload;
  return new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
}
