// The second implementation of `Binding`, on node:dgram, for where there is no addon. One module of its own
// (scripts/build-ts.mjs): with the addon nothing of it is loaded.
import { fstatSync } from 'node:fs';
import { isatty } from 'node:tty';
import { EINVAL, ENOTSUP } from '../../base/errno.js';
import type { Binding } from '../binding.js';
import { LAYOUT_HASH } from '../layout.js';
import { formatAddress, parseAddress } from './addresses.js';
import { ENGINE } from './engine.js';
import { hasIPv6 } from './node-socket.js';
import { DgramThread } from './thread.js';

// What kind of socket it is node:dgram finds out when it takes it.
function getFdType(fd: number): string {
  try {
    const stat = fstatSync(fd);
    if (stat.isSocket()) return 'UDP';
    if (stat.isFIFO()) return 'PIPE';
    if (isatty(fd)) return 'TTY';
    return stat.isFile() || stat.isCharacterDevice() ? 'FILE' : 'UNKNOWN';
  } catch {
    return 'INVALID';
  }
}

export const binding: Binding = {
  IoThread: DgramThread,
  KernelAnswers: undefined as never, // createServer() refuses the option
  parseAddress,
  formatAddress,
  copyRights: () => ENOTSUP,
  releaseRights() {},
  forgetPaths() {}, // there are none
  getFdType,
  getFdFamily: () => 0, // which it is only said of descriptors that come from another process
  hasRoom: () => true, // node:dgram's are the runtime's
  threadBytes: 0,
  socketPair: () => ENOTSUP,
  memoryFile: () => ENOTSUP,
  closeFd() {}, // none of it comes from another process
  claimInherited: () => ENOTSUP,
  engineNames: [ENGINE],
  engineNeeds: ['node:dgram'],
  probeEngine: (wanted) => (wanted === '' || wanted === ENGINE ? 0 : EINVAL),
  chooseEngine: () => ENGINE,
  probeFeatures: () => ({
    recvmmsg: false,
    sendmmsg: false,
    epoll: false,
    gro: false,
    gso: false,
    gsoSegments: 0,
    kernelDrops: false,
    filter: false,
    busyPoll: false,
    ipv6: hasIPv6(),
  }),
  probeOption: () => ENOTSUP,
  hasQdisc: () => ENOTSUP,
  probeLinkEvents: () => ENOTSUP,
  probeSteering: () => ENOTSUP,
  probeCpus: () => ENOTSUP,
  probePriority: () => ENOTSUP,
  probeKernelAnswers: () => [ENOTSUP, 'the addon'],
  socketRestriction: () => '',
  compileRules: () => undefined,
  layoutHash: LAYOUT_HASH,
};
