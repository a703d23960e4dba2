// The traceroute of docs/metadata.md, on a way with two routers: network namespaces in a row, in a mount namespace where
// their names are the test's own.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, root } from '../support/child.js';
import { test } from '../support/test.js';

const hosts = ['here', 'r1', 'r2', 'there'];
const ways = hosts.slice(1).flatMap((host, i) => {
  const before = hosts[i];
  return [
    `ip link add a${i} netns ${before} type veth peer name b${i} netns ${host}`,
    ...[
      [before, `a${i}`, 1],
      [host, `b${i}`, 2],
    ].flatMap(([name, device, end]) => [
      `ip -n ${name} address add 10.0.${i}.${end}/24 dev ${device}`,
      `ip -n ${name} address add fd00:${i}::${end}/64 dev ${device} nodad`,
      `ip -n ${name} link set ${device} up`,
    ]),
  ];
});
const routes = [
  'ip -n here route add default via 10.0.0.2 && ip -n here -6 route add default via fd00:0::2',
  'ip -n r1 route add 10.0.2.0/24 via 10.0.1.2 && ip -n r1 -6 route add fd00:2::/64 via fd00:1::2',
  'ip -n r2 route add default via 10.0.1.1 && ip -n r2 -6 route add default via fd00:1::1',
  'ip -n there route add default via 10.0.2.1 && ip -n there -6 route add default via fd00:2::1',
];
const setup = [
  'mount -t tmpfs none /run && mkdir /run/netns',
  ...hosts.map((host) => `ip netns add ${host} && ip -n ${host} link set lo up`),
  ...ways,
  ...routes,
  ...['r1', 'r2'].map((host) => {
    const forwards = ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'].map((name) => `-w ${name}=1`);
    return `ip netns exec ${host} sysctl -q ${forwards.join(' ')}`;
  }),
];

test('it names each router on the way, and whom it leads to', async () => {
  const page = readFileSync(join(root, 'docs/metadata.md'), 'utf8');
  const [, program] = /^```js\n(\/\/ traceroute:.*?)^```$/ms.exec(page) ?? [];
  assert.ok(program);
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  try {
    mkdirSync(join(directory, 'node_modules'));
    symlinkSync(root, join(directory, 'node_modules/ksocket'));
    writeFileSync(join(directory, 'trace.mjs'), program);
    for (const [to, routers] of [
      ['10.0.2.2', ['10.0.0.2', '10.0.1.2', '10.0.2.2']],
      ['fd00:2::2', ['fd00::2', 'fd00:1::2', 'fd00:2::2']],
    ] as const) {
      const run = `exec ip netns exec here "$0" trace.mjs ${to}`;
      const asUser = process.getuid?.() === 0 ? [] : ['-r'];
      const args = [...asUser, '-n', '-m', 'sh', '-c', [...setup, run].join(' && '), process.execPath];
      await using child = new Child('unshare', args, { cwd: directory });
      const { code, stdout, stderr } = await child.end();
      assert.deepEqual([stderr, code], ['', 0]);
      const lines = stdout.trim().split('\n');
      const hops = lines.map((line) => line.replace(/ {2}[\d.]+ ms/, ''));
      assert.deepEqual(hops, [`1  ${routers[0]}`, `2  ${routers[1]}`, `3  ${routers[2]}  ECONNREFUSED`]);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
