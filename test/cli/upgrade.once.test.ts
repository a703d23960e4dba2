// `ksocket serve --upgrade`: the same command again takes over.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listening } from '../support/activated.js';
import { type Child, runCli, startCli } from '../support/child.js';
import { bound, Inbox, Sockets, unusedPort } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

class Upgrades {
  readonly directory = mkdtempSync(join(tmpdir(), 'ksocket-'));
  readonly #children: Child[] = [];

  start(...args: string[]): Child {
    const child = startCli(['serve', '--address', '127.0.0.1', '--echo', '--quiet', ...args], {
      env: { XDG_RUNTIME_DIR: this.directory },
    });
    this.#children.push(child);
    return child;
  }

  /** Serves so many sockets that somebody else has opened; they are others each time. */
  startActivated(sockets: number, ...args: string[]): Child {
    const here = { type: 'udp4', address: '127.0.0.1' } as const;
    const child = startCli(['serve', '--quiet', ...args], { under: listening(...new Array(sockets).fill(here)) });
    this.#children.push(child);
    return child;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) await child[Symbol.asyncDispose]();
    rmSync(this.directory, { recursive: true });
  }
}

test('three times in a row under requests, with a monitor: each is answered', async () => {
  await using sockets = new Sockets();
  await using upgrades = new Upgrades();
  const port = await unusedPort();
  const monitorPort = await unusedPort();
  const args = ['--port', `${port}`, '--monitor', `${monitorPort}`, '--upgrade'];
  let running = upgrades.start(...args);
  await running.line(new RegExp(`^ksocket: listening on port ${port}$`));
  await running.line(/^ksocket: monitor on /);
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  let asked = 0;
  const asking = setInterval(() => client.send(`${asked++}`, port, '127.0.0.1'), 1);
  for (let i = 0; i < 3; i++) {
    await waitFor(() => existsSync(join(upgrades.directory, `ksocket-serve-${port}.sock`)));
    const next = upgrades.start(...args);
    await next.line(new RegExp(`^ksocket: took over port ${port}$`));
    const { code, stdout, stderr } = await running.end();
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^ksocket: handed over to the next process$/m);
    await next.line(/^ksocket: monitor on /);
    assert.equal((await fetch(`http://127.0.0.1:${monitorPort}/metrics`)).status, 200);
    running = next;
  }
  clearInterval(asking);
  await waitFor(() => inbox.all.length === asked);
  assert.deepEqual(
    inbox.texts.map(Number).sort((a, b) => a - b),
    Array.from({ length: asked }, (_, i) => i),
  );
  running.kill('SIGTERM');
  assert.equal((await running.end()).code, 0);
  assert.equal(existsSync(join(upgrades.directory, `ksocket-serve-${port}.sock`)), false);
});

function socketsAt(port: number): number {
  const name = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync('/proc/net/udp', 'utf8').split(name).length - 1;
}

test('there are as many shards as the new process is told, however many the old one had', async () => {
  await using sockets = new Sockets();
  await using upgrades = new Upgrades();
  const port = await unusedPort();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  let running = upgrades.start('--port', `${port}`, '--upgrade');
  await running.line(/^ksocket: listening on /);
  for (const shards of [3, 2, 1]) {
    await waitFor(() => existsSync(join(upgrades.directory, `ksocket-serve-${port}.sock`)));
    const next = upgrades.start('--port', `${port}`, '--upgrade', ...(shards === 1 ? [] : ['--shards', `${shards}`]));
    await next.line(new RegExp(`^ksocket: took over port ${port}$`));
    assert.equal((await running.end()).code, 0);
    assert.equal(socketsAt(port), shards);
    client.send(`${shards}`, port, '127.0.0.1');
    await inbox.take(inbox.all.length + 1);
    assert.equal(next.stderr, '');
    running = next;
  }
  assert.deepEqual(inbox.texts, ['3', '2', '1']);
});

test('a path of its own, and one that cannot be', async () => {
  await using upgrades = new Upgrades();
  const path = join(upgrades.directory, 'door');
  const one = upgrades.start('--port', '0', '--upgrade', path);
  const [, port] = await one.line(/^ksocket: listening on port (\d+)$/);
  await waitFor(() => existsSync(path));
  const other = upgrades.start('--port', '0', '--upgrade', path);
  await other.line(new RegExp(`^ksocket: took over port ${port}$`));
  assert.equal((await one.end()).code, 0);
  const refused = await runCli(['serve', '--port', '0', '--upgrade', `/${'x'.repeat(200)}`]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /ENAMETOOLONG/);
});

test('where nobody can come to take over it says so once, and serves on', async () => {
  await using upgrades = new Upgrades();
  const one = upgrades.start('--port', '0', '--upgrade', join(upgrades.directory, 'missing', 'door'));
  const [, port] = await one.line(/^ksocket: listening on port (\d+)$/);
  const complaint = /nobody can take over: .*ENOENT/;
  await waitFor(
    () => complaint.test(one.stderr),
    () => one.stderr,
  );
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  await bound(client);
  const inbox = new Inbox(client);
  client.send('still there', Number(port), '127.0.0.1');
  await inbox.take(1);
  one.kill('SIGTERM');
  assert.equal((await one.end()).code, 0);
  assert.equal(one.stderr.match(new RegExp(complaint, 'g'))?.length, 1);

  const other = upgrades.start('--port', '0', '--upgrade', join(upgrades.directory, 'door'));
  await other.line(/^ksocket: listening on port/);
  await waitFor(() => existsSync(join(upgrades.directory, 'door')));
  other.kill('SIGTERM');
  assert.equal((await other.end()).code, 0);
  assert.doesNotMatch(other.stderr, /nobody can take over/, 'that it ends is no complaint');
});

test('several that come at once take over one from the other', async () => {
  await using upgrades = new Upgrades();
  const port = await unusedPort();
  const path = join(upgrades.directory, 'door');
  const args = ['--port', `${port}`, '--upgrade', path];
  const first = upgrades.start(...args);
  await waitFor(() => existsSync(path));
  const others = [0, 1, 2].map(() => upgrades.start(...args));
  assert.equal((await first.end()).code, 0);
  for (const other of others) await other.line(new RegExp(`^ksocket: took over port ${port}$`));
  await waitFor(() => others.filter(({ process }) => process.exitCode === null).length === 1);
  assert.deepEqual(
    others.map(({ stderr }) => stderr),
    ['', '', ''],
  );
});

test('who has taken over serves on without its monitor', async () => {
  await using upgrades = new Upgrades();
  await using taken = net.createServer();
  await once(taken.listen(0, '127.0.0.1'), 'listening');
  const path = join(upgrades.directory, 'door');
  const first = upgrades.start('--port', '0', '--upgrade', path);
  await waitFor(() => existsSync(path));
  const monitorPort = `${(taken.address() as AddressInfo).port}`;
  const second = upgrades.start('--port', '0', '--upgrade', path, '--monitor', monitorPort);
  await first.end();
  await waitFor(() => second.stderr.includes('no monitor: '));
  const third = upgrades.start('--port', '0', '--upgrade', path);
  await third.line(/^ksocket: took over port/);
  assert.equal((await second.end()).code, 0);
});

/** In the order of the sockets. */
async function portsOf(child: Child, count: number): Promise<number[]> {
  const found = () => child.lines.flatMap((line) => /^ksocket: .* port (\d+)$/.exec(line)?.slice(1) ?? []).map(Number);
  await waitFor(() => found().length === count, 'the ports');
  return found();
}

async function areServed(ports: readonly number[], sockets: Sockets): Promise<void> {
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  for (const port of ports) client.send(`${port}`, port, '127.0.0.1');
  await inbox.take(ports.length);
  assert.deepEqual(inbox.texts.map(Number).sort(), [...ports].sort());
}

test('several sockets go together', async () => {
  await using sockets = new Sockets();
  await using upgrades = new Upgrades();
  const path = join(upgrades.directory, 'door');
  const first = upgrades.startActivated(3, '--echo', '--upgrade', path);
  const ports = await portsOf(first, 3);
  await waitFor(() => existsSync(path));
  const second = upgrades.startActivated(3, '--echo', '--upgrade', path);
  assert.deepEqual(await portsOf(second, 3), ports);
  assert.equal((await first.end()).code, 0);
  await areServed(ports, sockets);
});

test('where one of several cannot be taken over, the one that was there goes on with all of them', async () => {
  await using sockets = new Sockets();
  await using upgrades = new Upgrades();
  const path = join(upgrades.directory, 'door');
  const first = upgrades.startActivated(2, '--echo', '--upgrade', path);
  const ports = await portsOf(first, 2);
  await waitFor(() => existsSync(path));
  // The second would answer to itself.
  const wrong = upgrades.startActivated(2, '--reply', 'x', '--reply-to', `127.0.0.1:${ports[1]}`, '--upgrade', path);
  assert.equal((await wrong.end()).code, 1);
  assert.match(wrong.stderr, /options\.replyTo.* is an address that the server itself listens on/);
  await areServed(ports, sockets);
  const fewer = upgrades.startActivated(1, '--echo', '--upgrade', path);
  assert.equal((await fewer.end()).code, 1);
  assert.match(fewer.stderr, /hands 2 servers over, not 1/);
  await areServed(ports, sockets);
  const second = upgrades.startActivated(2, '--echo', '--upgrade', path);
  assert.deepEqual(await portsOf(second, 2), ports);
  await areServed(ports, sockets);
});
