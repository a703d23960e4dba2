// The engines that tests run on: mmsg, posix, and dgram, which is node:dgram's sockets in the addon's place. Which tests run on which, and
// how they are told.

/** What runs on the engine `dgram`. In these files addonTest() (test/support/backend.ts) marks what only the addon can do. */
const ON_DGRAM = [
  'backend/',
  'cli/info',
  'collect/collector',
  'cli/serve',
  'monitor/cli',
  'monitor/endpoints',
  'server/',
  'socket/',
];

/** But for these, which are about that and nothing else. */
const NOT_ON_DGRAM = [
  'server/blocked-loop', // a thread that answers while the event loop is stuck
  'server/descriptors', // how many a process may have
  'server/handler', // a shared object
  'server/inherited', // copies of descriptors
  'server/kernel-rules', // what the kernel says beside a datagram
  'server/no-wait', // fuller batches, for which the thread waits
  'socket/accounting', // what the kernel has dropped
  'socket/adopt-live', // copies of descriptors
  'socket/busy-poll',
  'socket/limits', // the thread's
  'socket/lone-datagrams', // the short way out of native code
  'socket/path-mtu',
  'socket/raw-options',
  'socket/receive-buffer', // how long a stuck loop leaves datagrams there
  'socket/refusals', // a kernel that is made to refuse
  'server/set-shards',
  'server/shards',
  'socket/shards',
  'socket/steering', // of shards
  'socket/schedule', // where and when a thread runs
  'socket/settings.test', // what only the addon can have the kernel set
  'socket/sharing', // of the loop with the thread
  'socket/super-datagrams', // GRO
  'socket/wire', // what the kernel says beside a datagram, and is told
];

/** @param {string} file a compiled test, from build-test/ on */
export function runsOn(engine, file) {
  if (engine !== 'dgram') return true;
  if (file.endsWith('.once.test.js')) return false;
  return ON_DGRAM.some((part) => file.startsWith(part)) && !NOT_ON_DGRAM.some((part) => file.startsWith(part));
}

/** The variable that names the engine, and the other one, which must not be there. */
export function variablesOf(engine) {
  return engine === 'dgram'
    ? { variable: 'KSOCKET_BACKEND', other: 'KSOCKET_ENGINE' }
    : { variable: 'KSOCKET_ENGINE', other: 'KSOCKET_BACKEND' };
}
