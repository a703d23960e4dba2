// From send() to the thread's staging memory (lib/thread/sender.ts), with node:dgram's contract of what happens when.
import { EINVAL, EISCONN } from '../base/errno.js';
import * as errors from '../base/errors.js';
import type { SendCallback } from '../base/payload.js';
import { nextTick, setImmediate } from '../base/runtime.js';
import { parseLiteral } from '../thread/address.js';
import { whenBound } from './binding.js';
import { isBlocked, type SocketCore } from './core.js';
import { literalOf, resolve } from './resolve.js';
import { type Address, keptPayload, type SendArguments } from './send-arguments.js';
import { sentListener } from './sent-listener.js';

/** The socket is bound. */
export function send(core: SocketCore, { payload, port, address, callback }: SendArguments): void {
  core.checkRunning();
  const host = address || core.family.loopback;
  // While connect() is under way a send takes its turn, as its result depends on it.
  const ip = port === undefined || core.connectState === 'connecting' ? undefined : literalOf(core, host);
  if (port === undefined || ip !== undefined) {
    stage(core, payload, port, ip ?? host, address, port === undefined, callback);
  } else {
    stageResolved(core, keptPayload(payload), port, host, address, callback);
  }
}

export function sendMany(core: SocketCore, list: readonly unknown[]): number {
  const connected = core.connectState === 'connected';
  if (!connected && list.length % 3 !== 0) {
    throw errors.invalidArgValue('list.length', list.length, 'must be a multiple of 3: data, port, address');
  }
  core.checkRunning();
  if (core.bindState !== 'bound') {
    whenBound(core, () => core.face.emit('drain'));
    return 0;
  }
  const thread = core.running();
  const taken = thread.sender.sendRun(core.id, core.family, list, connected);
  const all = connected ? list.length : list.length / 3;
  if (taken < all && !thread.native.notifyDrained(core.id)) {
    setImmediate(() => !core.closed && core.face.emit('drain'));
  }
  return taken;
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
