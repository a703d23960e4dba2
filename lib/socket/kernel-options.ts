// What is set and asked of the kernel's socket, with node:dgram's checks and errors.
import { SocketOption } from '../backend/layout.js';
import { backend } from '../backend/load.js';
import { EBADF, EINVAL } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { families } from '../base/family.js';
import { isLiteral, parseLiteral } from '../thread/address.js';
import type { Place } from './place.js';

/** `option`: a row of SocketOption. */
export function set(place: Place, syscall: string, option: number, value: number): void {
  place.checkRunning();
  const errno = place.setOption(option, value);
  if (errno !== 0) throw errors.errnoException(errno, syscall);
}

export function setHops(place: Place, syscall: string, option: number, hops: number, min: number): number {
  if (typeof hops !== 'number') throw errors.invalidArgType('ttl', 'of type number', hops);
  place.checkRunning();
  const value = hops | 0;
  if (value < min || value > 255) throw errors.errnoException(EINVAL, syscall);
  set(place, syscall, option, value);
  return hops;
}

/** Sets the size of a kernel buffer, or with 0 asks for it. */
export function bufferSize(place: Place, which: 'recv' | 'send', size: number): number {
  if (size >>> 0 !== size) throw errors.badBufferSize();
  place.checkRunning();
  const option = which === 'recv' ? SocketOption.receiveBufferBytes : SocketOption.sendBufferBytes;
  let result: number;
  if (size > 0x7fffffff) result = EINVAL;
  else if (size === 0) result = place.option(option);
  else result = place.setOption(option, size);
  if (result < 0) throw errors.bufferSizeError(result, `uv_${which}_buffer_size`);
  return result;
}

/** Without a source: from any. */
export function membership(
  place: Place,
  syscall: string,
  join: boolean,
  group: string,
  networkInterface: unknown,
  source?: string,
): void {
  const family = families.find((each) => parseLiteral(each, group) !== null);
  let errno = EINVAL;
  if (family !== undefined && (source === undefined || parseLiteral(family, source) !== null)) {
    // To native code the empty text means that none is given; to node:dgram it is an interface that does not exist.
    const everywhere = networkInterface === 'all';
    if (everywhere && backend === 'dgram') throw errors.needsAddon(`${syscall}(group, 'all')`);
    const from = networkInterface === undefined || networkInterface === null ? '' : String(networkInterface) || 'none';
    const given = { join, group, networkInterface: from, source: source ?? '', everywhere };
    errno = place.openForGroup(family) || place.running().changing().changeMembership(place.id, given);
  }
  if (errno !== 0) throw errors.errnoException(errno, syscall);
}

export function multicastInterface(place: Place, address: string): void {
  let errno = EBADF;
  if (!isLiteral(address)) errno = EINVAL;
  else if (place.thread !== undefined) errno = place.thread.changing().setMulticastInterface(place.id, address);
  if (errno !== 0) throw errors.errnoException(errno, 'setMulticastInterface');
}
