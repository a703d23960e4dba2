// The monitor shows a tunnel as it shows a server.
import assert from 'node:assert/strict';
import { test } from '../support/test.js';
import { runBetweenHosts } from '../support/tunnel-hosts.js';

test('Prometheus, /stats.json and /counters.json have its counters, also after it has stopped', async () => {
  const lines = await runBetweenHosts(async (hosts) => {
    const { ping, startTunnelProgram } = (await import(hosts)) as typeof import('../support/tunnel-hosts.js');
    const { createServer } = await import('ksocket');
    const { createMonitor } = await import('ksocket/monitor');
    const { createTunnel } = await import('ksocket/tunnel');
    const remotes = [{ address: '10.7.0.1' }];
    const far = await startTunnelProgram('far', { vni: 3, device: 'lan0', addresses: ['10.50.0.2/24'], remotes });
    const tunnel = createTunnel({
      vni: 3,
      addresses: ['10.50.0.1/24'],
      local: { address: '10.7.0.1' },
      remotes: [{ address: '10.7.0.2' }],
    });
    const server = createServer({ port: 0, address: '127.0.0.1', reply: 'echo' });
    const monitor = createMonitor({ servers: [tunnel, server] });
    await monitor.start();
    const ask = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${monitor.address()?.port}${path}`);
      return { status: response.status, text: await response.text() };
    };
    console.log((await ask('/healthz')).status);
    await server.start();
    await tunnel.start();
    ping('10.50.0.2', 1000);
    while (tunnel.stats().framesReceived < 1) await new Promise(setImmediate);
    const { text } = await ask('/metrics');
    const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
    const of = 'server="10.7.0.1:4789"';
    console.log(value(`ksocket_server_up{${of}}`), value(`ksocket_tunnel_mtu_bytes{${of}}`));
    console.log(
      value(`ksocket_tunnel_sent_frames_total{${of}}`) > 0,
      value(`ksocket_received_datagrams_total{${of}}`) > 0,
    );
    console.log(value(`ksocket_tunnel_dropped_frames_total{${of},reason="malformed"}`));
    console.log(/tunnel\w*\{server="127\.0\.0\.1/.test(text), (await ask('/healthz')).status);
    const { servers } = JSON.parse((await ask('/stats.json')).text);
    console.log(servers[0].running, servers[0].tunnel.framesReceived > 0, servers[1].tunnel);
    const counters = JSON.parse((await ask('/counters.json')).text) as { name: string; of: string; text: string }[];
    console.log(counters.filter(({ of, text }) => of === 'tunnel' && text.length > 5).length);
    await far.end('SIGKILL');
    await tunnel.stop();
    const after = JSON.parse((await ask('/stats.json')).text).servers[0];
    console.log(after.running, after.tunnel.framesReceived === tunnel.stats().framesReceived);
    await server.stop();
    await monitor.stop();
  });
  assert.deepEqual(lines, ['503', '1 9050', 'true true', '0', 'false 200', 'true true null', '20', 'false true']);
});
