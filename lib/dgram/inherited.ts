// Binding to what somebody else opened: a descriptor number, a libuv handle that came over IPC, a port that a cluster's
// primary shares among its workers.
import cluster from 'node:cluster';
import { OPEN_IPV6_ONLY, OPEN_REUSE_ADDRESS } from '../backend/layout.js';
import { binding } from '../backend/load.js';
import * as errors from '../base/errors.js';

/** The part of libuv's UDP handle, as Node wraps it, that matters here. */
export interface UvHandle {
  readonly fd: number;
  recvStart(): number;
  close(): void;
}

export function isUvHandle(value: unknown): value is UvHandle {
  return value !== null && typeof value === 'object' && typeof (value as UvHandle).recvStart === 'function';
}

/** A positive 32-bit `fd` in bind's options, else undefined. @throws ERR_INVALID_FD_TYPE */
export function fdOf(options: object): number | undefined {
  const { fd } = options as { fd?: unknown };
  if (typeof fd !== 'number' || (fd | 0) !== fd || fd <= 0) return undefined;
  const type = binding.getFdType(fd);
  if (type !== 'UDP') throw errors.invalidFdType(type);
  return fd;
}

interface SharedBind {
  address: string | null;
  port: number | null;
  addressType: string;
  fd: number;
  flags: number | null;
}

type GetServer = (socket: object, options: SharedBind, done: (error: number, handle: UvHandle | null) => void) => void;

// libuv's flags, which the primary binds with.
const UV_UDP_IPV6ONLY = 1;
const UV_UDP_REUSEADDR = 4;

/** Does a bind without `exclusive` go through a cluster's primary? */
export function sharesPorts(): boolean {
  return cluster.isWorker;
}

/** Asks the primary for the one socket that all workers share, as `type` and `flags` (OPEN_…) say. `done` gets -errno,
 * or 0 and the handle. */
export function bindThroughPrimary(
  socket: object,
  { type, flags }: { type: string; flags: number },
  address: string,
  port: number,
  done: (errno: number, handle: UvHandle | null) => void,
): void {
  let uvFlags = 0;
  if (flags & OPEN_REUSE_ADDRESS) uvFlags |= UV_UDP_REUSEADDR;
  if (flags & OPEN_IPV6_ONLY) uvFlags |= UV_UDP_IPV6ONLY;
  const request: SharedBind = { address, port, addressType: type, fd: -1, flags: uvFlags };
  (cluster as unknown as { _getServer: GetServer })._getServer(socket, request, done);
}
