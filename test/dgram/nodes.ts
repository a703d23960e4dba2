// Other Nodes to test with.
import { join } from 'node:path';
import { fromNpm } from '../support/npm.js';

/** The path of a Node of that major version. */
export function nodeBinary(major: number): string {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  return join(fromNpm(`${name}@${major}`), 'node_modules', name, 'bin/node');
}
