import { setTimeout as sleep } from 'node:timers/promises';
import { coresOf, rateOf } from '../metrics.mjs';
import { startProgram, withChildren } from '../start.mjs';

/** The compared program works by itself; its turns count, or what it says of itself. */
export function alone(_scenario, entry, { seconds, warmupSeconds }) {
  return withChildren(async (keep) => {
    const { child } = keep(await startProgram(entry, entry.role, entry.options));
    await sleep(warmupSeconds * 1000);
    await child.start();
    await sleep(seconds * 1000);
    const result = await child.stop();
    const { openUs, socketBytes } = result.extra.stats ?? {};
    return {
      socketRate: result.count > 0 ? rateOf(result) : null,
      openUs,
      socketBytes,
      cores: coresOf(result),
      raw: { result },
    };
  });
}
