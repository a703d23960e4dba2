// socket.filter(): what the kernel is to drop before it is queued.
import { backend } from '../backend/load.js';
import { EPERM } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { refuseUnknown } from '../base/known-keys.js';
import { validateBoolean, validateObject } from '../base/validate.js';
import { encodeFilter } from '../filter/compile.js';
import { noFilter, type Place } from './place.js';

/** How a filter is set. */
export interface FilterOptions {
  /** SO_LOCK_FILTER: for as long as the socket lives nobody can change its filter any more, or take it away. */
  lock?: boolean;
}

export function setFilter(place: Place, filter: unknown, options: FilterOptions = {}): void {
  place.checkRunning();
  validateObject(options, 'options');
  refuseUnknown(options, 'options', ['lock']);
  const { lock = false } = options;
  validateBoolean(lock, 'options.lock');
  if (backend === 'dgram') throw errors.needsAddon('filter()');
  const wanted = { ...(filter === null ? noFilter : encodeFilter(filter, 'filter', place.family)), lock };
  const isLocked = place.filter?.lock === true; // also before there is a descriptor
  const errno = isLocked ? EPERM : place.changeFilter(wanted);
  if (errno !== 0) throw errors.errnoException(errno, 'setsockopt');
  place.filter = filter === null && !lock ? undefined : wanted;
}
