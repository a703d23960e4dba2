// The options of createTunnel(): their defaults and checks.
import { isIP } from 'node:net';
import { backend } from '../backend/load.js';
import * as errors from '../base/errors.js';
import { refuseUnknown } from '../base/known-keys.js';
import {
  isRecord,
  validateBoolean,
  validateHost,
  validateInteger,
  validateObject,
  validateOneOf,
  validatePort,
  validateString,
} from '../base/validate.js';
import { canonical, isOneMachine, ONE_MACHINE, wrongZone } from './addresses.js';

/** The other end of a tunnel. */
export interface TunnelRemote {
  /** An IP address or a host name, of the family of `local`; a name is looked up by start(). A link-local address has its zone,
   * an interface: `fe80::1%eth0`. */
  address: string;
  /** 1 to 65 535. Default 4789, VXLAN's. */
  port?: number;
  /** Ethernet addresses that are behind it, as `02:00:00:00:00:01`: they are not learned from anybody else. */
  macs?: readonly string[];
}

/** What createTunnel() takes. */
export interface TunnelOptions {
  /** The TAP device, of at most 15 characters: the one that has this name, or a new one. Default: the kernel chooses the name,
   * `tap0` and so on. */
  device?: string;
  /** Does a device that is made stay when the tunnel stops, or its process ends? Default false. */
  persistent?: boolean;
  /** IP addresses that the device gets, each with the bits of its prefix: `10.9.0.1/24`, `fd09::1/64`. */
  addresses?: readonly string[];
  /** The device's MTU in bytes, 68 to 65 521. Default: what the path to the remotes has room for, as the kernel knows it (1450
   * behind VXLAN over IPv4 and Ethernet): it follows when that changes. */
  mtu?: number;
  /** How many frames wait for the thread, up to 64 KiB each, 1 to 65 535. Default 1000. */
  queueFrames?: number;
  /** How many queues the device has (IFF_MULTI_QUEUE), each with a thread and a socket, 1 to 256: the kernel spreads connections over
   * them. More than one needs one remote alone. Default 1. */
  queues?: number;
  /** Where datagrams come in. Default every address, of the family of the first remote, and port 4789. */
  local?: {
    /** An IP address; a link-local one with its zone. */
    address?: string;
    /** 1 to 65 535. */
    port?: number;
  };
  /** Where frames go, and from where they are taken: from these IP addresses alone; with `'raw'`, from these ports alone, too.
   * 1 to 1024. */
  remotes: readonly TunnelRemote[];
  /** `'vxlan'` (the default): RFC 7348, as the kernel's own device speaks it. `'raw'`: a frame is all of its datagram. */
  encapsulation?: 'vxlan' | 'raw';
  /** The VXLAN network, 0 to 16 777 215. Needed for `'vxlan'`, refused for `'raw'`. */
  vni?: number;
  /** How many Ethernet addresses are learned, 0 to 1 048 576. Default 4096. For frames to others see `flood`. */
  learnedMax?: number;
  /** After so many seconds an address that was not heard of is forgotten, 1 to 1 000 000. Default 300. */
  ageSeconds?: number;
  /** Are the ends of TCP connections told of no larger segments than fit the device (MSS clamping)? For devices behind which are others,
   * as in a bridge. Default false. */
  clampMss?: boolean;
  /** Do frames to an address that nobody knows go to all remotes? Default true. Those to groups and to everybody always do. */
  flood?: boolean;
}

/** A TunnelOptions with nothing left out, but for names that are to be looked up. */
export interface CheckedTunnelOptions {
  queues: number;
  device: { name: string; persistent: boolean; queueFrames: number; mtu: number | undefined };
  networks: { address: string; family: number; port: number }[];
  local: { address: string | undefined; port: number };
  remotes: { address: string; port: number; macs: Uint8Array[] }[];
  vxlan: boolean;
  vni: number;
  addressesMax: number;
  ageMs: number;
  clampMss: boolean;
  flood: boolean;
}

const VXLAN_PORT = 4789;
const DEVICE_BYTES_MAX = 15;
const REMOTES_MAX = 1024;
const QUEUES_MAX = 256; // MAX_TAP_QUEUES of the kernel
const KEYS = [
  'device',
  'persistent',
  'addresses',
  'mtu',
  'queueFrames',
  'queues',
  'local',
  'remotes',
  'encapsulation',
  'vni',
  'learnedMax',
  'ageSeconds',
  'clampMss',
  'flood',
] as const;

/** What are directories where those of devices are: of /proc/sys/net/ipv4/conf, and of any. */
const NO_DEVICES = ['all', 'default', '.', '..'];
const LATIN1_SPACE = 0xa0; // part of some letters in UTF-8; the kernel looks at bytes

/** What the kernel takes for a device's name (dev_valid_name, sysctl_dev_name_is_allowed), and no pattern (`tap%d`). */
function checkDevice(value: unknown): string {
  validateString(value, 'options.device');
  const bytes = Buffer.from(value);
  const refuse = (reason: string) => errors.invalidArgValue('options.device', value, reason);
  if (!/^[^\s/:%\0]+$/.test(value) || bytes.length > DEVICE_BYTES_MAX) {
    throw refuse(`must be a device's name: at most ${DEVICE_BYTES_MAX} bytes, without '/', ':', '%' and spaces`);
  }
  if (bytes.includes(LATIN1_SPACE)) throw refuse('must be a name that the kernel takes: one byte of it is 0xA0');
  if (NO_DEVICES.includes(value)) throw refuse("must be a device's name: the kernel has this one for something else");
  return value;
}

function checkNetwork(value: unknown, name: string): CheckedTunnelOptions['networks'][number] {
  validateString(value, name);
  const [, address = '', bits] = /^([^/%]+)\/(\d{1,3})$/.exec(value) ?? [];
  const family = isIP(address);
  const port = Number(bits);
  if (family === 0 || port > (family === 4 ? 32 : 128)) {
    throw errors.invalidArgValue(name, value, "must be an IP address and its prefix, as '10.9.0.1/24'");
  }
  if (!isOneMachine(canonical(address))) throw errors.invalidArgValue(name, value, ONE_MACHINE);
  return { address, family, port };
}

function checkMac(value: unknown, name: string): Uint8Array {
  validateString(value, name);
  const bytes = /^[\da-f]{2}(:[\da-f]{2}){5}$/i.test(value) ? value.split(':').map((each) => parseInt(each, 16)) : [1];
  if (bytes[0] & 1) {
    throw errors.invalidArgValue(name, value, "must be the Ethernet address of one interface, as '02:00:00:00:00:01'");
  }
  return Uint8Array.from(bytes);
}

function checkRemote(value: unknown, name: string): CheckedTunnelOptions['remotes'][number] {
  validateObject(value, name);
  refuseUnknown(value, name, ['address', 'port', 'macs']);
  const { address, port = VXLAN_PORT, macs = [] } = value as TunnelRemote;
  validateHost(address, `${name}.address`);
  return {
    address,
    port: validatePort(port, `${name}.port`, false),
    macs: checkArray(macs, `${name}.macs`, checkMac),
  };
}

function checkArray<T>(value: unknown, name: string, check: (value: unknown, name: string) => T): T[] {
  if (!Array.isArray(value)) throw errors.invalidArgType(name, 'an instance of Array', value);
  return Array.from(value, (each, i) => check(each, `${name}[${i}]`)); // map() would leave out what is not there
}

/** Each Ethernet address is at one place. */
function refuseSameMacs(remotes: CheckedTunnelOptions['remotes']): void {
  const known = new Set<string>();
  for (const [i, { macs }] of remotes.entries()) {
    for (const [j, bytes] of macs.entries()) {
      const mac = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
      if (known.has(mac)) throw errors.invalidArgValue(`options.remotes[${i}].macs[${j}]`, mac, 'is there twice');
      known.add(mac);
    }
  }
}

function checkLocal(value: unknown): CheckedTunnelOptions['local'] {
  if (!isRecord(value)) throw errors.invalidArgType('options.local', 'of type object', value);
  refuseUnknown(value, 'options.local', ['address', 'port']);
  const { address, port = VXLAN_PORT } = value as NonNullable<TunnelOptions['local']>;
  if (address !== undefined) {
    validateString(address, 'options.local.address');
    if (isIP(address) === 0) throw errors.invalidArgValue('options.local.address', address, 'must be an IP address');
    const wrong = wrongZone(address);
    if (wrong !== undefined) throw errors.invalidArgValue('options.local.address', address, wrong);
  }
  return { address, port: validatePort(port, 'options.local.port', false) };
}

function integer(value: unknown, name: string, least: number, most: number): number {
  validateInteger(value, `options.${name}`, least, most);
  return value;
}

function flag(value: unknown, name: string): boolean {
  validateBoolean(value, `options.${name}`);
  return value;
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_BAD_PORT; ERR_KSOCKET_NEEDS_ADDON */
export function checkTunnelOptions(options: TunnelOptions): CheckedTunnelOptions {
  validateObject(options, 'options');
  refuseUnknown(options, 'options', KEYS);
  const { device, mtu, vni, encapsulation = 'vxlan' } = options;
  validateOneOf(encapsulation, 'options.encapsulation', ['vxlan', 'raw']);
  const vxlan = encapsulation === 'vxlan';
  if (!vxlan && vni !== undefined) throw errors.invalidArgValue('options.vni', vni, "is of encapsulation 'vxlan' only");
  const remotes = checkArray(options.remotes, 'options.remotes', checkRemote);
  if (remotes.length === 0 || remotes.length > REMOTES_MAX) {
    throw errors.outOfRange('options.remotes.length', `>= 1 && <= ${REMOTES_MAX}`, remotes.length);
  }
  const queues = integer(options.queues ?? 1, 'queues', 1, QUEUES_MAX);
  if (queues > 1 && remotes.length > 1) {
    throw errors.invalidArgValue('options.queues', queues, 'must be 1 where there is more than one remote');
  }
  refuseSameMacs(remotes);
  const checked = {
    queues,
    device: {
      name: device === undefined ? '' : checkDevice(device),
      persistent: flag(options.persistent ?? false, 'persistent'),
      queueFrames: integer(options.queueFrames ?? 1000, 'queueFrames', 1, 65_535),
      mtu: mtu === undefined ? undefined : integer(mtu, 'mtu', 68, 65_521),
    },
    networks: checkArray(options.addresses ?? [], 'options.addresses', checkNetwork),
    local: checkLocal(options.local ?? {}),
    remotes,
    vxlan,
    vni: vxlan ? integer(vni, 'vni', 0, 2 ** 24 - 1) : 0,
    addressesMax: integer(options.learnedMax ?? 4096, 'learnedMax', 0, 2 ** 20),
    ageMs: integer(options.ageSeconds ?? 300, 'ageSeconds', 1, 1_000_000) * 1000,
    clampMss: flag(options.clampMss ?? false, 'clampMss'),
    flood: flag(options.flood ?? true, 'flood'),
  };
  if (backend === 'dgram') throw errors.needsAddon('createTunnel()');
  return checked;
}
