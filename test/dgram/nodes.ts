// Other Nodes to test with. They come from npm, once: node_modules/.cache outlives the test runs.
import { execFileSync } from 'node:child_process';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/child.js';

/** The path of a Node of that major version. */
export function nodeBinary(major: number): string {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  const prefix = join(root, 'node_modules/.cache/ksocket-nodes', `${major}`);
  const name = `node-${process.platform}-${process.arch}`;
  const binary = join(prefix, 'node_modules', name, 'bin/node');
  if (!existsSync(binary)) install(prefix, `${name}@${major}`);
  return binary;
}

// Another test file may install it at the same time: what is there under its name is complete.
function install(prefix: string, wanted: string): void {
  const own = `${prefix}.${process.pid}`;
  const options = ['--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error'];
  try {
    execFileSync('npm', ['install', '--prefix', own, ...options, wanted], { stdio: 'pipe' });
    renameSync(own, prefix);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error; // rename(2): it was there first
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}
