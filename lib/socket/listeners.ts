// A socket's listener for its datagrams.
import { EventEmitter } from 'node:events';
import { hasLibuv } from '../base/runtime.js';
import type { RemoteInfo } from '../thread/endpoint.js';
import type { Face } from './types.js';

export type MessageListener = (this: Face, data: Buffer, rinfo: RemoteInfo) => unknown;

/** What node:events keeps of an emitter, as packages know it. */
interface Emitter {
  readonly _events?: { readonly message?: unknown };
  readonly [capture: symbol]: unknown;
}

// Node's own emit() calls the listener that is alone and does nothing else, unless the emitter captures rejections. What others
// have put in its place (node:domain, tracers) has to be called.
export const { emit: nodesEmit } = EventEmitter.prototype;
const source = Function.prototype.toString.call(nodesEmit);
const kCapture = Object.getOwnPropertySymbols(new EventEmitter()).find(({ description }) => description === 'kCapture');
const isNodes = hasLibuv && source.includes('kErrorMonitor') && source.includes('addCatch(') && kCapture !== undefined;

/** A program's class may have one of its own. Of what is no emitter there are none. */
export const { listenerCount }: { listenerCount: (this: Face, event: string) => number } = EventEmitter.prototype;

/** The listener for 'message', if to call it is all that an emit() would do. */
export function onlyListener(face: Face): MessageListener | undefined {
  if (!isNodes || face.emit !== nodesEmit) return undefined;
  const emitter = face as unknown as Emitter;
  if (emitter[kCapture as symbol] !== false) return undefined;
  const listener = emitter._events?.message;
  return typeof listener === 'function' ? (listener as MessageListener) : undefined;
}
