// The signals that end a command.

/** From a terminal, from who manages processes, from a terminal that closes. */
export const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Calls that for each of them, to the very end: no second one kills what ends anyway. */
export function onEnding(listener: () => void, signals: readonly (typeof ENDING)[number][] = ENDING): void {
  for (const signal of signals) process.on(signal, listener);
  // Node's own end takes the handlers away some milliseconds before the process is gone; exit() leaves them.
  process.once('beforeExit', () => process.exit());
}
