// `ksocket serve --upgrade`: where one process hands over to the next.
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { takeOver as takeAllOver } from '../server/handing-over.js';
import type { ServerOptions } from '../server/options.js';
import type { Server } from '../server/server.js';

/** Undefined: it is not wanted. Without a path of its own it is one that the next process finds by the port. */
export function upgradePath(given: string | boolean | undefined, { port }: ServerOptions): string | undefined {
  if (given === undefined || given === false) return undefined;
  if (typeof given === 'string') return given;
  const directory = process.env.XDG_RUNTIME_DIR ?? (process.getuid?.() === 0 ? '/run' : tmpdir());
  return join(directory, port === undefined ? 'ksocket-serve.sock' : `ksocket-serve-${port}.sock`);
}

/** All servers, or none. False: nobody hands over there. */
export async function takeOver(servers: readonly Server[], path: string): Promise<boolean> {
  try {
    await takeAllOver(servers, path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return false;
    throw error;
  }
}
