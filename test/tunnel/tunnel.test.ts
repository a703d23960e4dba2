// A tunnel between two hosts: what goes through it, and what becomes of what does not.
import assert from 'node:assert/strict';
import { test } from '../support/test.js';
import { otherEnds, runBetweenHosts } from '../support/tunnel-hosts.js';

for (const how of ['vxlan over IPv4', 'vxlan over IPv6', 'raw over IPv4']) {
  test(`${how}: pings of each size and family, and 30 MB each way (KSOCKET_TEST_TUNNEL_BYTES for others), with the event loop blocked`, async () => {
    const lines = await runBetweenHosts(async (helper, how) => {
      const { optionsOf, pingAndTransfer, startServices, startTunnelProgram } = (await import(
        helper
      )) as typeof import('../support/tunnel-hosts.js');
      const { createTunnel } = await import('ksocket/tunnel');
      const [ours, theirs] = how.endsWith('6') ? ['fd07::1', 'fd07::2'] : ['10.7.0.1', '10.7.0.2'];
      const more = how.startsWith('raw') ? { encapsulation: 'raw' as const, vni: undefined } : {};
      const far = await startTunnelProgram('far', optionsOf(2, { ...more, remotes: [{ address: ours }] }));
      const tunnel = createTunnel(optionsOf(1, { ...more, remotes: [{ address: theirs }] }));
      await tunnel.start();
      const bytes = Number(process.env.KSOCKET_TEST_TUNNEL_BYTES ?? 30_000_000);
      const services = await startServices(bytes);
      pingAndTransfer(bytes);
      const { device, mtu, framesSent, framesReceived, deviceReads, deviceWrites, ...rest } = tunnel.stats();
      const { execFileSync } = await import('node:child_process');
      const [, joined] =
        /gso_max_segs (\d+)/.exec(execFileSync('ip', ['-d', 'link', 'show', 'lan0'], { encoding: 'utf8' })) ?? [];
      console.log(device, mtu, joined);
      console.log(framesSent > deviceReads && framesReceived > deviceWrites);
      console.log(Object.entries(rest).filter(([name, count]) => /Drops$|Losses$/.test(name) && count !== 0));
      await tunnel.stop();
      console.log(tunnel.running, tunnel.stats().framesSent >= framesSent);
      await far.end();
      await services.end();
    }, how);
    const overhead = how.startsWith('raw') ? 14 : 22;
    const mtu = 9100 - (how.endsWith('6') ? 40 : 20) - 8 - overhead;
    const joined = Math.floor((65_535 - 40 - 8) / (mtu + overhead)); // what a super-datagram has room for
    assert.deepEqual(lines, [`lan0 ${mtu} ${joined}`, 'true', '[]', 'false true']);
  });
}

test('the other end is the kernel’s own vxlan device', async () => {
  const lines = await runBetweenHosts(async (helper, other) => {
    const { optionsOf, pingAndTransfer, startOtherEnd, startServices } = (await import(
      helper
    )) as typeof import('../support/tunnel-hosts.js');
    const { createTunnel } = await import('ksocket/tunnel');
    const end = await startOtherEnd(other);
    const tunnel = createTunnel(optionsOf(1));
    await tunnel.start();
    const bytes = Number(process.env.KSOCKET_TEST_TUNNEL_BYTES ?? 30_000_000);
    const services = await startServices(bytes);
    pingAndTransfer(bytes);
    console.log(tunnel.stats().malformedDrops, tunnel.stats().unknownRemoteDrops);
    await tunnel.stop();
    await services.end();
    await end.end();
  }, otherEnds[1]);
  assert.deepEqual(lines, ['0 0']);
});

test('a device is gone with its process, also by SIGKILL; a persistent one stays and is taken up', async () => {
  const lines = await runBetweenHosts(async (helper) => {
    const { startTunnelProgram } = (await import(helper)) as typeof import('../support/tunnel-hosts.js');
    const { existsSync } = await import('node:fs');
    const { setTimeout } = await import('node:timers/promises');
    const isThere = (device: string) => existsSync(`/proc/sys/net/ipv4/conf/${device}`);
    for (const [device, persistent] of [
      ['goes0', false],
      ['stays0', true],
    ] as const) {
      const options = { vni: 1, device, persistent, remotes: [{ address: '10.7.0.2' }] };
      const child = await startTunnelProgram('here', options);
      const before = isThere(device);
      await child.end('SIGKILL');
      for (let n = 0; !persistent && isThere(device) && n < 100; n++) await setTimeout(50);
      console.log(device, before, isThere(device));
      const again = await startTunnelProgram('here', options);
      await again.end();
    }
  });
  assert.deepEqual(lines, ['goes0 true false', 'stays0 true true']);
});

test('a device that somebody takes away is made again, with its addresses', async () => {
  const lines = await runBetweenHosts(async (helper) => {
    const { optionsOf, ping, sh, startTunnelProgram } = (await import(
      helper
    )) as typeof import('../support/tunnel-hosts.js');
    const { createTunnel } = await import('ksocket/tunnel');
    const { setTimeout } = await import('node:timers/promises');
    const far = await startTunnelProgram('far', optionsOf(2));
    const tunnel = createTunnel(optionsOf(1));
    await tunnel.start();
    ping('10.50.0.2', 56);
    sh('ip link del lan0');
    while (tunnel.stats().deviceLosses === 0 || tunnel.stats().device === '') await setTimeout(50);
    ping('10.50.0.2', 56);
    console.log(tunnel.stats().deviceLosses);
    await tunnel.stop();
    await far.end();
  });
  assert.deepEqual(lines, ['1']);
});

test('of three hosts each hears the others; what is forged or of another network is counted', async () => {
  const lines = await runBetweenHosts(async (helper) => {
    const { ping, sh, startTunnelProgram } = (await import(helper)) as typeof import('../support/tunnel-hosts.js');
    const { createTunnel } = await import('ksocket/tunnel');
    const { createSocket } = await import('ksocket');
    // A third one is a process here, with an address of its own on the wire, and its device in a namespace of its own.
    sh('ip -n far addr add 10.7.0.3/24 dev wire');
    const options = (n: number) => ({
      vni: 9,
      device: `lan${n}`,
      addresses: [`10.50.0.${n}/24`],
      local: { address: `10.7.0.${n}` },
      remotes: [1, 2, 3].filter((other) => other !== n).map((other) => ({ address: `10.7.0.${other}` })),
    });
    const far = await startTunnelProgram('far', options(2));
    const third = await startTunnelProgram('far', options(3));
    // Both are in one namespace, which would answer for either device.
    sh('ip netns add third && ip -n far link set lan3 netns third');
    sh('ip -n third addr add 10.50.0.3/24 dev lan3 && ip -n third link set lan3 up');
    const tunnel = createTunnel(options(1));
    await tunnel.start();
    ping('10.50.0.2', 1000);
    ping('10.50.0.3', 1000);
    const { framesFlooded, knownAddresses, framesSent } = tunnel.stats();
    console.log(framesFlooded > 0, framesSent > framesFlooded, knownAddresses >= 2);
    const socket = createSocket('udp4');
    socket.bindSync({ address: '10.7.0.1' });
    socket.send('x'.repeat(60), 4789, '10.7.0.1'); // from nobody's address
    while (tunnel.stats().unknownRemoteDrops === 0) await new Promise(setImmediate);
    const forge = (address: string, hex: string) =>
      sh(
        `ip netns exec far python3 -c "import socket as s; u = s.socket(s.AF_INET, s.SOCK_DGRAM); u.bind(('${address}', 0)); u.sendto(bytes.fromhex('${hex}'), ('10.7.0.1', 4789))"`,
      );
    forge('10.7.0.2', `0800000000000a00${'00'.repeat(60)}`);
    forge('10.7.0.2', `0000000000000900${'00'.repeat(60)}`);
    forge('10.7.0.3', '08000000000009');
    forge('10.7.0.3', `0800000000000900${'ff'.repeat(60)}`);
    while (tunnel.stats().refusedSourceDrops === 0) await new Promise(setImmediate);
    const { unknownRemoteDrops, otherVniDrops, malformedDrops, refusedSourceDrops } = tunnel.stats();
    console.log(unknownRemoteDrops, otherVniDrops, malformedDrops, refusedSourceDrops);
    socket.close();
    await tunnel.stop();
    await far.end();
    await third.end();
  });
  assert.deepEqual(lines, ['true true true', '1 1 2 1']);
});
