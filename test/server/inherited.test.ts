// Servers on descriptors that somebody else has opened: createServer({ fd }).
import assert from 'node:assert/strict';
import { createServer } from 'ksocket';
import { type Listening, listening } from '../support/activated.js';
import { type Child, startProgram } from '../support/child.js';
import { bound, Inbox, Sockets, sent } from '../support/peer.js';
import { openFds } from '../support/process.js';
import { test } from '../support/test.js';

/** Echo servers on descriptors 3, 4, …; each says where it listens, and at SIGTERM how much each has received. */
async function serve(count: number) {
  const { createServer } = await import('ksocket');
  const servers = Array.from({ length: count }, (_, i) => createServer({ fd: 3 + i, reply: 'echo' }));
  for (const server of servers) {
    await server.start();
    console.log(JSON.stringify(server.address()));
  }
  process.on('SIGTERM', async () => {
    for (const server of servers) await server.stop();
    console.log(`received ${servers.map((server) => server.stats().rxDatagrams)}`);
  });
  console.log('ready');
}

async function served(...sockets: Listening[]): Promise<{ child: Child; ports: number[] }> {
  const child = startProgram(serve, [sockets.length], { under: listening(...sockets) });
  await child.line(/^ready$/);
  return { child, ports: child.lines.filter((line) => line !== 'ready').map((line) => JSON.parse(line).port) };
}

async function answers(sockets: Sockets, type: 'udp4' | 'udp6', address: string, port: number): Promise<boolean> {
  const client = sockets.makePeer(type);
  const inbox = new Inbox(client);
  await bound(client);
  await sent(client, 'hello', port, address);
  await inbox.take(1);
  return inbox.texts[0] === 'hello';
}

test('IPv4, IPv6 and both in one: as the socket was made', async () => {
  await using sockets = new Sockets();
  const { child, ports } = await served(
    { type: 'udp4', address: '127.0.0.1' },
    { type: 'udp6', address: '::', ipv6Only: true },
    { type: 'udp6', address: '::', ipv6Only: false },
  );
  await using _ = child;
  assert.ok(await answers(sockets, 'udp4', '127.0.0.1', ports[0]));
  assert.ok(await answers(sockets, 'udp6', '::1', ports[1]));
  assert.ok(await answers(sockets, 'udp6', '::1', ports[2]));
  assert.ok(await answers(sockets, 'udp4', '127.0.0.1', ports[2]));
  assert.match(child.lines[1], /"address":"::","family":"IPv6"/);
});

test('SO_REUSEPORT: several servers on one port, among which the kernel shares', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const port = await bound(client);
  client.close();
  const one = { type: 'udp4', address: '127.0.0.1', port, reusePort: true } as const;
  const { child, ports } = await served(one, one);
  await using _ = child;
  assert.deepEqual(ports, [port, port]);
  for (let i = 0; i < 40; i++) assert.ok(await answers(sockets, 'udp4', '127.0.0.1', port));
  child.kill('SIGTERM');
  const [, counts] = await child.line(/^received (.*)$/);
  const [first, second] = counts.split(',').map(Number);
  assert.equal(first + second, 40);
  assert.ok(first > 0 && second > 0, counts);
});

test('a descriptor that does not get all that is sent to its port is left to the thread by the kernel', async () => {
  await using sockets = new Sockets();
  const program = async () => {
    const { createServer } = await import('ksocket');
    const server = createServer({ fd: 3, rules: [{ action: 'echo' }], kernel: true });
    await server.start();
    const strict = createServer({ fd: 4, rules: [{ action: 'echo' }], kernel: { required: true } });
    const error = await strict.start().catch((error) => error);
    console.log(server.kernel.state, error.code, server.kernel.reason);
    process.once('SIGTERM', () => server.stop());
  };
  const ports = [await bound(sockets.makePeer()), await bound(sockets.makePeer())];
  const places = ports.map((port) => ({ type: 'udp4', address: '127.0.0.2', port, reusePort: true }) as const);
  await using child = startProgram(program, [], { under: listening(...places) });
  const [line] = await child.line(/^unavailable .*$/);
  const needs = 'needs a socket that gets all that is sent to its address, not one whose port others may have, too';
  assert.equal(line, `unavailable ENOTSUP ENOTSUP: ${needs}`);
  assert.ok(await answers(sockets, 'udp4', '127.0.0.2', ports[0]));
  child.kill('SIGTERM');
});

test('the descriptor stays open: what comes between stop() and start() is answered then', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  const program = async () => {
    const { createServer } = await import('ksocket');
    const server = createServer({ fd: 3, reply: 'echo' });
    await server.start();
    await server.stop();
    console.log('stopped', server.address());
    const running = setInterval(() => {}, 1000);
    process.once('SIGUSR2', async () => {
      clearInterval(running);
      await server.start();
      process.once('SIGUSR2', () => server.stop());
      console.log('again');
    });
    console.log('waits');
  };
  const port = await bound(sockets.makePeer());
  await using child = startProgram(program, [], {
    under: listening({ type: 'udp4', address: '127.0.0.2', port }),
  });
  await child.line(/^waits$/);
  assert.deepEqual(child.lines, ['stopped null', 'waits']);
  for (let i = 0; i < 5; i++) await sent(client, `early ${i}`, port, '127.0.0.2');
  child.kill('SIGUSR2');
  await inbox.take(5);
  assert.deepEqual(inbox.texts, ['early 0', 'early 1', 'early 2', 'early 3', 'early 4']);
  await child.line(/^again$/);
  child.kill('SIGUSR2');
  const { code, stderr } = await child.end();
  assert.deepEqual([code, stderr], [0, '']);
});

/** node:dgram's echo on descriptor 3, which has no filters of its own. */
async function echoOfNode() {
  const { createSocket } = await import('node:dgram');
  const socket = createSocket('udp4');
  socket.on('message', (data, { port, address }) => socket.send(data, port, address));
  socket.bind({ fd: 3 });
  console.log('ready');
}

const successors = [
  ['SIGKILL', 'the next server', serve],
  ['stop', 'whoever has the socket next', echoOfNode],
] as const;
for (const [end, next, program] of successors) {
  test(`lists of a server that has ended by ${end} keep nobody from ${next}`, async () => {
    await using sockets = new Sockets();
    const port = await bound(sockets.makePeer());
    const denying = async (end: string) => {
      const { createServer } = await import('ksocket');
      const server = createServer({ fd: 3, reply: 'echo', deny: ['127.0.0.0/8'] });
      await server.start();
      if (end === 'stop') await server.stop();
      else process.kill(process.pid, 'SIGKILL');
    };
    const first = `await (${denying})(${JSON.stringify(end)})`;
    const args = `"$0" --input-type=module -e '${first.replaceAll("'", `'\\''`)}'; exec "$0" "$@"`;
    const under = [...listening({ type: 'udp4', address: '127.0.0.2', port }), 'bash', '-c', args];
    await using child = startProgram(program as typeof serve, [1], { under });
    await child.line(/^ready$/);
    assert.ok(await answers(sockets, 'udp4', '127.0.0.2', port));
  });
}

test('a descriptor that is none of a bound UDP socket is refused, and stays what it was', async () => {
  const program = async () => {
    const { createServer } = await import('ksocket');
    const { readdirSync } = await import('node:fs');
    for (const fd of [3, 4, 5, 6, 1_000_000]) {
      const server = createServer({ fd, reply: 'echo' });
      await server.start().catch((error) => console.log(error.code, error.syscall ?? ''));
    }
    const there = readdirSync('/proc/self/fd').filter((fd) => ['3', '4', '5', '6'].includes(fd));
    console.log(there.join());
  };
  await using child = startProgram(program, [], {
    under: listening(
      { type: 'tcp4', address: '127.0.0.1' },
      { type: 'file' },
      { type: 'udp4', unbound: true },
      { type: 'unix_stream', address: `\0ksocket-test-${process.pid}` },
    ),
  });
  const { code, stderr } = await child.end();
  assert.deepEqual([code, stderr], [0, '']);
  assert.deepEqual(child.lines, [
    'ERR_INVALID_FD_TYPE ',
    'ERR_INVALID_FD_TYPE ',
    'EINVAL getsockname',
    'ERR_INVALID_FD_TYPE ',
    'ERR_INVALID_FD_TYPE ',
    '3,4,5,6',
  ]);
});

/** The descriptors of this process that are sockets. */
function socketFds(): number[] {
  return openFds().flatMap((line) => (/: socket:/.test(line) ? Number.parseInt(line, 10) : []));
}

test('one that a socket of this process has is refused, ksocket’s or node:dgram’s', async () => {
  await using sockets = new Sockets();
  for (const socket of [sockets.make(), sockets.makePeer()]) {
    const before = socketFds();
    const inbox = new Inbox(socket);
    const port = await bound(socket);
    const [fd] = socketFds().filter((one) => !before.includes(one));
    await assert.rejects(createServer({ fd, reply: null }).start(), { code: 'EEXIST', syscall: 'open' });
    await sent(sockets.makePeer(), 'still here', port);
    await inbox.take(1);
  }
});

test('options: fd stands for address and port', () => {
  const wrong: [object, string, RegExp][] = [
    [{ fd: 3, port: 7 }, 'ERR_INVALID_ARG_VALUE', /'options\.port' cannot be given together with fd/],
    [{ fd: 3, address: '::' }, 'ERR_INVALID_ARG_VALUE', /'options\.address' cannot be given together with fd/],
    [{ fd: '3' }, 'ERR_INVALID_ARG_TYPE', /"options\.fd" property must be of type number/],
    [{ fd: -1 }, 'ERR_OUT_OF_RANGE', /"options\.fd" is out of range/],
    [{ fd: 2 ** 31 }, 'ERR_OUT_OF_RANGE', /"options\.fd" is out of range/],
    [{ fd: 1.5 }, 'ERR_OUT_OF_RANGE', /must be an integer/],
  ];
  for (const [options, code, message] of wrong) assert.throws(() => createServer(options), { code, message });
});
