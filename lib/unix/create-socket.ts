// Whatever kind of socket a program wants.
import type { SocketType } from '../base/family.js';
import type { SocketOptions } from '../socket/options.js';
import { createSocket as createUdp, type MessageListener, type Socket } from '../socket/socket.js';
import { UnixSocket } from './socket.js';
import type { UnixMessageListener, UnixSocketOptions } from './types.js';

const unixDgram = 'unix_dgram';

/**
 * Makes a socket for datagrams between processes of this machine, unix(7).
 *
 * @param type `'unix_dgram'`, or options with that `type`
 * @param listener for `'message'`
 * @throws ERR_INVALID_ARG_VALUE, ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_KSOCKET_NEEDS_ADDON
 */
export function createSocket(type: typeof unixDgram | UnixSocketOptions, listener?: UnixMessageListener): UnixSocket;
/**
 * Makes a UDP socket, as node:dgram's createSocket does. Nothing is opened before it is bound or sends.
 *
 * @param type `'udp4'`, `'udp6'`, or options with such a `type`
 * @param listener for `'message'`
 * @throws ERR_SOCKET_BAD_TYPE, ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE
 */
export function createSocket(type: SocketType | SocketOptions, listener?: MessageListener): Socket;
export function createSocket(type: unknown, listener?: unknown): Socket | UnixSocket {
  const options = type === unixDgram ? { type } : type;
  if ((options as UnixSocketOptions | null)?.type === unixDgram) {
    return new UnixSocket(options as UnixSocketOptions, listener as UnixMessageListener);
  }
  return createUdp(options as SocketOptions, listener as MessageListener);
}
