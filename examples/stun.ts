// A STUN server (RFC 8489): tells clients the address and port that they are seen with from here.
//
//   node examples/stun.ts [ADDRESS] [PORT]           Node 22.18 and later; for Node 20 see docs/examples.md
//   turnutils_stunclient -p 3478 127.0.0.1           package coturn
//
// The answers leave from the thread that receives: no JavaScript runs for a request.
import { createServer, type Rule, type RuleBits, type Server, type ServerOptions, slot } from 'ksocket';

// The magic cookie of every STUN message, at offset 4 (section 5). Behind it are the 12 bytes of the transaction.
const COOKIE = Uint8Array.of(0x21, 0x12, 0xa4, 0x42);
const HEADER_BYTES = 20;

const cookie: RuleBits = { at: 4, mask: new Uint8Array(4).fill(0xff), value: COOKIE };

// A client may say more in attributes behind the header. Types from 0x8000 on (SOFTWARE, FINGERPRINT) are
// comprehension-optional: who does not know them ignores them. The others have to be understood (section 14).
const optional: RuleBits = { at: HEADER_BYTES, mask: Uint8Array.of(0x80), value: Uint8Array.of(0x80) };

// MAPPED-ADDRESS is the plain source, which NATs that look for addresses to rewrite may spoil; XOR-MAPPED-ADDRESS is the
// same XORed with the cookie and the transaction, which they do not recognise (sections 14.1 and 14.2). The plain one is
// only for old clients.
function success(family: 4 | 6) {
  const valueBytes = family === 4 ? 8 : 20; // a zero, the family, the port and the address
  const head = [0, valueBytes, 0, family === 4 ? 1 : 2];
  return [
    Uint8Array.of(0x01, 0x01, 0, 2 * (4 + valueBytes)), // Binding success response, bytes of attributes
    slot.request(4, HEADER_BYTES), // cookie and transaction
    Uint8Array.of(0x00, 0x20, ...head), // XOR-MAPPED-ADDRESS
    slot.sourcePort({ xor: 4 }),
    slot.sourceAddress({ xor: 4 }),
    Uint8Array.of(0x00, 0x01, ...head), // MAPPED-ADDRESS
    slot.sourcePort(),
    slot.sourceAddress(),
  ];
}

function rulesOf(family: 4 | 6): Rule[] {
  const source = family === 4 ? '0.0.0.0/0' : '::/0';
  const request = { prefix: Uint8Array.of(0x00, 0x01), source }; // Binding request
  // The answer is longer than the request: `limits` bounds what spoofed sources could make of that.
  const action = { reply: success(family), amplify: true };
  return [
    { name: `plain-ipv${family}`, match: { ...request, bits: cookie, length: HEADER_BYTES }, action },
    { name: `optional-ipv${family}`, match: { ...request, bits: [cookie, optional] }, action },
  ];
}

// What this server does not know and would have to, such as CHANGE-REQUEST of RFC 5780, it refuses (section 6.3.1).
const refuse: Rule = {
  name: 'unknown-attribute',
  match: { prefix: Uint8Array.of(0x00, 0x01), bits: cookie, length: { min: HEADER_BYTES + 4 } },
  action: {
    reply: [
      Uint8Array.of(0x01, 0x11, 0, 16), // Binding error response, bytes of attributes
      slot.request(4, HEADER_BYTES),
      Uint8Array.of(0x00, 0x09, 0, 4, 0, 0, 4, 20), // ERROR-CODE: 420
      Uint8Array.of(0x00, 0x0a, 0, 2), // UNKNOWN-ATTRIBUTES: the first one,
      slot.request(HEADER_BYTES, HEADER_BYTES + 2),
      Uint8Array.of(0, 0), // padded to four bytes
    ],
    amplify: true,
  },
};

/** Answers Binding requests, over IPv4 and IPv6. */
export function stunServer(options: ServerOptions = {}): Server {
  return createServer({
    port: 3478,
    limits: { perSource: { rate: 50 }, total: { rate: 100_000 } },
    ...options,
    rules: [...rulesOf(4), ...rulesOf(6), refuse],
  });
}

if (process.argv[1] === import.meta.filename) {
  const [address = '::', port = '3478'] = process.argv.slice(2);
  const server = stunServer({ address, port: Number(port) });
  await server.start();
  console.log('listening on', server.address());
}
