// setsockopt(2) and getsockopt(2) by level and name, for what has no method of its own. What is refused, and why:
// native/core/socket/raw_options.cc.
import { backend } from '../backend/load.js';
import { EBADF } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { isBytes } from '../base/payload.js';
import { validateInteger } from '../base/validate.js';
import type { Place } from './place.js';

const INT_MIN = -(2 ** 31);
const INT_MAX = 2 ** 31 - 1;
const UINT_MAX = 2 ** 32 - 1;
/** As much as any option of a UDP socket has: multicast filters are cut by net.core.optmem_max. */
const VALUE_BYTES_MAX = 65_536;
const VALUE_BYTES_DEFAULT = 256;

const IPPROTO_IP = 0;
const IPPROTO_IPV6 = 41;

/** IP_ADD_MEMBERSHIP to IP_MSFILTER, MCAST_JOIN_GROUP to MCAST_MSFILTER and IP_MULTICAST_ALL; IPV6_JOIN_GROUP, IPV6_LEAVE_GROUP,
 * IPV6_MULTICAST_ALL. */
export function concernsGroups(level: number, name: number): boolean {
  if (level === IPPROTO_IP) return name >= 35 && name <= 49;
  return level === IPPROTO_IPV6 && (name === 20 || name === 21 || name === 29 || (name >= 42 && name <= 48));
}

function checkPlace(place: Place, method: string, level: unknown, name: unknown): void {
  if (backend === 'dgram') throw errors.needsAddon(`socket.${method}()`);
  validateInteger(level, 'level', INT_MIN, INT_MAX);
  validateInteger(name, 'name', INT_MIN, INT_MAX);
  place.checkRunning();
}

/** A number is an int, as the kernel has it. */
function bytesOf(value: unknown): Uint8Array {
  if (isBytes(value)) return value;
  if (typeof value !== 'number') {
    throw errors.invalidArgType('value', 'of type number or an instance of Buffer or Uint8Array', value);
  }
  validateInteger(value, 'value', INT_MIN, UINT_MAX);
  return new Uint8Array(new Int32Array([value]).buffer);
}

function failure(result: number | string, syscall: string, name: number): Error {
  if (typeof result === 'string') return errors.invalidArgValue('name', name, result);
  return errors.errnoException(result, syscall);
}

export function setsockopt(place: Place, level: number, name: number, value: unknown): void {
  checkPlace(place, 'setsockopt', level, name);
  const bytes = bytesOf(value);
  const result = place.setRawOption(level, name, bytes);
  if (result !== 0) throw failure(result, 'setsockopt', name);
}

export function getsockopt(
  place: Place,
  level: number,
  name: number,
  length: number = VALUE_BYTES_DEFAULT,
): Buffer<ArrayBuffer> {
  checkPlace(place, 'getsockopt', level, name);
  validateInteger(length, 'length', 0, VALUE_BYTES_MAX);
  const out = Buffer.alloc(length);
  const result = place.thread?.native.getRawOption(place.id, level, name, out) ?? EBADF;
  if (typeof result === 'string' || result < 0) throw failure(result, 'getsockopt', name);
  return out.subarray(0, result);
}
