import { setTimeout as sleep } from 'node:timers/promises';
import { coresOf, cpuNsOf, rateOf } from '../metrics.mjs';
import { startProgram, withChildren } from '../start.mjs';

/** Both ends are the same program, in two processes; what arrives counts. */
export function pair(_scenario, entry, { seconds, warmupSeconds }) {
  return withChildren(async (keep) => {
    const { child: receiver, ready } = keep(await startProgram(entry, entry.role, entry.options));
    const { child: sender } = keep(
      await startProgram(entry, entry.senderRole, { ...entry.senderOptions, ports: [ready.port] }),
    );
    await sleep(warmupSeconds * 1000);
    await Promise.all([receiver.start(), sender.start()]);
    await sleep(seconds * 1000);
    const [received, sent] = await Promise.all([receiver.stop(), sender.stop()]);
    return {
      rate: rateOf(received),
      cpuNs: cpuNsOf(received),
      sendCpuNs: cpuNsOf(sent),
      cores: coresOf(received) + coresOf(sent),
      offered: rateOf(sent),
      raw: { received, sent },
    };
  });
}
