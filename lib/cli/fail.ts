// How a command says that it cannot do what it was asked for.

/** One line on stderr, whatever the message is made of, and exit code 1. */
export function fail(message: string): void {
  const line = message.replace(/\s*\n\s*/g, ' ');
  process.stderr.write(`${line.startsWith('ksocket') ? '' : 'ksocket: '}${line}\n`);
  process.exitCode = 1;
}
