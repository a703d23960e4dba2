// `ksocket serve --upgrade`: the same command again takes over.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
