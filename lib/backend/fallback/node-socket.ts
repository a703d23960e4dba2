// node:dgram's sockets, with literal addresses only: so whatever they are asked for is done when the call returns.

import type { Socket } from 'node:dgram';
import dgram from 'node:dgram';
import { EACCES, EINVAL, ENOTSUP } from '../../base/errno.js';
import type { SocketType } from '../../base/family.js';
import { versions, withoutTick } from '../../base/runtime.js';
import type { AskedBack, SharedPlace } from '../contract.js';

const { createSocket } = dgram; // ksocket/register replaces it
const { close } = dgram.Socket.prototype;

/** As `socket.close()`, also where that is another function (bindShared). */
export function closeNow(socket: Socket): void {
  close.call(socket);
}

/** Binds to what a cluster's workers share; a worker that disconnects closes its sockets, and this one by `askedBack`. */
export function bindShared(
  socket: Socket,
  shared: SharedPlace,
  done: (errno: number) => void,
  askedBack: AskedBack,
): void {
  const settle = (errno: number) => {
    socket.off('listening', bound).off('error', refused);
    done(errno);
  };
  const bound = () => settle(0);
  const refused = (error: Error) => settle(errnoOf(error, EACCES));
  socket.on('listening', bound).on('error', refused);
  socket.close = (callback) => {
    askedBack(callback);
    return socket;
  };
  const thrown = attempt(() => socket.bind({ ...shared, exclusive: false }));
  if (thrown !== 0) settle(thrown);
}

/** Errors of node:dgram's own (a port that is none) have no errno. */
export function errnoOf(error: unknown, otherwise = EINVAL): number {
  const { errno } = error as NodeJS.ErrnoException;
  return typeof errno === 'number' ? errno : otherwise;
}

export interface NodeSocketOptions {
  type: SocketType;
  reuseAddr?: boolean;
  reusePort?: boolean;
  ipv6Only?: boolean;
}

export function makeSocket(options: NodeSocketOptions): Socket {
  const family = options.type === 'udp4' ? 4 : 6;
  return createSocket({ ...options, lookup: (host, _, callback) => callback(null, host, family) });
}

/** 0 or -errno, of a call that throws what fails. */
export function attempt(call: () => void): number {
  try {
    call();
    return 0;
  } catch (error) {
    return errnoOf(error);
  }
}

/** 0 or -errno. `exclusive`: a cluster's primary is not asked. */
export function bindNow(socket: Socket, address: string, port: number): number {
  let errno = 0;
  const refused = (error: Error) => {
    errno = errnoOf(error, EACCES); // the permission model's errors have no number
  };
  socket.on('error', refused);
  const thrown = attempt(() => socket.bind({ address, port, exclusive: true }));
  socket.off('error', refused);
  if (thrown !== 0 || errno !== 0) return thrown || errno;
  return attempt(() => void socket.address()) && ENOTSUP; // Bun's is bound some time later
}

/** 0 or -errno. */
export function connectNow(socket: Socket, address: string, port: number): number {
  let errno = 0;
  let refused = false;
  const done = (error?: Error) => {
    refused = error !== undefined;
    if (error !== undefined) errno = errnoOf(error);
  };
  // No other code runs meanwhile: all that is left for later is the result.
  const thrown = attempt(() =>
    withoutTick(
      () => true,
      () => socket.connect(port, address, done as () => void),
    ),
  );
  if (thrown !== 0 || refused) return thrown || errno;
  return attempt(() => void socket.remoteAddress());
}

const [major, minor] = versions.node.split('.').map(Number);
/** Node 22.12 and 23.1 have SO_REUSEPORT; those before do not know the option. */
export const hasReusePort = major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);

/** An IPv6 socket can be made. */
export function hasIPv6(): boolean {
  const socket = makeSocket({ type: 'udp6' });
  const errno = bindNow(socket, '::', 0);
  socket.close();
  return errno === 0;
}
