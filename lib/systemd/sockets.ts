// The sockets that a service manager has opened for this process: sd_listen_fds(3), systemd.socket(5).
import { backend, binding } from '../backend/load.js';
import * as errors from '../base/errors.js';
import { familyOfAddress } from '../base/family.js';
import { refuseUnknown } from '../base/known-keys.js';
import { validateBoolean, validateObject } from '../base/validate.js';
import type { AddressInfo } from '../socket/types.js';
import type { UnixAddress } from '../unix/types.js';
import { isForThisProcess, SOCKET_VARIABLES, unset, variable, wholeNumber } from './environment.js';

/** What kind of socket it is, by domain, type and protocol; `other`: none of these, or no socket. */
export type SystemdSocketType =
  | 'udp4'
  | 'udp6'
  | 'tcp4'
  | 'tcp6'
  | 'unix_dgram'
  | 'unix_stream'
  | 'unix_seqpacket'
  | 'other';

/** A socket that the service manager has opened. */
export interface SystemdSocket {
  /** Its descriptor, 3 and up: for `socket.bind({ fd })` or `createServer({ fd })`. */
  fd: number;
  /** What `FileDescriptorName=` says; by default the name of the `.socket` unit. `unknown` where the manager names none. */
  name: string;
  /** What kind of socket it is. A `udp6` one takes IPv4, too, unless `BindIPv6Only=` says otherwise. */
  type: SystemdSocketType;
  /** Where it is bound; `null` of the type `other`. */
  address: AddressInfo | UnixAddress | null;
}

/** What {@link systemdSockets} takes. */
export interface SystemdSocketsOptions {
  /** Takes `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES` out of the environment, also where it throws: later calls find
   * nothing, and no child does. Off by default. */
  unset?: boolean;
}

/** SD_LISTEN_FDS_START */
const FIRST = 3;
const FDS_MAX = 2 ** 31 - 1 - FIRST;
const NAMELESS = 'unknown';

/**
 * The sockets that systemd, or whoever speaks its protocol, has opened for this process, in the order of their descriptors. Empty
 * where there are none, or they are another process's (`LISTEN_PID`). Nothing is taken: it may be called again and again. Each
 * is kept from child processes (FD_CLOEXEC).
 *
 * @throws ERR_KSOCKET_SYSTEMD where a variable is malformed, counts other names than descriptors, or one that is not open;
 * ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE for the options; ERR_KSOCKET_NEEDS_ADDON where there are sockets, and no addon
 */
export function systemdSockets(options: SystemdSocketsOptions = {}): SystemdSocket[] {
  validateObject(options, 'options');
  refuseUnknown(options, 'options', ['unset']);
  const { unset: unsets = false } = options;
  validateBoolean(unsets, 'options.unset');
  try {
    return isForThisProcess('LISTEN_PID') ? find() : [];
  } finally {
    if (unsets) unset(SOCKET_VARIABLES);
  }
}

function find(): SystemdSocket[] {
  const count = wholeNumber('LISTEN_FDS', 0, FDS_MAX) ?? 0;
  if (count === 0) return [];
  if (backend === 'dgram') throw errors.needsAddon('systemdSockets()');
  const text = variable('LISTEN_FDNAMES');
  const names = text?.split(':');
  if (text !== undefined && names?.length !== count) {
    throw errors.badEnvironment('LISTEN_FDNAMES', text, `must have ${count} names, as LISTEN_FDS says`);
  }
  const sockets: SystemdSocket[] = [];
  for (let fd = FIRST; fd < FIRST + count; fd++) sockets.push(describe(fd, names?.[fd - FIRST] ?? NAMELESS, count));
  return sockets;
}

function describe(fd: number, name: string, count: number): SystemdSocket {
  const found = binding.claimInherited(fd);
  if (typeof found === 'number') {
    const { code } = errors.errnoException(found, 'fcntl');
    throw errors.badEnvironment('LISTEN_FDS', `${count}`, `counts the descriptor ${fd}, which is not there (${code})`);
  }
  const [type, address, port] = found as [SystemdSocketType, string, number];
  return { fd, name, type, address: addressOf(type, address, port) };
}

function addressOf(type: SystemdSocketType, name: string, port: number): SystemdSocket['address'] {
  if (type === 'other') return null;
  if (type.startsWith('unix')) return { path: name, family: 'unix' };
  return { address: name, family: familyOfAddress(name).name, port };
}
