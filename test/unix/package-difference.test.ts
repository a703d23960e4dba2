// The same program with the package `unix-dgram` and with ksocket/unix-dgram: each sees the same, in the same order.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, runProgram } from '../support/child.js';
import { builtFromNpm } from '../support/npm.js';
import { test } from '../support/test.js';

/** A peer that reads when it is told to. */
const peer = [
  'import socket, sys',
  's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1])',
  'print("bound", flush=True)',
  's.setblocking(False)',
  'for line in sys.stdin:',
  '  got = 0',
  '  try:',
  '    while True: s.recv(1 << 20); got += 1',
  '  except BlockingIOError: pass',
  '  print("read", got, flush=True)',
].join('\n');

/** Says what it sees, a line each. */
async function scenario(specifier: string, directory: string, peerProgram: string) {
  const { createRequire } = await import('node:module');
  const { spawn } = await import('node:child_process');
  const { lstatSync, unlinkSync } = await import('node:fs');
  const { createInterface } = await import('node:readline');
  const unix = createRequire(`${process.cwd()}/`)(specifier);
  // biome-ignore lint/suspicious/noExplicitAny: two packages, one of which has no types
  type Any = any;

  let lines = 0;
  const hide = (text: string) => text.replaceAll(directory, '');
  const say = (...what: unknown[]) => {
    lines++;
    console.log(hide(what.map((each) => (typeof each === 'string' ? each : JSON.stringify(each))).join(' ')));
  };
  const said = (error: Any) =>
    error === undefined ? 'nothing' : [error.message, error.code, error.errno, error.syscall, error.constructor.name];
  const path = (name: string) => `${directory}/${name}`;
  const attempt = (what: string, action: () => void) => {
    try {
      say(what, 'returns', action() as never);
    } catch (error) {
      say(what, 'throws', said(error));
    }
  };
  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
  };
  let received = 0;
  const make = (name: string): Any => {
    const socket = unix.createSocket('unix_dgram', (msg: Buffer, rinfo: Any) => {
      received++;
      const { path: from } = rinfo;
      say(name, 'message', [
        `${msg.subarray(0, 20)}`,
        msg.length,
        Buffer.isBuffer(msg),
        Object.keys(rinfo),
        rinfo.size,
      ]);
      say(name, 'from', rinfo.address, from);
    });
    for (const event of ['listening', 'connect', 'writable', 'close']) socket.on(event, () => say(name, event));
    socket.on('error', (error: Any) => say(name, 'error', said(error)));
    socket.on('congestion', (msg: Buffer) => say(name, 'congestion', `${msg}`));
    return socket;
  };
  const state = ({ type, fd, connected }: Any) => [type, typeof fd, fd > 2 ? 'open' : fd, `${connected}`];
  const told =
    (name: string) =>
    (...args: unknown[]) =>
      say(name, 'callback', args.length, said(args[0]));
  const bytes = (text: string) => Buffer.from(text);

  say('-- making');
  say(Object.keys(unix).filter((name) => name !== 'default' && name !== '__esModule'));
  attempt('a type', () => unix.createSocket('unix_stream'));
  attempt('no type', () => unix.createSocket());
  const server = make('server');
  const client = make('client');
  say(state(server), server.listenerCount('message'));
  attempt('no listener', () => unix.createSocket('unix_dgram', 'text').close());

  say('-- bind');
  attempt('bind', () => server.bind(path('server')));
  attempt('bind again', () => server.bind(path('server')));
  attempt('bind elsewhere', () => server.bind(path('elsewhere')));
  attempt('bind to what is there', () => client.bind(path('server')));
  attempt('bind in no directory', () => client.bind(path('no/client')));
  const mute = unix.createSocket('unix_dgram');
  attempt('an error that nobody hears', () => mute.bind(path('no/client')));
  attempt('an error that nobody hears', () => mute.connect(path('nobody')));
  attempt('an error that nobody hears', () => mute.send(bytes('x'), 0, 1, path('nobody')));

  say('-- send to a path');
  client.send(bytes('without a callback'), 0, 18, path('server'));
  client.send(bytes('0123456789'), 3, 4, path('server'), told('client'));
  client.sendto(bytes('sendto'), 0, 6, path('server'), told('client'));
  client.send(bytes(''), 0, 0, path('server'), told('client'));
  say('sent');
  await until(() => received === 4);
  client.bind(path('client'));
  client.send(bytes('with a path'), 0, 11, path('server'), told('client'));
  await until(() => received === 5);
  server.send(bytes('answer'), 0, 6, path('client'), told('server'));
  await until(() => received === 6);
  client.send(Buffer.alloc(60_000, 'long'), 0, 60_000, path('server'), told('client'));
  await until(() => received === 7);

  say('-- to nobody');
  client.send(bytes('x'), 0, 1, path('nobody'));
  client.send(bytes('x'), 0, 1, path('nobody'), told('client'));
  client.send(bytes('x'));
  client.send(bytes('x'), told('client'));
  client.send(bytes('x'), 0, 1);
  client.send(Buffer.alloc(10_000_000), 0, 10_000_000, path('server'), told('client'));
  mute.bind(path('stale'));
  attempt('close', () => mute.close());
  say(lstatSync(path('stale')).isSocket());
  client.send(bytes('x'), 0, 1, path('stale'), told('client'));
  client.connect(path('nobody'));
  client.connect(path('stale'));
  say(state(client));

  say('-- connected');
  attempt('connect', () => client.connect(path('server')));
  say(state(client));
  client.send(bytes('without a callback'));
  client.send(bytes('with one'), told('client'));
  client.send(bytes('all of it'), 0, 3, path('server'), told('nobody'));
  await until(() => received === 10);
  client.connect(path('nobody'));
  client.send(bytes('still connected'), told('client'));
  client.send(Buffer.alloc(10_000_000), told('client'));
  client.send(Buffer.alloc(10_000_000));
  await until(() => received === 11);
  const other = make('other');
  other.bind(path('other'));
  client.connect(path('other'));
  client.send(bytes('to another'), told('client'));
  await until(() => received === 12);

  say('-- a peer that ends and comes back');
  other.close();
  client.send(bytes('x'), told('client'));
  client.send(bytes('x'), told('client'));
  client.send(bytes('x'));
  say(state(client));
  unlinkSync(path('other'));
  const again = make('again');
  again.bind(path('other'));
  client.connect(path('other'));
  client.send(bytes('back'), told('client'));
  await until(() => received === 13);

  say('-- congestion');
  const silent = spawn('python3', ['-c', peerProgram, path('silent')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = createInterface(silent.stdout)[Symbol.asyncIterator]();
  await answers.next();
  const sender = make('sender');
  const direct = make('direct');
  sender.connect(path('silent'));
  let congested = 0;
  sender.prependListener('congestion', () => congested++);
  let count = 0;
  for (; congested === 0; count++) sender.send(bytes(`${count}`));
  say('so many', count);
  sender.send(bytes('again'));
  sender.send(bytes('and with a callback'), told('sender'));
  direct.send(bytes('not connected'), 0, 13, path('silent'), told('direct'));
  direct.send(bytes('not connected'), 0, 13, path('silent'));
  let writable = 0;
  sender.prependListener('writable', () => writable++);
  await new Promise((resolve) => setTimeout(resolve, 50));
  say('nothing more', writable);
  silent.stdin.write('read\n');
  const read = await answers.next();
  await until(() => writable === 1);
  say(read.value);
  await new Promise((resolve) => setTimeout(resolve, 50));
  sender.send(bytes('there is room'), told('sender'));
  say('once', writable);
  silent.stdin.write('read\n');
  say((await answers.next()).value);
  for (congested = 0; congested === 0; count++) sender.send(bytes(`${count}`));
  say('so many', count);
  silent.kill();
  await new Promise((resolve) => silent.once('close', resolve));
  await until(() => writable === 2);
  sender.send(bytes('nobody is left'), told('sender'));
  sender.send(bytes('nobody is left'), told('sender'));

  say('-- what there is not');
  for (const name of ['address', 'setTTL', 'setBroadcast', 'setMulticastTTL', 'setMulticastLoopback'])
    attempt(name, () => sender[name]());
  for (const name of ['addMembership', 'dropMembership']) attempt(name, () => sender[name]('224.0.0.1'));
  say('udp4', unix.createSocket('udp4').close().constructor.name, unix.createSocket('udp6').close().type);

  say('-- close');
  for (const socket of [client, sender, direct, again]) attempt('close', () => socket.close());
  say(state(client));
  client.bind(path('closed'));
  client.connect(path('server'));
  client.send(bytes('closed'), told('client'));
  client.send(bytes('closed'));
  sender.connect(path('server'));
  sender.send(bytes('closed'), 0, 6, path('server'), told('sender'));
  // Now the open socket alone keeps the process running.
  setTimeout(() => {
    say('still running', state(server));
    server.close();
    setTimeout(() => say('nothing keeps it any more'), 5000).unref();
  }, 100).unref();
  say('lines so far', lines);
}

test('the same program sees the same with the package as with ksocket/unix-dgram', async () => {
  const run = async (specifier: string, cwd: string) => {
    const directory = mkdtempSync(join(tmpdir(), 'ksocket-'));
    try {
      const execArgv = ['--no-warnings'];
      const result = await runProgram(scenario, [specifier, directory, peer], { cwd, execArgv, deadlineMs: 60_000 });
      assert.deepEqual([result.code, result.stderr], [0, ''], result.stdout);
      return result.stdout.split('\n');
    } finally {
      rmSync(directory, { recursive: true });
    }
  };
  const expected = await run('unix-dgram', builtFromNpm('unix-dgram@2.0.7'));
  assert.ok(expected.some((line) => line.startsWith('still running')));
  assert.ok(!expected.includes('nothing keeps it any more'));
  assert.ok(expected.filter((line) => line === 'sender writable').length >= 2);
  assert.deepEqual(await run('ksocket/unix-dgram', root), expected);
});

/** What the package does not survive. */
const fatal: [what: string, source: string][] = [
  ['a text', "socket.send('text', 0, 4, '/nobody')"],
  ['more than there is', "socket.send(Buffer.alloc(1), 0, 2, '/nobody')"],
  ['a second close', 'socket.close(); socket.close()'],
];

for (const [what, source] of fatal) {
  test(`the package ends the process, and ksocket/unix-dgram throws: ${what}`, async () => {
    const program = async (specifier: string, code: string) => {
      const { createRequire } = await import('node:module');
      const socket = createRequire(`${process.cwd()}/`)(specifier).createSocket('unix_dgram');
      try {
        new Function('socket', code)(socket);
      } catch {
        console.log('thrown');
        if (socket.fd >= 0) socket.close();
      }
    };
    const options = { execArgv: ['--no-warnings'] };
    const theirs = await runProgram(program, ['unix-dgram', source], {
      ...options,
      cwd: builtFromNpm('unix-dgram@2.0.7'),
    });
    assert.deepEqual([theirs.signal, theirs.stdout], ['SIGABRT', '']);
    const ours = await runProgram(program, ['ksocket/unix-dgram', source], options);
    assert.deepEqual([ours.code, ours.stdout, ours.stderr], [0, 'thrown\n', '']);
  });
}
