// How a command says that it cannot do what it was asked for.

/** One line on stderr, whatever the message is made of. */
export function complain(message: string): void {
  const line = message.replace(/\s*\n\s*/g, ' ');
  process.stderr.write(`${line.startsWith('ksocket') ? '' : 'ksocket: '}${line}\n`);
}

/** The same, and exit code 1. */
export function fail(message: string): void {
  complain(message);
  process.exitCode = 1;
}
