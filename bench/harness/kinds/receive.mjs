import { setTimeout as sleep } from 'node:timers/promises';
import { watchMemory } from '../memory.mjs';
import { coresOf, cpuNsOf, rateOf } from '../metrics.mjs';
import { placesOf, startNative, startProgram, withChildren } from '../start.mjs';

/** The native generator sends, `senders` of them if the load says so, and the compared program receives. */
export function receive(scenario, entry, times) {
  const { seconds } = times;
  const warmupSeconds = scenario.warmupSeconds ?? times.warmupSeconds;
  return withChildren(async (keep) => {
    const { ours, theirs } = await placesOf(scenario);
    const { child: receiver, ready } = keep(await startProgram(entry, entry.role, entry.options, ours));
    const memory = scenario.watchMemory ? watchMemory(receiver.pid) : null;
    const paced = scenario.load.command === 'paced';
    const cold = warmupSeconds === 0;
    if (cold) await receiver.start();
    const { senders = 1, ...options } = scenario.load;
    const loads = [];
    for (let i = 0; i < senders; i++) {
      loads.push(keep(await startLoad(options, ready.ports ?? [ready.port], seconds + warmupSeconds, theirs)).child);
    }
    await sleep(warmupSeconds * 1000);
    await Promise.all([cold ? null : receiver.start(), ...(paced ? [] : loads.map((load) => load.start()))]);
    await sleep(seconds * 1000);
    const used = memory?.stop();
    const [result, ...all] = await Promise.all([
      receiver.stop(),
      ...loads.map((load) => (paced ? load.terminate() : load.stop())),
    ]);
    const sent = { ...all[0], count: all.reduce((sum, { count }) => sum + count, 0) };
    const { lagWorstMs, lagMedianMs } = result.extra;
    return {
      ...receiveMetrics(result, sent),
      lagWorstMs,
      lagMedianMs,
      ...used,
      // A program that does not get to its stdin for seconds has starved everything else, too.
      answerDelayS: result.seconds - seconds,
      raw: { result, sent },
    };
  });
}

function startLoad({ command, ...options }, ports, seconds, place) {
  // paced ends by itself, long after it will have been told to.
  const more = command === 'paced' ? { seconds: seconds * 2 + 10 } : {};
  return startNative(command, { ...options, ports, ...more }, place);
}

/** @returns {Record<string, number | null>} */
export function receiveMetrics(result, sent) {
  return {
    rate: rateOf(result),
    cpuNs: cpuNsOf(result),
    cores: coresOf(result),
    offered: rateOf(sent),
    rssBytes: result.rss,
  };
}
