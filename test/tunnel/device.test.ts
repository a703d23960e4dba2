// A tunnel's device in the hands of others: renamed, and too short for IPv6.
import assert from 'node:assert/strict';
import { test } from '../support/test.js';
import { runBetweenHosts } from '../support/tunnel-hosts.js';

test('a renamed device follows the path under its new name, and another interface of the old one stays as it is', async () => {
  const lines = await runBetweenHosts(async (helper) => {
    const { sh } = (await import(helper)) as typeof import('../support/tunnel-hosts.js');
    const { createTunnel } = await import('ksocket/tunnel');
    const { execFileSync } = await import('node:child_process');
    const { setTimeout } = await import('node:timers/promises');
    const tunnel = createTunnel({ vni: 1, device: 'lan0', remotes: [{ address: '10.7.0.2' }] });
    await tunnel.start();
    sh('ip link set lan0 down && ip link set lan0 name new0 && ip link set new0 up');
    sh('ip link add lan0 mtu 2000 type veth peer name lan1');
    sh('ip link set wire mtu 5000');
    for (let n = 0; tunnel.stats().mtuChanges === 0 && n < 250; n++) await setTimeout(20);
    const { device, mtu, mtuChanges } = tunnel.stats();
    console.log(device, mtu, mtuChanges);
    for (const name of ['new0', 'lan0']) {
      console.log(/mtu \d+/.exec(execFileSync('ip', ['-o', 'link', 'show', name], { encoding: 'utf8' }))?.[0]);
    }
    await tunnel.stop();
  });
  assert.deepEqual(lines, ['new0 4950 1', 'mtu 4950', 'mtu 2000']);
});

test('with a path that is too short for IPv6 inside the device follows it, too, and has its addresses again behind it', async () => {
  const lines = await runBetweenHosts(async (helper) => {
    const { optionsOf, ping, sh, startTunnelProgram } = (await import(
      helper
    )) as typeof import('../support/tunnel-hosts.js');
    const { createTunnel } = await import('ksocket/tunnel');
    const { setTimeout } = await import('node:timers/promises');
    const tunnel = createTunnel(optionsOf(1));
    await tunnel.start();
    for (const [changes, wire] of [
      [1, 1300],
      [2, 9100],
    ]) {
      sh(`ip link set wire mtu ${wire} && ip -n far link set wire mtu ${wire}`);
      for (let n = 0; tunnel.stats().mtuChanges < changes && n < 250; n++) await setTimeout(20);
      console.log(tunnel.stats().mtu, tunnel.stats().mtuChanges);
    }
    const far = await startTunnelProgram('far', optionsOf(2));
    ping('fd50::2', 56);
    await tunnel.stop();
    await far.end();
    const refused = (mtu: number) =>
      createTunnel(optionsOf(1, { mtu }))
        .start()
        .catch((error) => console.log(error.message));
    await refused(1279);
    sh('sysctl -qw net.ipv6.conf.default.disable_ipv6=1');
    await refused(1280);
  });
  assert.deepEqual(lines, [
    '1250 1',
    '9050 2',
    'RTM_NEWADDR EINVAL: the device lan0 has no IPv6 with an MTU below 1280',
    'RTM_NEWADDR EACCES: the device lan0 has no IPv6: net.ipv6.conf.default.disable_ipv6 says so',
  ]);
});

test('a device that is taken away while the path is too short for IPv6 is made again, within about a second', async () => {
  const lines = await runBetweenHosts(async (helper) => {
    const { optionsOf, ping, sh, startTunnelProgram } = (await import(
      helper
    )) as typeof import('../support/tunnel-hosts.js');
    const { createTunnel } = await import('ksocket/tunnel');
    const { setTimeout } = await import('node:timers/promises');
    const tunnel = createTunnel(optionsOf(1, { addresses: ['fd50::1/64', '10.50.0.1/24'] }));
    const became = async (mtu: number) => {
      for (let n = 0; tunnel.stats().mtu !== mtu && n < 250; n++) await setTimeout(20);
      console.log(tunnel.stats().mtu);
    };
    const wires = (mtu: number) => sh(`ip link set wire mtu ${mtu} && ip -n far link set wire mtu ${mtu}`);
    await tunnel.start();
    wires(1300);
    await became(1250);
    sh('ip link del lan0');
    await became(0);
    await became(1250);
    wires(100); // too short for any device
    sh('ip link del lan0');
    await became(0);
    await setTimeout(1500);
    wires(9100);
    await became(9050);
    console.log(tunnel.stats().deviceLosses);
    const far = await startTunnelProgram('far', optionsOf(2));
    for (const address of ['10.50.0.2', 'fd50::2']) ping(address, 56);
    await tunnel.stop();
    await far.end();
  });
  assert.deepEqual(lines, ['1250', '0', '1250', '0', '9050', '2']);
});
