// What the processes of a cluster go through, as test/dgram/programs/cluster-ends.ts tells it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Child, type ChildOptions, root } from '../support/child.js';
import { boundHandle } from './handles.js';
import { nodeBinary } from './nodes.js';

export const programs = join(root, 'build-test/dgram/programs');

/** What each process of the program wrote, by the words before it. */
export async function traces(
  node: number,
  flags: string[],
  args: string[] = [],
  env: ChildOptions['env'] = {},
): Promise<Record<string, string[]>> {
  const handle = boundHandle('udp4');
  try {
    await using child = new Child(nodeBinary(node), [...flags, join(programs, 'cluster-ends.js'), ...args], {
      fds: [handle.fd],
      env,
    });
    const { stdout, ...end } = await child.end();
    assert.deepEqual(end, { code: 0, signal: null, stderr: '' }, stdout);
    const found: Record<string, string[]> = {};
    for (const line of child.lines) {
      const [name, process, ...words] = line.split(': ');
      const key = `${name}: ${process}`;
      found[key] ??= [];
      found[key].push(words.join(': '));
    }
    for (const lines of Object.values(found)) sortEnd(lines);
    return found;
  } finally {
    handle.close();
  }
}

// Of a worker that is gone a primary hears twice, from the kernel (SIGCHLD) and by the end of the channel, in any order.
function sortEnd(lines: string[]): void {
  const at = lines.indexOf('disconnect');
  if (at < 1 || !lines[at - 1].startsWith('exit ')) return;
  [lines[at - 1], lines[at]] = [lines[at], lines[at - 1]];
}
