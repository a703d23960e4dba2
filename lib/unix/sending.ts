// From a local socket's send() to the thread's staging memory: as lib/socket/sending.ts, of paths.
import { binding } from '../backend/load.js';
import * as errors from '../base/errors.js';
import { unixDgram } from '../base/family.js';
import { refuseUnknown } from '../base/known-keys.js';
import type { SendCallback } from '../base/payload.js';
import { isRecord, validateInteger } from '../base/validate.js';
import type { SocketCore } from '../socket/core.js';
import { slice, toPayload } from '../socket/send-arguments.js';
import { sendList, sendRun } from '../socket/sending.js';
import { sentListener } from '../socket/sent-listener.js';
import { parseLiteral } from '../thread/address.js';
import { CONNECTED, type Destination } from '../thread/destination.js';
import { wordOfPort } from '../thread/records.js';
import type { SentListener } from '../thread/sender.js';
import { checkPath, errnoOfPath } from './options.js';
import type { UnixSendOptions } from './types.js';

export interface UnixSendArguments {
  payload: Uint8Array | Uint8Array[];
  /** Undefined on a connected socket. */
  path: string | undefined;
  callback: SendCallback | undefined;
  descriptors: readonly number[] | undefined;
}

/** SCM_MAX_FD of the kernel. */
const DESCRIPTORS_MAX = 253;

/** (msg, path[, callback]), (msg, options[, callback]) or (msg, offset, length, path[, callback]), on a connected socket without the
 * path. */
export function parseUnixSend(connected: boolean, msg: unknown, given: readonly unknown[]): UnixSendArguments {
  const isPart = typeof given[0] === 'number';
  const payload = toPayload(isPart ? slice(msg, given[0], given[1]) : msg);
  const rest = isPart ? given.slice(2) : given;
  const options = isPart ? undefined : optionsOf(rest[0]);
  const path = options === undefined ? rest[0] : options.path;
  const hasPath = path !== undefined && typeof path !== 'function';
  const callback = hasPath || options ? rest[1] : (rest.find((each) => typeof each === 'function') as unknown);
  if (connected && hasPath) throw errors.isConnected();
  if (!connected && !hasPath) throw errors.missingArgument('path');
  return {
    payload,
    path: hasPath ? checkPath(path, options === undefined ? 'path' : 'options.path') : undefined,
    callback: typeof callback === 'function' ? (callback as SendCallback) : undefined,
    descriptors: options?.descriptors,
  };
}

function optionsOf(given: unknown): UnixSendOptions | undefined {
  if (!isRecord(given)) return undefined;
  refuseUnknown(given, 'options', ['path', 'descriptors']);
  const { path, descriptors } = given as UnixSendOptions;
  if (descriptors === undefined) return { path };
  if (!Array.isArray(descriptors))
    throw errors.invalidArgType('options.descriptors', 'an instance of Array', descriptors);
  const list: unknown[] = [...descriptors]; // holes are undefined
  validateInteger(list.length, 'options.descriptors.length', 1, DESCRIPTORS_MAX);
  for (const [i, fd] of list.entries()) validateInteger(fd, `options.descriptors[${i}]`, 0, 0x7fffffff);
  return { path, descriptors: list as number[] };
}

// What is to go with the datagram: copies, which are closed when it has left, or never will.
function withCopies(descriptors: readonly number[], listener: SentListener | undefined): [number, SentListener] {
  const bundle = binding.copyRights(Int32Array.from(descriptors));
  if (bundle < 0) throw errors.errnoException(bundle, 'dup');
  const release: SentListener = (result) => {
    binding.releaseRights(bundle);
    listener?.(result);
  };
  return [bundle, release];
}

/** The socket is open. */
export function send(core: SocketCore, { payload, path, callback, descriptors }: UnixSendArguments): void {
  let listener = callback && sentListener(core, callback, true, path, undefined);
  let bundle: number | undefined;
  if (descriptors !== undefined) [bundle, listener] = withCopies(descriptors, listener);
  const refused = path === undefined ? 0 : errnoOfPath(path);
  const to = path === undefined || refused !== 0 ? null : parseLiteral(unixDgram, path);
  const errno = refused || core.running().sender.send(core.id, to, 0, payload, false, listener, bundle);
  if (errno !== 0) listener?.(errno);
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE; what is too long */
function destinationOf(path: unknown, name: string): Destination {
  const checked = checkPath(path, name);
  const to = errnoOfPath(checked) === 0 ? parseLiteral(unixDgram, checked) : null;
  if (to === null) throw errors.invalidArgValue(name, checked, 'must have at most 107 bytes');
  return { address: checked, to, portWord: wordOfPort(0, unixDgram.number) };
}

/** Payloads, which go to `path` or, on a connected socket, to its peer; or a payload, a path, …. What goes to a receiver that
 * something waits for is not taken. The socket is open. */
export function sendMany(core: SocketCore, list: readonly unknown[], path: unknown): number {
  const connected = core.connectState === 'connected';
  if (connected && path !== undefined) throw errors.isConnected();
  const waits = ({ to }: Destination) => core.running().native.waitsFor(core.id, to === null ? null : to.words);
  if (connected || path !== undefined) {
    const destination = connected ? CONNECTED : destinationOf(path, 'path');
    core.handOver();
    return waits(destination) ? sendRun(core, list.length, () => 0) : sendList(core, list, destination);
  }
  if (list.length % 2 !== 0) {
    throw errors.invalidArgValue('list.length', list.length, 'must be a multiple of 2: data, path');
  }
  const pairs = [...list]; // reading it runs no code of the program's any more
  const destinations = new Map<unknown, Destination>();
  core.handOver();
  let end = pairs.length;
  for (let place = 1; place < end; place += 2) {
    if (destinations.has(pairs[place])) continue;
    const destination = destinationOf(pairs[place], `list[${place}]`);
    destinations.set(pairs[place], destination);
    if (waits(destination)) end = place - 1;
  }
  const going = pairs.slice(0, end);
  return sendRun(core, pairs.length / 2, ({ lists }) =>
    lists.sendPairs(core.id, going, (place) => destinations.get(going[place])),
  );
}
