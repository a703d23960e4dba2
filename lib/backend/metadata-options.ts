// What the kernel may be asked to say beside a datagram: options of sockets, and what they are to native code.
import * as errors from '../base/errors.js';
import {
  OPEN_OPTIONAL_SHIFT,
  OPEN_RECEIVE_ERRORS,
  OPEN_RECEIVE_LOCAL,
  OPEN_RECEIVE_ORIGINAL,
  OPEN_RECEIVE_TIMES,
  OPEN_RECEIVE_TOS,
  OPEN_RECEIVE_TTL,
  SocketOption,
} from './layout.js';
import { binding } from './load.js';

/** `constant`: the IPv4 one, for errors. */
export const metadataOptions = {
  receiveTtl: { flag: OPEN_RECEIVE_TTL, row: SocketOption.receiveTtl, constant: 'IP_RECVTTL' },
  receiveTos: { flag: OPEN_RECEIVE_TOS, row: SocketOption.receiveTos, constant: 'IP_RECVTOS' },
  receiveLocal: { flag: OPEN_RECEIVE_LOCAL, row: SocketOption.receiveLocal, constant: 'IP_PKTINFO' },
  receiveTimes: { flag: OPEN_RECEIVE_TIMES, row: SocketOption.receiveTimes, constant: 'SO_TIMESTAMPNS' },
  receiveOriginalDst: {
    flag: OPEN_RECEIVE_ORIGINAL,
    row: SocketOption.receiveOriginal,
    constant: 'IP_RECVORIGDSTADDR',
  },
  receiveErrors: { flag: OPEN_RECEIVE_ERRORS, row: SocketOption.receiveErrors, constant: 'IP_RECVERR' },
};
export type MetadataName = keyof typeof metadataOptions;

/** Why a descriptor with these OPEN_ flags was refused, with `errno`: the option that had to be, and that the kernel does not
 * have; or undefined. */
export function refusedMetadata(flags: number, errno: number): Error | undefined {
  if (binding.probeOption(SocketOption.reuseAddress, 1) === errno) return undefined; // there is no socket to be had
  for (const [option, { flag, row, constant }] of Object.entries(metadataOptions)) {
    if ((flags & flag) === 0 || (flags & (flag << OPEN_OPTIONAL_SHIFT)) !== 0) continue;
    if (binding.probeOption(row, 1) !== errno) continue;
    const what = `options.${option} true (${constant})`;
    return errors.optionRefused(errno, 'setsockopt', what, errors.refusalReason(errno));
  }
  return undefined;
}
