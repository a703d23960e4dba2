// Classic BPF, run as the kernel runs it on a UDP socket, and the packets that it is run on.
import type { BpfInstruction } from 'ksocket';

export interface PacketFields {
  version: 4 | 6;
  /** Bytes, 4 or 16. */
  src: number[];
  dst: number[];
  sport: number;
  dport: number;
  ttl: number;
  /** DSCP and ECN. */
  tos: number;
  payload: Uint8Array;
  /** Words of IPv4's header behind its first five. */
  options?: number;
}

export interface Packet {
  /** From the IP header on. */
  bytes: Buffer;
  /** Where the UDP header begins. */
  udpAt: number;
}

export function packetOf({ version, src, dst, sport, dport, ttl, tos, payload, options = 0 }: PacketFields): Packet {
  const udpAt = version === 4 ? 20 + 4 * options : 40;
  const bytes = Buffer.alloc(udpAt + 8 + payload.length);
  if (version === 4) {
    bytes[0] = 0x40 | (5 + options);
    bytes[1] = tos;
    bytes.writeUInt16BE(bytes.length, 2);
    bytes[8] = ttl;
    bytes[9] = 17;
    bytes.set([...src, ...dst], 12);
    bytes.fill(1, 20, udpAt); // options that say nothing
  } else {
    bytes.writeUInt32BE(0x6000_0000 + tos * 2 ** 20 + 0x12345, 0);
    bytes.writeUInt16BE(bytes.length - 40, 4);
    bytes[6] = 17;
    bytes[7] = ttl;
    bytes.set([...src, ...dst], 8);
  }
  bytes.writeUInt16BE(sport, udpAt);
  bytes.writeUInt16BE(dport, udpAt + 2);
  bytes.writeUInt16BE(8 + payload.length, udpAt + 4);
  bytes.set(payload, udpAt + 8);
  return { bytes, udpAt };
}

const NETWORK_HEADER = -0x10_0000;
const SIZES: Record<number, number> = { 0: 4, 8: 2, 16: 1 };

/** How many bytes it keeps. `from`: where offsets are counted from, in a packet of `length` bytes from there on; a UDP socket's
 * filter counts from the UDP header. */
export function run(program: readonly BpfInstruction[], { bytes, udpAt }: Packet, from = udpAt): number {
  const memory = new Array<number>(16).fill(0);
  let [a, x] = [0, 0];
  const load = (offset: number, size: number): number | undefined => {
    const at = offset < NETWORK_HEADER / 2 ? offset - NETWORK_HEADER : offset < 0 ? -1 : from + offset;
    return at < 0 || at + size > bytes.length ? undefined : bytes.readUIntBE(at, size);
  };
  const signed = (k: number) => k | 0;
  for (let at = 0; ; at++) {
    const { code, jt, jf, k } = program[at];
    const mode = code & 0xe0;
    const operand = (code & 0x08) === 0 ? k >>> 0 : x;
    switch (code & 0x07) {
      case 0:
      case 1: {
        let value: number | undefined;
        if (code === 0xb1) {
          const first = load(signed(k), 1);
          value = first === undefined ? undefined : (first & 15) * 4;
        } else if (mode === 0x00) value = k >>> 0;
        else if (mode === 0x20) value = load(signed(k), SIZES[code & 0x18]);
        else if (mode === 0x40) value = load(x + signed(k), SIZES[code & 0x18]);
        else if (mode === 0x60) value = memory[k];
        else value = bytes.length - from;
        if (value === undefined) return 0;
        if ((code & 0x07) === 0) a = value;
        else x = value;
        break;
      }
      case 2:
        memory[k] = a;
        break;
      case 3:
        memory[k] = x;
        break;
      case 4: {
        const result = alu(code & 0xf0, a, operand);
        if (result === undefined) return 0;
        a = result;
        break;
      }
      case 5: {
        const held = [true, a === operand, a > operand, a >= operand, (a & operand) !== 0][(code & 0xf0) >> 4];
        at += (code & 0xf0) === 0 ? k : held ? jt : jf;
        break;
      }
      case 6:
        return (code & 0x18) === 0x10 ? a : k >>> 0;
      default:
        if ((code & 0xf8) === 0) x = a;
        else a = x;
    }
  }
}

/** Undefined: divided by 0. */
function alu(operation: number, a: number, operand: number): number | undefined {
  const big = (result: bigint) => Number(BigInt.asUintN(32, result));
  const [one, other] = [BigInt(a), BigInt(operand)];
  switch (operation) {
    case 0x00:
      return big(one + other);
    case 0x10:
      return big(one - other);
    case 0x20:
      return big(one * other);
    case 0x30:
      return operand === 0 ? undefined : big(one / other);
    case 0x40:
      return big(one | other);
    case 0x50:
      return big(one & other);
    case 0x60:
      return big(one << (other & 31n));
    case 0x70:
      return big(one >> (other & 31n));
    case 0x80:
      return big(-one);
    case 0x90:
      return operand === 0 ? undefined : big(one % other);
    default:
      return big(one ^ other);
  }
}

/** What `tcpdump -ddd` prints. */
export function parseDecimal(text: string): BpfInstruction[] {
  return text
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => {
      const [code, jt, jf, k] = line.split(' ').map(Number);
      return { code, jt, jf, k };
    });
}
