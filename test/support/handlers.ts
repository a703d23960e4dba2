// Handlers in C, built as a user builds one.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after } from 'node:test';
import { root } from './child.js';

const folder = mkdtempSync(join(tmpdir(), 'ksocket-handler-'));
after(() => rmSync(folder, { recursive: true }));

/** The shared object of this source, which is there until the test file's end. */
export function buildHandler(source: string): string {
  const out = join(folder, `${basename(source, '.c')}.so`);
  const include = join(root, 'native/include');
  execFileSync('cc', ['-O2', '-Wall', '-Werror', '-shared', '-fPIC', '-I', include, '-o', out, join(root, source)]);
  return out;
}
