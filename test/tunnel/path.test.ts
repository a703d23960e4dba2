// What a tunnel makes of the path beneath it, and of what kernels leave to a network card.
import assert from 'node:assert/strict';
import { test } from '../support/test.js';
import { otherEnds, runBetweenHosts } from '../support/tunnel-hosts.js';

test('the device’s MTU follows the path’s, also what a router on the way says of it', async () => {
  const lines = await runBetweenHosts(async (helper) => {
    const { optionsOf, ping, sh, startServices, startTunnelProgram, transfer } = (await import(
      helper
    )) as typeof import('../support/tunnel-hosts.js');
    const { createTunnel } = await import('ksocket/tunnel');
    const { setTimeout } = await import('node:timers/promises');
    // Far away, behind a router: nobody here sees how long its other wire's frames may be.
    sh(
      'ip netns add router && ip link add way mtu 9100 type veth peer name here mtu 9100 netns router && ' +
        'ip -n router link add there mtu 9100 type veth peer name way mtu 9100 netns far && ' +
        'ip netns exec router sysctl -qw net.ipv4.ip_forward=1 && ' +
        'ip addr add 10.8.1.1/24 dev way && ip -n router addr add 10.8.1.254/24 dev here && ' +
        'ip -n far addr add 10.8.2.2/24 dev way && ip -n router addr add 10.8.2.254/24 dev there && ' +
        'ip -n router link set here up && ip -n router link set there up && ip link set way up && ip -n far link set way up && ' +
        'ip route add 10.8.2.0/24 via 10.8.1.254 && ip -n far route add 10.8.1.0/24 via 10.8.2.254',
    );
    const to = (address: string) => ({ remotes: [{ address }] });
    const far = await startTunnelProgram('far', optionsOf(2, to('10.8.1.1')));
    const tunnel = createTunnel(optionsOf(1, to('10.8.2.2')));
    await tunnel.start();
    const services = await startServices(3_000_000);
    const became = async (mtu: number) => {
      for (let n = 0; tunnel.stats().mtu !== mtu && n < 1000; n++) await setTimeout(20);
      console.log(tunnel.stats().mtu, tunnel.stats().mtuChanges);
    };
    await became(9050);
    ping('10.50.0.2', 8972);
    sh('ip -n router link set there mtu 1500 && ip -n far link set way mtu 1500');
    // The other end sees it by itself, and may tell TCP of it before anything of ours was too long.
    sh('ping -q -c 1 -W 1 -s 8972 10.50.0.2 >/dev/null || true');
    transfer('10.50.0.2', 'up', 3_000_000); // goes on behind what was too long
    await became(1450);
    transfer('fd50::2', 'down', 3_000_000);
    ping('10.50.0.2', 8972); // in fragments
    sh('ip link set way mtu 1400'); // and then its own, with what the router has said still known
    await became(1350);
    await tunnel.stop();
    await far.end();
    await services.end();
  });
  assert.deepEqual(lines, ['9050 0', '1450 1', '1350 2']);
});

test('an MTU that was given stays', async () => {
  const lines = await runBetweenHosts(async (helper) => {
    const { sh } = (await import(helper)) as typeof import('../support/tunnel-hosts.js');
    const { createTunnel } = await import('ksocket/tunnel');
    const { setTimeout } = await import('node:timers/promises');
    const remotes = [{ address: '10.7.0.2' }];
    const given = createTunnel({ vni: 1, mtu: 1450, remotes });
    const follows = createTunnel({ vni: 1, remotes, local: { port: 4790 } });
    await given.start();
    await follows.start();
    sh('ip link set wire mtu 1300');
    while (follows.stats().mtuChanges === 0) await setTimeout(20);
    await setTimeout(1500); // its own look is a second away at most
    console.log(given.stats().mtu, given.stats().mtuChanges, follows.stats().mtu);
    await given.stop();
    await follows.stop();
  });
  assert.deepEqual(lines, ['1450 0 1250']);
});

for (const other of otherEnds) {
  test(`datagrams of UDP that leave as one (UDP_SEGMENT) arrive each, behind ${other}`, async () => {
    const lines = await runBetweenHosts(async (helper, other) => {
      const { optionsOf, startOtherEnd } = (await import(helper)) as typeof import('../support/tunnel-hosts.js');
      const { createTunnel } = await import('ksocket/tunnel');
      const { execFileSync } = await import('node:child_process');
      const end = await startOtherEnd(other);
      const tunnel = createTunnel(optionsOf(1));
      await tunnel.start();
      // Who receives says how many of each size it got within a second of the last one.
      const receiver = `import socket as s, sys, collections
u = s.socket(s.AF_INET6, s.SOCK_DGRAM); u.bind(('::', 7)); u.settimeout(30); print('ready', flush=True)
got = collections.Counter(); order = []
try:
    while True:
        data = u.recv(65536); u.settimeout(1)
        got[len(data)] += 1; order.append(data[:2])
except TimeoutError: pass
print(sorted(got.items()), order == sorted(order))`;
      const sender = `import socket as s, sys
u = s.socket(s.AF_INET6 if ':' in sys.argv[1] else s.AF_INET, s.SOCK_DGRAM)
u.setsockopt(17, 103, 1200)
u.sendto(b''.join(bytes([0, n]) + b'x' * 1198 for n in range(20)) + bytes([0, 20]) + b'y' * 98, (sys.argv[1], 7))`;
      const { spawn } = await import('node:child_process');
      const { once } = await import('node:events');
      for (const [address, from, at] of [
        ['10.50.0.2', '', 'ip netns exec far '],
        ['fd50::2', '', 'ip netns exec far '],
        ['10.50.0.1', 'ip netns exec far ', ''],
        ['fd50::1', 'ip netns exec far ', ''],
      ]) {
        const child = spawn('sh', ['-c', `exec ${at}python3 -c "$0"`, receiver], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        let said = '';
        child.stdout.on('data', (data) => {
          said += data;
        });
        while (!said.includes('ready')) await once(child.stdout, 'data');
        execFileSync('sh', ['-c', `exec ${from}python3 -c "$0" ${address}`, sender], { stdio: 'inherit' });
        await once(child, 'close');
        console.log(said.replace('ready', '').trim());
      }
      const { deviceDrops, malformedDrops, tooLongDrops, unsendableDrops } = tunnel.stats();
      console.log(deviceDrops, malformedDrops, tooLongDrops, unsendableDrops);
      await tunnel.stop();
      await end.end();
    }, other);
    const all = '[(100, 1), (1200, 20)] True';
    assert.deepEqual(lines, [all, all, all, all, '0 0 0 0']);
  });
}
