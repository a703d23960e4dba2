import { startProgram, withChildren } from '../start.mjs';

/** A process that has just been started: until its module is there, and until its first datagram. */
export function startup(_scenario, entry) {
  return withChildren(async (keep) => {
    const { ready } = keep(await startProgram(entry, entry.role, entry.options));
    return ready.startup;
  });
}
