// A server that answers on several threads: each datagram once, by the same rules, with counts and limits of all.
import assert from 'node:assert/strict';
import type dgram from 'node:dgram';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer, type Server, type ServerOptions } from 'ksocket';
import { createMonitor } from 'ksocket/monitor';
import { Child, root } from '../support/child.js';
import { bound, Inbox, Sockets, sent, unusedPort } from '../support/peer.js';
import { heldAtRest, ioThreadCount, untilHeldIs } from '../support/process.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

async function started(sockets: Sockets, options: ServerOptions): Promise<[Server, number]> {
  const server = createServer({ address: '127.0.0.1', port: 0, ...options });
  await server.start();
  sockets.onEnd(() => server.stop());
  return [server, server.address()?.port ?? 0];
}

async function clients(sockets: Sockets, count: number): Promise<[dgram.Socket, Inbox][]> {
  const made = Array.from({ length: count }, () => sockets.makePeer());
  await Promise.all(made.map((one) => bound(one)));
  return made.map((one) => [one, new Inbox(one)]);
}

test('clients of all shards are answered, each once; stats() is of all, shardStats() of each', async () => {
  const before = await heldAtRest();
  {
    await using sockets = new Sockets();
    const [server, port] = await started(sockets, { reply: 'echo', shards: 3 });
    await waitFor(() => ioThreadCount() === 3, 'three threads');
    const all = await clients(sockets, 96);
    for (const [i, [client]] of all.entries()) for (let n = 0; n < 3; n++) client.send(`${i}.${n}`, port, '127.0.0.1');
    await Promise.all(all.map(([, inbox]) => inbox.take(3)));
    await sleep(20);
    for (const [i, [, inbox]] of all.entries()) {
      assert.deepEqual(inbox.texts, [`${i}.0`, `${i}.1`, `${i}.2`]);
      assert.ok(inbox.all.every(({ rinfo }) => rinfo.port === port));
    }
    const each = server.shardStats().map(({ rxDatagrams }) => rxDatagrams);
    assert.equal(each.length, 3);
    assert.ok(
      each.every((count) => count > 0),
      `${each}`,
    );
    assert.deepEqual([server.stats().rxDatagrams, server.stats().txDatagrams], [288, 288]);
    await server.stop();
    assert.deepEqual(
      server.shardStats().map(({ rxDatagrams }) => rxDatagrams),
      each,
      'also when it has stopped',
    );
    await server.start();
    assert.deepEqual(
      server.shardStats().map(({ rxDatagrams }) => rxDatagrams),
      [0, 0, 0],
    );
  }
  await untilHeldIs(before);
});

test('rules and update() are every shard’s, hits are counted together, and deliver reaches one listener', async () => {
  await using sockets = new Sockets();
  const rules = (reply: string) => [
    { name: 'ask', match: { prefix: 'ask' }, action: { reply } },
    { name: 'tell', match: { prefix: 'tell' }, action: 'deliver' as const },
  ];
  const [server, port] = await started(sockets, { rules: rules('a'), shards: 4 });
  const told: string[] = [];
  server.on('datagram', (data) => told.push(`${data}`));
  const all = await clients(sockets, 48);
  for (const [client] of all) {
    client.send('ask', port, '127.0.0.1');
    client.send('tell', port, '127.0.0.1');
  }
  await Promise.all(all.map(([, inbox]) => inbox.take(1)));
  await waitFor(() => told.length === 48, 'what is delivered');
  assert.deepEqual(server.ruleHits(), { ask: 48, tell: 48 });
  await server.update(rules('b'));
  for (const [client] of all) client.send('ask', port, '127.0.0.1');
  await Promise.all(all.map(([, inbox]) => inbox.take(2)));
  for (const [, inbox] of all) assert.deepEqual(inbox.texts, ['a', 'b']);
  assert.deepEqual(server.ruleHits(), { ask: 96, tell: 48 });
  const own = { forward: { targets: [{ address: '127.0.0.1', port }] } };
  await assert.rejects(server.update([{ name: 'own', match: {}, action: own }] as never), {
    code: 'ERR_INVALID_ARG_VALUE',
  });
  for (const [client] of all) client.send('ask', port, '127.0.0.1');
  await Promise.all(all.map(([, inbox]) => inbox.take(3)));
});

test('perSource is of an address, in whatever shards its ports would be', async () => {
  await using sockets = new Sockets();
  const limits = { perSource: { rate: 1, burst: 10 } };
  const [server, port] = await started(sockets, { reply: 'echo', shards: 4, limits });
  const all = await clients(sockets, 32);
  for (const [client] of all) await sent(client, 'x', port);
  await waitFor(() => server.stats().rxDatagrams === 32, 'all');
  assert.ok(server.shardStats().filter(({ rxDatagrams }) => rxDatagrams > 0).length === 1, 'one address, one shard');
  const { limited } = server.stats().answering;
  assert.ok(limited >= 20 && limited <= 22, `${limited}`);
});

test('total is divided among the shards', async () => {
  await using sockets = new Sockets();
  const steering = { offset: 0, length: 1, by: 'index' } as const;
  const [server, port] = await started(sockets, {
    reply: 'echo',
    shards: 3,
    steering,
    limits: { total: { rate: 1, burst: 31 } },
  });
  const [[client]] = await clients(sockets, 1);
  for (let i = 0; i < 150; i++) await sent(client, Buffer.from([i % 3]), port);
  await waitFor(() => server.stats().rxDatagrams === 150, 'all');
  // Answers are counted behind what they answer.
  await waitFor(() => server.stats().txDatagrams + server.stats().answering.limitedTotal === 150, 'answers');
  const passed = server.shardStats().map(({ txDatagrams }) => txDatagrams);
  const expected = [11, 10, 10];
  for (const [i, count] of passed.entries()) {
    assert.ok(count >= expected[i] && count <= expected[i] + 3, `${passed}`); // a token or two come meanwhile
  }
});

test('a broadcast is answered once, also with lists for the kernel’s filter', async () => {
  await using sockets = new Sockets();
  for (const protection of [{}, { deny: ['192.0.2.0/24'] }, { allow: ['127.0.0.0/8'] }]) {
    const [server, port] = await started(sockets, { address: '0.0.0.0', reply: 'echo', shards: 4, ...protection });
    const [[client, inbox]] = await clients(sockets, 1);
    client.setBroadcast(true);
    client.send('anybody', port, '127.255.255.255');
    await inbox.take(1);
    await sleep(50);
    assert.deepEqual(inbox.texts, ['anybody']);
    assert.deepEqual(
      server.shardStats().map(({ txDatagrams }) => txDatagrams),
      [1, 0, 0, 0],
    );
    const denied = sockets.makePeer();
    await bound(denied);
    await sent(denied, 'x', port);
    await server.stop();
  }
});

test('deny holds in every shard', async () => {
  await using sockets = new Sockets();
  const steering = { offset: 0, length: 1, by: 'index' } as const;
  const options = { address: '0.0.0.0', reply: 'echo', shards: 3, steering, deny: ['127.0.0.2'] };
  const [server, port] = await started(sockets, options);
  const [bad, good] = [sockets.makePeer(), sockets.makePeer()];
  await Promise.all([bound(bad, '127.0.0.2'), bound(good)]);
  const [badInbox, goodInbox] = [new Inbox(bad), new Inbox(good)];
  for (let shard = 0; shard < 3; shard++) {
    await sent(bad, Buffer.from([shard]), port);
    await sent(good, Buffer.from([shard]), port);
  }
  await goodInbox.take(3);
  await sleep(20);
  assert.equal(badInbox.all.length, 0);
  const { rxKernelDrops, answering } = server.stats();
  assert.equal(rxKernelDrops + answering.denied, 3);
});

test('a start that fails leaves nothing open; what is refused is said before', async () => {
  const before = await heldAtRest();
  await using sockets = new Sockets();
  const taken = sockets.make({ type: 'udp4', reusePort: true });
  const port = await bound(taken);
  const server = createServer({ address: '127.0.0.1', port, reply: 'echo', shards: 4 });
  await assert.rejects(server.start(), { code: 'EADDRINUSE', syscall: 'bind', port });
  assert.equal(server.running, false);
  await new Promise<void>((resolve) => taken.close(resolve));
  await server.start();
  await server.stop();
  await untilHeldIs(before);
  for (const shards of [0, 65, 1.5]) assert.throws(() => createServer({ shards }), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => createServer({ steering: 'cpu' }), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => createServer({ shards: 2, steering: 'port' as never }), { code: 'ERR_INVALID_ARG_VALUE' });
});

test('the server of docs/shards.md answers everybody, on all cores', async () => {
  await using sockets = new Sockets();
  const page = readFileSync(join(root, 'docs/shards.md'), 'utf8');
  const code = [...page.matchAll(/^```js\n(.*?)^```$/gms)].map(([, block]) => block)[1];
  const port = await unusedPort();
  const program = `${code.replace('9999', `${port}`)}
    process.on('SIGTERM', () => server.stop());
    console.log('listens');`;
  await using child = new Child(process.execPath, ['--input-type=module', '-e', program]);
  await child.line(/^listens$/);
  const cores = Math.min(availableParallelism(), 64);
  await waitFor(() => ioThreadCount(child.pid) === cores, `${cores} threads`);
  const all = await clients(sockets, 128);
  // As many as one shard's receive buffer holds, whatever becomes of the division.
  for (let n = 0; n < 4; n++) {
    for (const [i, [client]] of all.entries()) client.send(`${i}.${n}`, port, '127.0.0.1');
    await Promise.all(all.map(([, inbox]) => inbox.take(n + 1)));
  }
  for (const [i, [, inbox]] of all.entries()) {
    assert.deepEqual(
      inbox.texts,
      [0, 1, 2, 3].map((n) => `${i}.${n}`),
    );
  }
  child.kill('SIGTERM');
  const { code: status, stdout, stderr } = await child.end();
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(stdout, /^\[[\s0,]+\]\nlistens\n$/);
});

test('the monitor sees all shards as one server', async () => {
  await using sockets = new Sockets();
  const [server, port] = await started(sockets, { reply: 'echo', shards: 3 });
  const monitor = createMonitor({ servers: [server], port: 0 });
  await monitor.start();
  sockets.onEnd(() => monitor.stop());
  const all = await clients(sockets, 48);
  for (const [client] of all) client.send('x', port, '127.0.0.1');
  await Promise.all(all.map(([, inbox]) => inbox.take(1)));
  const read = async () => (await fetch(`http://127.0.0.1:${monitor.address()?.port}/metrics`)).text();
  const text = await read();
  const value = (name: string) => Number(new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, 'm').exec(text)?.[1]);
  assert.equal(value('ksocket_received_datagrams_total'), 48);
  assert.equal(value('ksocket_server_up'), 1);
  assert.equal(value('ksocket_receive_latency_seconds_count'), 48);
});
