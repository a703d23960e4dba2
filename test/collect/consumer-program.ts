// A consumer as a process of its own: `node consumer-program.js SERVERS SUBJECT,…`. Of each batch it says, when it has worked on it and
// before that is acknowledged, which numbers came from whom.
import { setTimeout as sleep } from 'node:timers/promises';
import type { SinkError } from 'ksocket/collect';
import { consume } from 'ksocket/consume';

const [servers, subjects] = process.argv.slice(2);
const consumption = consume({
  servers: servers.split(','),
  stream: 'LOGS',
  durable: 'workers',
  subject: subjects.split(','),
  ackWaitMs: 2000,
  timeoutMs: 1000,
});
// While a leader is chosen nobody answers: who starts then tries it again, as a service manager would.
for (let attempts = 1; ; attempts++) {
  try {
    await consumption.open();
    break;
  } catch (error) {
    if (!(error as SinkError).retry || attempts === 20) throw error;
    await sleep(200);
  }
}
process.stdin.resume().on('end', () => void consumption.close());
for await (const { sequence, deliveries, key, datagrams } of consumption.batches()) {
  const numbers: Record<string, number[]> = {};
  for (const { data, port } of datagrams()) {
    numbers[port] ??= [];
    numbers[port].push(Number.parseInt(data.toString('latin1'), 10));
  }
  const at = Number(process.hrtime.bigint()); // the same clock in all processes
  process.stdout.write(`${JSON.stringify({ at, sequence, deliveries, key, numbers })}\n`); // a pipe's writes are synchronous
}
