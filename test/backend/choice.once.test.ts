// Which backend a program gets, and what says so. Whatever engine the tests run on, these programs say what they want.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type ChildOptions, root, runProgram } from '../support/child.js';
import { test } from '../support/test.js';

const env = (backend: string | undefined): ChildOptions => ({
  env: { KSOCKET_BACKEND: backend, KSOCKET_ENGINE: undefined },
});

const sayBackend = async () => {
  const { features } = await import('ksocket');
  const { moduleLoadList } = process as unknown as { moduleLoadList: string[] };
  console.log(features().backend, moduleLoadList.includes('NativeModule module') ? 'found by require' : 'alone');
};

test('on Linux it is the addon, and of the other one nothing is loaded', async () => {
  for (const wanted of [undefined, 'addon']) {
    const { stdout, stderr } = await runProgram(sayBackend, [], env(wanted));
    assert.deepEqual([stdout, stderr], ['addon alone\n', '']);
  }
});

test('KSOCKET_BACKEND=dgram asks for the other one, and nobody is warned; anything else is refused', async () => {
  const { stdout, stderr } = await runProgram(sayBackend, [], env('dgram'));
  assert.deepEqual([stdout, stderr], ['dgram found by require\n', '']);
  const wrong = await runProgram(sayBackend, [], env('udp'));
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /KSOCKET_BACKEND must be 'addon' or 'dgram'\. Received 'udp'/);
});

test('where Node may load no addons, sockets of node:dgram work', async () => {
  const program = async () => {
    const { createSocket } = await import('ksocket');
    const socket = createSocket('udp4', (data) => {
      console.log(`${data}`);
      socket.close();
    });
    socket.bind(0, '127.0.0.1', () => socket.send('hello', socket.address().port, '127.0.0.1'));
  };
  const { stdout, code } = await runProgram(program, [], { ...env('dgram'), execArgv: ['--no-addons'] });
  assert.deepEqual([stdout, code], ['hello\n', 0]);
});

test('require() finds it, too', async () => {
  const { stdout } = await runProgram(
    async (index: string) => {
      const { createRequire } = await import('node:module');
      console.log(createRequire(index)(index).features().backend);
    },
    [join(root, 'dist/index.js')],
    env('dgram'),
  );
  assert.equal(stdout, 'dgram\n');
});

test('where a platform has no addon it is node:dgram, with one warning', async () => {
  const program = async () => {
    Object.defineProperty(process, 'platform', { value: 'sunos' });
    const warnings: string[] = [];
    process.on('warning', ({ code }: Error & { code?: string }) => warnings.push(code ?? ''));
    const { features } = await import('ksocket');
    await import('ksocket/monitor');
    await new Promise(setImmediate);
    console.log(features().backend, warnings.filter((code) => code !== '').join());
  };
  const { stdout } = await runProgram(program, [], env(undefined));
  assert.equal(stdout, 'dgram KSOCKET_NO_ADDON\n');
});

test('what needs the addon says so', async () => {
  const program = async () => {
    const { createServer, createSocket } = await import('ksocket');
    const { createTunnel } = await import('ksocket/tunnel');
    const codeOf = async (call: () => unknown) => {
      try {
        await call();
        return 'none';
      } catch (error) {
        return (error as NodeJS.ErrnoException).code;
      }
    };
    const codes = [
      await codeOf(() => createSocket({ type: 'udp4', busyPoll: 50 })),
      await codeOf(() =>
        createSocket({ type: 'udp4', busyPoll: 0, gro: true, gso: true, rxUsecs: 10, receiveTtl: 'auto' }),
      ),
      await codeOf(() => createSocket({ type: 'udp4', transparent: 'auto', freebind: 'auto' })),
      await codeOf(() => createSocket({ type: 'udp4', transparent: false, freebind: false })),
      await codeOf(() => createServer({ busyPoll: 50 })),
      await codeOf(() => createServer({ cpus: [0] })),
      await codeOf(() => createServer({ priority: 1 })),
      await codeOf(() => createSocket({ type: 'udp4', cpus: [0] })),
      await codeOf(() => createSocket({ type: 'udp4', priority: 1 })),
      await codeOf(() => createSocket({ type: 'udp4', bindToDevice: 'lo' })),
      await codeOf(() => createSocket({ type: 'udp4', mark: 1 })),
      await codeOf(() => createSocket({ type: 'udp4', transparent: true })),
      await codeOf(() => createSocket({ type: 'udp4', freebind: true })),
      await codeOf(() => createSocket({ type: 'udp4', mtuDiscover: 'do' })),
      await codeOf(() => createSocket({ type: 'udp4', maxPacingRate: 1000 })),
      await codeOf(() => createSocket('udp4').pathMtu('127.0.0.1')),
      await codeOf(() => createSocket('udp4').setMtuDiscover('do')),
      await codeOf(() => createSocket('udp4').setsockopt(1, 12, 1)),
      await codeOf(() => createSocket('udp4').getsockopt(1, 12)),
      await codeOf(() => createServer({ handler: '/a.so' })),
      await codeOf(() => createServer({ fd: 3 })),
      await codeOf(() => createServer({ shards: 2 })),
      await codeOf(() => createServer().setShards(2)),
      await codeOf(() => createSocket({ type: 'udp4', shards: 'cores', steering: 'cpu' })),
      await codeOf(() => createServer({ rules: [{ match: { ttl: 1 }, action: 'drop' }] })),
      await codeOf(() => createServer({ rules: [{ action: { reply: { slot: 'ecn' } } }] })),
      await codeOf(() => createTunnel({ vni: 1, remotes: [{ address: '127.0.0.1' }] })),
    ];
    process.env.KSOCKET_ENGINE = 'mmsg'; // read once
    console.log(codes.join());
  };
  const { stdout } = await runProgram(program, [], env('dgram'));
  const refused = 'ERR_KSOCKET_NEEDS_ADDON';
  assert.equal(stdout, `${[refused, 'none', 'none', 'none', ...Array(23).fill(refused)].join()}\n`);
  const engine = await runProgram(
    async () => {
      const { createSocket } = await import('ksocket');
      const socket = createSocket('udp4');
      socket.on('error', ({ code, message }: NodeJS.ErrnoException) => console.log(code, message));
      socket.bind(0);
    },
    [],
    { env: { KSOCKET_BACKEND: 'dgram', KSOCKET_ENGINE: 'mmsg' } },
  );
  assert.match(engine.stdout, /^ERR_INVALID_ARG_VALUE .*KSOCKET_ENGINE.* must be 'dgram'/);
});

test('without the addon programs of node:dgram get ksocket’s sockets, and list them once', async () => {
  const program = async () => {
    const dgram = await import('node:dgram');
    const { Socket } = await import('ksocket');
    const socket = dgram.createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const listed = process.getActiveResourcesInfo().filter((name) => /^UDPWrap/i.test(name));
    const heard = new Promise((resolve) => socket.once('message', (data) => resolve(String(data))));
    socket.send('hello', socket.address().port, '127.0.0.1');
    console.log((socket as unknown) instanceof Socket, listed.length, await heard);
    socket.close();
  };
  const { stdout } = await runProgram(program, [], { ...env('dgram'), execArgv: ['--import=ksocket/register'] });
  assert.equal(stdout, 'true 1 hello\n');
});
