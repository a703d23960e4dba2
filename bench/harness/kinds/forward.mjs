import { setTimeout as sleep } from 'node:timers/promises';
import { coresOf, rateOf } from '../metrics.mjs';
import { startNative, startProgram, withChildren } from '../start.mjs';

/** What the forwarder's threads used for each datagram that its back end got. */
const used = (forwarder, backEnd) => ({
  cpuNs: ((forwarder.cpuUserUs + forwarder.cpuSysUs) * 1000) / backEnd.count,
  cores: coresOf(forwarder),
});

/** The compared program stands between a native client and a native back end, which answers or counts. */
export function forward(scenario, entry, times) {
  const { command, ...load } = scenario.load;
  const asks = command === 'pingpong';
  return withChildren(async (keep) => {
    const back = asks ? startNative('echo', { mode: 'batch' }) : startNative('sink', { rcvbuf: 4 << 20 });
    const { child: backEnd, ready } = keep(await back);
    const options = { ...entry.options, target: ready.port };
    const { child: forwarder, ready: front } = keep(await startProgram(entry, 'forward', options));
    return asks
      ? roundTrip(keep, { ...load, port: front.port }, forwarder, backEnd, times)
      : oneWay(keep, command, { ...load, ports: [front.port] }, forwarder, backEnd, times);
  });
}

async function roundTrip(keep, load, forwarder, backEnd, { seconds, warmupSeconds }) {
  await Promise.all([forwarder.start(), backEnd.start()]);
  const { child } = keep(await startNative('pingpong', { ...load, seconds, warmup: warmupSeconds }));
  const client = await child.next('result', (seconds + warmupSeconds) * 1000 + 10_000);
  const [forwarded, served] = await Promise.all([forwarder.stop(), backEnd.stop()]);
  if (client.count === 0) throw new Error('nothing has come back');
  const { p50Us, p99Us, timeouts, sameCpu } = client;
  return { p50Us, p99Us, timeouts, sameCpu, ...used(forwarded, served), raw: { client, forwarded, served } };
}

async function oneWay(keep, command, load, forwarder, backEnd, { seconds, warmupSeconds }) {
  const paced = command === 'paced';
  const endless = paced ? { seconds: (seconds + warmupSeconds) * 2 + 10 } : {};
  const { child } = keep(await startNative(command, { ...load, ...endless }));
  await sleep(warmupSeconds * 1000);
  await Promise.all([forwarder.start(), backEnd.start(), paced ? null : child.start()]);
  await sleep(seconds * 1000);
  const [forwarded, counted, sent] = await Promise.all([
    forwarder.stop(),
    backEnd.stop(),
    paced ? child.terminate() : child.stop(),
  ]);
  const offered = rateOf(sent);
  return { rate: rateOf(counted), ...used(forwarded, counted), offered, raw: { forwarded, counted, sent } };
}
