// The few errnos that JavaScript decides by itself, as -errno.
import { constants } from 'node:os';

export const EBADF = -constants.errno.EBADF;
export const ECANCELED = -constants.errno.ECANCELED;
export const EEXIST = -constants.errno.EEXIST;
export const EINVAL = -constants.errno.EINVAL;
export const EISCONN = -constants.errno.EISCONN;
export const EMFILE = -constants.errno.EMFILE;
export const EMSGSIZE = -constants.errno.EMSGSIZE;

const { ENOSYS, EPERM, EACCES, EOPNOTSUPP } = constants.errno;
/** Does this say that the kernel, or the sandbox around us, lacks the call? As native/core/base/errno_policy.cc. */
export function meansUnsupported(errno: number): boolean {
  return [ENOSYS, EPERM, EACCES, EOPNOTSUPP].includes(-errno);
}
