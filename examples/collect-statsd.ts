// Statsd counters of many programs, added up by several workers: each source belongs to one of four subjects, and each subject is
// worked on in order.
//
//   node examples/collect-statsd.ts collect nats://127.0.0.1:4222 8125     Node 22.18 and later; for Node 20 see docs/examples.md
//   node examples/collect-statsd.ts consume nats://127.0.0.1:4222
//   printf 'requests:3|c\nrequests:4|c' | socat - UDP:127.0.0.1:8125       package socat
//
// The stream STATSD has to be there, with the subjects `statsd.>` (docs/collect.md).
import { type Collector, createCollector, jetstream } from 'ksocket/collect';
import { type Consumption, consume } from 'ksocket/consume';

const STREAM = 'STATSD';
const PARTS = 4;

export function statsdCollector(servers: string, port: number, address = '::'): Collector {
  const sink = jetstream({ servers, stream: STREAM, subject: `statsd.{hash:${PARTS}}` });
  return createCollector({ type: address.includes(':') ? 'udp6' : 'udp4', address, port, sink });
}

export function statsdConsumer(servers: string): Consumption {
  const subject = Array.from({ length: PARTS }, (_, i) => `statsd.${i}`);
  return consume({ servers, stream: STREAM, durable: 'count', subject });
}

/** Adds what a datagram says: lines of `name:number|c`, or with a rate at which they were sampled, `|@0.1`. */
export function addCounters(counters: Map<string, number>, data: Buffer): void {
  for (const line of data.toString('utf8').split('\n')) {
    const [, name, number, rate = '1'] = /^([^:|@]+):(-?[\d.]+)\|c(?:\|@([\d.]+))?$/.exec(line.trim()) ?? [];
    const value = Number(number) / Number(rate);
    if (name !== undefined && Number.isFinite(value)) counters.set(name, (counters.get(name) ?? 0) + value);
  }
}

if (process.argv[1] === import.meta.filename) {
  const [what, servers, port] = process.argv.slice(2);
  if (what === 'collect') {
    const collector = statsdCollector(servers, Number(port));
    await collector.start();
    console.log(`collecting at port ${collector.address().port}`);
    process.once('SIGTERM', () => void collector.stop());
  } else {
    // A batch is acknowledged when the loop asks for the next one: what it has added is printed before.
    for await (const batch of statsdConsumer(servers).batches()) {
      const counters = new Map<string, number>();
      for (const { data } of batch.datagrams()) addCounters(counters, data);
      for (const [name, value] of counters) console.log(`${batch.id} ${name} ${value}`);
    }
  }
}
