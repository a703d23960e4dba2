// What createSocket() has the kernel set before bind(2): bindToDevice, mark, transparent, freebind, mtuDiscover, maxPacingRate.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { createSocket, type SocketOptions } from 'ksocket';
import { Child, type ChildResult, root, runProgram } from '../support/child.js';
import { beforeFarHost } from '../support/far-host.js';
import { fdOf, kernelBytesOf, kernelOptions, kernelOptionsOf } from '../support/kernel-options.js';
import { bound, Sockets, unusedPort } from '../support/peer.js';
import { heldAtRest, untilHeldIs } from '../support/process.js';
import { test } from '../support/test.js';

const farHost = new URL('../support/far-host.js', import.meta.url).href;
type FarHost = typeof import('../support/far-host.js');

async function output(result: Promise<ChildResult>): Promise<unknown[]> {
  const { code, stdout, stderr } = await result;
  assert.deepEqual([code, stderr], [0, '']);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

test('the kernel has what was asked for, on udp4 and udp6', async () => {
  for (const type of ['udp4', 'udp6'] as const) {
    await using sockets = new Sockets();
    const socket = sockets.make({
      type,
      bindToDevice: 'lo',
      mark: 0xfedcba98,
      transparent: true,
      freebind: true,
      mtuDiscover: 'probe',
      maxPacingRate: 1_000_000,
    });
    await bound(socket);
    const fd = fdOf(socket);
    const names = ['s.SOL_SOCKET, 36', 's.IPPROTO_IP, 19', 's.IPPROTO_IP, 15', 's.IPPROTO_IP, 10', 's.SOL_SOCKET, 47'];
    assert.deepEqual(kernelOptions(fd, names), [0xfedcba98 | 0, 1, 1, 3, 1_000_000]);
    assert.equal(`${kernelBytesOf([fd], 's.SOL_SOCKET, s.SO_BINDTODEVICE', 16)}`, 'lo\0');
    // The kernel keeps path MTU discovery for each family, the others once.
    const ofIPv6 = ['s.IPPROTO_IPV6, 75', 's.IPPROTO_IPV6, 78', 's.IPPROTO_IPV6, 23'];
    if (type === 'udp6') assert.deepEqual(kernelOptions(fd, ofIPv6), [1, 1, 3]);
  }
});

test('without them, and with false, the kernel’s defaults stay', async () => {
  await using sockets = new Sockets();
  const fds: number[] = [];
  for (const options of [{}, { transparent: false, freebind: false, mark: undefined }]) {
    const socket = sockets.make({ type: 'udp4', ...options });
    await bound(socket);
    fds.push(fdOf(socket));
  }
  const names = ['s.SOL_SOCKET, 36', 's.IPPROTO_IP, 19', 's.IPPROTO_IP, 15', 's.IPPROTO_IP, 10', 's.SOL_SOCKET, 47'];
  for (const values of kernelOptionsOf(fds, names)) assert.deepEqual(values, [0, 0, 0, 1, -1]);
  for (const device of kernelBytesOf(fds, 's.SOL_SOCKET, s.SO_BINDTODEVICE', 16)) assert.equal(device.length, 0);
});

test('mtuDiscover: each mode has ip(7)’s number, as an option and set later', async () => {
  const modes = ['dont', 'want', 'do', 'probe', 'interface', 'omit'] as const;
  await using sockets = new Sockets();
  for (const type of ['udp4', 'udp6'] as const) {
    const fds: number[] = [];
    const names = ['s.IPPROTO_IP, 10', ...(type === 'udp6' ? ['s.IPPROTO_IPV6, 23'] : [])];
    for (const mtuDiscover of modes) {
      const socket = sockets.make({ type, mtuDiscover });
      await bound(socket);
      const later = sockets.make(type);
      assert.throws(() => later.setMtuDiscover('do'), { code: 'EBADF', syscall: 'setMtuDiscover' });
      await bound(later);
      assert.equal(later.setMtuDiscover(mtuDiscover), undefined);
      fds.push(fdOf(socket), fdOf(later));
      assert.throws(() => later.setMtuDiscover('on' as 'do'), {
        code: 'ERR_INVALID_ARG_VALUE',
        message: /'mode' must be one of: 'dont', 'want', 'do', 'probe', 'interface', 'omit'/,
      });
    }
    assert.deepEqual(
      kernelOptionsOf(fds, names),
      modes.flatMap((_, number) => [names.map(() => number), names.map(() => number)]),
    );
  }
});

test('maxPacingRate: from 1 byte a second to more than 32 bits have', async () => {
  await using sockets = new Sockets();
  const rates = [1, 0xfffffffe, 0xffffffff, 2 ** 32, 100_000_000_000];
  const made = rates.map((maxPacingRate) => sockets.make({ type: 'udp4', maxPacingRate }));
  for (const socket of made) await bound(socket);
  const had = kernelBytesOf(made.map(fdOf), 's.SOL_SOCKET, 47', 8).map((bytes) => bytes.readBigUInt64LE());
  assert.deepEqual(had, rates.map(BigInt));
});

test('they are checked', () => {
  const wrong: [Partial<Record<keyof SocketOptions, unknown>>, string][] = [
    [{ bindToDevice: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ bindToDevice: null }, 'ERR_INVALID_ARG_TYPE'],
    [{ bindToDevice: '' }, 'ERR_INVALID_ARG_VALUE'],
    [{ bindToDevice: 'a'.repeat(16) }, 'ERR_INVALID_ARG_VALUE'],
    [{ bindToDevice: 'é'.repeat(8) }, 'ERR_INVALID_ARG_VALUE'],
    [{ bindToDevice: 'lo\0' }, 'ERR_INVALID_ARG_VALUE'],
    [{ mark: '7' }, 'ERR_INVALID_ARG_TYPE'],
    [{ mark: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ mark: 2 ** 32 }, 'ERR_OUT_OF_RANGE'],
    [{ mark: 0.5 }, 'ERR_OUT_OF_RANGE'],
    [{ transparent: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ transparent: 'yes' }, 'ERR_INVALID_ARG_TYPE'],
    [{ transparent: null }, 'ERR_INVALID_ARG_TYPE'],
    [{ freebind: 0 }, 'ERR_INVALID_ARG_TYPE'],
    [{ mtuDiscover: 'always' }, 'ERR_INVALID_ARG_VALUE'],
    [{ mtuDiscover: 2 }, 'ERR_INVALID_ARG_VALUE'],
    [{ mtuDiscover: 'toString' }, 'ERR_INVALID_ARG_VALUE'],
    [{ maxPacingRate: 0 }, 'ERR_OUT_OF_RANGE'],
    [{ maxPacingRate: 1.5 }, 'ERR_OUT_OF_RANGE'],
    [{ maxPacingRate: 2 ** 53 }, 'ERR_OUT_OF_RANGE'],
    [{ maxPacingRate: 1n }, 'ERR_INVALID_ARG_TYPE'],
  ];
  for (const [options, code] of wrong) {
    const [name] = Object.keys(options);
    const message = new RegExp(`options\\.${name}.*Received`, 's');
    assert.throws(() => createSocket({ type: 'udp4', ...options } as SocketOptions), { code, message }, name);
  }
});

test('a device that is not there is an error of bind(), and nothing stays open', async () => {
  const before = await heldAtRest();
  await using sockets = new Sockets();
  const socket = sockets.make({ type: 'udp4', bindToDevice: 'none0', thread: 'dedicated' });
  const told = {
    code: 'ENODEV',
    errno: -19,
    syscall: 'setsockopt',
    message: "setsockopt ENODEV: options.bindToDevice 'none0' (SO_BINDTODEVICE) is refused: no such device",
  };
  for (let attempt = 0; attempt < 2; attempt++) {
    const failed = once(socket, 'error');
    socket.bind(0, '127.0.0.1');
    const { code, errno, syscall, message } = (await failed)[0];
    assert.deepEqual({ code, errno, syscall, message }, told);
    await untilHeldIs(before);
    assert.throws(() => socket.bindSync({ address: '127.0.0.1' }), told);
    assert.throws(() => socket.addMembership('224.0.0.114'), told);
    await untilHeldIs(before);
  }
  // A bind that send() asks for.
  const failed = once(socket, 'error');
  socket.send('x', 9, '127.0.0.1');
  assert.equal((await failed)[0].code, 'ENODEV');
});

test('a bind that fails for another reason may be tried again, with all of them', async () => {
  await using sockets = new Sockets();
  const port = await unusedPort();
  const first = sockets.make();
  first.bindSync({ port, address: '127.0.0.1' });
  const socket = sockets.make({ type: 'udp4', mtuDiscover: 'do', maxPacingRate: 5000 });
  assert.throws(() => socket.bindSync({ port, address: '127.0.0.1' }), { code: 'EADDRINUSE', syscall: 'bind' });
  socket.bindSync({ address: '127.0.0.1' });
  // A descriptor that addMembership() has needed before.
  const member = sockets.make({ type: 'udp4', mtuDiscover: 'do', maxPacingRate: 5000 });
  member.addMembership('224.0.0.114', '127.0.0.1');
  const fds = [fdOf(socket), fdOf(member)];
  assert.deepEqual(kernelOptionsOf(fds, ['s.IPPROTO_IP, 10', 's.SOL_SOCKET, 47']), [
    [2, 5000],
    [2, 5000],
  ]);
});

test('a descriptor that somebody else has bound gets them, too', async () => {
  await using sockets = new Sockets();
  const first = sockets.make();
  await bound(first);
  const program = async () => {
    const { createSocket } = await import('ksocket');
    const { once } = await import('node:events');
    const refused = createSocket({ type: 'udp4', bindToDevice: 'none0' });
    const failed = once(refused, 'error');
    refused.bind({ fd: 3 });
    console.log(JSON.stringify([(await failed)[0].code]));
    const socket = createSocket({ type: 'udp4', mtuDiscover: 'do', mark: 9 });
    socket.addMembership('224.0.0.114', '127.0.0.1'); // opens one, which bind() then gives up
    const listening = once(socket, 'listening');
    socket.bind({ fd: 4 });
    await listening;
    console.log(JSON.stringify([socket.getsockopt(0, 10)[0], socket.getsockopt(1, 36)[0]]));
    socket.close();
  };
  const fds = [fdOf(first), fdOf(first)];
  assert.deepEqual(await output(runProgram(program, [], { fds })), [['ENODEV'], [2, 9]]);
});

test('in a cluster what bind() heeds makes a socket of one’s own, the rest is set on the shared one', async () => {
  await using child = new Child(process.execPath, [join(root, 'build-test/support/cluster-settings.js')]);
  const [one, other] = (await output(child.end())) as [number, number, number, number, string][];
  assert.deepEqual(one.slice(1, 3), [2, 9]);
  assert.deepEqual(other.slice(0, 3), one.slice(0, 3), 'one port, one socket');
  assert.notEqual(other[3], one[3], 'a port each');
  assert.deepEqual([one[4], other[4]], ['lo\0', 'lo\0']);
});

async function withoutCapability() {
  const { createSocket } = await import('ksocket');
  const all = [
    { mark: 7 },
    { transparent: true },
    { transparent: 'auto' },
    { freebind: 'auto' },
    { freebind: true },
    { bindToDevice: 'lo' },
    { mtuDiscover: 'do' },
    { maxPacingRate: 1000 },
  ] as const;
  for (const options of all) {
    for (const type of ['udp4', 'udp6'] as const) {
      const socket = createSocket({ type, ...options });
      try {
        socket.bindSync();
        console.log(JSON.stringify([type, Object.keys(options)[0], socket.getsockopt(0, 19)[0]]));
      } catch (error) {
        const { code, syscall, message } = error as NodeJS.ErrnoException;
        console.log(JSON.stringify([type, code, syscall, message]));
      }
      socket.close();
    }
  }
}

test('without the capability bind() says which; auto goes without', async () => {
  const under = ['setpriv', '--bounding-set=-net_raw,-net_admin', '--'];
  const lines = await output(runProgram(withoutCapability, [], { under }));
  const both = (...line: unknown[]) => [
    ['udp4', ...line],
    ['udp6', ...line],
  ];
  const refused = ['EPERM', 'setsockopt'];
  assert.deepEqual(lines, [
    ...both(...refused, 'setsockopt EPERM: options.mark 7 (SO_MARK) needs CAP_NET_ADMIN or CAP_NET_RAW'),
    ...both(
      ...refused,
      'setsockopt EPERM: options.transparent true (IP_TRANSPARENT) needs CAP_NET_RAW or CAP_NET_ADMIN',
    ),
    ...both('transparent', 0),
    ...both('freebind', 0),
    ...both('freebind', 0),
    ...both('bindToDevice', 0),
    ...both('mtuDiscover', 0),
    ...both('maxPacingRate', 0),
  ]);
});

test('bindToDevice: what comes through another interface is not heard, nor sent', async () => {
  const program = async (helper: string) => {
    const { startFarPeer }: FarHost = await import(helper);
    const { createSocket } = await import('ksocket');
    const { once } = await import('node:events');
    const { execFileSync } = await import('node:child_process');
    const peer = await startFarPeer('far', '0.0.0.0', 7000);
    for (const type of ['udp4', 'udp6'] as const) {
      const socket = createSocket({ type, bindToDevice: 'wire' }).bind(7001);
      await once(socket, 'listening');
      const heard = once(socket, 'message');
      const again = setInterval(() => {
        peer.send('through other', '10.9.0.1', 7001);
        peer.send('through wire', '10.7.0.1', 7001);
      }, 50);
      const shown = execFileSync('ss', ['-Huan', 'sport = :7001'], { encoding: 'utf8' });
      console.log(JSON.stringify([`${(await heard)[0]}`, /%\w+:7001/.exec(shown)?.[0]]));
      clearInterval(again);
      const to = (address: string) => (type === 'udp4' ? address : `::ffff:${address}`);
      const send = (text: string, address: string) =>
        new Promise((resolve) =>
          socket.send(text, 7000, to(address), (error) => resolve((error as NodeJS.ErrnoException)?.code ?? 'sent')),
        );
      console.log(JSON.stringify([await send('out', '10.7.0.2'), (await peer.hear()).from]));
      socket.close();
    }
    await peer.end();
  };
  const lines = await output(runProgram(program, [farHost], { under: beforeFarHost() }));
  const each = [
    ['through wire', '%wire:7001'],
    ['sent', '10.7.0.1'],
  ];
  assert.deepEqual(lines, [...each, ...each]);
});

test('mark: routes are chosen by it, as ip-route(8) says, and ss(8) shows it', async () => {
  const program = async (helper: string) => {
    const { startFarPeer }: FarHost = await import(helper);
    const { createSocket } = await import('ksocket');
    const { execFileSync } = await import('node:child_process');
    // Without what the test itself may be preloaded with: AddressSanitizer finds fault with ip(8).
    const env = { ...process.env, LD_PRELOAD: '' };
    const run = (command: string) => execFileSync('sh', ['-c', command], { encoding: 'utf8', env });
    run('ip -n far addr add 198.51.100.1/32 dev lo');
    run('ip rule add fwmark 7 table 77; ip route add 198.51.100.1 via 10.9.0.2 table 77');
    const routed = run('ip -o route get 198.51.100.1 mark 7');
    const peer = await startFarPeer('far', '198.51.100.1', 7000);
    for (const mark of [undefined, 8, 7]) {
      const socket = createSocket({ type: 'udp4', mark });
      socket.bindSync({ port: 7001 });
      const result = await new Promise((resolve) =>
        socket.send('x', 7000, '198.51.100.1', (error) => resolve((error as NodeJS.ErrnoException)?.code ?? 'sent')),
      );
      const shown = /fwmark:\w+/.exec(run("ss -Huane 'sport = :7001'"))?.[0] ?? 'none';
      console.log(JSON.stringify([result, shown]));
      socket.close();
    }
    console.log(JSON.stringify([(await peer.hear()).from, / src (\S+)/.exec(routed)?.[1]]));
    await peer.end();
  };
  const lines = await output(runProgram(program, [farHost], { under: beforeFarHost() }));
  assert.deepEqual(lines, [
    ['ENETUNREACH', 'none'],
    ['ENETUNREACH', 'fwmark:0x8'],
    ['sent', 'fwmark:0x7'],
    ['10.9.0.1', '10.9.0.1'],
  ]);
});

test('transparent: another host hears an address that is not this machine’s', async () => {
  const program = async (helper: string) => {
    const { startFarPeer }: FarHost = await import(helper);
    const { createSocket } = await import('ksocket');
    const { once } = await import('node:events');
    for (const [type, address, far] of [
      ['udp4', '192.0.2.77', '10.7.0.2'],
      ['udp6', '2001:db8::77', 'fd07::2'],
      ['udp6', '::ffff:192.0.2.78', '10.7.0.2'],
    ] as const) {
      const peer = await startFarPeer('far', far, 7000);
      const plain = createSocket(type).bind(0, address);
      const refused = (await once(plain, 'error'))[0].code;
      for (const transparent of [true, 'auto'] as const) {
        const socket = createSocket({ type, transparent }).bind(7001, address);
        await once(socket, 'listening');
        socket.send('x', 7000, address.startsWith('::ffff:') ? `::ffff:${far}` : far);
        console.log(JSON.stringify([refused, (await peer.hear()).from]));
        const done = once(socket, 'close');
        socket.close();
        await done;
      }
      plain.close();
      await peer.end();
    }
  };
  const lines = await output(runProgram(program, [farHost], { under: beforeFarHost() }));
  const each = ['192.0.2.77', '2001:db8::77', '192.0.2.78'].flatMap((from) => Array(2).fill(['EADDRNOTAVAIL', from]));
  assert.deepEqual(lines, each);
});

test('freebind: bound before the address is there, it hears once it is', async () => {
  const program = async (helper: string) => {
    const { startFarPeer }: FarHost = await import(helper);
    const { createSocket } = await import('ksocket');
    const { once } = await import('node:events');
    const { execFileSync } = await import('node:child_process');
    for (const [type, address, far] of [
      ['udp4', '192.0.2.77', '10.7.0.2'],
      ['udp6', '2001:db8::77', 'fd07::2'],
    ] as const) {
      const peer = await startFarPeer('far', far, 7000);
      const socket = createSocket({ type, freebind: true }).bind(7001, address);
      await once(socket, 'listening');
      const prefix = type === 'udp4' ? `${address}/32` : `${address}/128`;
      const nodad = type === 'udp6' ? ['nodad'] : [];
      execFileSync('ip', ['addr', 'add', prefix, 'dev', 'wire', ...nodad]);
      const heard = once(socket, 'message');
      const again = setInterval(() => peer.send('now', address, 7001), 50);
      console.log(JSON.stringify(`${(await heard)[0]}`));
      clearInterval(again);
      socket.close();
      await peer.end();
    }
  };
  const lines = await output(runProgram(program, [farHost], { under: beforeFarHost() }));
  assert.deepEqual(lines, ['now', 'now']);
});
