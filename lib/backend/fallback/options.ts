// What is set and asked of a socket of node:dgram by the numbers of native/core/socket/options.h.
import type { Socket } from 'node:dgram';
import { EINVAL, ENOPROTOOPT } from '../../base/errno.js';
import { SocketOption } from '../layout.js';
import { attempt, errnoOf } from './node-socket.js';

const setters: Record<number, (socket: Socket, value: number) => unknown> = {
  [SocketOption.broadcast]: (socket, value) => socket.setBroadcast(value !== 0),
  [SocketOption.receiveBufferBytes]: (socket, value) => socket.setRecvBufferSize(value),
  [SocketOption.sendBufferBytes]: (socket, value) => socket.setSendBufferSize(value),
  [SocketOption.ttl]: (socket, value) => socket.setTTL(value),
  [SocketOption.multicastTtl]: (socket, value) => socket.setMulticastTTL(value),
  [SocketOption.multicastLoopback]: (socket, value) => socket.setMulticastLoopback(value !== 0),
};

const getters: Record<number, (socket: Socket) => number> = {
  [SocketOption.receiveBufferBytes]: (socket) => socket.getRecvBufferSize(),
  [SocketOption.sendBufferBytes]: (socket) => socket.getSendBufferSize(),
};

/** 0 or -errno; -ENOPROTOOPT for what node:dgram has not. */
export function setOption(socket: Socket, option: number, value: number | Uint8Array): number {
  const set = setters[option];
  return set === undefined || typeof value !== 'number' ? ENOPROTOOPT : attempt(() => set(socket, value));
}

/** The value or -errno. */
export function getOption(socket: Socket, option: number): number {
  const get = getters[option];
  if (get === undefined) return ENOPROTOOPT;
  try {
    return get(socket);
  } catch (error) {
    return errnoOf(error);
  }
}

export interface Membership {
  join: boolean;
  group: string;
  networkInterface: string;
  source: string;
}

/** 0 or -errno. */
export function changeMembership(socket: Socket, { join, group, networkInterface, source }: Membership): number {
  const from = networkInterface || undefined;
  return attempt(() => {
    if (source === '') {
      if (join) socket.addMembership(group, from);
      else socket.dropMembership(group, from);
    } else if (join) socket.addSourceSpecificMembership(source, group, from);
    else socket.dropSourceSpecificMembership(source, group, from);
  });
}

/** 0 or -errno. */
export function setMulticastInterface(socket: Socket, address: string): number {
  return address === '' ? EINVAL : attempt(() => socket.setMulticastInterface(address));
}
