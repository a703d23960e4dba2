// Two collectors in one directory: neither takes the other's files for its own.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type PcapngOptions, pcapng, type Sink, type SinkError } from 'ksocket/collect';
import { batchOf, Folder, large, never, OPENING, readWithTshark } from '../support/captures.js';
import { startCli, startProgram } from '../support/child.js';
import { bound, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const write = (sink: Sink) => sink.write(batchOf([large]), never);

async function opened(options: PcapngOptions): Promise<Sink> {
  const sink = pcapng(options);
  await sink.open(OPENING);
  return sink;
}

const inUse = { code: 'ERR_KSOCKET_PREFIX_IN_USE', retry: false, message: /another collector writes ksocket-\* there/ };

test('a prefix is one collector’s as long as it is open', async () => {
  using folder = new Folder();
  const dir = folder.path;
  const rotate = { bytes: 65_536, files: 2 };
  const first = await opened({ dir, rotate });
  for (let i = 0; i < 2; i++) await write(first);
  const before = folder.files;
  await assert.rejects(opened({ dir, rotate }), inUse);
  await assert.rejects(opened({ dir: `${dir}/../${dir.split('/').at(-1)}`, rotate }), inUse);
  assert.deepEqual(folder.files, before, 'nothing is renamed or removed');
  const second = await opened({ dir, rotate, prefix: 'ksocket-b' });
  const third = await opened({ dir, rotate, prefix: 'ksocket-0123456789abcdef' });
  for (let i = 0; i < 5; i++) await write(second);
  await write(third);
  await write(first);
  for (const sink of [first, second, third]) await sink.close();
  const counts = ['ksocket-2', 'ksocket-b', 'ksocket-0'].map(
    (prefix) => folder.files.filter((f) => f.startsWith(prefix)).length,
  );
  assert.deepEqual(counts, [2, 2, 1]);
  for (const file of folder.files) assert.equal(readWithTshark(join(dir, file)).length, 1);
  const again = await opened({ dir });
  await again.close();
  assert.deepEqual(readdirSync(dir).sort(), folder.files, 'nothing else stays');
});

test('what a process that was killed has left holds up nobody', async () => {
  using folder = new Folder();
  const program = async (dir: string) => {
    const { pcapng } = await import('ksocket/collect');
    await pcapng({ dir }).open({ signal: new AbortController().signal, batchBytes: 1, inFlight: 1 });
    console.log('open');
    setInterval(() => {}, 1000);
  };
  await using child = startProgram(program, [folder.path]);
  await child.line(/open/);
  const locks = () => readdirSync(folder.path).filter((name) => name.endsWith('.lock'));
  await assert.rejects(opened({ dir: folder.path }), inUse);
  child.kill('SIGSTOP');
  await assert.rejects(opened({ dir: folder.path }), inUse);
  assert.equal(locks().length, 1);
  child.kill('SIGKILL');
  await child.end();
  const sink = await opened({ dir: folder.path });
  assert.equal(locks().length, 1);
  await sink.close();
  assert.equal(locks().length, 0);
});

test('many at the same time: one has it, and the others say so', async () => {
  using folder = new Folder();
  for (let round = 0; round < 5; round++) {
    const sinks = Array.from({ length: 6 }, () => pcapng({ dir: folder.path }));
    const results = await Promise.allSettled(sinks.map((sink) => sink.open(OPENING)));
    const open = results.filter(({ status }) => status === 'fulfilled');
    assert.ok(open.length <= 1, `${open.length}`);
    for (const result of results)
      if (result.status === 'rejected') assert.equal((result.reason as SinkError).code, 'ERR_KSOCKET_PREFIX_IN_USE');
    await Promise.all(sinks.map((sink, i) => (results[i].status === 'fulfilled' ? sink.close() : undefined)));
    assert.deepEqual(readdirSync(folder.path), []);
  }
});

test('a path that is longer than a socket’s; a file of such a name', async () => {
  using folder = new Folder();
  const dir = join(folder.path, 'x'.repeat(100));
  mkdirSync(dir);
  const first = await opened({ dir });
  await assert.rejects(opened({ dir }), inUse);
  await first.close();
  writeFileSync(join(dir, '.ksocket-0123456789abcdef.lock'), 'no socket');
  const next = await opened({ dir });
  await next.close();
  assert.deepEqual(readdirSync(dir), []);
});

test('ksocket collect: the second in a directory is refused, and with --prefix each keeps its own', async () => {
  using folder = new Folder();
  const args = ['collect', '--port', '0', '--address', '127.0.0.1', '--to', folder.path, '--rotate-files', '1'];
  const port = async (child: ReturnType<typeof startCli>) => Number((await child.line(/:(\d+), pcapng/))[1]);
  await using first = startCli(args);
  const firstPort = await port(first);
  await using refused = startCli(args);
  const { code, stdout, stderr } = await refused.end();
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /^ksocket: pcapng in .*: another collector writes ksocket-\* there, .* its own prefix\n$/);
  await using second = startCli([...args, '--prefix', 'edge']);
  const secondPort = await port(second);
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  await bound(client);
  await sent(client, 'x', firstPort);
  await sent(client, 'y', secondPort);
  for (const child of [first, second]) {
    child.kill('SIGTERM');
    assert.equal((await child.end()).code, 0);
  }
  await waitFor(() => folder.files.length === 2, 'both');
  assert.match(folder.files.join(' '), /^edge-\S+-000001\.pcapng ksocket-\S+-000001\.pcapng$/);
  assert.match(
    (await startCli([...args.slice(0, 5), '--to', '-', '--prefix', 'x']).end()).stderr,
    /--prefix needs --to/,
  );
});
