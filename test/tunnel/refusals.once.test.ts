// What createTunnel() and start() refuse, and what they say.
import assert from 'node:assert/strict';
import { createTunnel, type TunnelOptions } from 'ksocket/tunnel';
import { runProgram } from '../support/child.js';
import { fdCount, ioThreadCount } from '../support/process.js';
import { test } from '../support/test.js';

const good: TunnelOptions = { vni: 1, remotes: [{ address: '127.0.0.1' }] };

const remotesOf = (count: number) => Array.from({ length: count }, () => ({ address: '127.0.0.1' }));

test('the least and the most of each number are taken', () => {
  for (const least of [
    { vni: 0 },
    { mtu: 68 },
    { queueFrames: 1 },
    { ageSeconds: 1 },
    { learnedMax: 0 },
    { queues: 1 },
  ])
    createTunnel({ ...good, ...least });
  const most = { vni: 2 ** 24 - 1, mtu: 65_521, queueFrames: 65_535, ageSeconds: 1_000_000, learnedMax: 2 ** 20 };
  createTunnel({ ...good, ...most, queues: 256 });
  createTunnel({ ...good, remotes: remotesOf(1024) });
});

test('options that are none are refused by their names', () => {
  const refused: [change: object, code: string, message: RegExp][] = [
    [{ vni: undefined }, 'ERR_INVALID_ARG_TYPE', /options\.vni/],
    [{ vni: -1 }, 'ERR_OUT_OF_RANGE', /options\.vni/],
    [{ vni: 2 ** 24 }, 'ERR_OUT_OF_RANGE', /options\.vni/],
    [{ encapsulation: 'raw' }, 'ERR_INVALID_ARG_VALUE', /options\.vni/],
    [{ encapsulation: 'gre' }, 'ERR_INVALID_ARG_VALUE', /'vxlan', 'raw'/],
    [{ remotes: [] }, 'ERR_OUT_OF_RANGE', /options\.remotes\.length/],
    [{ remotes: remotesOf(1025) }, 'ERR_OUT_OF_RANGE', /options\.remotes\.length/],
    [{ remotes: undefined }, 'ERR_INVALID_ARG_TYPE', /options\.remotes/],
    [{ remotes: [{ address: '' }] }, 'ERR_INVALID_ARG_VALUE', /options\.remotes\[0\]\.address/],
    [{ remotes: [{ address: '127.0.0.1', port: 0 }] }, 'ERR_SOCKET_BAD_PORT', /options\.remotes\[0\]\.port/],
    [{ remotes: [{ address: '127.0.0.1', macs: ['01:00:5e:00:00:01'] }] }, 'ERR_INVALID_ARG_VALUE', /macs\[0\]/],
    [{ remotes: [{ address: '127.0.0.1', macs: ['02:00'] }] }, 'ERR_INVALID_ARG_VALUE', /macs\[0\]/],
    [
      { remotes: ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, macs: ['02:00:00:00:00:0A'] })) },
      'ERR_INVALID_ARG_VALUE',
      /remotes\[1\]\.macs\[0\]' is there twice\. Received '02:00:00:00:00:0a'/,
    ],
    [{ remotes: new Array(1) }, 'ERR_INVALID_ARG_TYPE', /options\.remotes\[0\]/],
    [{ remotes: [{ adress: '127.0.0.1' }] }, 'ERR_INVALID_ARG_VALUE', /did you mean 'address'/],
    [{ device: 'a/b' }, 'ERR_INVALID_ARG_VALUE', /options\.device/],
    [{ device: 'tap%d' }, 'ERR_INVALID_ARG_VALUE', /options\.device/],
    [{ device: 'x'.repeat(16) }, 'ERR_INVALID_ARG_VALUE', /options\.device/],
    ...['', '.', '..', 'a b', 'a:b', 'a\nb', 'all', 'default', 'voilà'].map((device): [object, string, RegExp] => [
      { device },
      'ERR_INVALID_ARG_VALUE',
      /options\.device/,
    ]),
    [{ addresses: ['10.0.0.1'] }, 'ERR_INVALID_ARG_VALUE', /options\.addresses\[0\]/],
    [{ addresses: ['10.0.0.1/33'] }, 'ERR_INVALID_ARG_VALUE', /options\.addresses\[0\]/],
    [{ addresses: ['fd00::1/129'] }, 'ERR_INVALID_ARG_VALUE', /options\.addresses\[0\]/],
    ...['0.0.0.0/0', '239.1.1.1/4', '255.255.255.255/32', '::/64', '0:0::0/64', 'FF02::1/64'].map(
      (address): [object, string, RegExp] => [
        { addresses: [address] },
        'ERR_INVALID_ARG_VALUE',
        /options\.addresses\[0\].* of one machine/,
      ],
    ),
    [{ mtu: 67 }, 'ERR_OUT_OF_RANGE', /options\.mtu/],
    [{ mtu: 65_522 }, 'ERR_OUT_OF_RANGE', /options\.mtu/],
    [{ queueFrames: 0 }, 'ERR_OUT_OF_RANGE', /options\.queueFrames/],
    [{ queueFrames: 65_536 }, 'ERR_OUT_OF_RANGE', /options\.queueFrames/],
    [{ local: { address: 'example.org' } }, 'ERR_INVALID_ARG_VALUE', /options\.local\.address/],
    [{ local: { address: 'fe80::1' } }, 'ERR_INVALID_ARG_VALUE', /options\.local\.address.* as 'fe80::1%eth0'/],
    [{ local: { address: 'fd07::1%lo' } }, 'ERR_INVALID_ARG_VALUE', /options\.local\.address.* no zone/],
    [{ local: { port: 0 } }, 'ERR_SOCKET_BAD_PORT', /options\.local\.port/],
    [{ ageSeconds: 0 }, 'ERR_OUT_OF_RANGE', /options\.ageSeconds/],
    [{ ageSeconds: 1_000_001 }, 'ERR_OUT_OF_RANGE', /options\.ageSeconds/],
    [{ learnedMax: -1 }, 'ERR_OUT_OF_RANGE', /options\.learnedMax/],
    [{ learnedMax: 2 ** 20 + 1 }, 'ERR_OUT_OF_RANGE', /options\.learnedMax/],
    [{ queues: 0 }, 'ERR_OUT_OF_RANGE', /options\.queues/],
    [{ queues: 257 }, 'ERR_OUT_OF_RANGE', /options\.queues/],
    [
      { queues: 2, remotes: [{ address: '127.0.0.1' }, { address: '127.0.0.2' }] },
      'ERR_INVALID_ARG_VALUE',
      /options\.queues/,
    ],
    [{ flood: 1 }, 'ERR_INVALID_ARG_TYPE', /options\.flood/],
    [{ persistant: true }, 'ERR_INVALID_ARG_VALUE', /did you mean 'persistent'/],
  ];
  for (const [change, code, message] of refused) {
    assert.throws(
      () => createTunnel({ ...good, ...change } as TunnelOptions),
      { code, message },
      JSON.stringify(change),
    );
  }
});

test('remotes of two families, one twice however it is written, groups, everybody and nobody are refused by start(), which leaves nothing open', async () => {
  const before = fdCount();
  for (const remotes of [
    [{ address: '127.0.0.1' }, { address: '::1' }],
    [{ address: '127.0.0.1' }, { address: '127.0.0.1', port: 99 }],
    [{ address: 'fd07::a' }, { address: 'FD07:0::000A' }],
    ...['0.0.0.0', '239.1.1.1', '255.255.255.255', '127.255.255.255'].map((address) => [
      { address: '127.0.0.1' },
      { address },
    ]),
    ...['::', 'ff02::1', '::ffff:239.1.1.1', '::ffff:127.255.255.255'].map((address) => [
      { address: '::1' },
      { address },
    ]),
    ...['fe80::1', 'FEBF::1', 'fe80::1%none0', 'fd07::1%lo'].map((address) => [{ address: '::1' }, { address }]),
  ]) {
    await assert.rejects(createTunnel({ ...good, remotes }).start(), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /options\.remotes\[1\]\.address/,
    });
  }
  assert.deepEqual([fdCount(), ioThreadCount()], [before, 0]);
});

async function whyNot(under: string[]): Promise<string> {
  const { code, stdout, stderr } = await runProgram(
    async () => {
      const { readdirSync } = await import('node:fs');
      const { createTunnel } = await import('ksocket/tunnel');
      const tunnel = createTunnel({ vni: 1, device: 'refused0', remotes: [{ address: '127.0.0.1' }] });
      await tunnel.start().catch((error) => console.log(error.message, error.syscall, error.code));
      const before = readdirSync('/proc/self/fd').length;
      await tunnel.start().catch(() => {});
      if (readdirSync('/proc/self/fd').length > before) console.log('left open');
    },
    [],
    { under },
  );
  assert.deepEqual([code, stderr], [0, '']);
  return stdout.trim();
}

test('without CAP_NET_ADMIN and without /dev/net/tun the error says which', async () => {
  const inMounts = ['unshare', ...(process.getuid?.() === 0 ? [] : ['-r']), '-m', '-n'];
  // Of a namespace of users in which nobody is root, in the network around it.
  assert.equal(
    await whyNot([...inMounts, 'unshare', '-U']),
    'TUNSETIFF EPERM: the device refused0 needs CAP_NET_ADMIN TUNSETIFF EPERM',
  );
  assert.equal(
    await whyNot([...inMounts, 'sh', '-c', 'ip link set lo up && mount -t tmpfs none /dev/net && exec "$0" "$@"']),
    "open ENOENT: /dev/net/tun is missing: load the kernel's module tun, or pass the device into the container open ENOENT",
  );
});

test('a tunnel that starts and stops again and again takes little memory each time, before a collection', async () => {
  const { code, stdout, stderr } = await runProgram(
    async () => {
      const { createTunnel } = await import('ksocket/tunnel');
      const tunnel = createTunnel({ vni: 1, remotes: [{ address: '127.0.0.1' }] });
      const restart = async (times: number) => {
        for (let i = 0; i < times; i++) await tunnel.start().then(() => tunnel.stop());
        return process.memoryUsage.rss();
      };
      const before = await restart(5);
      console.log(((await restart(50)) - before) / 50 < 2 ** 21);
    },
    [],
    { under: ['unshare', ...(process.getuid?.() === 0 ? [] : ['-r']), '-n'] },
  );
  assert.deepEqual([code, stderr, stdout.trim()], [0, '', 'true']);
});

test('a device that another program has, or of another kind, is refused', async () => {
  const { code, stdout, stderr } = await runProgram(
    async () => {
      const { createTunnel } = await import('ksocket/tunnel');
      const tunnel = (device: string, port: number) =>
        createTunnel({ vni: 1, device, local: { address: '127.0.0.1', port }, remotes: [{ address: '127.0.0.1' }] });
      const first = tunnel('one0', 4789);
      await first.start();
      for (const [device, port] of [
        ['one0', 4790],
        ['lo', 4790],
        ['two0', 4789],
      ] as const) {
        await tunnel(device, port)
          .start()
          .catch((error) => console.log(error.message));
      }
      await first.stop();
      await first.start();
      console.log(first.address()?.port, first.stats().device);
      await first.stop();
    },
    [],
    {
      under: [
        'unshare',
        ...(process.getuid?.() === 0 ? [] : ['-r']),
        '-n',
        'sh',
        '-c',
        'ip link set lo up && exec "$0" "$@"',
      ],
    },
  );
  assert.deepEqual([code, stderr], [0, '']);
  assert.deepEqual(stdout.trim().split('\n'), [
    'TUNSETIFF EBUSY: the device one0 is in use by another program',
    'TUNSETIFF EINVAL: the device lo is there and is no TAP device, or one of another kind',
    'bind EADDRINUSE 127.0.0.1:4789',
    '4789 one0',
  ]);
});
