// `ksocket serve` as a service of systemd's: its sockets, what it is told, the units of examples/.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Listening, listening, Manager } from '../support/activated.js';
import { Child, type ChildOptions, root, runCli, startCli } from '../support/child.js';
import { bound, Inbox, Sockets, sent, unusedPort } from '../support/peer.js';
import { ioThreadCount } from '../support/process.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const none = { LISTEN_FDS: undefined, LISTEN_PID: undefined, LISTEN_FDNAMES: undefined, WATCHDOG_PID: undefined };
const udp4: Listening = { type: 'udp4', address: '127.0.0.1' };

function activated(sockets: Listening[], env: ChildOptions['env'] = {}): ChildOptions {
  return { under: listening(...sockets), env: { ...none, ...env } };
}

async function portsOf(child: Child, count: number): Promise<number[]> {
  await waitFor(() => child.lines.filter((line) => /listening on/.test(line)).length === count, 'the ports');
  return child.lines.flatMap((line) => /^ksocket: listening on port (\d+)$/.exec(line)?.slice(1) ?? []).map(Number);
}

test('under systemd-socket-activate it answers, from the first datagram on, and says READY=1 and STOPPING=1', async () => {
  await using manager = await new Manager().start();
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  const port = await unusedPort();
  const passed = ['PATH', 'KSOCKET_ENGINE'].flatMap((name) => ['-E', name]);
  const command = [process.execPath, 'dist/cli/main.js', 'serve', '--echo', '--quiet'];
  const args = ['-d', '-l', `127.0.0.1:${port}`, ...passed, '-E', `NOTIFY_SOCKET=${manager.address}`, ...command];
  await using child = new Child('systemd-socket-activate', args, { env: none });
  // It starts with the first datagram, which waits in the socket; before it listens there is nobody.
  await waitFor(async () => {
    await sent(client, 'first', port).catch(() => {});
    return inbox.all.length > 0;
  }, 'an answer');
  assert.equal(inbox.texts[0], 'first');
  await child.line(new RegExp(`^ksocket: listening on port ${port}$`));
  await manager.hears('READY=1');
  await manager.hears(`STATUS=listening on port ${port}`);
  assert.equal(manager.told[0].pid, child.pid, 'it is the main process that says it');
  child.kill('SIGTERM');
  const { code, signal } = await child.end();
  assert.deepEqual([code, signal], [0, null]);
  await manager.hears('STOPPING=1');
  assert.match(child.stdout, /\nksocket: successfully killed native thread\nksocket: module unloaded\n$/);
});

test('a server for each socket, IPv4 and IPv6', async () => {
  await using sockets = new Sockets();
  const child = startCli(['serve', '--echo', '--quiet'], activated([udp4, { type: 'udp6', address: '::1' }]));
  await using _ = child;
  const ports = await portsOf(child, 2);
  for (const [i, type] of (['udp4', 'udp6'] as const).entries()) {
    const client = sockets.makePeer(type);
    const inbox = new Inbox(client);
    await bound(client);
    await sent(client, 'hello', ports[i], type === 'udp4' ? '127.0.0.1' : '::1');
    await inbox.take(1);
  }
  child.kill('SIGTERM');
  const { code, stderr } = await child.end();
  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(child.stdout.match(/successfully killed native thread/g)?.length, 1);
});

test('what does not go together with its sockets is said, and nobody is served', async () => {
  const wrong: [string[], Listening[], ChildOptions['env'], RegExp][] = [
    [['--port', '7'], [udp4], {}, /^ksocket: --port cannot be given: systemd has opened the socket \(LISTEN_FDS\)\n$/],
    [['--address', '::'], [udp4], {}, /^ksocket: --address cannot be given/],
    [['--shards', '2'], [udp4], {}, /^ksocket: --shards cannot be given/],
    [
      [],
      [udp4, { type: 'tcp4', address: '127.0.0.1' }],
      {},
      /a socket of type tcp4 \(descriptor 4, unknown\), and this serves UDP\n$/,
    ],
    [
      [],
      [udp4],
      { LISTEN_FDS: 'many' },
      /^ksocket: The environment variable LISTEN_FDS must be a whole number.*'many'\n$/,
    ],
    [[], [{ type: 'tcp4', address: '127.0.0.1' }], { LISTEN_FDNAMES: 'a\x1b[31mb' }, /descriptor 3, a\\x1b\[31mb\)/],
    [[], [udp4], { LISTEN_FDS: '1000' }, /LISTEN_FDS counts the descriptor \d+, which is not there/],
  ];
  for (const [args, sockets, env, said] of wrong) {
    const { code, stdout, stderr } = await runCli(['serve', '--echo', ...args], activated(sockets, env));
    assert.deepEqual([code, stdout], [1, ''], stderr);
    assert.match(stderr, said);
  }
});

test('a configuration leaves where to listen to systemd, and is reloaded with RELOADING=1 and READY=1', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  try {
    await using manager = await new Manager(true).start();
    const path = join(directory, 'serve.json');
    writeFileSync(path, '{ "port": 7, "rules": [{ "action": "echo" }] }');
    const options = activated([udp4], { NOTIFY_SOCKET: manager.address });
    await using child = startCli(['serve', '--config', path], options);
    await manager.hears('READY=1');
    assert.match(child.stderr, /^ksocket: .*serve\.json: where to listen is left to systemd, .*\n$/);
    writeFileSync(path, '{ "port": 7, "rules": [] }');
    child.kill('SIGHUP');
    await manager.hears('READY=1', 2);
    await manager.hears(/^MONOTONIC_USEC=\d+$/);
    writeFileSync(path, '{');
    child.kill('SIGHUP');
    await manager.hears('READY=1', 3);
    await manager.hears(/^STATUS=.*serve\.json:1:2: expected a name in double quotes; what was in force is in force$/);
    child.kill('SIGTERM');
    await child.end();
    await manager.hears('STOPPING=1');
    const words = manager.lines.filter((line) => /^(READY|RELOADING|STOPPING)=/.test(line));
    const reload = ['RELOADING=1', 'READY=1'];
    assert.deepEqual(words, ['READY=1', ...reload, ...reload, 'STOPPING=1']);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a configuration leaves shards to systemd, too, which has opened one socket', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  try {
    const path = join(directory, 'serve.json');
    const write = (more: object) => writeFileSync(path, JSON.stringify({ rules: [{ action: 'echo' }], ...more }));
    write({ shards: 2, steering: 'source' });
    await using child = startCli(['serve', '--config', path], activated([udp4]));
    await child.line(/listening on port/);
    assert.match(child.stderr, /^ksocket: .*serve\.json: where to listen is left to systemd, .*\n$/);
    write({ shards: 3, rules: [] });
    child.kill('SIGHUP');
    await child.line(/serve\.json is in force$/);
    await waitFor(
      () => /serve\.json: shards, steering cannot be changed while it runs/.test(child.stderr),
      'what is left',
    );
    assert.equal(ioThreadCount(child.pid), 1);
    child.kill('SIGTERM');
    assert.equal((await child.end()).code, 0);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a manager that does not read holds up neither a start nor a reload, nor the end for ever', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  try {
    await using manager = await new Manager().start();
    await manager.stops();
    const path = join(directory, 'serve.json');
    writeFileSync(path, '{ "rules": [{ "action": "echo" }] }');
    const options = activated([udp4], { NOTIFY_SOCKET: manager.address });
    await using child = startCli(['serve', '--config', path], options);
    await child.line(/listening on/);
    writeFileSync(path, '{ "rules": [] }');
    child.kill('SIGHUP');
    await child.line(/serve\.json is in force$/);
    child.kill('SIGTERM');
    await child.line(/module unloaded$/);
    const { code, stderr } = await child.end();
    assert.equal(code, 0);
    assert.match(stderr, /^ksocket: systemd is not told: send ETIMEDOUT /);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('it is watched: pings from the start to the end', async () => {
  await using manager = await new Manager().start();
  const options = activated([udp4], { NOTIFY_SOCKET: manager.address, WATCHDOG_USEC: '100000' });
  await using child = startCli(['serve', '--echo'], options);
  await manager.hears('WATCHDOG=1', 4);
  assert.deepEqual(manager.lines[0], 'READY=1');
  child.kill('SIGTERM');
  assert.equal((await child.end()).code, 0);
});

test('who cannot be told is no reason not to serve; why it has not started is told', async () => {
  const lost = startCli(['serve', '--echo'], activated([udp4], { NOTIFY_SOCKET: '/nowhere/notify' }));
  await using _ = lost;
  await lost.line(/listening on port/);
  await waitFor(
    () => /^ksocket: systemd is not told: .*ENOENT.*\n$/.test(lost.stderr),
    () => lost.stderr,
  );
  lost.kill('SIGTERM');
  assert.equal((await lost.end()).code, 0);

  await using manager = await new Manager().start();
  await using sockets = new Sockets();
  const port = await bound(sockets.makePeer());
  const env = { ...none, NOTIFY_SOCKET: manager.address };
  const { code } = await runCli(['serve', '--port', `${port}`, '--address', '127.0.0.1'], { env });
  assert.equal(code, 1);
  await manager.hears('STOPPING=1');
  assert.deepEqual(manager.lines.slice(0, 2), [`STATUS=bind EADDRINUSE 127.0.0.1:${port}`, 'ERRNO=98']);
  assert.ok(!manager.lines.includes('READY=1'));
});

test('the units of examples/ are what systemd-analyze verifies, and what they start is there', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  try {
    const service = readFileSync(join(root, 'examples/ksocket.service'), 'utf8');
    const [, command] = /^ExecStart=(\S+) serve --config (\S+)$/m.exec(service) ?? [];
    assert.equal(command, '/usr/bin/ksocket');
    // Where it is on this machine.
    const main = `${process.execPath} ${join(root, 'dist/cli/main.js')}`;
    writeFileSync(join(directory, 'ksocket.service'), service.replaceAll(command, main));
    cpSync(join(root, 'examples/ksocket.socket'), join(directory, 'ksocket.socket'));
    const units = ['ksocket.socket', 'ksocket.service'].map((name) => join(directory, name));
    await using child = new Child('systemd-analyze', ['verify', '--man=no', ...units]);
    const { code, stderr } = await child.end();
    const own = stderr.split('\n').filter((line) => line.includes('ksocket'));
    assert.deepEqual([code, own], [0, []], stderr);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
