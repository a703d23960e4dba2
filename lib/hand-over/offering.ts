// What sockets and servers have in common when they are handed over: places on threads.
import * as errors from '../base/errors.js';
import type { IoThread } from '../thread/io-thread.js';
import { type Channel, closeAll, kinds } from './channel.js';

export interface Given {
  readonly thread: IoThread;
  readonly id: number;
}

/** Says what there is, with a copy of each one's descriptor. */
export async function offerState(channel: Channel, all: readonly Given[], state: Uint8Array): Promise<void> {
  const fds: number[] = [];
  try {
    for (const { thread, id } of all) {
      const fd = thread.changing().copyFd(id);
      if (fd < 0) throw errors.errnoException(fd, 'dup');
      fds.push(fd);
    }
    const sent = channel.send(kinds.state, state, fds);
    closeAll(fds.splice(0)); // it has copies; a worker may be ended while it waits
    await sent;
  } finally {
    closeAll(fds);
  }
}

/** See Giver.pause(). */
export function pauseAll(all: readonly Given[]): number[] {
  return all.map(({ thread, id }) => {
    const native = thread.changing();
    native.unwatch(id);
    return native.stopDrops(id);
  });
}

/** Before a taker's sockets receive: those are to be counted that are no longer counted by the giver; where it has not said so, all
 * since it has handed them over. */
export function tellDrops(all: readonly Given[], drops: readonly unknown[] = []): void {
  for (const [i, { thread, id }] of all.entries()) {
    const total = drops[i];
    thread.native.tellDrops(id, typeof total === 'number' ? total : undefined);
  }
}

/** Resolves when the listeners have what is in the rings. */
export async function allRead(all: readonly Given[]): Promise<void> {
  await Promise.all(all.map(({ thread }) => new Promise<void>((resolve) => thread.whenRead(resolve))));
}
