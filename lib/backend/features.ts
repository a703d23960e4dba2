import type { KernelFeatures } from './contract.js';
import { type Backend, backend, binding, engineWanted } from './load.js';

export interface Features extends KernelFeatures {
  /** What sockets are made of: the `addon`, or node:`dgram`, where there is none or KSOCKET_BACKEND=dgram asks for it
   * (docs/backends.md). */
  backend: Backend;
  /** What new sockets use: `mmsg` (recvmmsg, sendmmsg, epoll, GRO, GSO) or `posix` (poll, recvmsg, sendmsg); `dgram` with
   * the backend of this name. */
  engine: 'mmsg' | 'posix' | 'dgram';
}

/** What this kernel and build can do. Makes and closes a few sockets to find out. */
export function features(): Features {
  return { backend, engine: binding.chooseEngine(engineWanted) as Features['engine'], ...binding.probeFeatures() };
}
