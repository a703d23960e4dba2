// Packages from npm that tests run beside ksocket. node_modules/.cache outlives the test runs.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from './child.js';

/** The directory that has these in its node_modules, `name@version` each. No script of theirs runs. */
export function fromNpm(...wanted: string[]): string {
  const name = wanted.join('+').replaceAll(/[^\w.+-]/g, '_');
  const prefix = join(root, 'node_modules/.cache/ksocket-tests', name);
  if (!existsSync(prefix)) install(prefix, wanted);
  return prefix;
}

// Another test file may install it at the same time: what is there under its name is complete.
function install(prefix: string, wanted: string[]): void {
  const own = `${prefix}.${process.pid}`;
  const options = ['--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  try {
    mkdirSync(own, { recursive: true });
    execFileSync('npm', ['install', '--prefix', own, ...options, ...wanted], { cwd: dirname(own), stdio: 'pipe' });
    renameSync(own, prefix);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error; // rename(2): it was there first
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}
