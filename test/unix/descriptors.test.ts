// Descriptors that go with a datagram, SCM_RIGHTS.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, startProgram } from '../support/child.js';
import { LocalInbox, LocalSockets, sentTo } from '../support/local.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const openDescriptors = () => readdirSync('/proc/self/fd').length;

/** Files with a text each, open; closed and removed with the test. */
class Files {
  readonly directory = mkdtempSync(join(tmpdir(), 'ksocket-files-'));
  readonly fds: number[] = [];

  open(text: string): number {
    const path = join(this.directory, String(this.fds.length));
    writeFileSync(path, text);
    const fd = openSync(path, 'r');
    this.fds.push(fd);
    return fd;
  }

  [Symbol.dispose](): void {
    for (const fd of this.fds) closeSync(fd);
    rmSync(this.directory, { recursive: true });
  }
}

function textOf(fd: number): string {
  const buffer = Buffer.alloc(100);
  return buffer.toString('utf8', 0, readSync(fd, buffer, 0, 100, 0));
}

test('they arrive in order, are copies, and are the program’s to close', async () => {
  await using sockets = new LocalSockets();
  using files = new Files();
  const before = openDescriptors();
  const receiver = sockets.bound('a', { receiveDescriptors: true });
  const inbox = new LocalInbox(receiver);
  const sender = sockets.make();
  const own = openSync(process.execPath, 'r');
  const sent = new Promise((resolve) =>
    sender.send(
      'three',
      { path: sockets.path('a'), descriptors: [files.open('one'), own, files.open('three')] },
      resolve,
    ),
  );
  closeSync(own); // what is sent has been copied
  sender.send('none', sockets.path('a'));
  assert.equal(await sent, null);
  const [first, second] = await inbox.take(2);
  const got = first.rinfo.descriptors as number[];
  assert.deepEqual([got.length, textOf(got[0]), textOf(got[2])], [3, 'one', 'three']);
  assert.equal(fstatSync(got[1]).ino, statSync(process.execPath).ino);
  assert.deepEqual(second.rinfo.descriptors, []);
  for (const fd of got) closeSync(fd);
  receiver.close();
  sender.close();
  await waitFor(() => openDescriptors() <= before + 2, 'nothing is left open'); // the two files
});

test('in batches, and in for await', async () => {
  await using sockets = new LocalSockets();
  using files = new Files();
  const receiver = sockets.bound('a', { receiveDescriptors: true });
  const sender = sockets.make();
  const fd = files.open('text');
  const batched = new Promise<[number[], number[]]>((resolve) => {
    receiver.once('batch', (batch) => resolve([batch.descriptors(0), batch.descriptors(0)]));
  });
  sender.send('1', { path: sockets.path('a'), descriptors: [fd] });
  const [taken, again] = await batched;
  assert.equal(textOf(taken[0]), 'text');
  assert.deepEqual([taken.length, again], [1, []]);
  closeSync(taken[0]);
  sender.send('2', { path: sockets.path('a'), descriptors: [fd, fd] });
  for await (const { descriptors = [] } of receiver) {
    assert.deepEqual(descriptors.map(textOf), ['text', 'text']);
    for (const each of descriptors) closeSync(each);
    break;
  }
});

test('on a connected socket; as many as the kernel takes', async () => {
  await using sockets = new LocalSockets();
  using files = new Files();
  const receiver = sockets.bound('a', { receiveDescriptors: true });
  const inbox = new LocalInbox(receiver);
  const sender = sockets.make();
  sender.connectSync(sockets.path('a'));
  const fd = files.open('x');
  const many = Array.from({ length: 253 }, () => fd);
  await new Promise<void>((resolve, reject) => {
    sender.send('many', { descriptors: many }, (error) => (error ? reject(error) : resolve()));
  });
  const [{ rinfo }] = await inbox.take(1);
  assert.equal(rinfo.descriptors?.length, 253);
  for (const each of rinfo.descriptors ?? []) closeSync(each);
  assert.throws(() => sender.send('x', { descriptors: [...many, fd] }), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => sender.send('x', { descriptors: [] }), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => sender.send('x', { descriptors: [-1] }), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => sender.send('x', { descriptors: ['0'] as never }), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => sender.send('x', { descriptors: [1_000_000] }), { code: 'EBADF', syscall: 'dup' });
  assert.throws(() => sender.send('x', { descriptor: [fd] } as never), { message: /did you mean 'descriptors'/ });
});

test('what nobody takes, or is never sent, is closed', async () => {
  await using sockets = new LocalSockets();
  using files = new Files();
  const fd = files.open('x');
  const before = openDescriptors();
  const untaken = sockets.bound('untaken', { receiveDescriptors: true });
  const unheard = sockets.bound('unheard', { receiveDescriptors: true });
  const unasked = sockets.bound('unasked');
  const read = [untaken, unasked].map((socket) => {
    let count = 0;
    socket.on('batch', (batch) => {
      count += batch.length;
    });
    return () => count;
  });
  const sender = sockets.make();
  for (let i = 0; i < 5; i++) {
    for (const name of ['untaken', 'unheard', 'unasked', 'nobody']) {
      sender.send('x', { path: sockets.path(name), descriptors: [fd, fd] }, () => {});
    }
  }
  await waitFor(() => read.every((count) => count() === 5) && unheard.stats().rxDatagrams === 5);
  for (const socket of [untaken, unheard, unasked, sender]) socket.close();
  await waitFor(() => openDescriptors() <= before, 'all are closed');

  // Those of a datagram that waits for its receiver.
  const full = sockets.bound('full');
  full.unref();
  const stopped = spawn(
    'python3',
    [
      '-c',
      'import socket, sys, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); print(flush=True); time.sleep(60)',
      sockets.path('slow'),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await once(stopped.stdout, 'data');
  const patient = sockets.make();
  const results: (string | undefined)[] = [];
  for (let i = 0; i < 600; i++) {
    const done = (error: Error | null) => results.push((error as NodeJS.ErrnoException | null)?.code);
    patient.send('x', { path: sockets.path('slow'), descriptors: [fd] }, done);
  }
  await waitFor(() => patient.getSendQueueCount() > 0);
  patient.close();
  await waitFor(() => results.length === 600);
  assert.ok(results.includes('ECANCELED'));
  const ended = once(stopped, 'exit');
  stopped.kill('SIGKILL');
  await ended;
  full.close();
  await waitFor(() => openDescriptors() <= before + 1, 'all are closed'); // the pipe's end may be there
});

test('those that the process has no room for are lost, and it says so', async () => {
  await using sockets = new LocalSockets();
  using files = new Files();
  const path = sockets.path('a');
  await using receiving = startProgram(
    async (path) => {
      const { createSocket } = await import('ksocket');
      const { closeSync, openSync } = await import('node:fs');
      const receiver = createSocket({ type: 'unix_dgram', receiveDescriptors: true });
      receiver.bindSync(path);
      console.log('the first output opens a descriptor');
      const held: number[] = [];
      try {
        for (;;) held.push(openSync('/dev/null', 'r'));
      } catch {}
      for (const fd of held.splice(-2)) closeSync(fd);
      const seen: unknown[] = [];
      receiver.on('message', (msg, { descriptors, descriptorsTruncated }) => {
        seen.push([`${msg}`, descriptors?.length, descriptorsTruncated]);
        if (seen.length < 3) return;
        receiver.on('batch', (batch) => {
          seen.push([`${batch.data(0)}`, batch.descriptors(0).length, batch.descriptorsTruncated(0)]);
          for (const fd of held) closeSync(fd);
          console.log(JSON.stringify([...seen, receiver.stats().rxDescriptorsTruncated]));
          receiver.close();
        });
        console.log('batches');
      });
      console.log('full');
    },
    [path],
    { under: ['prlimit', '--nofile=64'] },
  );
  await receiving.line(/^full$/);
  const sender = sockets.make();
  const fd = files.open('x');
  sender.send('three', { path, descriptors: [fd, fd, fd] });
  sender.send('one', { path, descriptors: [fd] });
  sender.send('none', path);
  await receiving.line(/^batches$/);
  sender.send('batch', { path, descriptors: [fd] });
  const [line] = await receiving.line(/^\[.*/);
  assert.deepEqual(JSON.parse(line), [['three', 2, true], ['one', 0, true], ['none', 0, false], ['batch', 0, true], 3]);
});

test('to and from Python', async () => {
  await using sockets = new LocalSockets();
  using files = new Files();
  const receiver = sockets.bound('a', { receiveDescriptors: true });
  const inbox = new LocalInbox(receiver);
  writeFileSync(join(files.directory, 'theirs'), 'theirs');
  const sending = [
    'import socket, sys',
    's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(sys.argv[1])',
    'f = open(sys.argv[2]); socket.send_fds(s, [b"x"], [f.fileno()])',
  ].join('\n');
  execFileSync('python3', ['-c', sending, sockets.path('a'), join(files.directory, 'theirs')]);
  const [{ rinfo }] = await inbox.take(1);
  const [fd] = rinfo.descriptors as number[];
  assert.equal(readFileSync(fd, 'utf8'), 'theirs');
  closeSync(fd);
  const receiving = [
    'import os, socket, sys',
    's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); print("ready", flush=True)',
    'data, fds, flags, address = socket.recv_fds(s, 100, 10)',
    'print(data.decode(), os.pread(fds[0], 100, 0).decode(), len(fds), flush=True)',
  ].join('\n');
  await using python = new Child('python3', ['-c', receiving, sockets.path('py')]);
  await python.line(/ready/);
  const sender = sockets.make();
  sender.send('to Python', { path: sockets.path('py'), descriptors: [files.open('ours')] });
  await python.line(/^to Python ours 1$/);
  await sentTo(sender, 'x', sockets.path('a'));
});

test('those of datagrams that a loop leaves behind, or that a batch’s listener does not take, are closed', async () => {
  await using sockets = new LocalSockets();
  using files = new Files();
  const receiver = sockets.bound('a', { receiveDescriptors: true });
  const sender = sockets.make();
  const fd = files.open('x');
  const send = (count: number) => {
    for (let i = 0; i < count; i++) sender.send(String(i), { path: sockets.path('a'), descriptors: [fd, fd] });
  };
  const read = async (count: number) => {
    const before = receiver.stats().rxDatagrams;
    send(count);
    await waitFor(() => receiver.stats().rxDatagrams === before + count);
    await new Promise((resolve) => setTimeout(resolve, 20));
  };
  await read(1); // the thread is there
  const before = openDescriptors();
  const iterator = receiver[Symbol.asyncIterator]();
  await read(20);
  await iterator.return?.();
  assert.equal(openDescriptors(), before);
  let taken = 0;
  receiver.on('batch', (batch) => {
    for (const datagram of batch) {
      const { descriptors = [] } = datagram as { descriptors?: number[] };
      if (taken === 0) taken = descriptors.length;
      for (const each of descriptors) closeSync(each);
      break;
    }
  });
  await read(20);
  assert.equal(taken, 2);
  assert.equal(openDescriptors(), before);
});
