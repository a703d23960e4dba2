// What createSocket() has the kernel set before bind(2): a row each, of which the option's check, the error, its line of
// features() and the refusal without the addon are made. The kernel's half is the row's in native/core/socket/options.h.
import * as errors from '../base/errors.js';
import { validateBoolean, validateInteger, validateOneOf, validateString } from '../base/validate.js';
import { SocketOption } from './layout.js';
import { backend } from './load.js';

/** By the names of ip(7), IP_PMTUDISC_…, and their numbers. */
const MTU_DISCOVER: Record<MtuDiscover, number> = { dont: 0, want: 1, do: 2, probe: 3, interface: 4, omit: 5 };

/**
 * - `'dont'`: fragment what is larger than the path's MTU, and never forbid routers to;
 * - `'want'`: fragment what is larger than the path's MTU, and forbid routers to (the default of most systems);
 * - `'do'`: never fragment; what is larger than the path's known MTU is not sent (EMSGSIZE);
 * - `'probe'`: never fragment, and whatever is known of the path, only the interface's MTU counts;
 * - `'interface'`: as `dont`, but never believe what ICMP says of the path; larger than the interface's MTU is EMSGSIZE;
 * - `'omit'`: the same, and fragment what is larger than that.
 */
export type MtuDiscover = 'dont' | 'want' | 'do' | 'probe' | 'interface' | 'omit';

/** What the kernel refuses is an error of bind(), with `syscall` `'setsockopt'` and what is needed in its message
 * (docs/socket-options.md); `features()` tells before. Without the addon createSocket() throws ERR_KSOCKET_NEEDS_ADDON. */
export interface SettingOptions {
  /** SO_BINDTODEVICE, socket(7): send and receive through this interface only, by its name. Before Linux 5.7 it needs
   * CAP_NET_RAW. */
  bindToDevice?: string;
  /** SO_MARK, socket(7): what the socket sends has this mark (0 to 4 294 967 295), which routes (`ip rule … fwmark`) and
   * firewalls see. Needs CAP_NET_ADMIN, or, since Linux 5.17, CAP_NET_RAW. */
  mark?: number;
  /** IP_TRANSPARENT, ip(7): bind to, and send from, addresses that are not this machine's, as a transparent proxy does. Needs
   * CAP_NET_RAW or CAP_NET_ADMIN; with `'auto'` it is off where it cannot be had. */
  transparent?: boolean | 'auto';
  /** IP_FREEBIND, ip(7): bind to an address that no interface has, or not yet. With `'auto'` it is off where it cannot be
   * had. */
  freebind?: boolean | 'auto';
  /** IP_MTU_DISCOVER and IPV6_MTU_DISCOVER, ip(7): what becomes of a datagram that is larger than the path's MTU. Later:
   * `setMtuDiscover`. */
  mtuDiscover?: MtuDiscover;
  /** SO_MAX_PACING_RATE, socket(7), in bytes a second, from 1; above 4 294 967 294 from Linux 4.20 on. The kernel heeds it
   * where the device that sends has the qdisc `fq`, and else not at all (`features().pacing`). */
  maxPacingRate?: number;
  /** SO_TIMESTAMPING, SCM_TS_OPT_ID: of each datagram that is sent with an `id` a `'sendtime'` event says when the kernel
   * has handed it to the network's driver. Needs Linux 6.13; with `'auto'` there are none where it cannot be had. */
  sendTimes?: boolean | 'auto';
  /** SO_TXTIME: datagrams may be sent with a departure time, `txTimeNs`; true is `'monotonic'`. With `'auto'` it is off
   * where it cannot be had, and `txTimeNs` passed over. */
  txTime?: boolean | 'auto' | TxTimeClock;
}

/** The clock of departure times, clock_gettime(2): `'monotonic'` (process.hrtime's) for the qdisc `fq`, `'tai'` for `etf`,
 * which needs CAP_NET_ADMIN. */
export type TxTimeClock = 'monotonic' | 'tai';

export type SettingName = keyof SettingOptions;

/** As native code takes it: an int or bytes. */
type KernelValue = number | Uint8Array;

/** @internal */
export interface SettingKind {
  readonly option: SettingName;
  /** Of SocketOption. */
  readonly row: number;
  /** What the kernel calls it. */
  readonly constant: string;
  /** What the process lacks where the kernel says EPERM. */
  readonly needs: string;
  /** Does bind(2) heed it? Then no other process can bind in this one's place. */
  readonly concernsBind: boolean;
  /** A value to find out with whether it may be set. */
  readonly sample: KernelValue;
  /** The checked value; undefined where nothing is asked for. */
  read(value: unknown, name: string): KernelValue | undefined;
}

/** A row with the value that a socket asks for. @internal */
export interface Setting {
  readonly kind: SettingKind;
  readonly given: unknown;
  readonly value: KernelValue;
  /** Go without where the kernel refuses it. */
  readonly optional: boolean;
}

/** Of an I/O thread: lib/thread/schedule.ts. @internal */
export const PRIORITY_MAX = 99;
/** @internal */
export const SCHEDULE_NEEDS = {
  cpus: 'a sandbox that allows it',
  priority: 'CAP_SYS_NICE or a higher RLIMIT_RTPRIO (ulimit -r)',
} as const;

const DEVICE_NAME_BYTES_MAX = 15; // IFNAMSIZ with its zero
const UINT_MAX = 0xffff_ffff;

function readDevice(value: unknown, name: string): Uint8Array {
  validateString(value, name);
  const bytes = Buffer.from(value);
  if (bytes.length === 0 || bytes.length > DEVICE_NAME_BYTES_MAX || bytes.includes(0)) {
    throw errors.invalidArgValue(name, value, `must be an interface's name, of 1 to ${DEVICE_NAME_BYTES_MAX} bytes`);
  }
  return bytes;
}

function readSwitch(value: unknown, name: string): number | undefined {
  if (value !== 'auto') validateBoolean(value, name);
  return value === false ? undefined : 1;
}

// SO_MAX_PACING_RATE takes an int or, since Linux 4.20, a long; all ones mean that there is no limit.
function readRate(value: unknown, name: string): KernelValue {
  validateInteger(value, name, 1, Number.MAX_SAFE_INTEGER);
  return value < UINT_MAX ? value : new Uint8Array(new BigUint64Array([BigInt(value)]).buffer);
}

/** @internal */
export function readMtuDiscover(value: unknown, name: string): number {
  validateOneOf(value, name, Object.keys(MTU_DISCOVER) as MtuDiscover[]);
  return MTU_DISCOVER[value];
}

// linux/net_tstamp.h: SOF_TIMESTAMPING_SOFTWARE, OPT_ID, OPT_TSONLY, and OPT_RX_FILTER: nothing of what is received.
const SEND_TIMES = (1 << 4) | (1 << 7) | (1 << 11) | (1 << 17);
const SOF_TXTIME_REPORT_ERRORS = 2;
const CLOCKS: Record<TxTimeClock, number> = { monotonic: 1, tai: 11 };

// struct sock_txtime
function txTimeBy(clock: TxTimeClock): Uint8Array {
  return new Uint8Array(new Uint32Array([CLOCKS[clock], SOF_TXTIME_REPORT_ERRORS]).buffer);
}

/** @internal */
export const settingKinds: readonly SettingKind[] = [
  {
    option: 'bindToDevice',
    row: SocketOption.bindToDevice,
    constant: 'SO_BINDTODEVICE',
    needs: 'CAP_NET_RAW',
    concernsBind: true,
    sample: Buffer.from('lo'),
    read: readDevice,
  },
  {
    option: 'mark',
    row: SocketOption.mark,
    constant: 'SO_MARK',
    needs: 'CAP_NET_ADMIN or CAP_NET_RAW',
    concernsBind: false,
    sample: 1,
    read(value, name) {
      validateInteger(value, name, 0, UINT_MAX);
      return value;
    },
  },
  {
    option: 'transparent',
    row: SocketOption.transparent,
    constant: 'IP_TRANSPARENT',
    needs: 'CAP_NET_RAW or CAP_NET_ADMIN',
    concernsBind: true,
    sample: 1,
    read: readSwitch,
  },
  {
    option: 'freebind',
    row: SocketOption.freebind,
    constant: 'IP_FREEBIND',
    needs: 'a sandbox that allows it',
    concernsBind: true,
    sample: 1,
    read: readSwitch,
  },
  {
    option: 'mtuDiscover',
    row: SocketOption.mtuDiscover,
    constant: 'IP_MTU_DISCOVER',
    needs: 'a sandbox that allows it',
    concernsBind: false,
    sample: MTU_DISCOVER.do,
    read: readMtuDiscover,
  },
  {
    option: 'maxPacingRate',
    row: SocketOption.maxPacingRate,
    constant: 'SO_MAX_PACING_RATE',
    needs: 'a sandbox that allows it',
    concernsBind: false,
    sample: 1_000_000,
    read: readRate,
  },
  {
    option: 'sendTimes',
    row: SocketOption.sendTimes,
    constant: 'SO_TIMESTAMPING',
    needs: 'Linux 6.13',
    concernsBind: false,
    sample: SEND_TIMES,
    read: (value, name) => readSwitch(value, name) && SEND_TIMES,
  },
  {
    option: 'txTime',
    row: SocketOption.txTime,
    constant: 'SO_TXTIME',
    needs: 'CAP_NET_ADMIN',
    concernsBind: false,
    sample: txTimeBy('monotonic'),
    read(value, name) {
      if (typeof value === 'boolean' || value === 'auto') return value ? txTimeBy('monotonic') : undefined;
      validateOneOf(value, name, Object.keys(CLOCKS) as TxTimeClock[]);
      return txTimeBy(value);
    },
  },
];

/** Checks what is given; undefined where nothing is to be set.
 * @throws ERR_KSOCKET_NEEDS_ADDON
 * @internal */
export function readSettings(options: SettingOptions): readonly Setting[] | undefined {
  const settings: Setting[] = [];
  for (const kind of settingKinds) {
    const given = options[kind.option];
    if (given === undefined) continue;
    const value = kind.read(given, `options.${kind.option}`);
    const optional = given === 'auto';
    if (value === undefined || (optional && backend === 'dgram' && kind.concernsBind)) continue;
    if (backend === 'dgram' && !optional) throw errors.needsAddon(`options.${kind.option}`);
    settings.push({ kind, given, value, optional });
  }
  return settings.length > 0 ? settings : undefined;
}

/** @internal */
export function settingRefused({ kind, given }: Setting, errno: number): Error {
  const what = `options.${kind.option} ${typeof given === 'string' ? `'${given}'` : String(given)} (${kind.constant})`;
  return errors.optionRefused(errno, 'setsockopt', what, errors.refusalReason(errno, kind.needs));
}
