// What a datagram may be made of, and as which bytes it is sent.
import * as errors from './errors.js';

export type Payload = string | ArrayBufferView;

/** `(null, bytes sent)` or `(error)`. */
export type SendCallback = (error: Error | null, bytes: number) => void;

function bytesOf(view: ArrayBufferView): Uint8Array {
  return view instanceof Uint8Array ? view : new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

export function isPayload(value: unknown): value is Payload {
  return typeof value === 'string' || ArrayBuffer.isView(value);
}

export function badPayload(name: string, value: unknown): Error {
  return errors.invalidArgType(name, 'of type string or an instance of Buffer, TypedArray, or DataView', value);
}

/** A string as UTF-8, a view as its bytes. `name` is the argument's in the error. */
export function bytesOfPayload(payload: unknown, name: string): Uint8Array {
  if (!isPayload(payload)) throw badPayload(name, payload);
  return typeof payload === 'string' ? Buffer.from(payload) : bytesOf(payload);
}
