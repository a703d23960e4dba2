// What several parts of a rule are made of: bytes and lists.
import * as errors from '../../base/errors.js';
import { refuseUnknown } from '../../base/known-keys.js';
import { isBytes, ownBytes } from '../../base/payload.js';
import { isRecord, validateInteger } from '../../base/validate.js';

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

/** A number, or `{ min, max }`, both 0 to `most`. Not given: all of them. */
export function checkRange(value: unknown, name: string, most: number): { min: number; max: number } {
  if (value === undefined) return { min: 0, max: most };
  if (typeof value === 'number') {
    validateInteger(value, name, 0, most);
    return { min: value, max: value };
  }
  if (!isRecord(value)) throw errors.invalidArgType(name, 'of type number or an object with min and max', value);
  refuseUnknown(value, name, ['min', 'max']);
  const { min = 0, max = most } = value as { min?: unknown; max?: unknown };
  validateInteger(min, `${name}.min`, 0, most);
  validateInteger(max, `${name}.max`, 0, most);
  if (min > max) throw errors.outOfRange(`${name}.min`, `<= ${name}.max (${max})`, min);
  return { min, max };
}
