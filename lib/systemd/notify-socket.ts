// How a text gets to $NOTIFY_SOCKET: one socket for all that is on its way, so that it arrives in order.
import { ETIMEDOUT } from '../base/errno.js';
import { clearTimeout, setTimeout } from '../base/runtime.js';
import { createSocket } from '../unix/create-socket.js';
import { pathError } from '../unix/options.js';

interface Open {
  send(text: string, path: string, sent: (error: Error | null) => void): void;
  close(): void;
}

/** A manager that reloads its own units does not read for seconds. */
const PATIENCE_MS = 10_000;

/** All that waits in it waits for the first, and when that has waited for too long nothing of it is sent. */
class Outlet {
  readonly socket = make();
  waiting = 0;
  #late = false;

  settled(): void {
    if (--this.waiting > 0 || this.#late) return;
    this.close();
  }

  giveUp(): void {
    if (this.#late) return;
    this.#late = true;
    this.close();
  }

  /** Of a socket that was closed it says that sends were canceled. */
  reason(error: Error, path: string): Error {
    if (!this.#late) return error;
    return pathError(ETIMEDOUT, 'send', path);
  }

  close(): void {
    if (open === this) open = undefined;
    this.socket.close();
  }
}

let open: Outlet | undefined;

function make(): Open {
  // Nobody answers, and what the kernel may say of receiving concerns nobody.
  return createSocket('unix_dgram').on('error', () => {});
}

/** Resolves when the receiver has it; rejects where it does not read. */
export function sendTo(path: string, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    open ??= new Outlet();
    const outlet = open;
    outlet.waiting++;
    const timer = setTimeout(() => outlet.giveUp(), PATIENCE_MS);
    const settled = () => {
      clearTimeout(timer);
      outlet.settled();
    };
    try {
      outlet.socket.send(text, path, (error) => {
        settled();
        if (error) reject(outlet.reason(error, path));
        else resolve();
      });
    } catch (error) {
      settled();
      reject(error);
    }
  });
}
