// Writes the replies of rules: native/core/answer/rules/reply_template.cc.
import { udp4 } from '../../../base/family.js';
import type { Part, Request, Rule } from './rule.js';

const NS_PER_SECOND = 1_000_000_000n;
/** The NTP second that 1 January 1970 begins at: RFC 5905, figure 4. */
const UNIX_EPOCH_IN_NTP = 2_208_988_800n;

function bigEndian(value: bigint, size: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt.asUintN(64, value));
  return out.subarray(8 - size);
}

function ntpTime(unixNs: bigint): bigint {
  const seconds = unixNs / NS_PER_SECOND + UNIX_EPOCH_IN_NTP;
  return (seconds << 32n) | (((unixNs % NS_PER_SECOND) << 32n) / NS_PER_SECOND);
}

// With the request from `at` on, as if that went on with zeros.
function xored(bytes: Uint8Array, request: Uint8Array, at: number): Uint8Array {
  return at < 0 ? bytes : Uint8Array.from(bytes, (byte, i) => byte ^ (request[at + i] ?? 0));
}

function bytesOf(part: Part, request: Request, counter: number): Uint8Array {
  const { payload } = request;
  switch (part.kind) {
    case 'literal':
      return part.bytes;
    case 'request':
      return payload.subarray(part.start, part.end); // which counts as slice() does
    case 'sourceAddress':
      return xored(request.from.ip, payload, part.xor);
    case 'sourcePort':
      return xored(bigEndian(BigInt(request.port), 2), payload, part.xor);
    case 'ntp':
      return bigEndian(ntpTime(request.timeNs), 8);
    case 'unix':
      return bigEndian(request.timeNs, 8);
    case 'counter':
      return bigEndian(BigInt(counter), part.bytes);
  }
}

/** The reply; undefined: it would be longer than it may be. `counter`: how many replies this rule has made before. */
export function render({ parts, amplify }: Rule, request: Request, counter: number): Uint8Array | undefined {
  const reply = Buffer.concat(parts.map((part) => bytesOf(part, request, counter)));
  const most = amplify ? udp4.payloadBytesMax : Math.min(request.payload.length, udp4.payloadBytesMax);
  return reply.length > most ? undefined : reply;
}
