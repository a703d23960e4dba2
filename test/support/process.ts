// What this process, or another one, holds, as /proc says it.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { nextTurn, waitFor } from './wait.js';

export function fdCount(pid: number | 'self' = 'self'): number {
  // Reading the directory takes a descriptor itself.
  return readdirSync(`/proc/${pid}/fd`).length - (pid === 'self' ? 1 : 0);
}

export function threadCount(pid: number | 'self' = 'self'): number {
  return readdirSync(`/proc/${pid}/task`).length;
}

const PF_EXITING = 4; // linux/sched.h

/** The native I/O threads, by the name they give themselves. One that has ended is listed for a moment longer, also behind
 * its pthread_join(3). */
export function ioThreadCount(pid: number | 'self' = 'self'): number {
  let count = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8'); // proc_pid_stat(5)
      const flags = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[6]);
      if (stat.includes('(ksocket-io)') && (flags & PF_EXITING) === 0) count++;
    } catch {} // ended meanwhile
  }
  return count;
}

/** The processes that it has started, and those that they have. */
export function descendants(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** What the descriptors refer to, for messages. */
export function openFds(pid: number | 'self' = 'self'): string[] {
  const names: string[] = [];
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      names.push(`${fd}: ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`);
    } catch {} // the directory's own
  }
  return names;
}

export interface Held {
  fds: number;
  ioThreads: number;
}

/** What is held once the threads of earlier tests have ended, and the event loop has closed what it closes later. */
export async function heldAtRest(): Promise<Held> {
  await waitFor(
    () => ioThreadCount() === 0,
    () => `${ioThreadCount()} I/O threads of nobody`,
  );
  let before: number;
  do {
    before = fdCount();
    for (let i = 0; i < 5; i++) await nextTurn();
  } while (fdCount() !== before);
  return held();
}

export function held(): Held {
  return { fds: fdCount(), ioThreads: ioThreadCount() };
}

/** The idle shared thread lingers for 50 ms, so this waits. */
export async function untilHeldIs(before: Held): Promise<void> {
  await waitFor(
    () => {
      const now = held();
      return now.fds === before.fds && now.ioThreads === before.ioThreads;
    },
    () => `holds ${JSON.stringify(held())} instead of ${JSON.stringify(before)}: ${openFds().join(', ')}`,
  );
}
