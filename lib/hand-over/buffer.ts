// What comes while nobody receives waits in the kernel.
import { readFileSync } from 'node:fs';
import type { IoThread } from '../thread/io-thread.js';

/** The largest size that may be asked for, socket(7); 0: it is not known. */
function largest(): number {
  try {
    return Number(readFileSync('/proc/sys/net/core/rmem_max', 'utf8'));
  } catch {
    return 0;
  }
}

/** Makes room for some hundredths of a second, unless there is as much or a program has chosen how much. */
export function growBuffer(thread: IoThread, id: number): void {
  thread.changing().growReceiveBuffer(id, largest());
}
