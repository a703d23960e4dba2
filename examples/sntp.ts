// An SNTP server (RFC 5905, section 14): tells clients the time of this machine's clock.
//
//   node examples/sntp.ts [ADDRESS] [PORT] [STRATUM]     Node 22.18 and later; for Node 20 see docs/examples.md
//   ntpdig 127.0.0.1                                     package ntpsec-ntpdig; only asks, sets no clock
//
// The time is the one at which the request was received, however late anything else of this program runs.
import { createServer, type Rule, type Server, type ServerOptions, slot } from 'ksocket';

export interface SntpOptions extends ServerOptions {
  /** How many steps this clock is from a reference clock: 1 to 15. Default 10: a clock that nothing vouches for. */
  stratum?: number;
  /** Where its time comes from: up to four ASCII characters (section 7.3). Default `LOCL`, the machine's own clock. */
  referenceId?: string;
}

const CLIENT = 3; // modes, the three lowest bits of the first byte
const SERVER = 4;
const NO_WARNING = 0; // leap indicator, the two highest bits

// A request and its answer are the same 48 bytes (figure 8), so nobody can use this server to amplify anything.
const HEADER_BYTES = 48;
const POLL = 6; // 2^6 = 64 s between the requests of a client
const PRECISION = 0xec; // 2^-20 s, about a microsecond
const ROOT_DELAY = [0, 0, 0, 0]; // seconds, 16.16 bits
const ROOT_DISPERSION = [0, 0, 0, 0x42]; // a millisecond

// The answer has the version of the request, which a reply can only say as a constant: a rule for each.
function answer(version: number, stratum: number, referenceId: string): Rule {
  const first = (leap: number, mode: number) => (leap << 6) | (version << 3) | mode;
  return {
    name: `version-${version}`,
    match: {
      bits: { at: 0, mask: Uint8Array.of(0x3f), value: Uint8Array.of(first(0, CLIENT)) },
      length: HEADER_BYTES, // longer ones have extensions, or want to be authenticated
    },
    action: {
      reply: [
        Uint8Array.of(first(NO_WARNING, SERVER), stratum, POLL, PRECISION, ...ROOT_DELAY, ...ROOT_DISPERSION),
        referenceId.padEnd(4, '\0'),
        slot.time('ntp'), // reference: when the clock was last set
        slot.request(40, 48), // origin: the transmit time of the client, by which it knows its answer
        slot.time('ntp'), // receive
        slot.time('ntp'), // transmit
      ],
    },
  };
}

/** Answers clients of the versions 1 to 4. */
export function sntpServer({ stratum = 10, referenceId = 'LOCL', ...options }: SntpOptions = {}): Server {
  if (!Number.isInteger(stratum) || stratum < 1 || stratum > 15) throw new RangeError('The stratum is 1 to 15');
  if (!/^[ -~]{1,4}$/.test(referenceId)) throw new RangeError('The reference id is one to four ASCII characters');
  return createServer({
    port: 123,
    limits: { perSource: { rate: 10 } },
    ...options,
    rules: [1, 2, 3, 4].map((version) => answer(version, stratum, referenceId)),
  });
}

if (process.argv[1] === import.meta.filename) {
  const [address = '::', port = '123', stratum = '10'] = process.argv.slice(2);
  const server = sntpServer({ address, port: Number(port), stratum: Number(stratum) });
  await server.start();
  console.log('listening on', server.address());
}
