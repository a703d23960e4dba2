// `ksocket tunnel`: what it says, moves and leaves, and what it refuses.
import assert from 'node:assert/strict';
import { runCli } from '../support/child.js';
import { test } from '../support/test.js';
import { runBetweenHosts } from '../support/tunnel-hosts.js';

const child = new URL('../support/child.js', import.meta.url).href;

test('it joins two hosts, says what it does, and ends cleanly', async () => {
  const [summary, ...log] = await runBetweenHosts(async (hosts, child) => {
    const { ping, startTunnelProgram } = (await import(hosts)) as typeof import('../support/tunnel-hosts.js');
    const { startCli } = (await import(child)) as typeof import('../support/child.js');
    const { createSocket } = await import('ksocket');
    const { existsSync, mkdtempSync } = await import('node:fs');
    const far = await startTunnelProgram('far', {
      vni: 7,
      addresses: ['10.50.0.2/24'],
      remotes: [{ address: '10.7.0.1', port: 4800 }],
    });
    // Who manages services: READY=1 comes when frames are moved.
    const path = `${mkdtempSync('/tmp/ksocket-tunnel-')}/notify`;
    const manager = createSocket('unix_dgram');
    const told: string[] = [];
    manager.on('message', (message) => void told.push(...`${message}`.split('\n')));
    manager.bindSync(path);
    const where = ['--dev', 'lan0', '--vni', '7', '--local', '10.7.0.1:4800', '--remote', '10.7.0.2'];
    const more = ['--address', '10.50.0.1/24', '--address', 'fd50::1/64', '--monitor', '0'];
    const cli = startCli(['tunnel', ...where, ...more], { env: { NOTIFY_SOCKET: path } });
    await cli.line(/monitor on/);
    ping('10.50.0.2', 1472);
    ping('fd50::1', 56);
    while (!told.includes('READY=1')) await new Promise(setImmediate);
    const device = existsSync('/proc/sys/net/ipv4/conf/lan0');
    cli.kill('SIGTERM');
    const { code, signal, stdout, stderr } = await cli.end();
    while (!told.includes('STOPPING=1')) await new Promise(setImmediate);
    manager.close();
    console.log(device, existsSync('/proc/sys/net/ipv4/conf/lan0'), code, signal, stderr);
    console.log(stdout);
    await far.end();
  }, child);
  assert.equal(summary.trim(), 'true false 0 null');
  assert.match(log.splice(3, 1)[0], /^ksocket: monitor on http:\/\/127\.0\.0\.1:\d+\/$/);
  assert.deepEqual(log, [
    'ksocket: listening on port 4800',
    'ksocket: device lan0, MTU 9050, VXLAN network 7, 1 remote',
    'ksocket: frames travel in the clear: who is on the way can read and forge them (docs/tunnel.md shows an encrypted link)',
    'ksocket: successfully killed native thread',
    'ksocket: module unloaded',
  ]);
});

test('what it cannot do is one line, and nothing stays', async () => {
  const alone = [
    'unshare',
    ...(process.getuid?.() === 0 ? [] : ['-r']),
    '-n',
    'sh',
    '-c',
    'ip link set lo up && exec "$0" "$@"',
  ];
  const local = ['--remote', '127.0.0.1', '--local', '127.0.0.1'];
  const refused: [string[], RegExp, string[]?][] = [
    [[], /required option '-r, --remote/],
    [['--remote', ''], /expected HOST, HOST:PORT or \[IPV6\]:PORT/],
    [['--remote', 'a:b:c:'], /expected HOST, HOST:PORT/],
    [['--remote', '[::1]:0'], /expected HOST, HOST:PORT/],
    [['--remote', '::1', '--vni', 'x'], /--vni/],
    [['--remote', '::1', '--vni', '1', '--raw'], /--raw.*cannot be used with.*--vni/],
    [['--remote', '::1', '--vni', '16777216'], /^ksocket: The value of "options\.vni" is out of range/],
    [['--remote', '::1', '--mtu', '1'], /^ksocket: The value of "options\.mtu" is out of range/],
    [['--remote', '::1', '--dev', 'a/b'], /options\.device/],
    [[...local, '--address', '10.0.0.1'], /options\.addresses\[0\]/],
    [local, /^ksocket: bind EADDRNOTAVAIL 192\.0\.2\.1:4789\n$/, ['--local', '192.0.2.1']],
    [
      ['--remote', '127.0.0.1', '--dev', 'lo'],
      /^ksocket: TUNSETIFF EINVAL: the device lo is there and is no TAP device/,
    ],
  ];
  for (const [args, message, more = []] of refused) {
    const { code, stdout, stderr } = await runCli(['tunnel', ...args, ...more], { under: alone });
    assert.deepEqual([code, /listening/.test(stdout)], [1, false], args.join(' '));
    assert.match(stderr, message);
  }
});
