// How a server gets its descriptor: a socket of its own, or a copy of one that somebody else has opened.
import { OPEN_DROP_WHEN_FULL, OPEN_GRO, OPEN_GSO } from '../backend/layout.js';
import { binding } from '../backend/load.js';
import { EEXIST, EINVAL } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { hasLibuv } from '../base/runtime.js';
import { type IoThread, isOurs } from '../thread/io-thread.js';

/** What each of its descriptors is made with. */
export const FLAGS = OPEN_GRO | OPEN_GSO | OPEN_DROP_WHEN_FULL;

export function checkOpened(errno: number, syscall: string, address: string, port: number): void {
  if (errno !== 0) throw errors.exceptionWithHostPort(errno, syscall, address, port);
}

/** The descriptor stays its owner's, and the server may be started on it again.
 * @returns where it is bound
 * @throws ERR_INVALID_FD_TYPE, EEXIST (a socket or a handle of this process has it), EINVAL (it is bound to no port) */
export function openCopy(thread: IoThread, id: number, fd: number): [address: string, port: number] {
  const type = binding.getFdType(fd);
  if (type !== 'UDP') throw errors.invalidFdType(type);
  const native = thread.changing();
  const given = { fd, copy: true, flags: FLAGS, libuv: hasLibuv, family: 4 };
  const errno = isOurs(fd) ? EEXIST : native.adopt(id, given);
  if (errno !== 0) throw errors.errnoException(errno, 'open');
  const name = native.getName(id, false);
  if (typeof name === 'number' || name[1] === 0) throw errors.errnoException(EINVAL, 'getsockname');
  clearFilter(thread, id);
  return name;
}

/** The filter is the socket's, whoever has it open: the lists of a server that is gone are nobody's any more. One that is locked
 * stays, as it is meant to. */
export function clearFilter(thread: IoThread, id: number): void {
  thread.changing().setFilter(id, { program: new Uint8Array(0), lock: false, ofFlows: true });
}
