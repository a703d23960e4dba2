// Binding to what somebody else opened: a descriptor number, a libuv handle that came over IPC, a port that a cluster's
// primary shares among its workers.
import type { Cluster } from 'node:cluster';
import type { AskedBack } from '../backend/contract.js';
import { OPEN_IPV6_ONLY, OPEN_REUSE_ADDRESS } from '../backend/layout.js';
import { binding } from '../backend/load.js';
import * as errors from '../base/errors.js';
import { getBuiltinModule } from '../base/runtime.js';

/** The part of libuv's UDP handle, as Node wraps it, that matters here. */
export interface UvHandle {
  readonly fd: number;
  recvStart(): number;
  close(callback?: () => void): void;
}

export function isUvHandle(value: unknown): value is UvHandle {
  return value !== null && typeof value === 'object' && typeof (value as UvHandle).recvStart === 'function';
}

/** A positive 32-bit `fd` in bind's options, else undefined. */
export function fdOf(options: object): number | undefined {
  const { fd } = options as { fd?: unknown };
  return typeof fd === 'number' && (fd | 0) === fd && fd > 0 ? fd : undefined;
}

/** @throws ERR_INVALID_FD_TYPE */
export function checkFdType(fd: number): void {
  const type = binding.getFdType(fd);
  if (type !== 'UDP') throw errors.invalidFdType(type);
}

// Fields, names and values are node:dgram's.
interface SharedBind {
  address: string | null;
  port: unknown;
  addressType: string;
  fd: number;
  flags: number | null;
}

type GetServer = (socket: object, options: SharedBind, done: (error: number, handle: UvHandle | null) => void) => void;

// libuv's flags, which the primary binds with.
const UV_UDP_IPV6ONLY = 1;
const UV_UDP_REUSEADDR = 4;

let loaded: Cluster | undefined;
function clusterModule(): Cluster {
  loaded ??= getBuiltinModule('node:cluster');
  return loaded;
}

/** Does a bind without `exclusive` go through a cluster's primary? */
export function sharesPorts(): boolean {
  return clusterModule().isWorker;
}

/** What all workers share: a port, bound as `flags` (OPEN_…) say, or a descriptor of the primary's. */
export type Shared = { address: string; port: unknown; flags: number } | { fd: number };

function requestOf(addressType: string, shared: Shared): SharedBind {
  if ('fd' in shared) return { address: null, port: null, addressType, fd: shared.fd, flags: null };
  let flags = 0;
  if (shared.flags & OPEN_REUSE_ADDRESS) flags |= UV_UDP_REUSEADDR;
  if (shared.flags & OPEN_IPV6_ONLY) flags |= UV_UDP_IPV6ONLY;
  return { address: shared.address, port: shared.port, addressType, fd: -1, flags };
}

/** Asks the primary for the one socket that all workers share. `done` gets -errno, or 0 and what is lent. */
export function bindThroughPrimary(
  socket: { readonly type: string },
  shared: Shared,
  askedBack: AskedBack,
  done: (errno: number, loan: Loan | null) => void,
): void {
  const getServer = (clusterModule() as unknown as { _getServer: GetServer })._getServer;
  getServer(socket, requestOf(socket.type, shared), (errno, handle) => {
    done(errno, handle === null || handle === undefined ? null : new Loan(handle, askedBack));
  });
}

/** A handle of the primary's. */
export class Loan {
  readonly fd: number;
  readonly giveBack: () => void;

  constructor(handle: UvHandle, askedBack: AskedBack) {
    this.fd = handle.fd;
    this.giveBack = handle.close.bind(handle); // tells the primary, which counts who holds the handle
    // cluster's worker.disconnect() closes a handle's owner, whom it looks for under a symbol of its own; a handle without
    // one it closes itself, and goes on when the callback comes.
    handle.close = askedBack;
  }
}
