import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

/** A path for a local socket, which is gone when the program has ended. */
export function placeForSocket() {
  const path = join(tmpdir(), `ksocket-bench-${process.pid}`);
  process.on('exit', () => rmSync(path, { force: true }));
  return path;
}
