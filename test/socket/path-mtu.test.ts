// How large a datagram gets through: what the kernel knows of a path, and what becomes of a larger one.
import assert from 'node:assert/strict';
import type { MtuDiscover } from 'ksocket';
import { runProgram } from '../support/child.js';
import { beforeFarHost } from '../support/far-host.js';
import { bound, Sockets } from '../support/peer.js';
import { fdCount } from '../support/process.js';
import { test } from '../support/test.js';

const farHost = new URL('../support/far-host.js', import.meta.url).href;
type FarHost = typeof import('../support/far-host.js');

async function linesOf(program: (helper: string) => Promise<void>): Promise<unknown[]> {
  const { code, stdout, stderr } = await runProgram(program, [farHost], { under: beforeFarHost() });
  assert.deepEqual([code, stderr], [0, '']);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

test('pathMtu: the interface’s or the route’s MTU, of each family and on each kind of socket', async () => {
  const lines = await linesOf(async () => {
    const { createSocket } = await import('ksocket');
    const { execFileSync } = await import('node:child_process');
    execFileSync('sh', ['-c', 'ip link set other mtu 9000; ip route add 10.10.0.0/24 via 10.7.0.2 mtu 1400']);
    const udp4 = createSocket('udp4');
    const udp6 = createSocket('udp6');
    const v6Only = createSocket({ type: 'udp6', ipv6Only: true });
    for (const socket of [udp4, udp6, v6Only]) socket.bindSync();
    console.log(JSON.stringify(['127.0.0.1', '10.7.0.2', '10.9.0.2', '10.10.0.1'].map((to) => udp4.pathMtu(to))));
    console.log(JSON.stringify(['::1', 'fd07::2', '::ffff:10.9.0.2'].map((to) => udp6.pathMtu(to))));
    console.log(JSON.stringify([v6Only.pathMtu('fd07::2')]));
    const codes = [];
    for (const [socket, to] of [
      [udp4, '203.0.113.1'],
      [v6Only, '2001:db8:1::1'],
    ] as const) {
      try {
        codes.push(socket.pathMtu(to));
      } catch (error) {
        const { code, syscall, message } = error as NodeJS.ErrnoException;
        codes.push(code, syscall, message);
      }
    }
    console.log(JSON.stringify(codes));
    // Connected to somebody else it stays so.
    udp4.connectSync(9, '10.7.0.2');
    console.log(JSON.stringify([udp4.pathMtu('10.9.0.2'), udp4.remoteAddress().address]));
    for (const socket of [udp4, udp6, v6Only]) socket.close();
  });
  assert.deepEqual(lines, [
    [65_535, 1500, 9000, 1400],
    [65_536, 1500, 9000],
    [1500],
    [
      'ENETUNREACH',
      'connect',
      'connect ENETUNREACH 203.0.113.1',
      'ENETUNREACH',
      'connect',
      'connect ENETUNREACH 2001:db8:1::1',
    ],
    [9000, '10.7.0.2'],
  ]);
});

test('pathMtu: by the socket’s device, mark and source address', async () => {
  const lines = await linesOf(async () => {
    const { createSocket } = await import('ksocket');
    const { execFileSync } = await import('node:child_process');
    const run = (command: string) => execFileSync('sh', ['-c', command]);
    run('ip route add 198.51.100.1 via 10.7.0.2 mtu 1400');
    // The rule that is added last is looked at first.
    run('ip rule add from 10.9.0.1 table 78; ip route add 198.51.100.1 via 10.9.0.2 mtu 1100 table 78');
    run('ip rule add fwmark 7 table 77; ip route add 198.51.100.1 via 10.9.0.2 mtu 1200 table 77');
    run('ip rule add oif other table 79; ip route add 198.51.100.1 via 10.9.0.2 dev other mtu 1050 table 79');
    run('ip rule add from 192.0.2.0/24 table 80; ip route add 198.51.100.1 via 10.9.0.2 mtu 1000 table 80');
    run('ip rule add tos 0x10 table 81; ip route add 198.51.100.1 via 10.9.0.2 mtu 900 table 81');
    const seen: number[] = [];
    for (const [options, address] of [
      [{}, undefined],
      [{ mark: 7 }, undefined],
      [{}, '10.9.0.1'],
      [{ bindToDevice: 'other' }, undefined],
      [{ transparent: true }, '192.0.2.5'],
      [{ bindToDevice: 'other', mark: 7 }, undefined],
    ] as const) {
      const socket = createSocket({ type: 'udp4', ...options });
      socket.bindSync({ address });
      seen.push(socket.pathMtu('198.51.100.1'));
      socket.close();
    }
    const socket = createSocket('udp4');
    socket.bindSync();
    socket.setsockopt(0, 1, 0x10); // IP_TOS
    seen.push(socket.pathMtu('198.51.100.1'));
    socket.close();
    console.log(JSON.stringify(seen));
  });
  assert.deepEqual(lines, [[1400, 1200, 1100, 1050, 1000, 1050, 900]]);
});

test('do: a router says that a datagram was too large; pathMtu knows, the next one is EMSGSIZE', async () => {
  const lines = await linesOf(async (helper) => {
    const { startFarPeer }: FarHost = await import(helper);
    const { createSocket } = await import('ksocket');
    for (const [type, beyond, headers] of [
      ['udp4', '10.8.0.2', 28],
      ['udp6', 'fd08::2', 48],
    ] as const) {
      const peer = await startFarPeer('beyond', beyond, 7000);
      const socket = createSocket({ type, mtuDiscover: 'do' });
      socket.bindSync();
      const send = (bytes: number) =>
        new Promise<string>((resolve) =>
          socket.send(Buffer.alloc(bytes, 'x'), 7000, beyond, (error) =>
            resolve((error as NodeJS.ErrnoException | null)?.code ?? 'sent'),
          ),
        );
      const before = socket.pathMtu(beyond);
      const tooLarge = [await send(before - headers + 1), await send(before - headers)];
      while (socket.pathMtu(beyond) === before) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        await send(before - headers); // the router may have lost it, or not said so
      }
      const after = socket.pathMtu(beyond);
      const largest = [await send(after - headers + 1), await send(after - headers)];
      console.log(JSON.stringify([before, tooLarge, after, largest, (await peer.hear()).length]));
      // Each of a burst has its own result, also what would have left joined with others.
      const sizes = [1000, 1000, after, after, after, 1000, 1400, 1000];
      console.log(JSON.stringify(await Promise.all(sizes.map(send))));
      const heard = [];
      for (let i = 0; i < 4; i++) heard.push((await peer.hear()).length);
      console.log(JSON.stringify(heard));
      socket.close();
      await peer.end();
    }
  });
  const burst = ['sent', 'sent', 'EMSGSIZE', 'EMSGSIZE', 'EMSGSIZE', 'sent', 'EMSGSIZE', 'sent'];
  assert.deepEqual(lines, [
    [1500, ['EMSGSIZE', 'sent'], 1300, ['EMSGSIZE', 'sent'], 1272],
    burst,
    [1000, 1000, 1000, 1000],
    [1500, ['EMSGSIZE', 'sent'], 1300, ['EMSGSIZE', 'sent'], 1252],
    burst,
    [1000, 1000, 1000, 1000],
  ]);
});

test('want fragments what is known to be too large; probe, interface and omit believe the interface only', async () => {
  const lines = await linesOf(async (helper) => {
    const { startFarPeer }: FarHost = await import(helper);
    const { createSocket } = await import('ksocket');
    const peer = await startFarPeer('beyond', '10.8.0.2', 7000);
    const far = await startFarPeer('far', '10.7.0.2', 7000);
    const open = (mtuDiscover: MtuDiscover) => {
      const socket = createSocket({ type: 'udp4', mtuDiscover });
      socket.bindSync();
      return socket;
    };
    const send = (socket: ReturnType<typeof open>, bytes: number, to = '10.8.0.2') =>
      new Promise<string>((resolve) =>
        socket.send(Buffer.alloc(bytes, 'x'), 7000, to, (error) =>
          resolve((error as NodeJS.ErrnoException | null)?.code ?? 'sent'),
        ),
      );
    const learner = open('do');
    while (learner.pathMtu('10.8.0.2') === 1500) {
      await send(learner, 1472);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const [want, dont, probe] = [open('want'), open('dont'), open('probe')];
    const [byInterface, omit] = [open('interface'), open('omit')];
    console.log(JSON.stringify([await send(want, 1472), (await peer.hear()).length]));
    console.log(JSON.stringify([await send(dont, 1472), (await peer.hear()).length]));
    // It is sent as it is, and does not get through; larger than the interface is EMSGSIZE.
    console.log(JSON.stringify([await send(probe, 1472), await send(probe, 1473), await send(probe, 1273)]));
    console.log(JSON.stringify([await send(probe, 1472, '10.7.0.2'), (await far.hear()).length]));
    console.log(JSON.stringify([await send(probe, 1272), (await peer.hear()).length]));
    // Routers may cut these, and this one does.
    console.log(JSON.stringify([await send(byInterface, 1472), (await peer.hear()).length]));
    console.log(JSON.stringify([await send(byInterface, 1473), await send(omit, 1473), (await peer.hear()).length]));
    probe.setMtuDiscover('want');
    console.log(JSON.stringify([await send(probe, 1473), (await peer.hear()).length]));
    for (const socket of [learner, want, dont, probe, byInterface, omit]) socket.close();
    await peer.end();
    await far.end();
  });
  assert.deepEqual(lines, [
    ['sent', 1472],
    ['sent', 1472],
    ['sent', 'EMSGSIZE', 'sent'],
    ['sent', 1472],
    ['sent', 1272],
    ['sent', 1472],
    ['EMSGSIZE', 'sent', 1473],
    ['sent', 1473],
  ]);
});

test('pathMtu: arguments are checked, and nothing stays open', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  assert.throws(() => socket.pathMtu('127.0.0.1'), { code: 'EBADF' });
  for (const wrong of [1, undefined, null, {}] as unknown as string[]) {
    assert.throws(() => socket.pathMtu(wrong), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  for (const wrong of ['', 'localhost', '::1', '127.1', '127.0.0.1:9']) {
    assert.throws(() => socket.pathMtu(wrong), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /'address' must be a numeric IPv4/,
    });
  }
  await bound(socket);
  const open = fdCount();
  for (let i = 0; i < 20; i++) assert.equal(socket.pathMtu('127.0.0.1'), 65_535);
  assert.equal(fdCount(), open);
  socket.close();
  assert.throws(() => socket.pathMtu('127.0.0.1'), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' });
});
