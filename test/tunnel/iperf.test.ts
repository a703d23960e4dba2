// iperf3 through a tunnel, over TCP and UDP in both directions, and what hosts on a network send that is seldom: small
// frames, tags, fragments, a peer that starts again.
import assert from 'node:assert/strict';
import { test } from '../support/test.js';
import { otherEnds, runBetweenHosts } from '../support/tunnel-hosts.js';

for (const other of otherEnds) {
  test(`iperf3 to ${other}: TCP and UDP, both directions, with the event loop blocked all the time`, async () => {
    const lines = await runBetweenHosts(async (helper, other) => {
      const { optionsOf, sh, startOtherEnd } = (await import(helper)) as typeof import('../support/tunnel-hosts.js');
      const { createTunnel } = await import('ksocket/tunnel');
      const { spawnSync } = await import('node:child_process');
      const far = await startOtherEnd(other);
      const tunnel = createTunnel(optionsOf(1));
      await tunnel.start();
      for (const args of [
        '',
        '-R',
        '-u -b 5M -l 64',
        '-u -b 5M -l 64 -R',
        '-u -b 50M -l 1400',
        '-u -b 50M -l 1400 -R',
      ]) {
        sh('ip netns exec far iperf3 -s -1 -D -B 10.50.0.2 >/dev/null && sleep 0.3');
        const iperf = [
          '-c',
          '10.50.0.2',
          '-t',
          '1',
          '--connect-timeout',
          '5000',
          '-J',
          ...args.split(' ').filter(Boolean),
        ];
        const { stdout } = spawnSync('iperf3', iperf, { encoding: 'utf8', timeout: 20_000 });
        const { end, error } = JSON.parse(stdout);
        const received = args.includes('-u') ? end.sum.packets - end.sum.lost_packets : end.sum_received.bytes;
        // A receiver that waits for its processor loses some of what nobody sends again.
        const least = args.includes('-u') ? end.sum.packets * 0.2 : 1_000_000;
        console.log(`iperf3 ${args}`.trim(), error ?? (received > 0 && received >= least));
      }
      await tunnel.stop();
      await far.end();
    }, other);
    assert.deepEqual(lines, [
      'iperf3 true',
      'iperf3 -R true',
      'iperf3 -u -b 5M -l 64 true',
      'iperf3 -u -b 5M -l 64 -R true',
      'iperf3 -u -b 50M -l 1400 true',
      'iperf3 -u -b 50M -l 1400 -R true',
    ]);
  });
}

test('frames with two tags, fragments and jumbo frames go through; frames that are too long for the other end are counted there', async () => {
  const lines = await runBetweenHosts(async (helper) => {
    const { optionsOf, ping, sh, startTunnelProgram } = (await import(
      helper
    )) as typeof import('../support/tunnel-hosts.js');
    const { createTunnel } = await import('ksocket/tunnel');
    const far = await startTunnelProgram('far', optionsOf(2));
    const tunnel = createTunnel(optionsOf(1));
    await tunnel.start();
    // Each comes with both tags, of which the kernel takes the outer one off before anybody looks.
    const receiver = `import socket as s, struct
u = s.socket(s.AF_PACKET, s.SOCK_RAW, s.htons(3)); u.bind(('lan0', 3)); u.setsockopt(263, 8, 1); u.settimeout(20); print('ready', flush=True)
got = []
while len(got) < 3:
    data, extra, _, _ = u.recvmsg(65536, 100)
    if len(data) < 22 or data[12:14] != bytes.fromhex('8100') or data[16:18] != bytes.fromhex('88b5'): continue
    tag = [struct.unpack('H', more[16:18])[0] for _, _, more in extra]
    got.append((len(data) - 18, tag, data[14:16].hex(), len(set(data[18:]))))
print(got)`;
    const sender = `import socket as s
u = s.socket(s.AF_PACKET, s.SOCK_RAW); u.bind(('lan0', 0))
for n in (60, 1472, 9040): u.send(bytes.fromhex('ffffffffffff02000000000188a80005' + '81000006' + '88b5') + b'x' * n)`;
    const { execFileSync, spawn } = await import('node:child_process');
    const { once } = await import('node:events');
    const child = spawn('ip', ['netns', 'exec', 'far', 'python3', '-c', receiver], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.on('data', (data) => {
      said += data;
    });
    while (!said.includes('ready')) await once(child.stdout, 'data');
    execFileSync('python3', ['-c', sender], { stdio: 'inherit' });
    await once(child, 'close');
    console.log(said.replace('ready', '').trim());
    for (const address of ['10.50.0.2', 'fd50::2']) for (const bytes of [9000, 30_000, 60_000]) ping(address, bytes);
    // Shorter here than there: what the other end sends does not fit.
    const before = tunnel.stats();
    sh('ip link set lan0 mtu 1500');
    const { setTimeout } = await import('node:timers/promises');
    while (tunnel.stats().mtu !== 1500) await setTimeout(20);
    const { spawnSync } = await import('node:child_process');
    spawnSync('ip', ['netns', 'exec', 'far', 'ping', '-c', '3', '-i', '0.2', '-W', '1', '-s', '5000', '10.50.0.1']);
    const after = tunnel.stats();
    console.log(before.tooLongDrops, after.tooLongDrops, tunnel.running);
    ping('10.50.0.2', 1000);
    await tunnel.stop();
    await far.end();
  });
  assert.deepEqual(lines, ["[(60, [5], '0006', 1), (1472, [5], '0006', 1), (9040, [5], '0006', 1)]", '0 3 true']);
});

test('a peer that is killed and starts again is found again at once, with its new Ethernet address, and what was sent meanwhile does no harm', async () => {
  const lines = await runBetweenHosts(async (helper) => {
    const { optionsOf, ping, startTunnelProgram } = (await import(
      helper
    )) as typeof import('../support/tunnel-hosts.js');
    const { createTunnel } = await import('ksocket/tunnel');
    const { readdirSync } = await import('node:fs');
    const { spawnSync } = await import('node:child_process');
    const start = () => startTunnelProgram('far', optionsOf(2));
    const tunnel = createTunnel(optionsOf(1));
    await tunnel.start();
    let fds = 0;
    for (let n = 0; n < 4; n++) {
      const far = await start();
      ping('10.50.0.2', 5000);
      await far.end(n % 2 === 0 ? 'SIGKILL' : 'SIGTERM');
      spawnSync('ping', ['-c', '2', '-i', '0.2', '-W', '1', '10.50.0.2']);
      if (n === 0) fds = readdirSync('/proc/self/fd').length;
    }
    console.log(tunnel.running, readdirSync('/proc/self/fd').length - fds, tunnel.stats().deviceLosses);
    await tunnel.stop();
  });
  assert.deepEqual(lines, ['true 0 0']);
});
