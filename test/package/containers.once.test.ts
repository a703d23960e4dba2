// docs/containers.md lists every system call of the addon: its libc functions are held against the table.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/child.js';
import { test } from '../support/test.js';

/** Functions of libc that are called otherwise than the system calls they make. Of several, one a kind of machine. */
const CALLS: Record<string, string[]> = {
  eventfd: ['eventfd2'],
  fcntl64: ['fcntl'],
  fstat: ['newfstatat', 'fstat'],
  fstat64: ['newfstatat', 'fstat'],
  getifaddrs: ['socket', 'sendto', 'recvmsg'],
  getrlimit: ['prlimit64'],
  getrlimit64: ['prlimit64'],
  if_indextoname: ['ioctl'],
  if_nametoindex: ['ioctl'],
  isatty: ['ioctl'],
  lstat: ['newfstatat'],
  lstat64: ['newfstatat'],
  nanosleep: ['clock_nanosleep'],
  open64: ['openat'],
  pthread_getaffinity_np: ['sched_getaffinity'],
  pthread_setaffinity_np: ['sched_setaffinity'],
  pthread_setschedparam: ['sched_setscheduler'],
  recv: ['recvfrom'],
  send: ['sendto'],
  open: ['openat'],
  syscall: ['gettid', 'bpf', 'capget'],
};
/** Of memory, threads and the loader, as Node's own; and what calls no kernel. */
const NOT_LISTED =
  /^(_|napi_|node_api_|std|calloc$|free$|malloc$|mem(?!fd)|mmap|mprotect$|munmap$|str|sig|pthread_(?!setaffinity|getaffinity|setsched)|dl|freeifaddrs$|inet_|abort$|environ$|stderr$|f?printf$|v?snprintf$|fputs$|fwrite$|getpid$|atexit$)/;

/** What the addon takes from the system's C library. */
function functions(): string[] {
  const text = execFileSync('nm', ['-D', '--undefined-only', join(root, 'build/Release/ksocket.node')], {
    encoding: 'utf8',
  });
  const names = [...text.matchAll(/\b[UwV] (\w+)/g)].map(([, name]) => name);
  return names.filter((name) => !NOT_LISTED.test(name));
}

function listed(): Set<string> {
  const text = readFileSync(join(root, 'docs/containers.md'), 'utf8');
  const section = /^## seccomp$(.*?)^## /ms.exec(text)?.[1] ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| '));
  return new Set(rows.flatMap((row) => [...row.matchAll(/`(\w+)`/g)].map(([, name]) => name)));
}

test('the system calls of the addon are those that the page lists', () => {
  const found = functions();
  assert.ok(found.length > 20, found.join());
  const calls = new Set(found.flatMap((name) => CALLS[name] ?? [name]));
  // Of other machines, and of the engine `posix`, which are the same functions.
  const elsewhere = new Set(['epoll_pwait', 'ppoll', 'posix', 'fchmodat', 'renameat', 'linkat', 'unlinkat', 'getpid']);
  const page = [...listed()].filter((name) => !elsewhere.has(name));
  assert.deepEqual(page.sort(), [...calls].sort());
});
