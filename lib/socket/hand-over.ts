// The arguments of handOver() and takeOver(). What they do is loaded when they are called: lib/hand-over/.
import { backend } from '../backend/load.js';
import * as errors from '../base/errors.js';
import { refuseUnknown } from '../base/known-keys.js';
import { validateAbortSignal, validateObject, validateString } from '../base/validate.js';

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_KSOCKET_NEEDS_ADDON */
export function checkHandOver(path: unknown, options: unknown = {}): AbortSignal {
  validateString(path, 'path');
  if (path === '' || path.includes('\0', 1))
    throw errors.invalidArgValue('path', path, 'must be a path or an abstract name');
  validateObject(options, 'options');
  refuseUnknown(options, 'options', ['signal']);
  const { signal } = options as { signal?: unknown };
  if (signal !== undefined) validateAbortSignal(signal, 'options.signal');
  if (backend === 'dgram') throw errors.needsAddon('handing over');
  return (signal as AbortSignal | undefined) ?? new AbortController().signal;
}
