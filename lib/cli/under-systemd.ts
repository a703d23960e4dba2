// `ksocket serve` as a service of systemd's: its sockets, and what it is told. Nothing of this does anything elsewhere.
import type { SocketType } from '../base/family.js';
import type { SystemdState } from '../systemd/index.js';
import { complain } from './fail.js';

/** An entry of the package, and so a bundle of its own. */
const systemd = () => import('../systemd/index.js');

/** The descriptors of the UDP sockets that systemd has opened for this process.
 * @throws where it has opened others, too: nobody would answer there */
export async function inheritedSockets(): Promise<{ fd: number; type: SocketType }[]> {
  const { systemdSockets } = await systemd();
  return systemdSockets({ unset: true }).map(({ fd, name, type }) => {
    if (type === 'udp4' || type === 'udp6') return { fd, type };
    throw new Error(`systemd has opened a socket of type ${type} (descriptor ${fd}, ${name}), and this serves UDP`);
  });
}

function untold(error: Error): void {
  complain(`systemd is not told: ${error.message}`);
}

/** Resolves when it is told, or cannot be. */
export async function tell({ status, ...state }: SystemdState): Promise<void> {
  const { sdNotify } = await systemd();
  await sdNotify({ ...state, status: status?.replaceAll(/[\s\0]+/g, ' ') }).catch(untold);
}

/** From now on it hears that this process lives, as long as it does. */
export async function keepTelling(): Promise<void> {
  const { sdWatchdog } = await systemd();
  try {
    sdWatchdog({ onError: untold });
  } catch (error) {
    untold(error as Error);
  }
}
