// The few errnos that JavaScript decides by itself, as -errno.
import { constants } from 'node:os';

export const EBADF = -constants.errno.EBADF;
export const ECANCELED = -constants.errno.ECANCELED;
export const EEXIST = -constants.errno.EEXIST;
export const EINVAL = -constants.errno.EINVAL;
export const EISCONN = -constants.errno.EISCONN;
export const EMFILE = -constants.errno.EMFILE;
export const EMSGSIZE = -constants.errno.EMSGSIZE;
