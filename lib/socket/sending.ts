// From send() to the thread's staging memory (lib/thread/staging.ts), with node:dgram's contract of what happens when.
import { EINVAL, EISCONN } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { refuseUnknown } from '../base/known-keys.js';
import { bytesOfPayload, lengthOf, type SendCallback } from '../base/payload.js';
import { nextTick, setImmediate } from '../base/runtime.js';
import { validateInteger, validateObject, validatePort } from '../base/validate.js';
import { parseLiteral } from '../thread/address.js';
import { CONNECTED, type Destination, literalDestination } from '../thread/destination.js';
import type { IoThread } from '../thread/io-thread.js';
import { whenBound } from './binding.js';
import { isBlocked, type SocketCore } from './core.js';
import { destinationOf, isPeer } from './peer.js';
import { literalOf, resolve } from './resolve.js';
import { type Address, keptPayload, type SendArguments } from './send-arguments.js';
import { sentListener } from './sent-listener.js';

/** The socket is bound. */
export function send(core: SocketCore, { payload, port, address, callback }: SendArguments): void {
  core.checkRunning();
  if (typeof port === 'object') {
    const { address: ip } = destinationOfPeer(core, port, 'peer');
    if (core.connectState === 'connecting') stageResolved(core, keptPayload(payload), port.port, ip, ip, callback);
    else stage(core, payload, port.port, ip, ip, false, callback);
    return;
  }
  const host = address || core.family.loopback;
  // While connect() is under way a send takes its turn, as its result depends on it.
  const ip = port === undefined || core.connectState === 'connecting' ? undefined : literalOf(core, host);
  if (port === undefined || ip !== undefined) {
    stage(core, payload, port, ip ?? host, address, port === undefined, callback);
  } else {
    stageResolved(core, keptPayload(payload), port, host, address, callback);
  }
}

/** What is sent to several places: payload, port, address, …, or payload, peer, …; on a connected socket payloads. */
export function sendMany(core: SocketCore, list: readonly unknown[]): number {
  if (core.connectState === 'connected') return sendList(core, list, CONNECTED);
  const isBlocked = blockListOf(core);
  if (isPeer(list[1])) {
    if (list.length % 2 !== 0) {
      throw errors.invalidArgValue('list.length', list.length, 'must be a multiple of 2: data, peer');
    }
    const pairs = [...list]; // reading it runs no code of the program's any more
    const destinationAt = (place: number) => {
      const destination = destinationOfPeer(core, pairs[place], `list[${place}]`);
      return isBlocked?.(destination.address) ? undefined : destination;
    };
    return sendRun(core, pairs.length / 2, ({ lists }) => lists.sendPairs(core.id, pairs, destinationAt));
  }
  if (list.length % 3 !== 0) {
    throw errors.invalidArgValue('list.length', list.length, 'must be a multiple of 3: data, port, address');
  }
  return sendRun(core, list.length / 3, ({ lists }) => lists.sendTriples(core.id, core.family, list, isBlocked));
}

/** What is sent to one place. */
export function sendManyTo(core: SocketCore, list: readonly unknown[], options: unknown): number {
  if (!isPeer(options)) checkOptions(options, ['port', 'address', 'peer']);
  return sendList(core, list, destinationOfOptions(core, options as SendOptions));
}

/** One piece of memory, cut into datagrams. */
export function sendSegments(core: SocketCore, payload: unknown, options: unknown): number {
  checkOptions(options, ['segmentSize', 'port', 'address', 'peer']);
  const { segmentSize } = options as SendOptions;
  validateInteger(segmentSize, 'options.segmentSize', 1, core.family.payloadBytesMax);
  const destination = destinationOfOptions(core, options as SendOptions);
  const bytes = bytesOfPayload(payload, 'bytes');
  const count = Math.ceil(lengthOf(bytes) / segmentSize);
  return sendRun(core, count, ({ lists }) => {
    if (!blocks(core, destination)) return lists.sendSegments(core.id, destination, bytes, segmentSize);
    for (let i = 0; i < count; i++) lists.refuse(core.id);
    return count;
  });
}

function sendList(core: SocketCore, list: readonly unknown[], destination: Destination): number {
  return sendRun(core, list.length, ({ lists }) => {
    if (!blocks(core, destination)) return lists.sendList(core.id, destination, list);
    for (let i = 0; i < list.length; i++) {
      bytesOfPayload(list[i], 'list');
      lists.refuse(core.id);
    }
    return list.length;
  });
}

// Where `send` takes fewer than all, 'drain' says when to go on.
function sendRun(core: SocketCore, all: number, send: (thread: IoThread) => number): number {
  core.checkRunning();
  if (core.bindState !== 'bound') {
    whenBound(core, () => core.face.emit('drain'));
    return 0;
  }
  const thread = core.running();
  const taken = send(thread);
  if (taken < all && !thread.native.notifyDrained(core.id)) {
    setImmediate(() => !core.closed && core.face.emit('drain'));
  }
  return taken;
}

interface SendOptions {
  segmentSize?: unknown;
  port?: unknown;
  address?: unknown;
  peer?: unknown;
}

function checkOptions(options: unknown, known: readonly string[]): void {
  validateObject(options, 'options');
  refuseUnknown(options, 'options', known);
}

function destinationOfOptions(core: SocketCore, options: SendOptions): Destination {
  const { port, address } = options;
  const peer = isPeer(options) ? options : options.peer;
  if (core.connectState === 'connected') {
    if (port === undefined && address === undefined && peer === undefined) return CONNECTED;
    throw errors.isConnected();
  }
  if (peer === undefined) {
    return literalDestination(core.family, address, validatePort(port, 'Port', false), 'options.address');
  }
  if (peer !== options && (port !== undefined || address !== undefined)) {
    throw errors.invalidArgValue('options.peer', peer, 'must be alone: it has port and address');
  }
  return destinationOfPeer(core, peer, peer === options ? 'options' : 'options.peer');
}

/** @throws ERR_INVALID_ARG_TYPE for what socket.peer() has not made, ERR_INVALID_ARG_VALUE for one of another family */
function destinationOfPeer(core: SocketCore, value: unknown, name: string): Destination {
  const destination = destinationOf(value);
  if (destination === undefined) throw errors.invalidArgType(name, 'what socket.peer() returns', value);
  if (destination.to?.family !== core.family.number) {
    throw errors.invalidArgValue(name, value, `must be an ${core.family.name} peer`);
  }
  return destination;
}

function blockListOf({ options: { sendBlockList } }: SocketCore): ((address: string) => boolean) | undefined {
  return sendBlockList && ((address) => isBlocked(sendBlockList, address));
}

function blocks(core: SocketCore, destination: Destination): boolean {
  return destination !== CONNECTED && (blockListOf(core)?.(destination.address) ?? false);
}

/** Datagrams and bytes that wait because the kernel's send buffer is full. */
export function backlog(core: SocketCore): [datagrams: number, bytes: number] {
  core.checkRunning();
  core.handOver();
  return core.thread?.native.getBacklog(core.id) ?? [0, 0];
}

// `atOnce`: node:dgram would have handed the datagram to the kernel when this returns; else it does so in a tick that
// begins now. Callbacks come a tick behind that, and close() takes back what has not been handed over.
function stage(
  core: SocketCore,
  payload: Uint8Array | Uint8Array[],
  port: number | undefined,
  ip: string,
  address: Address,
  atOnce: boolean,
  callback: SendCallback | undefined,
): void {
  const { sendBlockList } = core.options;
  if (sendBlockList && port !== undefined && isBlocked(sendBlockList, ip)) {
    refuse(core, ip, atOnce, callback);
    return;
  }
  const listener = callback && sentListener(core, callback, atOnce, address, port);
  const to = port === undefined ? null : parseLiteral(core.family, typeof ip === 'string' ? ip : String(ip));
  let errno: number;
  if (port !== undefined && to === null) errno = EINVAL;
  else if (port !== undefined && core.connectState === 'connected') errno = EISCONN;
  else errno = core.running().sender.send(core.id, to, port ?? 0, payload, !atOnce, listener);
  if (errno !== 0) listener?.(errno);
}

function stageResolved(
  core: SocketCore,
  payload: Uint8Array,
  port: number,
  host: string,
  address: Address,
  callback: SendCallback | undefined,
): void {
  resolve(core, host, (error, ip) => {
    if (error === undefined) {
      if (!core.closed) stage(core, payload, port, ip, address, true, callback);
    } else if (callback) {
      nextTick(callback as (error: Error) => void, error);
    } else {
      nextTick(() => core.face.emit('error', error));
    }
  });
}

// `sendBlockList` has the address.
function refuse(core: SocketCore, ip: string, atOnce: boolean, callback: SendCallback | undefined): void {
  const tell = () => {
    if (callback && !core.closed) nextTick(callback as (error: Error) => void, errors.ipBlocked(ip));
  };
  if (atOnce) tell();
  else nextTick(tell);
}
