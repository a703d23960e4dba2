// How large a datagram gets through in one piece: what the kernel knows of that, and what it does about the others.
import { SocketOption } from '../backend/layout.js';
import { backend } from '../backend/load.js';
import { readMtuDiscover } from '../backend/settings.js';
import { EBADF } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { validateString } from '../base/validate.js';
import { parseLiteral } from '../thread/address.js';
import { set } from './kernel-options.js';
import type { Place } from './place.js';

export function setMtuDiscover(place: Place, mode: unknown): void {
  if (backend === 'dgram') throw errors.needsAddon('socket.setMtuDiscover()');
  set(place, 'setMtuDiscover', SocketOption.mtuDiscover, readMtuDiscover(mode, 'mode'));
}

/** Bytes of a packet, with its headers. */
export function pathMtu(place: Place, address: unknown): number {
  if (backend === 'dgram') throw errors.needsAddon('socket.pathMtu()');
  place.checkRunning();
  validateString(address, 'address');
  if (parseLiteral(place.family, address) === null) {
    throw errors.invalidArgValue('address', address, `must be a numeric ${place.family.name} address`);
  }
  const result = place.thread?.native.getPathMtu(place.id, address, true) ?? EBADF;
  if (result < 0) throw errors.exceptionWithHostPort(result, 'connect', address);
  return result;
}
