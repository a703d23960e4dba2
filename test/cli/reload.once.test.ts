// `ksocket serve --config` while it runs: SIGHUP and --watch read the file again.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, startCli } from '../support/child.js';
import { bound, Inbox, Sockets, sent } from '../support/peer.js';
import { ioThreadCount } from '../support/process.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

/** Answers each ping with this. */
const pings = (answer: string, more: object = {}) =>
  JSON.stringify({
    address: '127.0.0.1',
    port: 0,
    quiet: true,
    rules: [{ name: 'ping', match: { prefix: 'ping' }, action: { reply: answer, amplify: true } }],
    ...more,
  });

class Serving implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  readonly path = join(this.directory, 'serve.json');
  readonly sockets = new Sockets();
  readonly client = this.sockets.makePeer();
  readonly inbox = new Inbox(this.client);
  child!: Child;
  port = 0;
  under: string[] | undefined;

  async start(text: string, ...args: string[]): Promise<this> {
    this.write(text);
    await bound(this.client);
    this.child = startCli(['serve', '--config', this.path, ...args], { under: this.under });
    this.port = Number((await this.child.line(/^ksocket: listening on port (\d+)$/))[1]);
    return this;
  }

  write(text: string): void {
    writeFileSync(this.path, text);
  }

  async ask(): Promise<string> {
    const before = this.inbox.all.length;
    await sent(this.client, 'ping', this.port);
    await this.inbox.take(before + 1);
    return this.inbox.texts[before];
  }

  async untilAnswerIs(answer: string): Promise<void> {
    await waitFor(async () => (await this.ask()) === answer, answer);
  }

  /** Waits for a line on stderr. */
  async complains(line: RegExp): Promise<void> {
    await waitFor(
      () => line.test(this.child.stderr),
      () => `stderr does not say ${line}: ${this.child.stderr}`,
    );
  }

  async reload(): Promise<void> {
    const before = this.child.lines.length + this.child.stderr.split('\n').length;
    this.child.kill('SIGHUP');
    await waitFor(() => this.child.lines.length + this.child.stderr.split('\n').length > before, 'what became of it');
  }

  async ends(): Promise<void> {
    this.child.kill('SIGTERM');
    const { code } = await this.child.end();
    assert.equal(code, 0);
    assert.match(this.child.stdout, /\nksocket: successfully killed native thread\nksocket: module unloaded\n$/);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.child?.[Symbol.asyncDispose]();
    await this.sockets[Symbol.asyncDispose]();
    rmSync(this.directory, { recursive: true });
  }
}

test('SIGHUP swaps the rules', async () => {
  await using serving = await new Serving().start(pings('one'));
  assert.equal(await serving.ask(), 'one');
  serving.write(pings('two', { otherwise: 'echo' }));
  assert.equal(await serving.ask(), 'one', 'nobody has asked for another');
  await serving.reload();
  assert.equal(await serving.ask(), 'two');
  assert.match(serving.child.stdout, /serve\.json is in force\n/);
  await serving.reload();
  await serving.child.line(/serve\.json says nothing new$/);
  assert.equal(serving.child.stderr, '');
  await serving.ends();
});

test('a bad file changes nothing, and says why; the next good one is taken', async () => {
  await using serving = await new Serving().start(pings('one'));
  const bad: [string, RegExp][] = [
    ['{\n "rules": [,]\n}', /serve\.json:2:12: expected a value; what was in force is in force\n/],
    [pings('two', { prot: 7 }), /serve\.json: The property 'options\.prot' is not known \(did you mean 'port'\?\)/],
    [pings('two', { rules: [{ action: 'dorp' }] }), /serve\.json: rules\[0\]: The property 'action' must be one of/],
    [
      // Which only a running server can tell.
      pings('two', { rules: [{ action: { forward: { address: '127.0.0.1', port: serving.port } } }] }),
      /serve\.json: rules\[0\] .* is an address that the server itself listens on/,
    ],
  ];
  for (const [text, said] of bad) {
    serving.write(text);
    serving.child.kill('SIGHUP');
    await serving.complains(said);
    assert.equal(await serving.ask(), 'one');
  }
  unlinkSync(serving.path);
  serving.child.kill('SIGHUP');
  await serving.complains(/ENOENT.*serve\.json.*; what was in force is in force\n/);
  assert.equal(await serving.ask(), 'one');
  assert.equal(serving.child.stderr.trim().split('\n').length, bad.length + 1, 'a line each');
  serving.write(pings('two'));
  await serving.reload();
  assert.equal(await serving.ask(), 'two');
  await serving.ends();
});

test('what cannot be changed while it runs is said each time, and left; what can is changed', async () => {
  await using serving = await new Serving().start(pings('one'));
  const others = { port: 7, deny: ['127.0.0.1'], limits: { total: { rate: 1 } }, monitor: { port: 0 } };
  serving.write(pings('two', others));
  for (let i = 1; i <= 2; i++) {
    serving.child.kill('SIGHUP');
    const said = /serve\.json: port, deny, limits, monitor cannot be changed while it runs; the next start will\n/g;
    await waitFor(() => serving.child.stderr.match(said)?.length === i, 'what is left');
    for (let n = 0; n < 5; n++) assert.equal(await serving.ask(), 'two');
  }
  serving.write(pings('two'));
  await serving.reload();
  await serving.child.line(/says nothing new$/);
  const { rules: _, ...without } = JSON.parse(pings('two'));
  serving.write(JSON.stringify({ ...without, reply: 'echo' }));
  serving.child.kill('SIGHUP');
  await serving.complains(/serve\.json: reply, rules cannot be changed while it runs/);
  assert.equal(await serving.ask(), 'two');
  await serving.ends();
});

test('lists and limits are swapped, where there were any', async () => {
  await using serving = await new Serving().start(pings('one', { deny: [], limits: { total: { rate: 1000 } } }));
  const silent = async () => {
    const before = serving.inbox.all.length;
    await sent(serving.client, 'ping', serving.port);
    const other = serving.sockets.makePeer();
    const inbox = new Inbox(other);
    await bound(other, '127.0.0.2');
    await sent(other, 'ping', serving.port); // which is answered behind it
    await inbox.take(1);
    return serving.inbox.all.length === before;
  };
  assert.equal(await serving.ask(), 'one');
  serving.write(pings('one', { deny: ['127.0.0.1'] }));
  await serving.reload();
  assert.ok(await silent());
  serving.write(pings('two', { deny: ['10.0.0.0/8'], allow: ['127.0.0.0/8'] }));
  await serving.reload();
  assert.equal(await serving.ask(), 'two');
  serving.write(pings('two', { limits: { total: { rate: 1, burst: 1 } } }));
  await serving.reload();
  assert.equal(await serving.ask(), 'two');
  serving.write(pings('three'));
  await serving.reload();
  for (let n = 0; n < 5; n++) assert.equal(await serving.ask(), 'three', 'nothing is left of it');
  assert.equal(serving.child.stderr, '');
  await serving.ends();
});

test('shards come and go, under traffic, and nothing is lost', async () => {
  await using serving = await new Serving().start(pings('one'));
  const { pid } = serving.child;
  await waitFor(() => ioThreadCount(pid) === 1, 'one thread');
  for (const [shards, count] of [
    [3, 3],
    [1, 1],
    ['cores', Math.min(availableParallelism(), 64)],
    [4, 4],
    [undefined, 1],
  ] as const) {
    serving.write(pings(`${shards}`, { shards }));
    const asking = Array.from({ length: 20 }, () => serving.ask());
    serving.child.kill('SIGHUP');
    assert.ok((await Promise.all(asking)).length === 20);
    await serving.untilAnswerIs(`${shards}`);
    await waitFor(() => ioThreadCount(pid) === count, `${count} threads`);
    for (let n = 0; n < 20; n++) assert.equal(await serving.ask(), `${shards}`);
  }
  serving.write(pings('bad', { shards: 65 }));
  serving.child.kill('SIGHUP');
  await serving.complains(
    /serve\.json: The value of "options\.shards" is out of range.*; what was in force is in force\n/,
  );
  serving.write(pings('undefined', { shards: 2, steering: 'source' }));
  serving.child.kill('SIGHUP');
  await serving.complains(/serve\.json: steering cannot be changed while it runs/);
  await waitFor(() => ioThreadCount(pid) === 2, 'two threads');
  await serving.ends();
});

test('--shards goes before what the file says', async () => {
  await using serving = await new Serving().start(pings('one', { shards: 4 }), '--shards', '2');
  const { pid } = serving.child;
  await waitFor(() => ioThreadCount(pid) === 2, 'two threads');
  serving.write(pings('two', { shards: 3 }));
  await serving.reload();
  assert.equal(await serving.ask(), 'two');
  assert.equal(ioThreadCount(pid), 2);
  assert.equal(serving.child.stderr, '');
  await serving.ends();
});

test('shards that the system refuses leave rules and lists as they were', async () => {
  // It may have so many descriptors: enough for a few shards, which have five each, and for loading what is not bundled.
  const limit = ['sh', '-c', 'ulimit -n 300; exec "$0" "$@"'];
  await using serving = new Serving();
  serving.under = limit;
  await serving.start(pings('one', { deny: [] }));
  serving.write(pings('two', { deny: ['127.0.0.1'], shards: 64 }));
  serving.child.kill('SIGHUP');
  await serving.complains(/serve\.json: .*EMFILE.*; what was in force is in force\n/);
  assert.equal(await serving.ask(), 'one');
  assert.equal(ioThreadCount(serving.child.pid), 1);
  serving.write(pings('two', { deny: [], shards: 2 }));
  await serving.reload();
  assert.equal(await serving.ask(), 'two');
  await serving.ends();
});

test('a server without rules goes on without them', async () => {
  const echo = { address: '127.0.0.1', port: 0, reply: 'echo', quiet: true };
  await using serving = await new Serving().start(JSON.stringify(echo));
  serving.write(pings('one'));
  serving.child.kill('SIGHUP');
  await serving.complains(/serve\.json: rules, reply cannot be changed while it runs/);
  assert.equal(await serving.ask(), 'ping');
  await serving.ends();
});

test('quiet is heeded from the next datagram on', async () => {
  const rules = [{ action: 'deliver' }];
  await using serving = await new Serving().start(pings('', { rules, quiet: false }));
  await sent(serving.client, 'seen', serving.port);
  await serving.child.line(/^ data: seen$/);
  serving.write(pings('', { rules }));
  await serving.reload();
  await sent(serving.client, 'unseen', serving.port);
  serving.write(pings('', { rules, quiet: false }));
  await serving.reload();
  await sent(serving.client, 'seen again', serving.port);
  await serving.child.line(/^ data: seen again$/);
  assert.doesNotMatch(serving.child.stdout, /unseen/);
  await serving.ends();
});

test('under traffic no datagram is lost, whichever rules answer it', async () => {
  await using serving = await new Serving().start(pings('a'));
  const total = 20_000;
  let asked = 0;
  const more = () => {
    // So few that no buffer is ever full.
    for (; asked < total && asked - serving.inbox.all.length < 32; asked++) {
      serving.client.send(`ping ${asked}`, serving.port, '127.0.0.1');
    }
  };
  serving.client.on('message', more);
  more();
  let reloads = 0;
  while (serving.inbox.all.length < total) {
    serving.write(pings(++reloads % 2 === 0 ? 'a' : 'b'));
    await serving.reload();
  }
  assert.equal(serving.inbox.all.length, total);
  const answers = serving.inbox.texts;
  assert.ok(answers.every((answer) => answer === 'a' || answer === 'b'));
  const swaps = answers.filter((answer, i) => i > 0 && answer !== answers[i - 1]).length;
  assert.ok(reloads >= 3 && swaps >= 2, `${reloads} reloads, ${swaps} swaps`);
  assert.equal(serving.child.stderr, '');
  await serving.ends();
});

test('many signals at once are answered, and the last file holds', async () => {
  await using serving = await new Serving().start(pings('0'));
  for (let i = 1; i <= 30; i++) {
    serving.write(pings(`${i}`));
    serving.child.kill('SIGHUP');
  }
  await serving.untilAnswerIs('30');
  await serving.ends();
});

test('--watch: written in place, replaced, and gone for a while', async () => {
  await using serving = await new Serving().start(pings('one'), '--watch');
  serving.write(pings('two'));
  await serving.untilAnswerIs('two');
  const other = join(serving.directory, 'other');
  writeFileSync(other, pings('three'));
  renameSync(other, serving.path);
  await serving.untilAnswerIs('three');
  serving.write('{ "rules": ');
  await serving.complains(/serve\.json:1:12: expected a value; what was in force is in force/);
  assert.equal(await serving.ask(), 'three');
  unlinkSync(serving.path);
  await serving.complains(/ENOENT/);
  assert.equal(await serving.ask(), 'three');
  serving.write(pings('four'));
  await serving.untilAnswerIs('four');
  await serving.ends();
});

test('--watch: a link that is turned, as in a volume of Kubernetes', async () => {
  await using serving = new Serving();
  const put = (version: string, answer: string) => {
    const folder = join(serving.directory, version);
    mkdirSync(folder);
    writeFileSync(join(folder, 'serve.json'), pings(answer));
    symlinkSync(version, join(serving.directory, '..tmp'));
    renameSync(join(serving.directory, '..tmp'), join(serving.directory, '..data'));
  };
  put('1', 'one');
  symlinkSync(join('..data', 'serve.json'), serving.path);
  await bound(serving.client);
  serving.child = startCli(['serve', '--config', serving.path, '--watch']);
  serving.port = Number((await serving.child.line(/^ksocket: listening on port (\d+)$/))[1]);
  assert.equal(await serving.ask(), 'one');
  put('2', 'two');
  await serving.untilAnswerIs('two');
  await serving.ends();
});

test('--watch: its directory is gone for a while, and what is said of that is true', async () => {
  await using serving = new Serving();
  const folder = join(serving.directory, 'folder');
  const path = join(folder, 'serve.json');
  mkdirSync(folder);
  writeFileSync(path, pings('one'));
  await bound(serving.client);
  serving.child = startCli(['serve', '--config', path, '--watch']);
  serving.port = Number((await serving.child.line(/^ksocket: listening on port (\d+)$/))[1]);
  rmSync(folder, { recursive: true });
  await serving.complains(/ENOENT/);
  mkdirSync(folder);
  writeFileSync(path, pings('two'));
  await serving.untilAnswerIs('two');
  assert.doesNotMatch(serving.child.stderr, /not watched/);
  await serving.ends();
});

test('--watch: what changes beside the file is nothing to it', async () => {
  await using serving = await new Serving().start(pings('one'), '--watch');
  writeFileSync(join(serving.directory, 'other.json'), '{');
  serving.write(pings('one')); // the same
  await new Promise((resolve) => setTimeout(resolve, 400));
  serving.write(pings('two'));
  await serving.untilAnswerIs('two');
  assert.equal(serving.child.lines.filter((line) => line.includes('serve.json')).length, 1);
  assert.equal(serving.child.stderr, '');
  await serving.ends();
});

test('--watch: links before the file and directories on the way to it are turned and replaced, and what is there then is watched', async () => {
  await using serving = new Serving();
  const put = (release: string, answer: string) => {
    const folder = join(serving.directory, release);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'serve.json'), pings(answer));
  };
  const turnTo = (release: string) => {
    symlinkSync(release, join(serving.directory, 'next'));
    renameSync(join(serving.directory, 'next'), join(serving.directory, 'current'));
  };
  put('releases/1', 'one');
  put('releases/2', 'two');
  turnTo('releases/1');
  await bound(serving.client);
  serving.child = startCli(['serve', '--config', join(serving.directory, 'current/serve.json'), '--watch']);
  serving.port = Number((await serving.child.line(/^ksocket: listening on port (\d+)$/))[1]);
  turnTo('releases/2');
  await serving.untilAnswerIs('two');
  put('releases/2', 'two, changed');
  await serving.untilAnswerIs('two, changed');
  rmSync(join(serving.directory, 'releases/2'), { recursive: true });
  await serving.complains(/ENOENT/);
  put('releases/2', 'two again');
  await serving.untilAnswerIs('two again');
  put('elsewhere/2', 'three');
  renameSync(join(serving.directory, 'releases'), join(serving.directory, 'before'));
  renameSync(join(serving.directory, 'elsewhere'), join(serving.directory, 'releases'));
  await serving.untilAnswerIs('three');
  await serving.ends();
});

test('--watch: another file that is written all the time does not keep it from looking', async () => {
  await using serving = await new Serving().start(pings('one'), '--watch');
  const writing = 'import sys, time\nwhile True: open(sys.argv[1], "w").write("x"); time.sleep(0.01)';
  await using _ = new Child('python3', ['-c', writing, join(serving.directory, 'busy.log')]);
  await waitFor(() => existsSync(join(serving.directory, 'busy.log')), 'it is written');
  serving.write(pings('two'));
  await serving.untilAnswerIs('two');
  await serving.ends();
});

test('a signal while it still starts does not end it, and is heeded then', async () => {
  await using serving = new Serving();
  execFileSync('mkfifo', [serving.path]);
  await bound(serving.client);
  serving.child = startCli(['serve', '--config', serving.path]);
  const write = 'exec 3> "$1"; kill -HUP "$2"; sleep 0.1; printf %s "$3" >&3';
  await using _ = new Child('sh', ['-c', write, 'sh', serving.path, `${serving.child.pid}`, pings('one')]);
  serving.port = Number((await serving.child.line(/^ksocket: listening on port (\d+)$/))[1]);
  await serving.complains(
    /serve\.json: is no regular file, which could be read again; what was in force is in force\n/,
  );
  assert.equal(await serving.ask(), 'one');
  await serving.ends();
});

test('what is no regular file holds up nothing that runs', async () => {
  await using serving = await new Serving().start(pings('one'));
  unlinkSync(serving.path);
  execFileSync('mkfifo', [serving.path]);
  serving.child.kill('SIGHUP');
  await serving.complains(
    /serve\.json: is no regular file, which could be read again; what was in force is in force\n/,
  );
  unlinkSync(serving.path);
  symlinkSync('/dev/zero', serving.path);
  serving.child.kill('SIGHUP');
  await waitFor(() => serving.child.stderr.match(/is no regular file/g)?.length === 2, '/dev/zero');
  unlinkSync(serving.path);
  mkdirSync(serving.path);
  serving.child.kill('SIGHUP');
  await serving.complains(/serve\.json: is a directory; what was/);
  rmSync(serving.path, { recursive: true });
  serving.write(pings('two'));
  await serving.reload();
  assert.equal(await serving.ask(), 'two');
  await serving.ends();
});
