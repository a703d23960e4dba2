// NetFlow version 9, RFC 3954: routers say with templates how their records are laid out, and send those first. So what a router
// sends has to be read in order, by one reader: its messages are one subject.
//
//   node examples/collect-netflow.ts collect nats://127.0.0.1:4222 2055    Node 22.18 and later; for Node 20 see docs/examples.md
//   node examples/collect-netflow.ts consume nats://127.0.0.1:4222
//   softflowd -i eth0 -n 127.0.0.1:2055 -v 9                               package softflowd
//
// examples/netflow-v9.pcap is what softflowd has sent. The stream NETFLOW has to be there, with the subjects `netflow.>`
// (docs/collect.md).
import { type Collector, createCollector, jetstream } from 'ksocket/collect';
import { type Consumption, consume } from 'ksocket/consume';

const STREAM = 'NETFLOW';

export function netflowCollector(servers: string, port: number, address = '::'): Collector {
  const sink = jetstream({ servers, stream: STREAM, subject: 'netflow.{source}' });
  return createCollector({ type: address.includes(':') ? 'udp6' : 'udp4', address, port, sink });
}

export function netflowConsumer(servers: string): Consumption {
  return consume({ servers, stream: STREAM, durable: 'flows', subject: 'netflow.>' });
}

export interface Flow {
  source: string;
  destination: string;
  sourcePort: number;
  destinationPort: number;
  protocol: number;
  packets: number;
  bytes: number;
}

const VERSION = 9;
const HEADER_BYTES = 20;
const TEMPLATES = 0;
const FIRST_DATA = 256;

// Types of fields, RFC 3954, section 8.
const IN_BYTES = 1;
const IN_PACKETS = 2;
const PROTOCOL = 4;
const SOURCE_PORT = 7;
const SOURCE_V4 = 8;
const DESTINATION_PORT = 11;
const DESTINATION_V4 = 12;

type Template = { type: number; length: number }[];

/** Reads the datagrams of one exporter after the other. Whoever is restarted knows no templates until they are sent again. */
export class NetflowReader {
  readonly #templates = new Map<string, Template>();

  /** Those of IPv4. What is not whole, or has no template yet, is left out. */
  *read(data: Buffer, exporter: string): Generator<Flow> {
    if (data.length < HEADER_BYTES || data.readUInt16BE(0) !== VERSION) return;
    const domain = `${exporter} ${data.readUInt32BE(16)}`;
    for (let at = HEADER_BYTES; at + 4 <= data.length; ) {
      const id = data.readUInt16BE(at);
      const length = data.readUInt16BE(at + 2);
      if (length < 4 || at + length > data.length) return;
      const body = data.subarray(at + 4, at + length);
      if (id === TEMPLATES) this.#learn(body, domain);
      else if (id >= FIRST_DATA) yield* this.#flows(body, this.#templates.get(`${domain} ${id}`));
      at += length;
    }
  }

  #learn(body: Buffer, domain: string): void {
    for (let at = 0; at + 4 <= body.length; ) {
      const [id, count] = [body.readUInt16BE(at), body.readUInt16BE(at + 2)];
      const end = at + 4 + 4 * count;
      if (id < FIRST_DATA || end > body.length) return;
      const template: Template = [];
      for (let field = at + 4; field < end; field += 4)
        template.push({ type: body.readUInt16BE(field), length: body.readUInt16BE(field + 2) });
      this.#templates.set(`${domain} ${id}`, template);
      at = end;
    }
  }

  *#flows(body: Buffer, template: Template | undefined): Generator<Flow> {
    const bytes = template?.reduce((sum, { length }) => sum + length, 0) ?? 0;
    if (template === undefined || bytes === 0) return;
    for (let at = 0; at + bytes <= body.length; at += bytes) {
      const fields = new Map<number, Buffer>();
      let from = at;
      for (const { type, length } of template) {
        fields.set(type, body.subarray(from, from + length));
        from += length;
      }
      const number = (type: number) => [...(fields.get(type) ?? [])].reduce((value, byte) => value * 256 + byte, 0);
      const address = (type: number) => fields.get(type)?.join('.');
      const [source, destination] = [address(SOURCE_V4), address(DESTINATION_V4)];
      if (source === undefined || destination === undefined) continue;
      yield {
        source,
        destination,
        sourcePort: number(SOURCE_PORT),
        destinationPort: number(DESTINATION_PORT),
        protocol: number(PROTOCOL),
        packets: number(IN_PACKETS),
        bytes: number(IN_BYTES),
      };
    }
  }
}

if (process.argv[1] === import.meta.filename) {
  const [what, servers, port] = process.argv.slice(2);
  if (what === 'collect') {
    const collector = netflowCollector(servers, Number(port));
    await collector.start();
    console.log(`collecting at port ${collector.address().port}`);
    process.once('SIGTERM', () => void collector.stop());
  } else {
    const reader = new NetflowReader();
    for await (const { data, address } of netflowConsumer(servers)) {
      for (const flow of reader.read(data, address))
        console.log(
          `${flow.source}:${flow.sourcePort} ${flow.destination}:${flow.destinationPort} protocol ${flow.protocol}: ` +
            `${flow.packets} packets, ${flow.bytes} bytes`,
        );
    }
  }
}
