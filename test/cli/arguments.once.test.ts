// Help and wrong arguments.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child, root, runCli } from '../support/child.js';
import { unusedPort } from '../support/peer.js';
import { test } from '../support/test.js';

test('help of the program names its commands', async () => {
  for (const args of [['--help'], ['-h'], ['help']]) {
    const { code, stdout, stderr } = await runCli(args);
    assert.equal(code, 0, args[0]);
    assert.equal(stderr, '');
    for (const command of ['serve', 'send', 'info']) assert.match(stdout, new RegExp(`^  ${command}\\b`, 'm'));
  }
});

test('every command’s help has its options and examples', async () => {
  const options: Record<string, string[]> = {
    serve: ['--port', '--address', '--reply', '--echo', '--reply-to', '--max-bytes', '--shards', '--quiet'],
    collect: ['--port', '--to', '--stream', '--subject', '--rotate-bytes', '--drain', '--monitor'],
    consume: ['--from', '--stream', '--durable', '--subject', '--credentials'],
    send: ['--to', '--wait'],
    info: ['--json'],
  };
  for (const [command, names] of Object.entries(options)) {
    for (const args of [
      [command, '--help'],
      ['help', command],
    ]) {
      const { code, stdout, stderr } = await runCli(args);
      assert.equal(code, 0, command);
      assert.equal(stderr, '');
      for (const name of names) assert.match(stdout, new RegExp(`${name}\\b`), `${command} ${name}`);
      assert.match(stdout, /^Examples:\n {2}.*ksocket /m, command);
    }
  }
  const { stdout } = await runCli(['serve', '--help']);
  for (const fact of ['2325', 'testing...', '127.0.0.1:23', '10']) assert.ok(stdout.includes(fact), fact);
});

test('--version is the package’s', async () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const option of ['--version', '-V']) {
    assert.deepEqual(await runCli([option]), { code: 0, signal: null, stdout: `${version}\n`, stderr: '' });
  }
});

const wrong: [string[], RegExp][] = [
  [['nonsense'], /nonsense/],
  [['serve', '--nonsense'], /--nonsense/],
  [['serve', 'surplus'], /too many arguments|surplus/],
  [['serve', '--port'], /--port/],
  [['serve', '--port', 'http'], /--port.*http/s],
  [['serve', '--address', ''], /--address.*expected a name or an address/s],
  [['serve', '--port', '65536'], /--port.*65536/s],
  [['serve', '--port', '-1'], /--port/],
  [['serve', '--port', '1.5'], /--port.*1\.5/s],
  [['serve', '--port', ''], /--port/],
  [['serve', '--max-bytes', '0'], /--max-bytes/],
  [['serve', '--max-bytes', '65536'], /--max-bytes/],
  [['serve', '--max-bytes', 'many'], /--max-bytes/],
  [['serve', '--shards', '0'], /--shards.*a number from 1 to 64, or cores/s],
  [['serve', '--shards', '65'], /--shards/],
  [['serve', '--shards', 'all'], /--shards/],
  [['serve', '--shards', ''], /--shards/],
  [['serve', '--reply-to', 'nowhere'], /--reply-to.*nowhere/s],
  [['serve', '--reply-to', '127.0.0.1'], /--reply-to/],
  [['serve', '--reply-to', '127.0.0.1:0'], /--reply-to/],
  [['serve', '--reply-to', '127.0.0.1:65536'], /--reply-to/],
  [['serve', '--reply-to', '::1:23'], /--reply-to/],
  [['serve', '--reply-to', ':23'], /--reply-to/],
  [['serve', '--port', '0', '--echo', '--reply', 'both'], /--reply.*--echo|--echo.*--reply/s],
  [['send'], /text/],
  [['send', 'x'], /--to/],
  [['send', '--to', '127.0.0.1:9'], /text/],
  [['send', 'x', '--to', '127.0.0.1'], /--to/],
  [['send', 'x', '--to', '127.0.0.1:port'], /--to/],
  [['send', 'x', '--to', '127.0.0.1:9', '--wait', '0'], /--wait/],
  [['send', 'x', '--to', '127.0.0.1:9', '--wait', '-1'], /--wait/],
  [['send', 'x', '--to', '127.0.0.1:9', '--wait', 'long'], /--wait/],
  [['send', 'x', 'y', '--to', '127.0.0.1:9'], /too many arguments/],
  [['send', 'x', '--to', '127.0.0.1:9', '--wait', '99999999999'], /--wait/],
  [['info', '--nonsense'], /--nonsense/],
  [['consume'], /--from/],
  [['consume', '--from', 'nats://a', '--durable', 'x'], /--stream/],
  [['consume', '--from', 'nats://a', '--stream', 'S'], /--durable/],
  [['consume', '--from', '/tmp', '--stream', 'S', '--durable', 'x'], /--from.*expected nats:\/\/HOST:PORT/s],
  [['consume', '--from', 'nats://a', '--stream', 'S', '--durable', 'x', '--ack-wait', '0'], /--ack-wait/],
  [['collect'], /--to/],
  [['collect', '--to', '/tmp'], /^ksocket: --port is needed$/m],
  [['collect', '--to', ''], /--to.*expected nats:\/\/HOST, a directory, or -/s],
  [['collect', '--port', '1', '--to', 'nats://'], /--to.*expected nats:\/\/HOST:PORT/s],
  [['collect', '--port', '1', '--to', 'http://127.0.0.1'], /--to.*expected nats:\/\/HOST:PORT/s],
  [['collect', '--port', '1', '--to', 'nats://a,http://b'], /--to/],
  [['collect', '--port', '1', '--to', 'nats://user:secret@a'], /--to.*NATS_PASSWORD/s],
  [['collect', '--port', '1', '--to', 'nats://a'], /^ksocket: --to nats:\/\/HOST needs --stream$/m],
  [['collect', '--port', '1', '--to', 'nats://a', '--stream', 'S'], /needs --subject$/m],
  [
    ['collect', '--port', '1', '--to', '/tmp', '--stream', 'S'],
    /--stream needs --to nats:\/\/HOST, and it is a directory/,
  ],
  [
    ['collect', '--port', '1', '--to', '-', '--rotate-bytes', '70000'],
    /--rotate-bytes needs --to a directory, and it is -/,
  ],
  [['collect', '--port', '1', '--to', '-', '--tls-ca', 'x'], /--tls-ca needs --to nats/],
  [['collect', '--port', '1', '--to', '-', '--batch-ms', '0'], /--batch-ms/],
  [['collect', '--port', '1', '--to', '-', '--in-flight', '1e3'], /--in-flight/],
  [['collect', '--port', '1', '--to', '-', '--on-full', 'wait'], /--on-full.*block, drop/s],
  [['collect', '--port', '1', '--to', '/tmp', '--fsync', 'yes'], /--fsync.*file, write/s],
  [['collect', '--port', '70000', '--to', '-'], /--port/],
  [['compare', '--rounds', '0'], /--rounds/],
  [['compare', '--rounds', '101'], /--rounds/],
  [['compare', '--rounds', '1.5'], /--rounds/],
  [['serve', '--monitor', '70000'], /--monitor/],
  [['serve', '--reply', 'x'.repeat(70_000)], /^ksocket: --reply has 70000 bytes, a datagram carries 65507 at most$/m],
  [['serve', '--reply', 'é'.repeat(32_754)], /--reply has 65508 bytes/],
];

for (const ofServe of [true, false]) {
  const whose = ofServe ? 'of serve' : 'of the other commands';
  test(`wrong arguments ${whose}: one line that names them, on stderr, and exit code 1`, async () => {
    for (const [args, message] of wrong.filter(([args]) => (args[0] === 'serve') === ofServe)) {
      const { code, signal, stdout, stderr } = await runCli(args, { deadlineMs: 15_000 });
      assert.deepEqual([code, signal], [1, null], `ksocket ${args.join(' ')}: ${stdout} ${stderr}`);
      assert.match(stderr, message, `ksocket ${args.join(' ')}`);
      assert.equal(stdout, '', `ksocket ${args.join(' ')}`);
      assert.equal(stderr.trim().split('\n').length, 1, `one line: ${stderr}`);
      assert.doesNotMatch(stderr, /\n {4}at /, `no stack: ksocket ${args.join(' ')}`);
    }
  });
}

test('a server that would answer itself: a line that says so', async () => {
  const port = await unusedPort();
  const { code, stderr } = await runCli(['serve', '-p', `${port}`, '--reply', 'x', '--reply-to', `127.0.0.1:${port}`]);
  assert.equal(code, 1);
  assert.match(stderr, /^ksocket: The property 'options.replyTo' is an address that the server itself listens on.*\n$/);
});

test('who has read enough ends it quietly', async () => {
  const command = `exec "$0" dist/cli/main.js info --json | true`;
  for (let i = 0; i < 3; i++) {
    await using child = new Child('bash', ['-c', command, process.execPath]);
    assert.equal((await child.end()).stderr, '');
  }
});

test('without a command it shows its help and fails', async () => {
  const { code, stdout, stderr } = await runCli([]);
  assert.equal(code, 1);
  assert.match(stdout + stderr, /serve/);
});
