// What a datagram may be made of, and as which bytes it is sent. Of a view only its own slots are believed: subclasses,
// own properties and changed prototypes can say anything of its length and place.
import * as errors from './errors.js';

/** What one datagram is made of: a text, sent as UTF-8, or the bytes that a Buffer, TypedArray or DataView shows. At most
 * 65 507 bytes over IPv4, 65 527 over IPv6; more fails with EMSGSIZE. */
export type Payload = string | ArrayBufferView;

/** Called once for a datagram that was sent: `(null, bytes)` when the kernel has taken it, or `(error)` with an errno's name
 * as its `code`. */
export type SendCallback = (error: Error | null, bytes: number) => void;

const { isView } = ArrayBuffer;

function getter<T>(prototype: object, name: PropertyKey): (view: unknown) => T {
  const { get } = Object.getOwnPropertyDescriptor(prototype, name) as { get: () => T };
  return Function.prototype.call.bind(get);
}

function slotsOf(prototype: object) {
  return {
    buffer: getter<ArrayBuffer>(prototype, 'buffer'),
    byteOffset: getter<number>(prototype, 'byteOffset'),
    byteLength: getter<number>(prototype, 'byteLength'),
  };
}

const typedArrays: object = Object.getPrototypeOf(Uint8Array.prototype);
const slotsOfTypedArrays = slotsOf(typedArrays);
const slotsOfDataViews = slotsOf(DataView.prototype);
/** The name of a typed array's class; undefined for anything else, a Proxy too. */
const className = getter<string | undefined>(typedArrays, Symbol.toStringTag);

/** How many bytes there are. 0 when the memory is gone: it has been transferred, or has shrunk. */
export const lengthOf: (bytes: Uint8Array) => number = getter<number>(typedArrays, 'length');

export function isBytes(value: unknown): value is Uint8Array {
  return className(value) === 'Uint8Array';
}

export function isPayload(value: unknown): value is Payload {
  return typeof value === 'string' || isView(value);
}

export function badPayload(name: string, value: unknown): Error {
  return errors.invalidArgType(name, 'of type string or an instance of Buffer, TypedArray, or DataView', value);
}

/** A string as UTF-8, a view as its bytes, of which it has none when its memory is gone. `name` is the argument's in
 * the error. */
export function bytesOfPayload(payload: unknown, name: string): Uint8Array {
  if (isBytes(payload)) return payload;
  if (typeof payload === 'string') return Buffer.from(payload);
  if (!isView(payload)) throw badPayload(name, payload);
  try {
    return bytesOfView(payload);
  } catch {
    return new Uint8Array(0);
  }
}

/** Of a view the bytes from `from` on, `count` of them or all. Throws a TypeError when the memory is gone. */
export function bytesOfView(view: ArrayBufferView, from = 0, count?: number): Uint8Array {
  const { buffer, byteOffset, byteLength } = className(view) === undefined ? slotsOfDataViews : slotsOfTypedArrays;
  return new Uint8Array(buffer(view), byteOffset(view) + from, count ?? byteLength(view));
}

/** How many bytes a view has. Throws a TypeError when a DataView's memory is gone, as node:dgram does. */
export function byteLengthOf(view: ArrayBufferView): number {
  return className(view) === undefined ? slotsOfDataViews.byteLength(view) : slotsOfTypedArrays.byteLength(view);
}

/** A string as UTF-8, or the bytes, in memory of their own. */
export function ownBytes(given: string | Uint8Array): Uint8Array {
  const bytes = bytesOfPayload(given, 'bytes');
  const copy = new Uint8Array(lengthOf(bytes));
  copyBytes(bytes, copy, 0);
  return copy;
}

/** Copies the bytes to `into`, from `at` on. */
export function copyBytes(bytes: Uint8Array, into: Uint8Array, at: number): void {
  if (lengthOf(bytes) > 0) into.set(bytes, at); // what has no memory any more cannot even be copied
}
