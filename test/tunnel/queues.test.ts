// A device with several queues: each has a thread, and connections are spread over them, in both directions.
import assert from 'node:assert/strict';
import { test } from '../support/test.js';
import { runBetweenHosts } from '../support/tunnel-hosts.js';

const processes = new URL('../support/process.js', import.meta.url).href;

test('two queues: transfers arrive whole, all threads move frames, and nothing stays behind', async () => {
  const lines = await runBetweenHosts(async (helper, processes) => {
    const { optionsOf, ping, sh, startServices, startTunnelProgram, transfer } = (await import(
      helper
    )) as typeof import('../support/tunnel-hosts.js');
    const { fdCount, ioThreadCount } = (await import(processes)) as typeof import('../support/process.js');
    const { createTunnel } = await import('ksocket/tunnel');
    const { readFileSync, readdirSync } = await import('node:fs');
    const far = await startTunnelProgram('far', optionsOf(2, { queues: 2 }));
    const tunnel = createTunnel(optionsOf(1, { queues: 2 }));
    const services = await startServices(10_000_000);
    const before = fdCount();
    await tunnel.start();
    for (const address of ['10.50.0.2', 'fd50::2']) {
      ping(address, 8972);
      for (const direction of ['up', 'down'] as const) transfer(address, direction, 10_000_000);
    }
    console.log(ioThreadCount());
    sh('ip netns exec far iperf3 -s -1 -D -B 10.50.0.2 && sleep 0.3 && iperf3 -c 10.50.0.2 -P 16 -t 2 >/dev/null');
    // Of the threads of both ends: have they had a processor for more than a start takes?
    for (const pid of [process.pid, far.pid]) {
      const busy = readdirSync(`/proc/${pid}/task`).filter((id) => {
        const at = `/proc/${pid}/task/${id}`;
        if (!readFileSync(`${at}/comm`, 'utf8').startsWith('ksocket')) return false;
        return Number(readFileSync(`${at}/schedstat`, 'utf8').split(' ')[0]) > 2_000_000;
      });
      console.log(busy.length);
    }
    const { framesSent, framesReceived, deviceReads, deviceDrops, malformedDrops, mtu, socket } = tunnel.stats();
    console.log(framesSent > deviceReads, framesReceived > 1000, deviceDrops, malformedDrops, mtu);
    console.log((socket?.rxDatagrams ?? 0) >= framesReceived);
    await tunnel.stop();
    console.log(fdCount() - before, ioThreadCount());
    await far.end();
    await services.end();
  }, processes);
  assert.deepEqual(lines, ['2', '2', '2', 'true true 0 0 9050', 'true', '0 0']);
});

test('a port that the queues of another tunnel share is not to be had, by as many or by one', async () => {
  const lines = await runBetweenHosts(async (helper) => {
    const { optionsOf } = (await import(helper)) as typeof import('../support/tunnel-hosts.js');
    const { createTunnel } = await import('ksocket/tunnel');
    for (const [first, second] of [
      [2, 2],
      [2, 1],
      [1, 2],
    ]) {
      const tunnel = createTunnel(optionsOf(1, { queues: first }));
      await tunnel.start();
      await createTunnel({ vni: 43, device: 'lan1', queues: second, remotes: [{ address: '10.7.0.2' }] })
        .start()
        .catch((error) => console.log(error.message));
      console.log(tunnel.running);
      await tunnel.stop();
    }
  });
  const refused = ['bind EADDRINUSE 0.0.0.0:4789', 'true'];
  assert.deepEqual(lines, [...refused, ...refused, ...refused]);
});
