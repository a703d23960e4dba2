// What runs on node:dgram's sockets, too (scripts/test-ts.mjs --engine dgram), and what only the addon can do.
import type { TestContext } from 'node:test';
import { test } from './test.js';

/** Are ksocket's sockets node:dgram's? */
export const onDgram = process.env.KSOCKET_BACKEND === 'dgram';

/** What a test needs that only the addon has; docs/backends.md says what each is without it. */
export type Need =
  | 'a thread of its own' // that receives while the event loop is stuck
  | 'kernel counters' // what the kernel has dropped
  | 'kernel features' // GRO, GSO, many datagrams a call, hop limits, a kernel that is made to fail
  | 'descriptors' // their numbers, copies of them, how many there may be
  | 'few allocations';

/** A test of what only the addon does: not one of those that the backend node:dgram has to pass. */
export function addonTest(_need: Need, name: string, body: (t: TestContext) => Promise<void> | void): void {
  if (!onDgram) test(name, body);
}

const [major, minor] = process.versions.node.split('.').map(Number);
/** Before Node 22.12 node:dgram has no SO_REUSEPORT. */
export const hasReusePort = !onDgram || major > 22 || (major === 22 && minor >= 12);
