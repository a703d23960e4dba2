// How a command says that it cannot do what it was asked for.
import { printable } from './endpoint.js';

/** One line, whatever the message is made of. */
export function lineOf(message: string): string {
  const line = printable(Buffer.from(message.replace(/\s*\n\s*/g, ' '))); // it has names that others have chosen
  return `${line.startsWith('ksocket') ? '' : 'ksocket: '}${line}`;
}

/** It, on stderr. */
export function complain(message: string): void {
  process.stderr.write(`${lineOf(message)}\n`);
}

/** The same, and exit code 1. */
export function fail(message: string): void {
  complain(message);
  process.exitCode = 1;
}
