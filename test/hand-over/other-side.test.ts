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

/** Ten seconds is what a taker that says nothing has. */
const AT_ONCE_MS = 5_000;

for (const silent of ['mute', 'deaf']) {
  const says = silent === 'mute' ? 'says nothing' : 'takes nothing';

  test(`a taker that ${says} does not hold a server up that is to stop`, async () => {
    await using other = new OtherSide();
    const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
    await server.start();
    const refused = assert.rejects(server.handOver(other.door), { code: 'ERR_INVALID_STATE' });
    await other.isOffered();
    await other.start('taker', silent).line(/^(mute|deaf)$/);
    const asked = performance.now();
    await server.stop();
    assert.ok(performance.now() - asked < AT_ONCE_MS);
    await refused;
  });

  test(`a taker that ${says} does not hold changes up, which the next one gets`, async () => {
    await using sockets = new Sockets();
    await using other = new OtherSide();
    const server = createServer({
      ...{ address: '127.0.0.1', port: 0, shards: 1 },
      rules: [{ name: 'all', action: { reply: ['old'] } }],
      limits: { total: { rate: 1, burst: 1 } },
    });
    await server.start();
    const given = server.handOver(other.door);
    for (const change of [
      () => server.update([{ name: 'all', action: { reply: ['new'] } }]),
      () => server.protect({}),
      () => server.setShards(2),
    ]) {
      await other.isOffered();
      const taker = other.start('taker', silent);
      await taker.line(/^(mute|deaf)$/);
      const asked = performance.now();
      await change();
      assert.ok(performance.now() - asked < AT_ONCE_MS);
      await taker[Symbol.asyncDispose](); // the change may have come before it was heard: then it is waited for
    }
    const next = createServer();
    sockets.onEnd(() => next.stop());
    await next.takeOver(other.door);
    await given;
    assert.equal(next.shardStats().length, 2);
    const client = sockets.makePeer();
    const inbox = new Inbox(client);
    for (let i = 0; i < 10; i++) client.send('xxx', next.address()?.port as number, '127.0.0.1');
    await inbox.take(10); // without a limit
    assert.deepEqual(new Set(inbox.texts), new Set(['new']));
  });

  test(`a taker that ${says} does not hold a socket up that is to have other shards`, async () => {
    await using sockets = new Sockets();
    await using other = new OtherSide();
    const socket = sockets.make({ type: 'udp4', shards: 1 });
    await bound(socket);
    const given = socket.handOver(other.door);
    await other.isOffered();
    const taker = other.start('taker', silent);
    await taker.line(/^(mute|deaf)$/);
    const asked = performance.now();
    await socket.setShards(2);
    assert.ok(performance.now() - asked < AT_ONCE_MS);
    await taker[Symbol.asyncDispose]();
    const next = sockets.make({ type: 'udp4', shards: 1 });
    await next.takeOver(other.door);
    await given;
    assert.equal(next.shard(1).index, 1);
  });
}

test('changes while a taker takes over: it has the last one, and does not notice', async () => {
  await using sockets = new Sockets();
  await using other = new OtherSide();
  const ruleOf = (version: number) => [{ name: 'all', action: { reply: [`${version}`] } }];
  const server = createServer({ address: '127.0.0.1', port: 0, rules: ruleOf(0) });
  await server.start();
  const given = server.handOver(other.door);
  await other.isOffered();
  const next = createServer();
  sockets.onEnd(() => next.stop());
  let withdrawn = 0;
  const taken = next.takeOver(other.door);
  for (let version = 1; version <= 20; version++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (!server.running) break;
    await server.update(ruleOf(version));
    withdrawn = version;
  }
  assert.ok(withdrawn > 0);
  await taken;
  await given;
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  client.send('xxx', next.address()?.port as number, '127.0.0.1');
  await inbox.take(1);
  assert.equal(inbox.texts[0], `${withdrawn}`);
});
