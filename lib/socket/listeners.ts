// A socket's listeners for its datagrams. An emitter keeps listeners by name, and a search for one costs as much as all else
// that is done with a small datagram that came joined to others: so it is made when one comes or goes.
import { EventEmitter } from 'node:events';
import { hasLibuv } from '../base/runtime.js';
import type { RemoteInfo } from '../thread/endpoint.js';
import type { Face } from './types.js';

export type MessageListener = (this: Face, data: Buffer, rinfo: RemoteInfo) => unknown;

/** Node's own emit() calls an event's listener, where there is one, and does nothing else. What others have put in its place
 * (node:domain, tracers) has to be called. */
export const { emit: nodesEmit } = EventEmitter.prototype;
const isNodes = hasLibuv && String(nodesEmit).includes('kErrorMonitor');

/** The listener for 'message', if to call it is all that nodesEmit() would do. */
export function onlyListener(face: Face, captureRejections: boolean): MessageListener | undefined {
  if (!isNodes || captureRejections || face.listenerCount('message') !== 1) return undefined;
  return face.rawListeners('message')[0] as MessageListener;
}
