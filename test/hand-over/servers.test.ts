// A server goes from one process to another, with what its rules have counted and its flows.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Rule, type Server, type ServerOptions, slot } from 'ksocket';
import { runProgram } from '../support/child.js';
import { bound, Inbox, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

/** Servers that stop, and a path. */
class Servers {
  readonly directory = mkdtempSync(join(tmpdir(), 'ksocket-'));
  readonly door = join(this.directory, 'door');
  readonly #all: Server[] = [];

  make(options: ServerOptions = {}): Server {
    const server = createServer(options);
    this.#all.push(server);
    return server;
  }

  /** What the other one has, the new one has when this resolves. */
  async pass(from: Server, to: Server): Promise<void> {
    const given = from.handOver(this.door);
    await waitFor(() => statSync(this.door, { throwIfNoEntry: false }) !== undefined);
    await to.takeOver(this.door);
    await given;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#all) await server.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

const here = { address: '127.0.0.1', port: 0 };

async function ask(sockets: Sockets, server: Server, question: string): Promise<string> {
  const client = sockets.make();
  const inbox = new Inbox(client);
  await sent(client, question, server.address()?.port as number);
  const [{ data }] = await inbox.take(1);
  return data.toString();
}

test('a server with rules: they come along, with what they have counted', async () => {
  await using sockets = new Sockets();
  await using servers = new Servers();
  const rules: Rule[] = [
    { name: 'count', match: { prefix: 'n' }, action: { reply: ['#', slot.counter(1)] } },
    { name: 'rest', action: 'echo' },
  ];
  const first = servers.make({ ...here, rules });
  await first.start();
  const port = first.address()?.port;
  const one = await ask(sockets, first, 'nnn');
  const events: string[] = [];
  first.on('close', () => events.push('close'));
  const second = servers.make();
  second.on('listening', () => events.push('listening'));
  await servers.pass(first, second);
  assert.deepEqual(events.sort(), ['close', 'listening']);
  assert.equal(first.running, false);
  assert.equal(second.address()?.port, port);
  assert.deepEqual(second.ruleHits(), { count: 1, rest: 0 });
  const two = await ask(sockets, second, 'nnn');
  assert.equal(two.charCodeAt(1), one.charCodeAt(1) + 1, 'the counter goes on');
  assert.equal(await ask(sockets, second, 'other'), 'other');
  assert.deepEqual(second.ruleHits(), { count: 2, rest: 1 });
  // And from there to a third one.
  const third = servers.make();
  await servers.pass(second, third);
  assert.deepEqual(third.ruleHits(), { count: 2, rest: 1 });
  await third.update([{ name: 'rest', action: { reply: ['new'] } }]);
  assert.equal(await ask(sockets, third, 'nnn'), 'new');
});

test('a server that has rules of its own goes on with these, and counts on by their names', async () => {
  await using sockets = new Sockets();
  await using servers = new Servers();
  const first = servers.make({ ...here, rules: [{ name: 'a', action: 'echo' }] });
  await first.start();
  await ask(sockets, first, 'x');
  const second = servers.make({
    rules: [
      { name: 'b', match: { exact: 'y' }, action: { reply: ['Y'] } },
      { name: 'a', action: 'echo' },
    ],
  });
  await servers.pass(first, second);
  assert.deepEqual(second.ruleHits(), { a: 1, b: 0 });
  assert.equal(await ask(sockets, second, 'y'), 'Y');
});

for (const [what, options, answer] of [
  ['a reply', { reply: 'pong', replyTo: 'source' }, 'pong'],
  ['an echo', { reply: 'echo' }, 'ping'],
] as [string, ServerOptions, string][]) {
  test(`a server that answers with ${what}`, async () => {
    await using sockets = new Sockets();
    await using servers = new Servers();
    const first = servers.make({ ...here, ...options });
    await first.start();
    const second = servers.make();
    await servers.pass(first, second);
    assert.equal(await ask(sockets, second, 'ping'), answer);
  });
}

test('lists and limits come along, unless the new one has its own', async () => {
  await using sockets = new Sockets();
  await using servers = new Servers();
  const first = servers.make({ ...here, reply: 'echo', limits: { total: { rate: 1, burst: 1 } } });
  await first.start();
  const second = servers.make();
  await servers.pass(first, second);
  await ask(sockets, second, 'x');
  const port = second.address()?.port as number;
  await sent(sockets.make(), 'y', port);
  await waitFor(() => second.stats().answering.limitedTotal === 1);
  await second.protect({});
  const third = servers.make({ deny: ['127.0.0.1'] });
  await servers.pass(second, third);
  await sent(sockets.make(), 'z', port);
  await waitFor(() => third.stats().answering.denied + third.stats().rxKernelDrops > 0);
});

test('lists of one that does not begin are nobody’s', async () => {
  await using sockets = new Sockets();
  await using servers = new Servers();
  const backEnd = sockets.make();
  const to = { address: '127.0.0.1', port: await bound(backEnd) };
  const rules: Rule[] = [
    { name: 'far', match: { exact: 'far' }, action: { forward: to } },
    { name: 'near', action: 'echo' },
  ];
  const first = servers.make({ ...here, rules });
  await first.start();
  const FLOWS = 300;
  for (let i = 0; i < FLOWS; i++) await sent(sockets.make(), 'far', first.address()?.port as number);
  await waitFor(() => first.stats().answering.flowsOpened === FLOWS);
  const given = first.handOver(servers.door);
  await waitFor(() => statSync(servers.door, { throwIfNoEntry: false }) !== undefined);
  const { stdout } = await runProgram(
    async (door: string) => {
      const { createServer } = await import('ksocket');
      await createServer({ deny: ['127.0.0.1'] })
        .takeOver(door)
        .catch((error) => console.log(error.code));
    },
    [servers.door],
    { under: ['bash', '-c', 'ulimit -n 200; exec "$0" "$@"'] }, // too few for the flows
  );
  assert.equal(stdout, 'EMFILE\n');
  assert.equal(await ask(sockets, first, 'x'), 'x');
  await first.stop();
  await assert.rejects(given);
});

test('flows go on: no client gets another socket to its back end, and late answers come back', async () => {
  const CLIENTS = 700; // more descriptors than one message carries
  await using sockets = new Sockets();
  await using servers = new Servers();
  const backEnd = sockets.make();
  const seen = new Map<string, Set<number>>(); // of each client, the ports of its flows
  const waiting: (() => void)[] = [];
  backEnd.on('message', (msg, { port, address }) => {
    const [client, action] = msg.toString().split(' ');
    seen.set(client, (seen.get(client) ?? new Set()).add(port));
    if (action === 'later') waiting.push(() => backEnd.send(`late ${client}`, port, address));
    else backEnd.send(`answer ${client}`, port, address);
  });
  const to = { address: '127.0.0.1', port: await bound(backEnd) };
  const rules: Rule[] = [{ name: 'all', action: { forward: to } }];
  const first = servers.make({ ...here, rules });
  await first.start();
  const port = first.address()?.port as number;
  const clients = Array.from({ length: CLIENTS }, () => {
    const socket = sockets.make();
    return { socket, inbox: new Inbox(socket) };
  });
  let rounds = 0;
  const askAll = async () => {
    rounds++;
    for (const [i, { socket }] of clients.entries()) {
      socket.send(`${i} now`, port, '127.0.0.1');
      if (i % 50 === 49) await waitFor(() => clients[i].inbox.all.length >= rounds);
    }
    await waitFor(() => clients.every(({ inbox }) => inbox.all.length === rounds));
  };
  await askAll();
  assert.equal(first.stats().answering.flowsOpened, CLIENTS);
  clients[3].socket.send('3 later', port, '127.0.0.1');
  await waitFor(() => waiting.length === 1);
  const second = servers.make();
  await servers.pass(first, second);
  waiting[0]();
  await waitFor(() => clients[3].inbox.texts.includes('late 3'));
  clients[3].inbox.all.pop();
  await askAll();
  const third = servers.make({ rules }); // the same, given again
  await servers.pass(second, third);
  await askAll();
  assert.equal(seen.size, CLIENTS);
  const moved = [...seen].filter(([, ports]) => ports.size !== 1);
  assert.deepEqual(moved, []);
  // Other back ends are other flows.
  const other = sockets.make();
  new Inbox(other);
  const fourth = servers.make({
    rules: [{ name: 'all', action: { forward: { address: '127.0.0.1', port: await bound(other) } } }],
  });
  await servers.pass(third, fourth);
  assert.equal(fourth.stats().answering.flowsOpened, 0);
});

test('a server with shards has as many there', async () => {
  await using sockets = new Sockets();
  await using servers = new Servers();
  const first = servers.make({ ...here, rules: [{ name: 'e', action: 'echo' }], shards: 3 });
  await first.start();
  for (let i = 0; i < 30; i++) await ask(sockets, first, `${i}`);
  const second = servers.make({ shards: 2 });
  await servers.pass(first, second);
  assert.equal(second.shardStats().length, 3);
  assert.equal(second.ruleHits().e, 30);
  for (let i = 0; i < 30; i++) assert.equal(await ask(sockets, second, `${i}`), `${i}`);
});

test('what cannot be is said, and the server goes on', async () => {
  await using sockets = new Sockets();
  await using servers = new Servers();
  const server = servers.make({ ...here, reply: 'echo' });
  await assert.rejects(server.handOver(servers.door), { code: 'ERR_INVALID_STATE' });
  await assert.rejects(server.takeOver(servers.door), { code: 'ENOENT' });
  await server.start();
  await assert.rejects(server.takeOver(servers.door), { code: 'ERR_INVALID_STATE' });
  const given = server.handOver(servers.door);
  await assert.rejects(server.handOver(servers.door), { code: 'ERR_INVALID_STATE' });
  await waitFor(() => statSync(servers.door, { throwIfNoEntry: false }) !== undefined);
  const wrong = sockets.make();
  await assert.rejects(wrong.takeOver(servers.door), {
    code: 'ERR_INVALID_STATE',
    message: 'Invalid state: The other process hands a server over',
  });
  // One whose rules are refused there.
  const own = servers.make({
    rules: [{ action: { forward: { address: '127.0.0.1', port: server.address()?.port as number } } }],
  });
  await assert.rejects(own.takeOver(servers.door), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.equal(await ask(sockets, server, 'x'), 'x');
  await server.stop();
  await assert.rejects(given, { code: 'ERR_INVALID_STATE' });
});
