import { setTimeout as sleep } from 'node:timers/promises';
import { startNative, startProgram, withChildren } from '../start.mjs';
import { receiveMetrics } from './receive.mjs';

const WARMUP_RATE = 20_000;
const SETTLE_MS = 500;

/** An exact number of datagrams is sent; what was not delivered when all is quiet again is lost. */
export function blocked(scenario, entry, { seconds, warmupSeconds }) {
  return withChildren(async (keep) => {
    const { child: receiver, ready } = keep(await startProgram(entry, entry.role, entry.options));
    const { port } = ready;
    const warmup = keep(
      await startNative('paced', { port, rate: WARMUP_RATE, seconds: warmupSeconds, size: scenario.load.size }),
    ).child;
    await warmup.next('result', warmupSeconds * 1000 + 5_000);
    await sleep(SETTLE_MS);

    await receiver.start();
    const { command, ...load } = scenario.load;
    const { child: sender } = keep(await startNative(command, { ...load, port, seconds }));
    const sent = await sender.next('result', seconds * 1000 + 10_000);
    await sleep(SETTLE_MS);
    const result = await receiver.stop();
    return {
      ...receiveMetrics(result, sent),
      lost: sent.count - result.count,
      raw: { result, sent },
    };
  });
}
