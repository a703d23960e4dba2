// ksocket/register: the sockets of a program that knows nothing of ksocket.
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { closeSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Child, type ChildResult, root, runProgram } from '../support/child.js';
import { test } from '../support/test.js';
import { boundHandle } from './handles.js';

const programs = join(import.meta.dirname, 'programs');
const ways: Record<string, string[]> = {
  '--import': ['--import', 'ksocket/register'],
  '--require': ['--require', 'ksocket/register'],
};

interface Run {
  /** For node. */
  flags?: string[];
  args?: string[];
  env?: Record<string, string>;
}

async function run(program: string, { flags = [], args = [], env = {} }: Run): Promise<ChildResult> {
  const path = join(programs, `${program}.js`);
  await using child = new Child(process.execPath, [...flags, path, ...args], { env: { NODE_OPTIONS: '', ...env } });
  return await child.end();
}

/** Runs it, and expects nothing but output. */
async function output(program: string, options: Run): Promise<string> {
  const { code, signal, stdout, stderr } = await run(program, options);
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' }, stdout);
  return stdout;
}

interface Found {
  found: Record<string, boolean>;
  same: boolean;
  instance: boolean;
}

function assertAll(text: string, ksocket: boolean): void {
  const { found, same, instance } = JSON.parse(text) as Found;
  for (const [name, is] of Object.entries(found)) assert.equal(is, ksocket, name);
  assert.ok(Object.keys(found).length >= 11);
  assert.ok(same);
  assert.ok(instance);
}

test('without it nothing is changed', async () => {
  assertAll(await output('imports', {}), false);
});

for (const [way, flags] of Object.entries(ways)) {
  test(`${way} changes dgram for whoever asks for it`, async () => {
    assertAll(await output('imports', { flags }), true);
  });

  test(`${way} changes it for modules that were imported before`, async () => {
    const early = `data:text/javascript,import { createSocket } from 'node:dgram'; globalThis.early = () => createSocket('udp4')`;
    // Node runs every --require before every --import.
    const first = way === '--import' ? ['--import', early, ...flags] : [...flags, '--import', early];
    const text = await output('imports', { flags: first });
    assertAll(text, true);
    assert.match(text, /a module of before/);
  });

  test(`an ordinary program under ${way} prints what it prints without`, async () => {
    assert.equal(await output('use', { flags }), await output('use', {}));
  });

  test(`${way} reaches worker threads`, async () => {
    assert.equal(
      await output('worker', { flags }),
      `${JSON.stringify({ data: 'hello', ksocket: true, instance: true })}\nexit 0\n`,
    );
  });

  test(`NODE_OPTIONS with ${way} reaches the children of children`, async () => {
    assertAll(await output('spawn', { env: { NODE_OPTIONS: flags.join(' ') } }), true);
  });

  test(`child.send(message, socket) of odd sockets under ${way}`, async () => {
    const expected = await output('ipc-odd', {});
    assert.match(expected, /^closed: no socket$/m);
    assert.match(expected, /^again: 127\.0\.0\.1$/m);
    assert.equal(await output('ipc-odd', { flags }), expected);
  });

  test(`child.send(message, socket) under ${way}`, async () => {
    const seen = { text: 'a socket', instance: true, address: '127.0.0.1', ksocket: true, parent: true };
    assert.equal(await output('ipc', { flags }), `${JSON.stringify(seen)}\nchild got hello true\nexit 0\n`);
  });

  test(`cluster workers under ${way} share a port`, async () => {
    const plain = await output('cluster', {});
    assert.match(plain, /one port 1\nports of their own 2\n/);
    assert.equal(await output('cluster', { flags }), plain);
    assert.match(await output('cluster', { flags, args: ['whose'] }), /ksocket true true/);
  });

  test(`bind({ fd }) under ${way}`, async () => {
    const plain = await bindInheritedFds([]);
    assert.match(plain, /listening within bind true 127\.0\.0\.1 IPv4/);
    assert.match(plain, /3 Error: open EEXIST code EEXIST/);
    assert.equal(await bindInheritedFds(flags), plain);
  });
}

test('child.send(message, socket) as the first message, under --require', async () => {
  const text = await output('ipc', { flags: ways['--require'], args: ['at once'] });
  assert.match(text, /"ksocket":true/);
});

test('both ways at once do it once', async () => {
  assertAll(await output('imports', { flags: [...ways['--import'], ...ways['--require']] }), true);
});

test('a message is pooled when ksocket is imported, and is not under ksocket/register', async () => {
  const program = `
    const { createSocket } = await import(process.argv[1]);
    const socket = createSocket('udp4');
    const owned = []; // of some that come together: the first ones have their memory to themselves anyway
    socket.on('message', (data) => {
      owned.push(data.buffer.byteLength === data.length);
      if (owned.length < 100) return;
      console.log(owned.slice(-2).join());
      socket.close();
    });
    socket.bind(0, '127.0.0.1', () => {
      for (let n = 0; n < 100; n++) socket.send('hello', socket.address().port, '127.0.0.1');
      setImmediate(() => { for (const end = Date.now() + 50; Date.now() < end; ); }); // both are there when the loop looks
    });`;
  for (const [flags, module, owned] of [
    [[], 'ksocket', 'false,false'],
    [ways['--import'], 'ksocket', 'true,true'],
    [ways['--import'], 'node:dgram', 'true,true'],
  ] as const) {
    await using child = new Child(process.execPath, [...flags, '--input-type=module', '-e', program, module]);
    assert.equal((await child.end()).stdout, `${owned}\n`);
  }
});

/** Descriptors as programs/fds.ts expects them. */
async function bindInheritedFds(flags: string[]): Promise<string> {
  const udp = boundHandle('udp4');
  const tcp = createServer().listen(0);
  const file = openSync(join(root, 'package.json'), 'r');
  const tcpFd = (tcp as unknown as { _handle: { fd: number } })._handle.fd;
  try {
    await using child = new Child(process.execPath, [...flags, join(programs, 'fds.js')], {
      fds: [udp.fd, tcpFd, 'pipe', file],
    });
    const { code, stdout, stderr } = await child.end();
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, stdout);
    return stdout;
  } finally {
    udp.close();
    tcp.close();
    closeSync(file);
  }
}

/** What a program prints without ksocket/register and with it. */
async function both(program: () => unknown, flags: string[] = []): Promise<[string, string]> {
  const outputs: string[] = [];
  for (const register of [[], ways['--import']]) {
    const { stdout, ...end } = await runProgram(program, [], { execArgv: [...flags, ...register] });
    assert.deepEqual(end, { code: 0, signal: null, stderr: '' }, stdout);
    outputs.push(stdout);
  }
  return outputs as [string, string];
}

test('active resources and handles are listed where they were', async () => {
  const [without, withIt] = await both(async () => {
    const { createSocket, Socket } = await import('node:dgram');
    const { once } = await import('node:events');
    const show = (when: string) => {
      // What import() and console.log have left is not ours.
      const names = process.getActiveResourcesInfo().filter((name) => !/^(Pipe|TTY|CloseReq|FSReq)/.test(name));
      const handles = (process as unknown as { _getActiveHandles(): unknown[] })._getActiveHandles();
      console.log(when, names.join(), handles.filter((handle) => handle instanceof Socket).length);
    };
    const sockets = [createSocket('udp4'), createSocket('udp4'), createSocket('udp4')];
    const timer = setTimeout(() => {}, 1e6);
    for (const socket of sockets) {
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
    }
    show('bound');
    sockets[1].unref();
    show('one unref');
    sockets[0].close();
    await once(sockets[0], 'close');
    // libuv closes a handle at the end of the turn.
    const turns = () => new Promise((resolve) => setImmediate(setImmediate, resolve));
    await turns();
    show('one closed');
    sockets[1].ref();
    clearTimeout(timer);
    show('one ref');
    for (const socket of sockets.slice(1)) socket.close();
    await turns();
    show('all closed');
  });
  assert.equal(withIt, without);
  assert.match(without, /^bound UDPWrap,UDPWrap,UDPWrap,Timeout 3$/m);
});

test('deprecated properties warn as the running Node says, and once', async () => {
  const program = async () => {
    const { createSocket } = await import('node:dgram');
    // biome-ignore lint/suspicious/noExplicitAny: not in the types
    const socket = createSocket('udp4') as any;
    process.on('warning', ({ name, code, message }: Error & { code?: string }) => console.log(name, code, message));
    for (let i = 0; i < 2; i++) console.log(socket._bindState, socket._receiving, typeof socket._handle);
  };
  const [without, withIt] = await both(program, ['--no-warnings']);
  assert.equal(withIt, without);
  if ('_handle' in dgram.Socket.prototype) assert.match(without, /DEP0112/);
});
