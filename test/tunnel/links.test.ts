// Remotes of one link of several: the same link-local address may be another machine's on each; and everybody of a network is none.
import assert from 'node:assert/strict';
import { test } from '../support/test.js';
import { runBetweenHosts } from '../support/tunnel-hosts.js';

test('a remote on a link is nobody on another one, whatever its address', async () => {
  const lines = await runBetweenHosts(async (helper) => {
    const { optionsOf, ping, sh, startTunnelProgram } = (await import(
      helper
    )) as typeof import('../support/tunnel-hosts.js');
    const { createTunnel } = await import('ksocket/tunnel');
    // A second wire, on which the other host has the same address.
    sh(
      'ip link add other type veth peer name other netns far && ip link set other up && ip -n far link set other up && ' +
        'for at in "ip" "ip -n far"; do n=$([ "$at" = ip ] && echo 1 || echo 2); ' +
        'for dev in wire other; do $at addr add fe80::$n/64 dev $dev nodad; done; done',
    );
    const options = (host: 1 | 2) => optionsOf(host, { remotes: [{ address: `fe80::${3 - host}%wire` }] });
    const far = await startTunnelProgram('far', options(2));
    const tunnel = createTunnel(options(1));
    await tunnel.start();
    ping('10.50.0.2', 1000);
    const before = tunnel.stats();
    const { setTimeout } = await import('node:timers/promises');
    for (const link of ['other', 'wire']) {
      sh(
        `ip netns exec far python3 -c "import socket as s; u = s.socket(s.AF_INET6, s.SOCK_DGRAM); link = s.if_nametoindex('${link}'); u.bind(('fe80::2', 0, 0, link)); u.sendto(bytes(60), ('fe80::1', 4789, 0, link))"`,
      );
    }
    const counts = () => {
      const { unknownRemoteDrops, malformedDrops } = tunnel.stats();
      return [unknownRemoteDrops - before.unknownRemoteDrops, malformedDrops - before.malformedDrops];
    };
    for (let n = 0; counts().includes(0) && n < 250; n++) await setTimeout(20);
    console.log(...counts());
    await tunnel.stop();
    const elsewhere = { ...options(1), local: { address: 'fe80::1%other' } };
    await createTunnel(elsewhere)
      .start()
      .catch((error) => console.log(error.code, error.message));
    await far.end();
  });
  assert.deepEqual(lines, [
    '1 1',
    "ERR_INVALID_ARG_VALUE The property 'options.remotes[0].address' must be on the link of options.local.address. Received 'fe80::2%wire'",
  ]);
});

test('everybody of a network is no remote; what becomes that later is refused by the kernel, and counted', async () => {
  const lines = await runBetweenHosts(async (helper) => {
    const { sh } = (await import(helper)) as typeof import('../support/tunnel-hosts.js');
    const { createTunnel } = await import('ksocket/tunnel');
    const { setTimeout } = await import('node:timers/promises');
    const { existsSync } = await import('node:fs');
    const to = (address: string) => createTunnel({ vni: 1, device: 'lan0', remotes: [{ address }] });
    await to('10.7.0.255')
      .start()
      .catch((error) => console.log(error.code, error.message));
    console.log(existsSync('/proc/sys/net/ipv4/conf/lan0'));
    const tunnel = to('10.8.0.255');
    await tunnel.start();
    sh('ip addr add 10.8.0.1/24 brd + dev wire');
    const before = tunnel.stats();
    // Neighbours that are asked for, until one has been.
    sh('ip addr add 10.50.0.1/24 dev lan0 && (ping -q -c 1 -W 1 10.50.0.2 >/dev/null || true)');
    for (let n = 0; tunnel.stats().socket?.txErrors === before.socket?.txErrors && n < 250; n++) await setTimeout(20);
    const { framesSent, socket } = tunnel.stats();
    console.log(
      framesSent - before.framesSent,
      (socket?.txErrors ?? 0) > (before.socket?.txErrors ?? 0),
      tunnel.running,
    );
    await tunnel.stop();
  });
  assert.deepEqual(lines, [
    "ERR_INVALID_ARG_VALUE The property 'options.remotes[0].address' must be the address of one machine. Received '10.7.0.255'",
    'false',
    '0 true true',
  ]);
});

test('a listener that throws is the program’s error: the tunnel has started, or stopped, all the same', async () => {
  const lines = await runBetweenHosts(async () => {
    const { createTunnel } = await import('ksocket/tunnel');
    process.on('uncaughtException', (error) => console.log('uncaught', error.message));
    const tunnel = createTunnel({ vni: 1, device: 'lan0', remotes: [{ address: '10.7.0.2' }] });
    for (const name of ['listening', 'close'] as const) {
      tunnel.once(name, () => {
        throw new Error(name);
      });
    }
    await tunnel.start();
    console.log(tunnel.running, tunnel.stats().device);
    await new Promise(setImmediate);
    await tunnel.stop();
    console.log(tunnel.running);
  });
  assert.deepEqual(lines, ['true lan0', 'uncaught listening', 'false', 'uncaught close']);
});

test('over IPv6 datagrams without a checksum are taken, as those of the kernel’s own device that was told so', async () => {
  const lines = await runBetweenHosts(async (helper) => {
    const { optionsOf, ping, sh } = (await import(helper)) as typeof import('../support/tunnel-hosts.js');
    const { createTunnel } = await import('ksocket/tunnel');
    const { setTimeout } = await import('node:timers/promises');
    sh(
      'ip -n far link add lan0 mtu 9030 type vxlan id 42 local fd07::2 remote fd07::1 dstport 4789 udp6zerocsumtx && ' +
        'ip -n far addr add 10.50.0.2/24 dev lan0 && ip -n far link set lan0 up',
    );
    const remotes = [{ address: 'fd07::2' }];
    const tunnel = createTunnel(optionsOf(1, { remotes }));
    await tunnel.start();
    ping('10.50.0.2', 8972);
    console.log(tunnel.stats().framesReceived > 0);
    await tunnel.stop();
    // Of bare frames nothing says that.
    const bare = createTunnel({ encapsulation: 'raw', remotes: [{ address: 'fd07::2', port: 9 }] });
    await bare.start();
    const send = (checksum: boolean) =>
      sh(
        `ip netns exec far python3 -c "import socket as s; u = s.socket(s.AF_INET6, s.SOCK_DGRAM); u.setsockopt(17, 101, ${checksum ? 0 : 1}); u.bind(('fd07::2', 9)); u.sendto(bytes(60), ('fd07::1', 4789))"`,
      );
    send(false);
    send(true);
    for (let n = 0; bare.stats().framesReceived === 0 && n < 250; n++) await setTimeout(20);
    console.log(bare.stats().framesReceived);
    await bare.stop();
  });
  assert.deepEqual(lines, ['true', '1']);
});
