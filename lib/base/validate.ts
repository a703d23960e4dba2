// Arguments, checked. Messages and codes are Node's.
import net from 'node:net';
import * as errors from './errors.js';

/** A Node port: an integer, or text of one, from 0 (or 1) to 65535. */
export function validatePort(value: unknown, name: string, allowZero: boolean): number {
  const number = typeof value === 'number' || (typeof value === 'string' && value.trim() !== '') ? Number(value) : -1;
  if (number >>> 0 !== number || number > 65535 || (number === 0 && !allowZero)) {
    throw errors.badPort(name, value, allowZero);
  }
  return number | 0;
}

export function validateString(value: unknown, name: string): asserts value is string {
  if (typeof value !== 'string') throw errors.invalidArgType(name, 'of type string', value);
}

/** The name or address of a host, which is not looked up here. */
export function validateHost(value: unknown, name: string): asserts value is string {
  validateString(value, name);
  if (value === '') throw errors.invalidArgValue(name, value, 'must not be empty');
}

/** Has it properties that are options? A collection (an array, a Map) holds its own in another way. */
export function isRecord(value: unknown): value is object {
  return value !== null && typeof value === 'object' && !(Symbol.iterator in value);
}

export function validateObject(value: unknown, name: string): asserts value is object {
  if (!isRecord(value)) {
    throw errors.invalidArgType(name, 'of type object', value);
  }
}

export function validateFunction(value: unknown, name: string): asserts value is (...args: never[]) => unknown {
  if (typeof value !== 'function') throw errors.invalidArgType(name, 'of type function', value);
}

export function validateInteger(value: unknown, name: string, min: number, max: number): asserts value is number {
  if (typeof value !== 'number') throw errors.invalidArgType(name, 'of type number', value);
  if (!Number.isInteger(value)) throw errors.outOfRange(name, 'an integer', value);
  if (value < min || value > max) throw errors.outOfRange(name, `>= ${min} && <= ${max}`, value);
}

export function validateBoolean(value: unknown, name: string): asserts value is boolean {
  if (typeof value !== 'boolean') throw errors.invalidArgType(name, 'of type boolean', value);
}

export function validateOneOf<T>(value: unknown, name: string, allowed: readonly T[]): asserts value is T {
  if (!allowed.includes(value as T)) {
    throw errors.invalidArgValue(name, value, `must be one of: ${allowed.map((one) => `'${one}'`).join(', ')}`);
  }
}

export function isBlockList(value: unknown): value is net.BlockList {
  const { BlockList } = net; // which Node loads when it is asked for
  return BlockList.isBlockList?.(value) || value instanceof BlockList;
}

export function validateAbortSignal(value: unknown, name: string): asserts value is AbortSignal {
  if (value === null || typeof value !== 'object' || !('aborted' in value)) {
    throw errors.invalidArgType(name, 'an instance of AbortSignal', value);
  }
}
