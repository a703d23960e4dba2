import type { KernelFeatures } from './contract.js';
import { binding, engineWanted } from './load.js';

export interface Features extends KernelFeatures {
  /** What new sockets use: `mmsg` (recvmmsg, sendmmsg, epoll, GRO, GSO) or `posix` (poll, recvmsg, sendmsg). */
  engine: 'mmsg' | 'posix';
}

/** What this kernel and build can do. Makes and closes a few sockets to find out. */
export function features(): Features {
  return { engine: binding.chooseEngine(engineWanted) as Features['engine'], ...binding.probeFeatures() };
}
