// How a text gets to $NOTIFY_SOCKET: one socket for all that is on its way, so that it arrives in order.
import { createSocket } from '../unix/create-socket.js';

interface Open {
  send(text: string, path: string, sent: (error: Error | null) => void): void;
  close(): void;
}

let open: Open | undefined;
let waiting = 0;

function make(): Open {
  // Nobody answers, and what the kernel may say of receiving concerns nobody.
  return createSocket('unix_dgram').on('error', () => {});
}

function settled(): void {
  if (--waiting > 0) return;
  open?.close();
  open = undefined;
}

/** Resolves when the receiver has it. */
export function sendTo(path: string, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    open ??= make();
    waiting++;
    try {
      open.send(text, path, (error) => {
        settled();
        if (error) reject(error);
        else resolve();
      });
    } catch (error) {
      settled();
      reject(error);
    }
  });
}
