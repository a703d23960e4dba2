// What the kernel drops because nobody reads as fast: each datagram is counted by one of the two processes of a hand-over.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Socket } from 'ksocket';
import { Child } from '../support/child.js';
import { bound, Sockets } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const FLOOD = 150_000;

const flooder = `
import socket, sys
to = ('127.0.0.1', int(sys.argv[1]))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(${FLOOD}):
    s.sendto(b'x', to)
print('sent', flush=True)
`;

class Door implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'ksocket-'));
  readonly path = join(this.directory, 'door');
  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Resolves when none of these numbers has changed for a while. */
async function settled(read: () => number): Promise<number> {
  let before = -1;
  await waitFor(async () => {
    const now = read();
    const same = now === before;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 200));
    return same;
  });
  return before;
}

async function knockUntilTaken(take: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await take();
    } catch (error) {
      if (!/ENOENT|ECONNREFUSED/.test((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
}

test('sockets under a flood that is too much for them', async () => {
  using door = new Door();
  await using sockets = new Sockets();
  const all: Socket[] = [];
  let received = 0;
  const make = () => {
    const socket = sockets.make({ type: 'udp4', recvBufferSize: 4096, thread: 'dedicated', ringBytes: 256 * 1024 });
    socket.on('message', () => {
      received++;
      for (const end = performance.now() + 0.02; performance.now() < end; );
    });
    all.push(socket);
    return socket;
  };
  let latest = make();
  const port = await bound(latest);
  await using child = new Child('python3', ['-c', flooder, String(port)]);
  const sent = child.line(/^sent$/);
  let isSent = false;
  void sent.then(() => {
    isSent = true;
  });
  const counts: number[] = [];
  while (!isSent) {
    const next = make();
    const from = latest;
    const given = from.handOver(door.path);
    await knockUntilTaken(() => next.takeOver(door.path));
    await given;
    counts.push(from.stats().rxKernelDrops);
    latest = next;
  }
  assert.ok(counts.filter((count) => count > 0).length > 1, 'drops on both sides of a hand-over');
  const lost = () => all.reduce((sum, socket) => sum + socket.stats().rxKernelDrops, 0);
  assert.equal(await settled(() => received + lost()), FLOOD);
});
