// The few errnos that JavaScript decides by itself, as -errno.
import { constants, platform } from 'node:os';
import { getSystemErrorMap } from 'node:util';

type Name = keyof typeof constants.errno;

// Windows has other numbers for them than libuv, which has more than it.
const ofLibuv = platform() === 'win32' ? [...getSystemErrorMap()] : undefined;

function numberOf(name: Name): number {
  if (ofLibuv === undefined) return -constants.errno[name];
  return ofLibuv.find(([, [known]]) => known === name)?.[0] ?? -constants.errno[name];
}

export const EACCES = numberOf('EACCES');
export const EAGAIN = numberOf('EAGAIN');
export const EBADF = numberOf('EBADF');
export const ECANCELED = numberOf('ECANCELED');
export const ECONNREFUSED = numberOf('ECONNREFUSED');
export const ECONNRESET = numberOf('ECONNRESET');
export const EEXIST = numberOf('EEXIST');
export const EINVAL = numberOf('EINVAL');
export const EISCONN = numberOf('EISCONN');
export const EMFILE = numberOf('EMFILE');
export const EMSGSIZE = numberOf('EMSGSIZE');
export const ENAMETOOLONG = numberOf('ENAMETOOLONG');
export const ENFILE = numberOf('ENFILE');
export const ENOBUFS = numberOf('ENOBUFS');
export const ENOENT = numberOf('ENOENT');
export const ENOMEM = numberOf('ENOMEM');
export const ENOPROTOOPT = numberOf('ENOPROTOOPT');
export const ENOTCONN = numberOf('ENOTCONN');
export const ENODEV = numberOf('ENODEV');
export const ENOTSUP = numberOf('ENOTSUP');
export const EPERM = numberOf('EPERM');
export const ETIMEDOUT = numberOf('ETIMEDOUT');

const unsupported = (['ENOSYS', 'EPERM', 'EACCES', 'EOPNOTSUPP'] as const).map(numberOf);
/** Does this say that the kernel, or the sandbox around us, lacks the call? As native/core/base/errno_policy.cc. */
export function meansUnsupported(errno: number): boolean {
  return unsupported.includes(errno);
}
