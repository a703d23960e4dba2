import { because, featureMissing } from '../base/errors.js';
import type { KernelFeatures } from './binding.js';
import { type Backend, backend, binding, engineWanted } from './load.js';
import { type MetadataName, metadataOptions } from './metadata-options.js';
import { SCHEDULE_NEEDS, type SettingName, settingKinds } from './settings.js';

/** What may be asked of a socket or its thread here: of the kernel, by this process. */
export interface OptionFeatures {
  /** The option `bindToDevice` */
  bindToDevice: boolean;
  /** The option `mark` */
  mark: boolean;
  /** The option `transparent` */
  transparent: boolean;
  /** The option `freebind` */
  freebind: boolean;
  /** The option `mtuDiscover` */
  mtuDiscover: boolean;
  /** The option `maxPacingRate`; that it is heeded says `pacing`. */
  maxPacingRate: boolean;
  /** The option `sendTimes` */
  sendTimes: boolean;
  /** The option `txTime`; that it is heeded says `departureTimes`. */
  txTime: boolean;
  /** The option `receiveTtl` */
  receiveTtl: boolean;
  /** The option `receiveTos` */
  receiveTos: boolean;
  /** The option `receiveLocal` */
  receiveLocal: boolean;
  /** The option `receiveTimes` */
  receiveTimes: boolean;
  /** The option `receiveOriginalDst` */
  receiveOriginalDst: boolean;
  /** The option `receiveErrors` */
  receiveErrors: boolean;
  /** Has a network device the qdisc `fq`, without which nobody heeds `maxPacingRate`? Of other devices it says nothing. */
  pacing: boolean;
  /** Has a network device the qdisc `fq` or `etf`, without which nobody heeds `txTimeNs`? */
  departureTimes: boolean;
  /** `addMembership(group, 'all')`: needs the kernel to tell of interfaces (rtnetlink). */
  allInterfaces: boolean;
  /** `socket.pathMtu()` and `setMtuDiscover()` */
  pathMtu: boolean;
  /** `socket.setsockopt()` and `getsockopt()` */
  setsockopt: boolean;
  /** The options `shards` and `steering` */
  shards: boolean;
  /** The option `kernel` of servers (docs/kernel.md); which interfaces take it says `server.kernel`. */
  kernelAnswers: boolean;
  /** The option `cpus` */
  cpus: boolean;
  /** The highest `priority` that may be asked for; 0: none. */
  priorityMax: number;
}

/** What `features()` says. */
export interface Features extends KernelFeatures, OptionFeatures {
  /** What sockets are made of: the `addon`, or node:`dgram`, where there is none or KSOCKET_BACKEND=dgram asks for it
   * (docs/backends.md). */
  backend: Backend;
  /** What new sockets use: `mmsg` (recvmmsg, sendmmsg, epoll, GRO, GSO) or `posix` (poll, recvmsg, sendmsg); `dgram` with
   * the backend of this name. */
  engine: 'mmsg' | 'posix' | 'dgram';
  /** Why not, of those that are false (or 0): `{ mark: 'EPERM: needs CAP_NET_ADMIN or CAP_NET_RAW' }`. */
  missing: Partial<Record<keyof OptionFeatures, string>>;
}

type Missing = Features['missing'];

/** What this kernel and build can do. Makes and closes a few sockets, and threads, to find out. */
export function features(): Features {
  const missing: Missing = {};
  return {
    backend,
    engine: binding.chooseEngine(engineWanted) as Features['engine'],
    ...binding.probeFeatures(),
    ...probeOptions(missing),
    missing,
  };
}

function probeOptions(missing: Missing): OptionFeatures {
  /** `result` is what there is of it, or -errno; nothing is asked where there is no addon. */
  const ask = (name: keyof OptionFeatures, needs: string | undefined, result: () => number): number => {
    const had = backend === 'addon' ? result() : 0;
    if (had <= 0) missing[name] = backend === 'addon' ? whyNot(had, needs) : "needs ksocket's addon (docs/backends.md)";
    return Math.max(had, 0);
  };
  const has = (name: keyof OptionFeatures, needs: string | undefined, errno: () => number) =>
    ask(name, needs, () => errno() || 1) > 0;
  const kernelAnswers = has('kernelAnswers', undefined, () => 0) && hasKernelAnswers(missing);
  const settings = settingKinds.map(({ option, row, sample, needs }) => [
    option,
    has(option, needs, () => binding.probeOption(row, sample)),
  ]);
  const metadata = Object.entries(metadataOptions).map(([option, { row }]) => [
    option,
    has(option as MetadataName, undefined, () => binding.probeOption(row, 1)),
  ]);
  return {
    ...(Object.fromEntries(settings) as Record<SettingName, boolean>),
    ...(Object.fromEntries(metadata) as Record<MetadataName, boolean>),
    pacing: ask('pacing', NEEDS_FQ, () => binding.hasQdisc('fq')) > 0,
    departureTimes: ask('departureTimes', NEEDS_ETF, () => binding.hasQdisc('fq') || binding.hasQdisc('etf')) > 0,
    allInterfaces: has('allInterfaces', NEEDS_LINKS, () => binding.probeLinkEvents()),
    pathMtu: has('pathMtu', undefined, () => 0),
    setsockopt: has('setsockopt', undefined, () => 0),
    shards: has('shards', 'Linux 4.5', () => binding.probeSteering()),
    kernelAnswers,
    cpus: has('cpus', SCHEDULE_NEEDS.cpus, () => binding.probeCpus()),
    priorityMax: ask('priorityMax', SCHEDULE_NEEDS.priority, () => binding.probePriority()),
  };
}

function hasKernelAnswers(missing: Missing): boolean {
  const [errno, needs] = binding.probeKernelAnswers();
  if (errno !== 0) missing.kernelAnswers = because(errno, `needs ${needs}`);
  return errno === 0;
}

const NEEDS_LINKS = 'a netlink socket that hears of interfaces';
const NEEDS_FQ = 'the qdisc fq on the device that sends (tc qdisc replace dev DEVICE root fq)';
const NEEDS_ETF = 'the qdisc fq or etf on the device that sends';

function whyNot(errno: number, needs: string | undefined): string {
  return errno === 0 ? `needs ${needs}` : featureMissing(errno, needs);
}
