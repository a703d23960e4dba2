// The options of a local socket, and of its bind(), checked.
import { OPEN_RECEIVE_CREDENTIALS, OPEN_RECEIVE_RIGHTS } from '../backend/layout.js';
import { backend } from '../backend/load.js';
import { EINVAL, ENAMETOOLONG } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { unixDgram } from '../base/family.js';
import { refuseUnknown } from '../base/known-keys.js';
import { validateBoolean, validateInteger, validateObject, validateString } from '../base/validate.js';
import { type CheckedSocketOptions, checkSocketOptions } from '../socket/options.js';
import {
  type Credentials,
  credentialsOf,
  ifindexOf,
  isBundleTruncated,
  type MetadataKind,
  wishFlags,
} from '../thread/metadata.js';
import type { UnixBindOptions, UnixSocketOptions } from './types.js';

/** sizeof sun_path, less the zero at its end. */
const PATH_BYTES_MAX = 107;
const MODE_MAX = 0o777;
const FD_MAX = 0x7fffffff;

const known: readonly (keyof UnixSocketOptions)[] = [
  'type',
  'sendBufferSize',
  'signal',
  'thread',
  'pooled',
  'ringBytes',
  'busyPoll',
  'rxUsecs',
  'rxFrames',
  'adaptiveRx',
  'cpus',
  'priority',
  'onFull',
  'maxBytes',
  'receiveTimes',
  'receiveCredentials',
  'receiveDescriptors',
];

const pathKind: MetadataKind = {
  read(records, at, out) {
    (out as { path?: string }).path = records.address(at);
  },
};

const credentialsKind: MetadataKind = {
  read(records, at, out) {
    (out as { credentials?: Credentials | undefined }).credentials = credentialsOf(records, at);
  },
};

function descriptorsKind(take: (bundle: number) => number[]): MetadataKind {
  return {
    read(records, at, out) {
      const bundle = ifindexOf(records, at);
      const descriptors = bundle === undefined ? [] : take(bundle);
      Object.assign(out, { descriptors, descriptorsTruncated: isBundleTruncated(records, at) });
    },
  };
}

/** `take`: the descriptors of a bundle.
 * @throws ERR_INVALID_ARG_VALUE for an option that local sockets do not have, and as those of UDP */
export function checkUnixOptions(given: UnixSocketOptions, take: (bundle: number) => number[]): CheckedSocketOptions {
  refuseUnknown(given, 'options', known);
  if (backend === 'dgram') throw errors.needsAddon("the type 'unix_dgram'");
  const { receiveCredentials, receiveDescriptors = false, type: _type, ...others } = given;
  validateBoolean(receiveDescriptors, 'options.receiveDescriptors');
  const checked = checkSocketOptions({ ...others, type: 'udp4', gro: false, gso: false });
  const asked = wishFlags(receiveCredentials, 'receiveCredentials', OPEN_RECEIVE_CREDENTIALS);
  const metadata = [pathKind, ...(checked.metadata ?? [])];
  if (asked !== 0) metadata.push(credentialsKind);
  if (receiveDescriptors) metadata.push(descriptorsKind(take));
  const flags = checked.flags | asked | (receiveDescriptors ? OPEN_RECEIVE_RIGHTS : 0);
  return { ...checked, family: unixDgram, flags, metadata };
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE for what can be no path */
export function checkPath(path: unknown, name: string): string {
  validateString(path, name);
  if (path === '') throw errors.invalidArgValue(name, path, 'must not be empty');
  if (path[0] !== '\0' && path.includes('\0')) {
    throw errors.invalidArgValue(name, path, 'must be without null bytes, but for one in front of an abstract name');
  }
  return path;
}

/** 0, or -errno. */
export function errnoOfPath(path: string): number {
  if (path === '') return EINVAL;
  const most = PATH_BYTES_MAX + (path[0] === '\0' ? 1 : 0);
  return Buffer.byteLength(path) > most ? ENAMETOOLONG : 0;
}

/** As `bind EADDRINUSE /run/app.sock`, with `address`. */
export function pathError(errno: number, syscall: string, path: string): Error {
  const shown = path[0] === '\0' ? `@${path.slice(1)}` : path; // as ss(8) has it
  const error = errors.exceptionWithHostPort(errno, syscall, shown);
  if (errno === ENAMETOOLONG) error.message += `: a socket's path has at most ${PATH_BYTES_MAX} bytes`;
  return Object.assign(error, { address: path });
}

/** A path and what is to become of its file, or a descriptor. */
export type CheckedBind = { path: string; mode: number; replaceStale: boolean; keep: boolean } | { fd: number };

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE */
export function checkBind(where: unknown): CheckedBind {
  if (typeof where === 'string') return { path: checkPath(where, 'path'), mode: -1, replaceStale: false, keep: false };
  validateObject(where, 'options');
  const { path, fd, mode, replaceStale = false, keep = false } = where as UnixBindOptions;
  if (fd !== undefined) {
    refuseUnknown(where, 'options', ['fd']);
    validateInteger(fd, 'options.fd', 0, FD_MAX);
    return { fd };
  }
  refuseUnknown(where, 'options', ['path', 'fd', 'mode', 'replaceStale', 'keep']);
  if (mode !== undefined) validateInteger(mode, 'options.mode', 0, MODE_MAX);
  validateBoolean(replaceStale, 'options.replaceStale');
  validateBoolean(keep, 'options.keep');
  const checked = checkPath(path, 'options.path');
  if (mode !== undefined && checked[0] === '\0') {
    throw errors.invalidArgValue('options.mode', mode, 'is of files, and an abstract name has none');
  }
  return { path: checked, mode: mode ?? -1, replaceStale, keep };
}
