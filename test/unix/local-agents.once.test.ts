// The programs of docs/local-agents.md, with what sends to such services: util-linux's logger, and clients of statsd.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { Child, root } from '../support/child.js';
import { LocalSockets, sentTo } from '../support/local.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const [log, statsd, client] = [
  ...readFileSync(join(root, 'docs/local-agents.md'), 'utf8').matchAll(/^```js\n(.*?)^```$/gms),
].map(([, code]) => code);

/** A program of the page's, at work. */
class Program implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  readonly path = join(this.directory, 'socket');
  readonly child: Child;

  constructor(code: string, ...args: string[]) {
    mkdirSync(join(this.directory, 'node_modules'));
    symlinkSync(root, join(this.directory, 'node_modules/ksocket'));
    writeFileSync(join(this.directory, 'program.mjs'), code);
    this.child = new Child(process.execPath, ['program.mjs', ...args], { cwd: this.directory });
  }

  async listens(): Promise<this> {
    await waitFor(() => existsSync(this.path), 'its socket');
    return this;
  }

  async ends(): Promise<string[]> {
    this.child.kill('SIGTERM');
    const { code, stderr } = await this.child.end();
    assert.deepEqual([code, stderr], [0, '']);
    return this.child.lines;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.child[Symbol.asyncDispose]();
    rmSync(this.directory, { recursive: true });
  }
}

test('the log daemon writes what logger sends, of whom the kernel says it is', async () => {
  await using program = await new Program(log, 'socket').listens();
  const uid = userInfo().uid;
  assert.equal(statSync(program.path).mode & 0o777, 0o666);
  const logger = (...args: string[]) => void execFileSync('logger', ['-u', program.path, ...args]);
  logger('-t', 'backup', '-p', 'daemon.warning', 'the disk is nearly full');
  logger('-t', 'backup', '--id', '-p', 'local3.debug', 'a: b');
  const sockets = new LocalSockets();
  await using _ = sockets;
  const others: [string, RegExp][] = [
    ['<30>Nov  7 12:00:00 server[1]: ready', /^daemon\.info server\[PID\] uid=UID ready$/],
    ['<0>Nov 27 12:00:00 kernel: oops\n', /^kern\.emerg kernel\[PID\] uid=UID oops$/],
    ['<191>no time', /^local7\.debug -\[PID\] uid=UID no time$/],
    ['<192>Nov 27 12:00:00 x: too high', /^user\.notice x\[PID\] uid=UID too high$/],
    ['no priority', /^user\.notice -\[PID\] uid=UID no priority$/],
    [
      '<13>a\n2026-01-01T00:00:00.000Z auth.alert sshd[1] uid=0 forged\u001b[2J',
      /^user\.notice -\[PID\] uid=UID a#012\S+ .*forged#033\[2J$/,
    ],
    ['', /^user\.notice -\[PID\] uid=UID $/],
    ['<13>', /^user\.notice -\[PID\] uid=UID $/],
  ];
  const sender = sockets.make();
  for (const [line] of others) await sentTo(sender, line, program.path);
  await waitFor(() => program.child.lines.length === 2 + others.length, 'all lines');
  const lines = await program.ends();
  assert.match(
    lines[0],
    new RegExp(`^\\d{4}-\\S+Z daemon\\.warning backup\\[\\d+\\] uid=${uid} the disk is nearly full$`),
  );
  assert.match(lines[1], new RegExp(`Z local3\\.debug backup\\[\\d+\\] uid=${uid} a: b$`));
  for (const [i, [line, expected]] of others.entries()) {
    const text = lines[2 + i].replace(/^\S+ /, '').replace(`[${process.pid}] uid=${uid} `, '[PID] uid=UID ');
    assert.match(text, expected, line);
  }
});

test('nothing of ten thousand lines is lost, of several programs at once', async () => {
  await using program = await new Program(log, 'socket').listens();
  await using sockets = new LocalSockets();
  const count = 2500;
  const senders = Array.from({ length: 4 }, () => sockets.make());
  for (const [i, sender] of senders.entries()) {
    for (let n = 0; n < count; n++) sender.send(`<13>Nov 27 12:00:00 s${i}: ${n}`, program.path);
  }
  await waitFor(() => program.child.lines.length === 4 * count, 'all lines');
  const lines = await program.ends();
  for (const i of senders.keys()) {
    const own = lines.flatMap((line) => new RegExp(` s${i}\\[.*uid=\\d+ (\\d+)$`).exec(line)?.slice(1) ?? []);
    assert.deepEqual(
      own,
      Array.from({ length: count }, (_, n) => `${n}`),
    );
  }
});

test('the agent adds up what clients send, by name and tags', async () => {
  await using program = await new Program(statsd, 'socket', '200').listens();
  await using sockets = new LocalSockets();
  const sender = sockets.make();
  for (let i = 1; i <= 100; i++) await sentTo(sender, `requests:1|c|@0.5\nanswer:${i}|ms|#path:/`, program.path);
  await sentTo(sender, 'users:40|g\nusers:+3|g\nusers:-1|g\nerrors:2|c|#a:b,c:d\nnothing\nx:y|c\n:1|c\n', program.path);
  const says = (line: RegExp) => program.child.line(line);
  await says(/^users 42$/);
  await says(/^errors\{a:b,c:d\} 2 \(10 a second\)$/);
  await says(/^3 lines are none$/);
  const lines = await program.ends();
  const sum = (pattern: RegExp) => lines.reduce((total, line) => total + Number(pattern.exec(line)?.[1] ?? 0), 0); // they may be of two flushes
  assert.equal(sum(/^requests (\d+) /), 200);
  assert.equal(sum(/^answer\{path:\/\} n=(\d+) /), 100);
  const whole = lines.find((line) => line.startsWith('answer{path:/} n=100 '));
  if (whole !== undefined) assert.equal(whole, 'answer{path:/} n=100 min=1 p50=50 p99=99 max=100');
});

test('the client loses nothing to an agent that is slower than it, and counts what there is nobody for', async () => {
  await using program = new Program(client);
  const { code, stdout, stderr } = await program.child.end();
  assert.deepEqual([code, stdout, stderr], [0, '50000 timings; 0 lines dropped, 0 datagrams lost\n', '']);
  const nobody =
    client.replace(/const path = .*/s, '') +
    `
    const statsd = new Statsd('/nowhere');
    for (let i = 0; i < 100_001; i++) statsd.timing('answer', 1);
    await statsd.close();
    console.log(statsd.dropped, statsd.lost > 0);
  `;
  await using alone = new Program(nobody);
  assert.deepEqual(await alone.child.end(), { code: 0, signal: null, stdout: '1 true\n', stderr: '' });
});
