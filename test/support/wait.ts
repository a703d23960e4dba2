// Waiting for conditions. The limits are for hangs, not for speed: the machine may be busy.
import { setTimeout as sleep } from 'node:timers/promises';

export const DEADLINE_MS = 30_000;

/** Polls until `condition` is true or, after the deadline, fails with what `describe` says. */
export async function waitFor(
  condition: () => boolean | Promise<boolean>,
  describe: string | (() => string) = 'the condition',
  deadlineMs = DEADLINE_MS,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end) {
      throw new Error(`waited ${deadlineMs} ms in vain: ${typeof describe === 'string' ? describe : describe()}`);
    }
    await sleep(2);
  }
}

/** The same with the event loop blocked meanwhile. */
export function blockUntil(condition: () => boolean, what: string): void {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  for (const end = performance.now() + DEADLINE_MS; !condition(); ) {
    if (performance.now() > end) throw new Error(`waited ${DEADLINE_MS} ms in vain: ${what}`);
    Atomics.wait(cell, 0, 0, 1);
  }
}

/** `promise`, or a failure that says what did not happen. */
export async function within<T>(promise: Promise<T>, what: string, deadlineMs = DEADLINE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${deadlineMs} ms in vain: ${what}`)), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The next turn of the event loop, with all its ticks done. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
