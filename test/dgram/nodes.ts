// Other Nodes to test with. They come from npm, once: node_modules/.cache outlives the test runs.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/child.js';

/** The path of a Node of that major version. */
export function nodeBinary(major: number): string {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  const prefix = join(root, 'node_modules/.cache/ksocket-nodes', `${major}`);
  const name = `node-${process.platform}-${process.arch}`;
  const binary = join(prefix, 'node_modules', name, 'bin/node');
  if (!existsSync(binary)) {
    const options = ['--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error'];
    execFileSync('npm', ['install', '--prefix', prefix, ...options, `${name}@${major}`], { stdio: 'pipe' });
  }
  return binary;
}
