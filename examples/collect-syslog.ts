// Syslog of many hosts, collected at one or more machines and worked on at others.
//
//   node examples/collect-syslog.ts collect nats://127.0.0.1:4222 5140     Node 22.18 and later; for Node 20 see docs/examples.md
//   node examples/collect-syslog.ts consume nats://127.0.0.1:4222
//   logger --server 127.0.0.1 --port 5140 --udp --tag demo 'hello'         package bsdutils
//
// The stream SYSLOG has to be there, with the subjects `syslog.>` (docs/collect.md).
import { type Collector, createCollector, jetstream } from 'ksocket/collect';
import { type Consumption, consume } from 'ksocket/consume';

const STREAM = 'SYSLOG';

/** Each host's messages are one subject, and stay in order. */
export function syslogCollector(servers: string, port: number, address = '::'): Collector {
  const sink = jetstream({ servers, stream: STREAM, subject: 'syslog.{source}' });
  return createCollector({ type: address.includes(':') ? 'udp6' : 'udp4', address, port, sink });
}

export interface SyslogMessage {
  host: string;
  facility: number;
  severity: number;
  text: string;
}

/** Both forms, RFC 5424 and 3164, begin with `<PRIORITY>`. Undefined: what was sent does not. */
export function parseSyslog(data: Buffer, host: string): SyslogMessage | undefined {
  const [all, digits, text] = /^<(\d{1,3})>(.*)$/s.exec(data.toString('utf8')) ?? [];
  const priority = Number(digits);
  if (all === undefined || priority > 191) return undefined;
  return { host, facility: priority >> 3, severity: priority & 7, text: text.trimEnd() };
}

/** Those who run at the same time share the messages. */
export function syslogConsumer(servers: string): Consumption {
  return consume({ servers, stream: STREAM, durable: 'print', subject: 'syslog.>' });
}

if (process.argv[1] === import.meta.filename) {
  const [what, servers, port] = process.argv.slice(2);
  if (what === 'collect') {
    const collector = syslogCollector(servers, Number(port));
    await collector.start();
    console.log(`collecting at port ${collector.address().port}`);
    process.once('SIGTERM', () => void collector.stop());
  } else {
    for await (const { data, address } of syslogConsumer(servers)) {
      const message = parseSyslog(data, address);
      if (message !== undefined) console.log(`${message.host} ${message.facility}.${message.severity} ${message.text}`);
    }
  }
}
