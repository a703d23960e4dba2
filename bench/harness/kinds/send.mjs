import { setTimeout as sleep } from 'node:timers/promises';
import { coresOf, cpuNsOf, rateOf } from '../metrics.mjs';
import { startNative, startProgram, withChildren } from '../start.mjs';

/** The compared program sends, the native sink receives what arrives. */
export function send(scenario, entry, { seconds, warmupSeconds }) {
  return withChildren(async (keep) => {
    const { child: sink, ready } = keep(await startNative('sink', scenario.sink));
    const { child: sender } = keep(await startProgram(entry, entry.role, { ...entry.options, ports: ready.ports }));
    await sleep(warmupSeconds * 1000);
    await Promise.all([sender.start(), sink.start()]);
    await sleep(seconds * 1000);
    const [sent, received] = await Promise.all([sender.stop(), sink.stop()]);
    return {
      rate: rateOf(sent),
      cpuNs: cpuNsOf(sent),
      cores: coresOf(sent),
      delivered: rateOf(received),
      raw: { sent, received },
    };
  });
}
