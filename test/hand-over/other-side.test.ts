// The other side of a hand-over ends or hangs at the moments that matter: other_side.py is that side.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Socket } from 'ksocket';
import { Child, root } from '../support/child.js';
import { bound, Inbox, Sockets } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

class OtherSide {
  readonly directory = mkdtempSync(join(tmpdir(), 'ksocket-'));
  readonly door = join(this.directory, 'door');
  readonly #all: Child[] = [];

  start(side: 'giver' | 'taker', point: string): Child {
    const child = new Child('python3', [join(root, 'test/support/other_side.py'), side, this.door, point]);
    this.#all.push(child);
    return child;
  }

  async isOffered(): Promise<void> {
    await waitFor(() => statSync(this.door, { throwIfNoEntry: false }) !== undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#all) await child[Symbol.asyncDispose]();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function receives(sockets: Sockets, socket: Socket): Promise<void> {
  const inbox = new Inbox(socket);
  sockets.makePeer().send('x', socket.address().port, '127.0.0.1');
  await inbox.take(1);
}

for (const point of ['state', 'prepare', 'go']) {
  test(`a giver that ends once it has said ${point}: the taker has the socket`, async () => {
    await using sockets = new Sockets();
    await using other = new OtherSide();
    const giver = other.start('giver', point);
    const [, port] = await giver.line(/^port (\d+)$/);
    const taker = sockets.make();
    await taker.takeOver(other.door);
    assert.equal(taker.address().port, Number(port));
    await receives(sockets, taker);
  });
}

test('a giver that has gone on before the taker began: the taker has nothing', async () => {
  await using sockets = new Sockets();
  await using other = new OtherSide();
  await other.start('giver', 'withdrawn').line(/^port/);
  const taker = sockets.make();
  await assert.rejects(taker.takeOver(other.door), { code: 'ETIMEDOUT' });
  await bound(taker);
});

test('a taker that has decided that it is its, and says so to nobody: the giver has ended', async () => {
  await using sockets = new Sockets();
  await using other = new OtherSide();
  const socket = sockets.make();
  await bound(socket);
  const given = socket.handOver(other.door);
  await other.isOffered();
  other.start('taker', 'hangs');
  await given;
  assert.throws(() => socket.address(), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' });
});

for (const point of ['silent', 'dies']) {
  test(`a taker that is ready and ${point === 'dies' ? 'dies before it begins' : 'then silent'}: the giver goes on`, async () => {
    await using sockets = new Sockets();
    await using other = new OtherSide();
    const socket = sockets.make();
    await bound(socket);
    const given = socket.handOver(other.door);
    await other.isOffered();
    await other.start('taker', point).line(/^go$/);
    await other.isOffered(); // to the next
    await receives(sockets, socket);
    const next = sockets.make();
    await next.takeOver(other.door);
    await given;
    await receives(sockets, next);
  });
}

const descriptors = () => readdirSync('/proc/self/fd').length;

test('a giver that has something else than a socket', async () => {
  await using sockets = new Sockets();
  await using other = new OtherSide();
  await other.start('giver', 'pipe').line(/^port/);
  await assert.rejects(sockets.make().takeOver(other.door), { code: 'ERR_INVALID_FD_TYPE' });
});

test('a giver that says udp4 of a socket of IPv6', async () => {
  await using sockets = new Sockets();
  await using other = new OtherSide();
  await other.start('giver', 'forged').line(/^port/);
  const taker = sockets.make();
  await assert.rejects(taker.takeOver(other.door), {
    code: 'ERR_INVALID_STATE',
    message: /a udp6 socket over, not udp4/,
  });
  await bound(taker); // it is as it was
});

/** The door is shut for a moment while the giver waits for a taker that is gone. */
async function takenOver(socket: Socket, door: string): Promise<void> {
  for (let i = 0; ; i++) {
    try {
      await socket.takeOver(door);
      return;
    } catch (error) {
      if (i === 100 || !/ENOENT|ECONNRESET|ECONNREFUSED/.test((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('descriptors that a taker sends are closed', async () => {
  await using sockets = new Sockets();
  await using other = new OtherSide();
  const socket = sockets.make();
  await bound(socket);
  const given = socket.handOver(other.door);
  await other.isOffered();
  const before = descriptors();
  const taker = other.start('taker', 'descriptors');
  assert.equal((await taker.end()).code, 0);
  await waitFor(() => descriptors() < before + 100);
  await takenOver(sockets.make(), other.door);
  await given;
  assert.ok(descriptors() < before + 100);
});

test('a taker that says nothing does not hold a server up that is to stop', async () => {
  await using other = new OtherSide();
  const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
  await server.start();
  const refused = assert.rejects(server.handOver(other.door), { code: 'ERR_INVALID_STATE' });
  await other.isOffered();
  await other.start('taker', 'mute').line(/^mute$/);
  const asked = performance.now();
  await server.stop();
  assert.ok(performance.now() - asked < 5_000, 'it waits ten seconds for the taker');
  await refused;
});
