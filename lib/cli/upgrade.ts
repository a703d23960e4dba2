// `ksocket serve --upgrade`: where one process hands over to the next.
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerOptions } from '../server/options.js';
import type { Server } from '../server/server.js';

/** Undefined: it is not wanted. Without a path of its own it is one that the next process finds by the port. */
export function upgradePath(given: string | boolean | undefined, { port }: ServerOptions): string | undefined {
  if (given === undefined || given === false) return undefined;
  if (typeof given === 'string') return given;
  const directory = process.env.XDG_RUNTIME_DIR ?? (process.getuid?.() === 0 ? '/run' : tmpdir());
  return join(directory, port === undefined ? 'ksocket-serve.sock' : `ksocket-serve-${port}.sock`);
}

/** Of several servers each has its own. */
export function pathOf(path: string, index: number): string {
  return index === 0 ? path : `${path}.${index}`;
}

/** False: nobody hands over there. */
export async function takeOver(server: Server, path: string): Promise<boolean> {
  try {
    await server.takeOver(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return false;
    throw error;
  }
}
