// What several parts of a rule are made of: bytes and lists.
import * as errors from '../../base/errors.js';
import { isBytes, ownBytes } from '../../base/payload.js';

/** An own copy: later changes of what was given change no rule. */
export function copyBytes(value: unknown, name: string, max: number): Uint8Array {
  if (typeof value !== 'string' && !isBytes(value)) {
    throw errors.invalidArgType(name, 'of type string or an instance of Uint8Array', value);
  }
  const bytes = ownBytes(value);
  if (bytes.length > max) throw errors.outOfRange(`${name}.length`, `<= ${max} bytes`, bytes.length);
  return bytes;
}

/** Of a target; `family` is there in what `socket.address()` returns, and the address says it. */
export const TARGET_KEYS = ['address', 'port', 'family'];

/** One, or an array of at least one; an empty array could mean all or nothing. Not given: an empty list. */
export function listOf<T>(value: unknown, name: string, max: number, check: (one: unknown, name: string) => T): T[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return [check(value, name)];
  if (value.length < 1 || value.length > max) {
    throw errors.outOfRange(`${name}.length`, `>= 1 && <= ${max}`, value.length);
  }
  return Array.from(value, (one, i) => check(one, `${name}[${i}]`));
}
