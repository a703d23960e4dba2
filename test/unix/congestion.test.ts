// ksocket/unix-dgram where the peer has no room: who waits for it, and what that takes.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import unix, { type UnixDgramSocket } from 'ksocket/unix-dgram';
import { Child } from '../support/child.js';
import { LocalSockets } from '../support/local.js';
import { test } from '../support/test.js';
import { nextTurn, waitFor } from '../support/wait.js';

const openDescriptors = () => readdirSync('/proc/self/fd').length;

/** How often the process's I/O threads have slept. */
function threadWakeups(): number {
  const statuses = readdirSync('/proc/self/task').map((id) => readFileSync(`/proc/self/task/${id}/status`, 'utf8'));
  return statuses
    .filter((status) => status.startsWith('Name:\tksocket-io'))
    .reduce((sum, status) => sum + Number(/^voluntary_ctxt_switches:\t(\d+)/m.exec(status)?.[1]), 0);
}

/** Bound to that path, and read by nobody before `read()`. */
function receiverAt(path: string) {
  let count = 0;
  const slow = unix.createSocket('unix_dgram', () => count++);
  slow.bind(path);
  return { socket: slow, count: () => count };
}

function fill(sender: UnixDgramSocket): number {
  let congested = false;
  sender.once('congestion', () => {
    congested = true;
  });
  for (let sent = 0; ; sent++) {
    sender.send(Buffer.from(String(sent)));
    if (congested) return sent;
  }
}

/** What is sent while this turn of the loop lasts, and before the thread has looked, fills the receiver. */
async function congested(sockets: LocalSockets, name: string) {
  const path = sockets.path(name);
  const receiver = receiverAt(path);
  const sender = unix.createSocket('unix_dgram');
  sender.connect(path);
  return { receiver, sender, path, sent: fill(sender) };
}

test('each congestion ends with one writable, and nothing is lost or said twice', async () => {
  await using sockets = new LocalSockets();
  const { receiver, sender, sent } = await congested(sockets, 'a');
  let total = sent;
  let writable = 0;
  await new Promise<void>((resolve) => {
    sender.on('writable', () => {
      writable++;
      if (writable === 50) resolve();
      else total += fill(sender);
    });
  });
  await waitFor(() => receiver.count() === total);
  for (let i = 0; i < 5; i++) await nextTurn();
  assert.equal(writable, 50);
  sender.close();
  receiver.socket.close();
});

test('the event loop hears of room by itself, and the thread sleeps', async () => {
  await using sockets = new LocalSockets();
  const path = sockets.path('slow');
  const reading = [
    'import socket, sys',
    's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); print("ready", flush=True)',
    'while True: s.recv(100)',
  ].join('\n');
  await using python = new Child('python3', ['-c', reading, path]);
  await python.line(/ready/);
  const sender = unix.createSocket('unix_dgram');
  sender.connect(path);
  const before = threadWakeups();
  let writable = 0;
  await new Promise<void>((resolve) => {
    sender.on('writable', () => {
      if (++writable === 500) resolve();
      else fill(sender);
    });
    fill(sender);
  });
  const wakeups = threadWakeups() - before;
  sender.close();
  // Where the engine has no exclusive entries the loop takes no part.
  if (process.env.KSOCKET_ENGINE !== 'posix') assert.ok(wakeups < 100, `the thread has been woken ${wakeups} times`);
});

test('a socket that closes while it waits, or in its listener, leaves no descriptor open', async () => {
  await using sockets = new LocalSockets();
  let before = 0;
  for (let i = 0; i < 20; i++) {
    if (i === 2) before = openDescriptors(); // the first have made what the thread keeps
    const { receiver, sender } = await congested(sockets, `a${i}`);
    let calls = 0;
    const written = new Promise<void>((resolve) => {
      sender.on('writable', () => {
        calls++;
        sender.close();
        resolve();
      });
    });
    if (i % 2 === 0) sender.close();
    else await written;
    receiver.socket.close();
    for (let turns = 0; turns < 3; turns++) await nextTurn();
    assert.equal(calls, i % 2);
  }
  await waitFor(() => openDescriptors() <= before, 'all are closed'); // a few that were closing may be in `before`; of each kind there were nine more
});

test('a peer that goes is room: the next send says that it has gone', async () => {
  await using sockets = new LocalSockets();
  const { receiver, sender } = await congested(sockets, 'a');
  const writable = new Promise<void>((resolve) => sender.once('writable', resolve));
  receiver.socket.close();
  await writable;
  let code: number | undefined;
  sender.send(Buffer.from('x'), (error) => {
    code = error?.code;
  });
  assert.equal(code, -111);
  sender.close();
});
