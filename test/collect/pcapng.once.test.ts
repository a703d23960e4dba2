// pcapng(): files that tshark and tcpdump open, which have all that was written, also when the disk is full or the process killed.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { type CollectedDatagram, type PcapngOptions, pcapng, type Sink, type SinkError } from 'ksocket/collect';
import {
  batchOf,
  capturesIn,
  countWithTcpdump,
  expected,
  Folder,
  never,
  OPENING,
  readWithTshark,
} from '../support/captures.js';
import { Child, startProgram } from '../support/child.js';
import { test } from '../support/test.js';

const NOW = 1_764_269_233_123_456_789n;

const datagram = (text: string | Buffer, more: Partial<CollectedDatagram> = {}): CollectedDatagram => ({
  data: Buffer.from(text),
  address: '192.0.2.1',
  port: 40_000,
  local: '192.0.2.9',
  localPort: 514,
  receivedNs: NOW,
  ...more,
});

async function opened(options: PcapngOptions): Promise<Sink> {
  const sink = pcapng(options);
  await sink.open(OPENING);
  return sink;
}

/** One file with these, read again. */
async function throughFile(datagrams: CollectedDatagram[]): Promise<void> {
  using folder = new Folder();
  const sink = await opened({ dir: folder.path });
  for (let i = 0; i < datagrams.length; i += 100) await sink.write(batchOf(datagrams.slice(i, i + 100)), never);
  await sink.close();
  const [file] = folder.files;
  assert.deepEqual(readWithTshark(join(folder.path, file)), datagrams.map(expected));
  assert.equal(countWithTcpdump(join(folder.path, file)), datagrams.length);
}

test('addresses, ports, times and bytes are those of the datagrams', async () => {
  const ipv4 = fc.ipV4();
  const ipv6 = fc.oneof(
    fc.constantFrom('::1', 'fe80::1%3', '2001:db8::7', 'ff02::1'),
    ipv4.map((address) => `::ffff:${address}`),
  );
  const perhaps = (addresses: fc.Arbitrary<string>) => fc.option(addresses, { nil: undefined });
  const flow = fc.oneof(
    fc.record({ address: ipv4, local: perhaps(ipv4) }),
    fc.record({ address: ipv6, local: perhaps(ipv6.map((text) => text.replace(/%.*/, ''))) }),
  );
  const one = fc.record({
    flow,
    port: fc.integer({ min: 1, max: 65_535 }),
    localPort: fc.constantFrom(40_001, 50_000, 65_535), // no protocol's that tshark takes apart
    receivedNs: fc.bigInt({ min: 0n, max: 4_102_444_800_000_000_000n }),
    data: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  });
  const [datagrams] = fc.sample(fc.array(one, { minLength: 600, maxLength: 600 }), { numRuns: 1, seed: 7 });
  await throughFile(
    datagrams
      .map(({ flow, ...rest }) => ({ ...flow, ...rest }))
      .filter(({ address, local }) => local === undefined || isIpv4(address) === isIpv4(local)), // no packet has one of each
  );
});

const isIpv4 = (address: string) => !address.replace('::ffff:', '').includes(':');

test('payloads of every length modulo four, none at all, and the longest of both families', async () => {
  const lengths = [...Array(70).keys(), 1471, 1472, 1473, 65_506, 65_507];
  const datagrams = lengths.flatMap((length) => {
    const data = Buffer.alloc(length, length);
    return [datagram(data), datagram(data, { address: '2001:db8::1', local: '2001:db8::2' })];
  });
  datagrams.push(datagram(Buffer.alloc(65_527, 0xff), { address: '2001:db8::1', local: '2001:db8::2' }));
  datagrams.push(datagram(Buffer.from([0xff, 0xff])), datagram(Buffer.alloc(3)));
  await throughFile(datagrams);
});

test('a payload that no packet carries is cut, and the file says how long it was', async () => {
  using folder = new Folder();
  const sink = await opened({ dir: folder.path });
  await sink.write(batchOf([datagram(Buffer.alloc(65_535, 1)), datagram('after')]), never);
  await sink.close();
  const file = join(folder.path, folder.files[0]);
  const read = readWithTshark(file);
  assert.deepEqual(
    read.map(({ payload }) => payload.length / 2),
    [65_507, 5],
  );
  const lengths = execFileSync('tshark', ['-r', file, '-T', 'fields', '-e', 'frame.len'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  assert.equal(lengths.split('\n')[0], '65563');
});

test('batches that are larger than what is written at once are whole', async () => {
  using folder = new Folder();
  const sink = await opened({ dir: folder.path });
  const datagrams = Array.from({ length: 50_000 }, (_, i) => datagram(`${i}`, { receivedNs: NOW + BigInt(i) }));
  await sink.write(batchOf(datagrams), never);
  await sink.close();
  assert.deepEqual(readWithTshark(join(folder.path, folder.files[0])), datagrams.map(expected));
});

test('a file that is written has .part behind its name, and one without a datagram does not stay', async () => {
  using folder = new Folder();
  const empty = await opened({ dir: folder.path });
  assert.equal(folder.files.length, 1);
  await empty.close();
  assert.equal(folder.files.length, 0);

  const sink = await opened({ dir: folder.path, prefix: 'edge-1' });
  await sink.write(batchOf([datagram('x')]), never);
  const unfinished = folder.files[0];
  assert.match(unfinished, /^edge-1-\d{8}T\d{6}Z-000001\.pcapng\.part$/);
  assert.equal(readWithTshark(join(folder.path, unfinished)).length, 1, 'it is readable meanwhile');
  assert.equal(statSync(join(folder.path, unfinished)).mode & 0o7137, 0, 'it is for its user and group');
  await sink.close();
  assert.deepEqual(folder.files, [unfinished.replace('.part', '')]);
});

test('rotate.bytes: no file is larger, none is empty, and together they have everything in order', async () => {
  using folder = new Folder();
  const bytes = 65_536;
  const sink = await opened({ dir: folder.path, rotate: { bytes } });
  const all: CollectedDatagram[] = [];
  for (let i = 0; i < 60; i++) {
    const some = Array.from({ length: 50 }, (_, k) => datagram(Buffer.alloc(i * 3, k), { port: 1 + i * 50 + k }));
    all.push(...some);
    await sink.write(batchOf(some), never);
  }
  assert.ok(folder.files.slice(0, -1).every((file) => file.endsWith('.pcapng')));
  assert.ok(folder.files.at(-1)?.endsWith('.part'));
  await sink.close();
  const { files, bytes: written, failures } = sink.stats?.() ?? {};
  assert.equal(folder.files.length, files);
  assert.ok(files > 4 && written > 4 * 50_000);
  assert.equal(failures, 0);
  for (const file of folder.files) assert.ok(statSync(join(folder.path, file)).size <= bytes);
  assert.deepEqual(
    folder.files.flatMap((file) => readWithTshark(join(folder.path, file))),
    all.map(expected),
  );
});

test('rotate.bytes: a batch that is larger has a file of its own', async () => {
  using folder = new Folder();
  const sink = await opened({ dir: folder.path, rotate: { bytes: 65_536 } });
  const large = Array.from({ length: 100 }, () => datagram(Buffer.alloc(1000)));
  for (const some of [[datagram('before')], large, [datagram('after')]]) await sink.write(batchOf(some), never);
  await sink.close();
  const counts = folder.files.map((file) => readWithTshark(join(folder.path, file)).length);
  assert.deepEqual(counts, [1, 100, 1]);
});

test('rotate.seconds: a file is finished when the next datagram comes, and a silence makes none', async () => {
  using folder = new Folder();
  const sink = await opened({ dir: folder.path, rotate: { seconds: 1 } });
  await sleep(1200);
  for (const text of ['a', 'b']) await sink.write(batchOf([datagram(text)]), never);
  assert.equal(folder.files.length, 1);
  await sleep(1200);
  await sink.write(batchOf([datagram('c')]), never);
  await sink.close();
  const counts = folder.files.map((file) => readWithTshark(join(folder.path, file)).length);
  assert.deepEqual(counts, [2, 1]);
});

test('rotate.files: the oldest go, and nothing that is not ours', async () => {
  using folder = new Folder();
  const others = ['ksocket-20200101T000000Z-000001.txt', 'ksocketx-20200101T000000Z-000001.pcapng', 'ksocket.pcapng'];
  for (const name of others) writeFileSync(join(folder.path, name), '');
  const old = 'ksocket-20200101T000000Z-000041.pcapng';
  writeFileSync(join(folder.path, old), '');
  const sink = await opened({ dir: folder.path, rotate: { bytes: 65_536, files: 3 } });
  const ours = () => folder.files.filter((name) => !others.includes(name));
  for (let i = 0; i < 8; i++) {
    await sink.write(batchOf(Array.from({ length: 60 }, () => datagram(Buffer.alloc(1000, i)))), never);
    assert.ok(ours().length <= 3, ours().join());
  }
  await sink.close();
  assert.deepEqual(
    ours().map((name) => name.slice(-13)),
    ['000047.pcapng', '000048.pcapng', '000049.pcapng'],
  );
  assert.deepEqual(
    folder.files.filter((name) => others.includes(name)),
    others.toSorted(),
  );
});

test('numbers go on where another process has ended, and what it left unfinished gets its name', async () => {
  using folder = new Folder();
  const left = await opened({ dir: folder.path });
  await left.write(batchOf([datagram('left')]), never); // and is never closed
  const [unfinished] = folder.files;
  // As on another machine that has the same directory, to which nobody can connect.
  for (const name of readdirSync(folder.path)) if (name.endsWith('.lock')) rmSync(join(folder.path, name));
  const next = await opened({ dir: folder.path });
  assert.ok(folder.files.includes(unfinished.replace('.part', '')));
  await next.write(batchOf([datagram('next')]), never);
  await next.close();
  // The first was not dead: it loses nothing either.
  await left.write(batchOf([datagram('again')]), never);
  await left.close();
  const read = folder.files.map((file) => readWithTshark(join(folder.path, file)).map(({ payload }) => payload));
  assert.deepEqual(
    read,
    [['left', 'again'], ['next']].map((texts) => texts.map((text) => Buffer.from(text).toString('hex'))),
  );
});

test('a link or a file in the way is left alone', async () => {
  using folder = new Folder();
  const target = join(folder.path, 'target');
  writeFileSync(target, 'precious');
  const now = Date.now();
  for (let s = 0; s < 20; s++) {
    const time = new Date(now + s * 1000).toISOString().replace(/\.\d+|[-:]/g, '');
    symlinkSync(target, join(folder.path, `ksocket-${time}-000001.pcapng`));
  }
  // They are taken for files that are finished: numbers go on behind them. These are in the way of the next one.
  for (let s = 0; s < 20; s++) {
    const time = new Date(now + s * 1000).toISOString().replace(/\.\d+|[-:]/g, '');
    mkdirSync(join(folder.path, `ksocket-${time}-000002.pcapng.part`));
  }
  const sink = await opened({ dir: folder.path });
  await sink.write(batchOf([datagram('x')]), never);
  await sink.close();
  assert.equal(readFileSync(target, 'utf8'), 'precious');
});

test('a process that is killed leaves what was acknowledged', async () => {
  using folder = new Folder();
  const child = startProgram(
    async (dir: string, now: string) => {
      const { pcapng } = await import('ksocket/collect');
      const sink = pcapng({ dir, rotate: { bytes: 2_000_000 } });
      const { signal } = new AbortController();
      await sink.open({ signal, batchBytes: 1 << 20, inFlight: 8 });
      const data = Buffer.alloc(100, 7);
      for (let n = 0; ; n += 1000) {
        const datagrams = Array.from({ length: 1000 }, (_, i) => ({
          data,
          address: '192.0.2.1',
          port: 1 + ((n + i) % 60_000),
          local: '192.0.2.9',
          localPort: 50_000,
          receivedNs: BigInt(now) + BigInt(n + i),
        }));
        const batch = { id: `${n}`, key: '', count: 1000, payloadBytes: 100_000, bytes: new Uint8Array(0) };
        await sink.write({ ...batch, datagrams: () => datagrams.values() }, signal);
        console.log(n + 1000);
      }
    },
    [folder.path, `${NOW}`],
  );
  await using _ = child;
  await child.line(/^40000$/);
  child.kill('SIGKILL');
  const { stdout } = await child.end();
  const acknowledged = Number(stdout.trim().split('\n').at(-1));
  const read = folder.files.flatMap((file) => readWithTshark(join(folder.path, file), { cut: true }));
  assert.ok(read.length >= acknowledged && acknowledged >= 40_000, `${read.length} of ${acknowledged}`);
  assert.ok(
    read.every(({ receivedNs }, i) => receivedNs === NOW + BigInt(i)),
    'they are in order',
  );
});

test('wherever a file is cut, all packets before are read', async () => {
  using folder = new Folder();
  const sink = await opened({ dir: folder.path });
  const datagrams = Array.from({ length: 5 }, (_, i) => datagram(`number ${i}`));
  await sink.write(batchOf(datagrams), never);
  const file = join(folder.path, folder.files[0]);
  const bytes = readFileSync(file);
  await sink.close();
  const block = (28 + 28 + 'number 0'.length + 4 + 3) & ~3;
  const cutFile = join(folder.path, 'cut');
  for (const cut of [1, 3, 17, block - 1, block, block + 1, 2 * block - 2, 3 * block + 10]) {
    writeFileSync(cutFile, bytes.subarray(0, bytes.length - cut));
    const whole = 5 - Math.ceil(cut / block);
    assert.deepEqual(readWithTshark(cutFile, { cut: true }), datagrams.slice(0, whole).map(expected));
  }
});

test('fsync: a batch, or a file, is on the disk first', async () => {
  for (const [fsync, atLeast] of [
    ['write', 3],
    ['file', 1],
    [false, 0],
  ] as const) {
    using folder = new Folder();
    const program = async (dir: string, fsync: false | 'file' | 'write') => {
      const { pcapng } = await import('ksocket/collect');
      const sink = pcapng({ dir, fsync });
      const { signal } = new AbortController();
      await sink.open({ signal, batchBytes: 1 << 20, inFlight: 8 });
      for (let i = 0; i < 3; i++) {
        const one = { data: Buffer.from('x'), address: '::1', port: 1, local: undefined, localPort: 2, receivedNs: 5n };
        const batch = { id: `${i}`, key: '', count: 1, payloadBytes: 1, bytes: new Uint8Array(0) };
        await sink.write({ ...batch, datagrams: () => [one].values() }, signal);
      }
      await sink.close();
    };
    await using child = startProgram(program, [folder.path, fsync], {
      under: ['strace', '-f', '-qq', '-e', 'trace=fdatasync', '-o', join(folder.path, 'trace')],
    });
    const { code, stderr } = await child.end();
    assert.equal(code, 0, stderr);
    const calls = readFileSync(join(folder.path, 'trace'), 'utf8').split('fdatasync(').length - 1;
    assert.ok(fsync === false ? calls === 0 : calls >= atLeast, `${fsync}: ${calls} calls`);
  }
});

/** Runs a test's program where a file system of so many bytes is mounted, which nobody else sees. */
function onSmallDisk(bytes: number, program: string, args: string[]): Child {
  const asUser = process.getuid?.() === 0 ? [] : ['-r'];
  const setup = `mount -t tmpfs -o size=${bytes},mode=777 none /mnt && exec "$0" "$@"`;
  const under = ['unshare', ...asUser, '-m', 'sh', '-c', setup];
  return new Child(process.execPath, ['--input-type=module', '-e', program, ...args], { under });
}

test('a full disk: the batch is refused and not half there, and goes in when there is room', async () => {
  const program = `(${async () => {
    const { pcapng } = await import('ksocket/collect');
    const { execFileSync } = await import('node:child_process');
    const { readdirSync, unlinkSync, writeFileSync } = await import('node:fs');
    const sink = pcapng({ dir: '/mnt/captures', rotate: { bytes: 300_000 } });
    const { signal } = new AbortController();
    await sink.open({ signal, batchBytes: 1 << 20, inFlight: 8 });
    writeFileSync('/mnt/ballast', Buffer.alloc(200_000));
    let number = 0;
    const data = Buffer.alloc(500, 7);
    const batch = (count: number) => {
      const first = number;
      number += count;
      const datagrams = Array.from({ length: count }, (_, i) => ({
        data,
        address: '192.0.2.1',
        port: 1,
        local: '192.0.2.9',
        localPort: 50_000,
        receivedNs: BigInt(first + i),
      }));
      const rest = { key: '', count, payloadBytes: 500 * count, bytes: new Uint8Array(0) };
      return { id: `${first}`, ...rest, datagrams: () => datagrams.values() };
    };
    let [failed, written] = [batch(100), 0];
    const errors: unknown[] = [];
    for (let n = 0; n < 100; n++) {
      try {
        await sink.write(failed, signal);
        written += 100;
        failed = batch(100);
      } catch (error) {
        const { code, retry, message } = error as { code: string; retry: boolean; message: string };
        errors.push({ code, retry, message });
        if (errors.length === 3) break;
      }
    }
    const times = () =>
      readdirSync('/mnt/captures')
        .filter((name) => !name.startsWith('.'))
        .sort()
        .flatMap((name) => {
          const options = { encoding: 'utf8', maxBuffer: 1 << 28 } as const;
          const args = ['-r', `/mnt/captures/${name}`, '-T', 'fields', '-e', 'frame.time_epoch'];
          return execFileSync('tshark', args, options).trim().split('\n').filter(Boolean); // fails on a block that is cut
        });
    const whenFull = times();
    unlinkSync('/mnt/ballast');
    await sink.write(failed, signal);
    await sink.write(batch(100), signal);
    await sink.close();
    console.log(JSON.stringify({ written, errors, whenFull, after: times(), stats: sink.stats?.() }));
  }})()`;
  await using child = onSmallDisk(1_000_000, program, []);
  const { code, stdout, stderr } = await child.end();
  assert.equal(code, 0, stderr);
  const { written, errors, whenFull, after, stats } = JSON.parse(stdout);
  assert.ok(written >= 500, `${written} before the disk was full`);
  const message = 'pcapng in /mnt/captures: ENOSPC: no space left on device, write';
  assert.equal(errors.length, 3);
  for (const error of errors) {
    assert.deepEqual([error.code, error.retry], ['ENOSPC', true]);
    assert.ok(error.message.startsWith(message.replace(', write', '')), error.message);
  }
  const numbers = (times: string[]) => times.map((time) => Number(time.replace('.', '')));
  assert.deepEqual(numbers(whenFull), [...Array(written).keys()]);
  assert.deepEqual(numbers(after), [...Array(written + 200).keys()]);
  assert.equal(stats.failures, 3);
});

const rejects = async (options: PcapngOptions, code: string, message: RegExp) => {
  await assert.rejects(pcapng(options).open(OPENING), (error: SinkError) => {
    assert.deepEqual([error.name, error.code], ['SinkError', code]);
    assert.match(error.message, message);
    return true;
  });
};

test('a directory that cannot be: open() says what is wrong with which', async () => {
  using folder = new Folder();
  const file = join(folder.path, 'file');
  writeFileSync(file, '');
  await rejects({ dir: file }, 'ENOTDIR', /^pcapng in .*\/file: ENOTDIR: /);
  await rejects({ dir: join(file, 'below') }, 'ENOTDIR', /ENOTDIR/);
  await rejects({ dir: join(folder.path, 'a', 'b') }, 'ENOENT', /^pcapng in .*\/a\/b: ENOENT: /);
  await rejects({ dir: join(folder.path, 'x'.repeat(300)) }, 'ENAMETOOLONG', /ENAMETOOLONG/);
  symlinkSync('loop', join(folder.path, 'loop'));
  await rejects({ dir: join(folder.path, 'loop') }, 'ELOOP', /ELOOP/);
  await rejects({ dir: '/proc/ksocket' }, 'ENOENT', /ENOENT/);
  const sink = await opened({ dir: join(folder.path, 'new') });
  assert.deepEqual(readdirSync(folder.path).sort(), ['file', 'loop', 'new']);
  await sink.close();
});

test('a directory where this process may not write', async () => {
  using folder = new Folder();
  const closed = join(folder.path, 'closed');
  mkdirSync(closed);
  chmodSync(closed, 0o555);
  chmodSync(folder.path, 0o755);
  const program = async (dir: string) => {
    const { pcapng } = await import('ksocket/collect');
    const { signal } = new AbortController();
    if (process.getuid?.() === 0) process.setuid?.(65_534); // root may write everywhere
    const error = await pcapng({ dir })
      .open({ signal, batchBytes: 1, inFlight: 1 })
      .catch((error) => error);
    console.log(error.code, error.message);
  };
  await using child = startProgram(program, [closed]);
  const { stdout } = await child.end();
  assert.match(stdout, /^EACCES pcapng in .*\/closed: EACCES: permission denied, open '/);
  assert.deepEqual(readdirSync(closed), []);
});

test('a directory that goes while it is written to: an error at the next file, and it goes on when it is back', async () => {
  using folder = new Folder();
  const dir = join(folder.path, 'captures');
  const sink = await opened({ dir, rotate: { bytes: 65_536 } });
  const large = Array.from({ length: 60 }, () => datagram(Buffer.alloc(1000)));
  await sink.write(batchOf(large), never);
  rmSync(dir, { recursive: true });
  await assert.rejects(sink.write(batchOf(large), never), { code: 'ENOENT', retry: true });
  mkdirSync(dir);
  await sink.write(batchOf(large), never);
  await sink.close();
  assert.equal(readWithTshark(join(dir, capturesIn(dir)[0])).length, 60);
});

test('who gives a batch up finds nothing of it in the file', async () => {
  using folder = new Folder();
  const sink = await opened({ dir: folder.path });
  await sink.write(batchOf([datagram('before')]), never);
  const giving = new AbortController();
  const large = Array.from({ length: 60_000 }, () => datagram(Buffer.alloc(100)));
  const writing = sink.write(batchOf(large), giving.signal);
  giving.abort();
  await assert.rejects(writing, { name: 'AbortError' });
  await sink.write(batchOf([datagram('after')]), never);
  await sink.close();
  const read = readWithTshark(join(folder.path, folder.files[0]));
  assert.deepEqual(
    read.map(({ payload }) => Buffer.from(payload, 'hex').toString()),
    ['before', 'after'],
  );
});

test('options that cannot be meant', () => {
  const bad: [options: unknown, code: string, message: RegExp][] = [
    [undefined, 'ERR_INVALID_ARG_TYPE', /options/],
    [{}, 'ERR_INVALID_ARG_TYPE', /options\.dir/],
    [{ dir: '' }, 'ERR_INVALID_ARG_VALUE', /options\.dir/],
    [{ dir: 'a\0b' }, 'ERR_INVALID_ARG_VALUE', /options\.dir/],
    [{ dir: '/tmp', rotat: {} }, 'ERR_INVALID_ARG_VALUE', /did you mean 'rotate'/],
    [{ dir: '/tmp', rotate: { byte: 1 } }, 'ERR_INVALID_ARG_VALUE', /did you mean 'bytes'/],
    [{ dir: '/tmp', rotate: { bytes: 65_535 } }, 'ERR_OUT_OF_RANGE', /options\.rotate\.bytes/],
    [{ dir: '/tmp', rotate: { seconds: 0 } }, 'ERR_OUT_OF_RANGE', /options\.rotate\.seconds/],
    [{ dir: '/tmp', rotate: { files: 1.5 } }, 'ERR_OUT_OF_RANGE', /options\.rotate\.files/],
    [{ dir: '/tmp', rotate: 5 }, 'ERR_INVALID_ARG_TYPE', /options\.rotate/],
    [{ dir: '/tmp', fsync: true }, 'ERR_INVALID_ARG_VALUE', /options\.fsync/],
    ...['', '..', '../x', 'a/b', '.hidden', 'a b', 'ü', 'x'.repeat(65), 'a\n'].map(
      (prefix): [unknown, string, RegExp] => [{ dir: '/tmp', prefix }, 'ERR_INVALID_ARG_VALUE', /options\.prefix/],
    ),
  ];
  for (const [options, code, message] of bad) {
    assert.throws(() => pcapng(options as PcapngOptions), { code, message }, JSON.stringify(options));
  }
});

test('nothing of a datagram is in a name', async () => {
  using folder = new Folder();
  const sink = await opened({ dir: join(folder.path, 'in'), rotate: { bytes: 65_536 } });
  for (const text of ['../../../etc/x', '/etc/passwd', '\0', '%s', '{source}', '$(id)']) {
    await sink.write(batchOf([datagram(text.repeat(1500), { address: 'fe80::1%..', local: undefined })]), never);
  }
  await sink.close();
  assert.deepEqual(folder.files, ['in']);
  for (const name of readdirSync(join(folder.path, 'in'))) assert.match(name, /^ksocket-\d{8}T\d{6}Z-\d{6}\.pcapng$/);
});
