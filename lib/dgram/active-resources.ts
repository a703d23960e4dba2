// process.getActiveResourcesInfo() and process._getActiveHandles() ask libuv, which knows nothing of our sockets. Under
// ksocket/register they list those that keep the event loop running, where node:dgram's would stand. (Without the addon
// those do.)
import { backend } from '../backend/load.js';

// The global is a getter; importing node:process would open stdin.
const { process } = globalThis;

interface ProcessWithHandles {
  _getActiveHandles?: () => unknown[];
}

/** `holding`: the sockets that keep the event loop running. */
export function listActiveSockets(holding: () => object[]): void {
  if (backend === 'dgram') return;
  const { getActiveResourcesInfo } = process;
  process.getActiveResourcesInfo = function (this: NodeJS.Process) {
    const listed = getActiveResourcesInfo.call(this);
    const timers = listed.findIndex((name) => name === 'Timeout' || name === 'Immediate');
    listed.splice(timers < 0 ? listed.length : timers, 0, ...holding().map(() => 'UDPWrap'));
    return listed;
  };
  const { _getActiveHandles: getActiveHandles } = process as ProcessWithHandles;
  if (getActiveHandles === undefined) return;
  (process as ProcessWithHandles)._getActiveHandles = function (this: NodeJS.Process) {
    return [...getActiveHandles.call(this), ...holding()];
  };
}
