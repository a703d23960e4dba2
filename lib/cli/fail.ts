// How a command says that it cannot do what it was asked for.
import { printable } from './endpoint.js';

/** One line on stderr, whatever the message is made of. */
export function complain(message: string): void {
  const line = printable(Buffer.from(message.replace(/\s*\n\s*/g, ' '))); // it has names that others have chosen
  process.stderr.write(`${line.startsWith('ksocket') ? '' : 'ksocket: '}${line}\n`);
}

/** The same, and exit code 1. */
export function fail(message: string): void {
  complain(message);
  process.exitCode = 1;
}
