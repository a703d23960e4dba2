import { coresOf, cpuNsOf } from '../metrics.mjs';
import { placesOf, startNative, startProgram, withChildren } from '../start.mjs';

/** A native client keeps one datagram outstanding; the compared program answers. */
export function echo(scenario, entry, { seconds, warmupSeconds }) {
  return withChildren(async (keep) => {
    const { ours, theirs } = await placesOf(scenario);
    const { child: server, ready } = keep(await startProgram(entry, entry.role, entry.options, ours));
    await server.start();
    const { child: client } = keep(
      await startNative('pingpong', { ...scenario.load, port: ready.port, seconds, warmup: warmupSeconds }, theirs),
    );
    const times = await client.next('result', (seconds + warmupSeconds) * 1000 + 10_000);
    const served = await server.stop();
    if (times.count === 0) throw new Error(`${entry.name} answered nothing`);
    const { p50Us, p99Us, p999Us, maxUs, timeouts, sameCpu } = times;
    const used = { cpuNs: cpuNsOf(served), cores: coresOf(served) };
    return { p50Us, p99Us, p999Us, maxUs, timeouts, sameCpu, ...used, raw: { times, served } };
  });
}
