// A socket's one peer, connect(2).
import * as errors from '../base/errors.js';
import { nextTick } from '../base/runtime.js';
import { isBlocked, type SocketCore } from './core.js';
import { resolve } from './resolve.js';

/** @throws ERR_SOCKET_DGRAM_IS_CONNECTED; ERR_INVALID_STATE, as each shard would hear of its own peers only */
export function checkMayConnect({ shards, connectState }: SocketCore): void {
  if (shards !== undefined) throw errors.invalidState('A socket with shards cannot be connected');
  if (connectState !== 'disconnected') throw errors.isConnected();
}

export function connect(
  core: SocketCore,
  port: number,
  host: string,
  callback: ((error?: Error) => void) | undefined,
): void {
  const { face } = core;
  if (callback) face.once('connect', callback);
  core.checkRunning(); // a close() may have waited for the bind, too
  const fail = (error: Error) => {
    core.connectState = 'disconnected';
    nextTick(() => {
      if (!callback) {
        face.emit('error', error);
        return;
      }
      face.removeListener('connect', callback);
      callback(error);
    });
  };
  resolve(core, host || core.family.loopback, (error, ip) => {
    if (core.thread === undefined) return;
    if (error) return fail(error);
    const failure = connectNow(core, ip, port, host);
    if (failure !== undefined) return fail(failure);
    nextTick(() => face.emit('connect'));
  });
}

/** As `connect`, to a literal: connected when this returns, or throws. The socket is bound. */
export function connectSync(core: SocketCore, port: number, ip: string): void {
  const failure = connectNow(core, ip, port, ip);
  if (failure !== undefined) throw failure;
  nextTick(() => !core.closed && core.face.emit('connect'));
}

export function disconnect(core: SocketCore): void {
  if (core.connectState !== 'connected') throw errors.notConnected();
  const thread = core.running();
  const errno = thread.changing().disconnect(core.id);
  if (errno !== 0) throw errors.errnoException(errno, 'connect');
  core.connectState = 'disconnected';
}

// `host`: what the user calls it.
function connectNow(core: SocketCore, ip: string, port: number, host: string): Error | undefined {
  const { sendBlockList } = core.options;
  if (sendBlockList && isBlocked(sendBlockList, ip)) return errors.ipBlocked(ip);
  const thread = core.running();
  thread.sender.flush(); // what was sent before goes out unconnected
  const errno = thread.changing().connect(core.id, String(ip), port);
  if (errno !== 0) return errors.exceptionWithHostPort(errno, 'connect', host, port);
  core.connectState = 'connected';
  return undefined;
}
