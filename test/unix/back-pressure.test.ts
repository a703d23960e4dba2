// A receiver takes net.unix.max_dgram_qlen datagrams. What is sent to it beyond that waits, in order, costs nothing while it
// waits, and keeps nothing else waiting.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, renameSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { UnixSocket } from 'ksocket';
import { LocalInbox, LocalSockets, sentTo } from '../support/local.js';
import { test } from '../support/test.js';
import { nextTurn, waitFor } from '../support/wait.js';

/** A receiver that reads when it is told to, so many, and says what it has read; in a process of its own. */
class Reader {
  static readonly #program = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    out = []
    for i in range(int(line)):
        out.append(s.recv(65536)[:16].decode().strip())
    print(" ".join(out), flush=True)
`;
  readonly process;
  readonly #lines;

  constructor(path: string) {
    this.process = spawn('python3', ['-c', Reader.#program, path], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    return (await this.#lines.next()).value ?? 'the reader has ended';
  }

  async read(count: number): Promise<string[]> {
    this.process.stdin.write(`${count}\n`);
    return (await this.line()).split(' ');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await ended;
  }
}

async function reader(sockets: LocalSockets, name: string): Promise<Reader> {
  const one = new Reader(sockets.path(name));
  assert.equal(await one.line(), 'ready');
  return one;
}

/** Numbers from `from` on, as many as are told to go. */
function sendNumbers(socket: UnixSocket, path: string | undefined, from: number, count: number): void {
  for (let n = from; n < from + count; n++) {
    if (path === undefined) socket.send(String(n));
    else socket.send(String(n), path);
  }
}

const numbers = (from: number, count: number) => Array.from({ length: count }, (_, n) => String(from + n));

for (const connected of [false, true]) {
  test(`what a receiver has no room for waits in order: ${connected ? 'connected' : 'by path'}`, async () => {
    await using sockets = new LocalSockets();
    await using slow = await reader(sockets, 'slow');
    const sender = sockets.make();
    if (connected) sender.connectSync(sockets.path('slow'));
    const path = connected ? undefined : sockets.path('slow');
    sendNumbers(sender, path, 0, 1000);
    await waitFor(() => sender.getSendQueueCount() > 0);
    assert.ok(sender.getSendQueueCount() >= 300, `${sender.getSendQueueCount()} wait`);
    assert.ok(sender.getSendQueueSize() > 2 * sender.getSendQueueCount()); // mostly numbers of three digits
    const send = (list: string[]) => (path === undefined ? sender.sendMany(list) : sender.sendMany(list, path));
    assert.equal(send(['not before those']), 0);
    const drained = once(sender, 'drain');
    assert.deepEqual(await slow.read(1000), numbers(0, 1000));
    await drained;
    const all = numbers(1000, 5000);
    const got: string[] = [];
    for (let sent = 0; got.length < all.length; ) {
      const again = once(sender, 'drain');
      const taken = send(all.slice(sent));
      sent += taken;
      got.push(...(await slow.read(taken)));
      if (sent < all.length) await again;
    }
    assert.deepEqual(got, all);
    assert.equal(sender.getSendQueueCount(), 0);
    const stats = sender.stats();
    assert.equal(stats.txDropped + stats.txErrors, 0);
    assert.equal(stats.txDatagrams, 6000);
  });

  test(`it costs nothing while it waits: ${connected ? 'connected' : 'by path'}`, async () => {
    await using sockets = new LocalSockets();
    await using slow = await reader(sockets, 'slow');
    const sender = sockets.make();
    if (connected) sender.connectSync(sockets.path('slow'));
    sendNumbers(sender, connected ? undefined : sockets.path('slow'), 0, 1000);
    await waitFor(() => sender.getSendQueueCount() > 0);
    await sleep(100); // for what was begun
    const calls = sender.stats().txCalls;
    const cpu = process.cpuUsage();
    await sleep(1000);
    const { user, system } = process.cpuUsage(cpu);
    // Once a second somebody looks whether the path is another socket's by now.
    assert.ok(sender.stats().txCalls <= calls + 2, 'nobody tries in vain');
    // Who waits without sleeping takes what he gets of it. What V8 tidies up on a busy machine takes some 20 ms.
    assert.ok(user + system < 100_000, `${user + system} us of a second`);
    assert.deepEqual(await slow.read(1000), numbers(0, 1000));
  });
}

test('a receiver that does not read keeps no other one waiting', async () => {
  await using sockets = new LocalSockets();
  await using stuck = await reader(sockets, 'stuck');
  const quick = new LocalInbox(sockets.bound('quick'));
  const sender = sockets.make();
  sendNumbers(sender, sockets.path('stuck'), 0, 2000);
  await waitFor(() => sender.getSendQueueCount() > 0);
  for (let n = 0; n < 200; n++) {
    await sentTo(sender, String(n), sockets.path('quick'));
    sender.send(String(2000 + n), sockets.path('stuck'));
  }
  await quick.take(200);
  assert.deepEqual(quick.texts, numbers(0, 200));
  assert.deepEqual(await stuck.read(2200), numbers(0, 2200));
});

test('where the send buffer is full of what one receiver has not read, another one has its turn once there is room', async () => {
  await using sockets = new LocalSockets();
  await using slow = await reader(sockets, 'slow');
  const quick = new LocalInbox(sockets.bound('quick'));
  const sender = sockets.make({ sendBufferSize: 8192 });
  const large = (n: number) => String(n).padEnd(1000);
  for (let n = 0; n < 100; n++) sender.send(large(n), sockets.path('slow'));
  for (let n = 0; n < 3; n++) sender.send(String(n), sockets.path('quick'));
  await waitFor(() => sender.getSendQueueCount() > 90);
  await sleep(50);
  assert.deepEqual(quick.texts, [], 'the buffer is full');
  const got: string[] = [];
  while (quick.all.length < 3) {
    assert.ok(got.length < 90, 'the quick one is served before the slow one has all');
    got.push(...(await slow.read(1)));
    await sleep(20);
  }
  assert.deepEqual(quick.texts, numbers(0, 3));
  got.push(...(await slow.read(100 - got.length)));
  assert.deepEqual(got, numbers(0, 100));
});

test('many that do not read: each has its queue, and what waits for one that ends is reported', async () => {
  await using sockets = new LocalSockets();
  const before = readdirSync('/proc/self/fd').length;
  const sender = sockets.make();
  const stuck: Reader[] = [];
  for (let i = 0; i < 5; i++) stuck.push(await reader(sockets, `stuck ${i}`));
  const results: (string | number)[] = [];
  for (let n = 0; n < 700; n++) {
    for (let i = 0; i < stuck.length; i++) {
      const done = (error: Error | null, bytes: number) => {
        results.push(error ? ((error as NodeJS.ErrnoException).code as string) : bytes);
      };
      sender.send(String(n).padStart(8), sockets.path(`stuck ${i}`), done);
    }
  }
  await waitFor(() => sender.getSendQueueCount() > 0);
  await stuck[0][Symbol.asyncDispose]();
  for (const one of stuck.slice(1)) assert.equal((await one.read(700)).filter((text) => text !== '').length, 700);
  await waitFor(
    () => results.length === 3500,
    () => `${results.length} results`,
  );
  const refused = results.filter((result) => typeof result === 'string');
  assert.deepEqual([...new Set(refused)], ['ECONNREFUSED']);
  assert.equal(sender.stats().txErrors, refused.length);
  assert.equal(sender.stats().txDatagrams, 3500 - refused.length);
  for (const one of stuck.slice(1)) await one[Symbol.asyncDispose]();
  sender.close();
  await waitFor(() => readdirSync('/proc/self/fd').length <= before, 'the descriptors are closed again');
});

test('100 000 datagrams through a slow reader: none is lost, all are in order', async () => {
  await using sockets = new LocalSockets();
  const receiver = sockets.bound('a', { ringBytes: 256 * 1024 });
  let next = 0;
  let pauses = 0;
  receiver.on('message', (data) => {
    assert.equal(data.toString(), String(next++));
    if (next % 5000 !== 0) return;
    pauses++;
    const cell = new Int32Array(new SharedArrayBuffer(4));
    Atomics.wait(cell, 0, 0, 20); // so that ring and queue fill
  });
  const sender = sockets.make({ thread: 'dedicated' });
  const all = numbers(0, 100_000);
  let at = 0;
  let waits = 0;
  while (at < all.length) {
    at += sender.sendMany(all.slice(at, at + 2000), sockets.path('a'));
    if (at < all.length) {
      waits++;
      const turn = new AbortController();
      await Promise.race([once(sender, 'drain', { signal: turn.signal }).catch(() => {}), nextTurn()]);
      turn.abort();
    }
  }
  await waitFor(
    () => next === all.length,
    () => `${next} have come`,
  );
  assert.ok(pauses === 20 && waits > 0);
  assert.equal(sender.stats().txDropped, 0);
  assert.equal(receiver.stats().rxDatagrams, 100_000);
});

test('close drops what waits, and counts it', async () => {
  await using sockets = new LocalSockets();
  await using slow = await reader(sockets, 'slow');
  const sender = sockets.make();
  const results: (string | undefined)[] = [];
  for (let n = 0; n < 1000; n++) {
    sender.send('x', sockets.path('slow'), (error) => results.push((error as NodeJS.ErrnoException | null)?.code));
  }
  await waitFor(() => sender.getSendQueueCount() > 0);
  const waiting = sender.getSendQueueCount();
  sender.close();
  await once(sender, 'close');
  await waitFor(() => results.length === 1000);
  assert.equal(results.filter((code) => code === 'ECANCELED').length, waiting);
  assert.equal(sender.stats().txDropped, waiting);
  assert.ok(slow.process.exitCode === null);
});

test('what waits goes to whom it was sent to, in order, whatever the socket is connected to by then', async () => {
  await using sockets = new LocalSockets();
  await using a = await reader(sockets, 'a');
  await using b = await reader(sockets, 'b');
  const sender = sockets.make();
  sendNumbers(sender, sockets.path('a'), 0, 100);
  sender.connectSync(sockets.path('a'));
  sendNumbers(sender, undefined, 100, 100);
  await waitFor(() => sender.getSendQueueCount() > 100);
  sender.disconnect();
  sendNumbers(sender, sockets.path('a'), 200, 100);
  sender.connectSync(sockets.path('b'));
  sendNumbers(sender, undefined, 1000, 100);
  assert.deepEqual(await b.read(100), numbers(1000, 100));
  assert.deepEqual(await a.read(300), numbers(0, 300));
  assert.equal(sender.stats().txErrors, 0);
});

test('what waits for a path goes to the socket that has it by then', async () => {
  await using sockets = new LocalSockets();
  await using stuck = await reader(sockets, 'a');
  const sender = sockets.make();
  sendNumbers(sender, sockets.path('a'), 0, 100);
  await waitFor(() => sender.getSendQueueCount() > 0);
  const waiting = sender.getSendQueueCount();
  renameSync(sockets.path('a'), sockets.path('old')); // and it lives on
  const inbox = new LocalInbox(sockets.bound('a'));
  await inbox.take(waiting);
  assert.deepEqual(inbox.texts, numbers(100 - waiting, waiting));
  assert.ok(stuck.process.exitCode === null);
});

test('sendMany with several paths stops at the first receiver that something waits for', async () => {
  await using sockets = new LocalSockets();
  await using stuck = await reader(sockets, 'stuck');
  const quick = new LocalInbox(sockets.bound('quick'));
  const sender = sockets.make();
  sendNumbers(sender, sockets.path('stuck'), 0, 100);
  await waitFor(() => sender.getSendQueueCount() > 0);
  const [toQuick, toStuck] = [sockets.path('quick'), sockets.path('stuck')];
  assert.equal(sender.sendMany(['1', toQuick, '2', toQuick, 'x', toStuck, '3', toQuick]), 2);
  const drained = once(sender, 'drain');
  await quick.take(2);
  assert.equal(sender.sendMany(['3'], toQuick), 1);
  assert.deepEqual(await stuck.read(100), numbers(0, 100));
  await drained;
  assert.equal(sender.sendMany(['100', toStuck, '4', toQuick]), 2);
  assert.deepEqual(await stuck.read(1), ['100']);
  await quick.take(4);
});
