// A DNS sinkhole: some names are answered as if they led nowhere, all other queries go to a resolver.
//
//   node examples/dns-sinkhole.ts RESOLVER PORT NAME …      Node 22.18 and later; for Node 20 see docs/examples.md
//   node examples/dns-sinkhole.ts 192.0.2.53 5300 ads.example tracker.example
//   dig @127.0.0.1 -p 5300 ads.example                      package bind9-dnsutils
//
// A name is exactly this name: what is below it is another one. The rules, about a dozen for each name, are tried one by
// one: this is for hundreds of names. DNS over TCP is not served.
import { domainToASCII } from 'node:url';
import {
  createServer,
  type ForwardTarget,
  type Rule,
  type RuleBits,
  type Server,
  type ServerOptions,
  slot,
} from 'ksocket';

export interface SinkholeOptions extends ServerOptions {
  names: string[];
  /** Who answers everything else. */
  resolver: ForwardTarget;
  /** `null`, the default: the name exists and has the addresses 0.0.0.0 and ::. `nxdomain`: it does not exist. */
  sink?: 'null' | 'nxdomain';
  /** Seconds for which a client may remember a null address. Default 60. */
  ttl?: number;
}

const HEADER_BYTES = 12; // section 4.1.1 of RFC 1035; the name that is asked for follows
const [A, AAAA, OPT] = [1, 28, 41]; // types
const NXDOMAIN = 3; // a response code

const be16 = (n: number) => [n >> 8, n & 255];
const be32 = (n: number) => [...be16(n >>> 16), ...be16(n & 0xffff)];

/** These bytes, at this offset. */
const bytes = (at: number, values: number[]): RuleBits => ({
  at,
  mask: new Uint8Array(values.length).fill(0xff),
  value: Uint8Array.from(values),
});

/** A name as queries have it: the length of each label before it, 0 at the end (section 3.1). */
function wireName(name: string): Buffer {
  const labels = domainToASCII(name.replace(/\.$/, '')).split('.');
  const wire = Buffer.concat(labels.map((label) => Buffer.from([label.length, ...Buffer.from(label, 'latin1')])));
  if (labels.some(({ length }) => length < 1 || length > 63) || wire.length > 254) {
    throw new RangeError(`${name} is not a domain name`);
  }
  return Buffer.concat([wire, Buffer.of(0)]);
}

/** The name, in whatever case: the two cases of an ASCII letter differ in the bit 0x20 (RFC 4343). */
function nameBits(wire: Buffer): RuleBits {
  const mask = Uint8Array.from(wire, (byte) => (/[a-z]/i.test(String.fromCharCode(byte)) ? 0xdf : 0xff));
  return { at: HEADER_BYTES, mask, value: wire.map((byte, i) => byte & mask[i]) };
}

function rulesOf(name: string, { sink = 'null', ttl = 60 }: SinkholeOptions): Rule[] {
  const wire = nameBits(wireName(name));
  const typeAt = HEADER_BYTES + wire.mask.length;
  const questionEnd = typeAt + 4;

  // Each of the answers: to queries of which type, and with which address.
  const addresses = [
    { type: A, address: new Array(4).fill(0) },
    { type: AAAA, address: new Array(16).fill(0) },
  ];
  const answers = [...(sink === 'null' ? addresses : []), { type: undefined, address: undefined }];

  // "Recursion desired" (RD) of a query comes back in its answer, and who speaks EDNS is answered in EDNS (RFC 6891,
  // section 6.1.1): a rule for each case.
  const cases = [0, 1].flatMap((rd) =>
    [false, true].flatMap((edns) => answers.map((answer) => ({ rd, edns, ...answer }))),
  );
  const rules = cases.map(({ rd, edns, type, address }): Rule => {
    const record = address && [
      ...[0xc0, HEADER_BYTES], // the name: a pointer to the question's (section 4.1.4)
      ...[...be16(type), ...be16(1), ...be32(ttl), ...be16(address.length), ...address],
    ];
    const code = sink === 'nxdomain' ? NXDOMAIN : 0;
    return {
      name: `${name} ${type ?? 'any'}${rd ? ' rd' : ''}${edns ? ' edns' : ''}`,
      match: {
        bits: [
          wire,
          { at: 2, mask: Uint8Array.of(0xf9), value: Uint8Array.of(rd) }, // QR and opcode 0: a query
          bytes(4, [0, 1, 0, 0, 0, 0, 0, edns ? 1 : 0]), // one question, nothing else but OPT
          bytes(typeAt + 2, be16(1)), // class IN
          ...(type === undefined ? [] : [bytes(typeAt, be16(type))]),
          ...(edns ? [bytes(questionEnd, [0, ...be16(OPT)]), bytes(questionEnd + 6, [0])] : []), // version 0
        ],
        length: edns ? { min: questionEnd + 11 } : questionEnd,
      },
      action: {
        reply: [
          slot.request(0, 2), // the query's id
          Uint8Array.of(0x80 | rd, 0x80 | code, 0, 1, 0, record ? 1 : 0, 0, 0, 0, edns ? 1 : 0),
          slot.request(HEADER_BYTES, questionEnd), // the question, in the client's own case
          Uint8Array.from(record ?? []),
          Uint8Array.from(edns ? [0, ...be16(OPT), ...be16(1232), ...be32(0), ...be16(0)] : []),
        ],
        amplify: record !== undefined, // by 28 bytes at most
      },
    };
  });
  // Nothing about the name gets to the resolver, whatever else was odd about the query.
  return [...rules, { name: `${name} odd`, match: { bits: wire }, action: 'drop' }];
}

/** Answers queries for the names, and forwards all others. */
export function dnsSinkhole(options: SinkholeOptions): Server {
  const { names, resolver, sink, ttl, ...rest } = options;
  return createServer({
    port: 53,
    limits: { perSource: { rate: 1000 } },
    ...rest,
    rules: [
      ...names.flatMap((name) => rulesOf(name, options)),
      { name: 'resolver', match: { length: { min: HEADER_BYTES } }, action: { forward: resolver, idleMs: 10_000 } },
    ],
  });
}

if (process.argv[1] === import.meta.filename) {
  const [resolver, port, ...names] = process.argv.slice(2);
  const server = dnsSinkhole({ address: '::', port: Number(port), names, resolver: { address: resolver, port: 53 } });
  await server.start();
  console.log('listening on', server.address());
}
