// From send() to the thread's staging memory (lib/thread/staging.ts), with node:dgram's contract of what happens when.
import { EINVAL, EISCONN } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { bytesOfPayload, lengthOf, type SendCallback } from '../base/payload.js';
import { nextTick, setImmediate } from '../base/runtime.js';
import { validateInteger } from '../base/validate.js';
import { parseLiteral } from '../thread/address.js';
import { CONNECTED, type Destination } from '../thread/destination.js';
import type { IoThread } from '../thread/io-thread.js';
import { moreOf, type SendMore } from '../thread/send-more.js';
import { whenBound } from './binding.js';
import { isBlocked, type SocketCore } from './core.js';
import { isPeer } from './peer.js';
import { literalOf, resolve } from './resolve.js';
import { type Address, keptPayload, type SendArguments } from './send-arguments.js';
import {
  checkSendOptions,
  destinationOfOptions,
  destinationOfPeer,
  moreToSay,
  type SendOptions,
} from './send-options.js';
import { sentListener } from './sent-listener.js';

/** The socket is bound. */
export function send(core: SocketCore, { payload, port, address, callback, options }: SendArguments): void {
  core.checkRunning();
  if (typeof port === 'object') {
    const { address: ip, more: said } = destinationOfPeer(core, port, 'peer');
    const more = options === undefined ? said : moreOf(core.family, options, 'options', said, core);
    if (core.connectState === 'connecting') {
      stageResolved(core, keptPayload(payload), port.port, ip, ip, callback, more);
    } else {
      stage(core, payload, port.port, ip, ip, false, callback, more);
    }
    return;
  }
  const more = options === undefined ? core.sendDefaults : moreToSay(core, options);
  const host = address || core.family.loopback;
  // While connect() is under way a send takes its turn, as its result depends on it.
  const ip = port === undefined || core.connectState === 'connecting' ? undefined : literalOf(core, host);
  if (port === undefined || ip !== undefined) {
    stage(core, payload, port, ip ?? host, address, port === undefined, callback, more);
  } else {
    stageResolved(core, keptPayload(payload), port, host, address, callback, more);
  }
}

/** What is sent to several places: payload, port, address, …, or payload, peer, …; on a connected socket payloads. */
export function sendMany(core: SocketCore, list: readonly unknown[]): number {
  if (core.connectState === 'connected') return sendList(core, list, { ...CONNECTED, more: core.sendDefaults });
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
  return sendRun(core, list.length / 3, ({ lists }) =>
    lists.sendTriples(core.id, core.family, list, isBlocked, core.sendDefaults),
  );
}

/** What is sent to one place. */
export function sendManyTo(core: SocketCore, list: readonly unknown[], options: unknown): number {
  if (!isPeer(options)) checkSendOptions(options);
  return sendList(core, list, destinationOfOptions(core, options));
}

/** One piece of memory, cut into datagrams. */
export function sendSegments(core: SocketCore, payload: unknown, options: unknown): number {
  checkSendOptions(options, ['segmentSize']);
  const { segmentSize } = options as { segmentSize?: unknown };
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

export function sendList(core: SocketCore, list: readonly unknown[], destination: Destination): number {
  return sendRun(core, list.length, ({ lists }) => {
    if (!blocks(core, destination)) return lists.sendList(core.id, destination, list);
    for (let i = 0; i < list.length; i++) {
      bytesOfPayload(list[i], 'list');
      lists.refuse(core.id);
    }
    return list.length;
  });
}

// Where fewer than all are taken, 'drain' says when to go on: while something of the socket's waits for the kernel, it takes none
// but that of a local one, which waits for its receiver.
export function sendRun(core: SocketCore, all: number, send: (thread: IoThread) => number): number {
  core.checkRunning();
  if (core.bindState !== 'bound') {
    whenBound(core, () => core.face.emit('drain'));
    return 0;
  }
  const thread = core.running();
  const taken = core.family.isIp && thread.sender.flushedAndWaits(core.id) ? 0 : send(thread);
  if (taken < all && !thread.native.notifyDrained(core.id)) {
    setImmediate(() => !core.closed && core.face.emit('drain'));
  }
  return taken;
}

function blockListOf({ options: { sendBlockList } }: SocketCore): ((address: string) => boolean) | undefined {
  return sendBlockList && ((address) => isBlocked(sendBlockList, address));
}

function blocks(core: SocketCore, destination: Destination): boolean {
  return destination.to !== null && (blockListOf(core)?.(destination.address) ?? false);
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
  more: SendMore | undefined,
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
  else errno = core.running().sender.send(core.id, to, port ?? 0, payload, !atOnce, listener, more);
  if (errno !== 0) listener?.(errno);
}

function stageResolved(
  core: SocketCore,
  payload: Uint8Array,
  port: number,
  host: string,
  address: Address,
  callback: SendCallback | undefined,
  more: SendMore | undefined,
): void {
  resolve(core, host, (error, ip) => {
    if (error === undefined) {
      if (!core.closed) stage(core, payload, port, ip, address, true, callback, more);
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
