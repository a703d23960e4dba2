// Which socket of a port's gets which datagram: what programs say of it, and the classic BPF that the kernel runs for it
// (SO_ATTACH_REUSEPORT_CBPF, socket(7)). It sees a datagram from its payload on, what lies before by SKF_NET_OFF, and says
// the number of a socket, in the order in which they were bound; a load beyond the datagram's end makes it 0.
import * as errors from '../base/errors.js';
import { refuseUnknown } from '../base/known-keys.js';
import { isRecord, validateBoolean, validateInteger, validateOneOf } from '../base/validate.js';

/** Steers by bytes of the payload: the same bytes always come to the same shard. */
export interface PayloadSteering {
  /** The first byte, from 0; with `quic` it is counted from the connection id's beginning. At most 65 000. */
  offset: number;
  /** How many bytes: 1 to 20, of an index 1 to 4. */
  length: number;
  /** `'hash'` (the default): the shard is `(h ^ (h >>> 16)) >>> 0` modulo the number of shards, where `h` is the bytes' FNV-1a
   * of 32 bits. `'index'`: it is the bytes as an unsigned number, the first one the most significant, modulo the number of shards. */
  by?: 'hash' | 'index';
  /** The bytes are of a QUIC packet's destination connection id, which begins at byte 6 of packets with a long header and at byte 1
   * of those with a short one (RFC 8999). Default false. */
  quic?: boolean;
}

/**
 * Which shard a datagram comes to:
 * - `'flow'`: by the kernel's hash of both addresses and ports;
 * - `'source'`: by a hash of the source's address (of IPv6 its first 64 bits), whatever its port;
 * - `'cpu'`: by the number of the processor that the kernel receives it on, modulo the number of shards. Each shard's thread
 *   runs on the processors of its remainder;
 * - bytes of the payload. A datagram that does not have them comes to shard 0.
 */
export type Steering = 'flow' | 'source' | 'cpu' | PayloadSteering;

const OFFSET_MAX = 65_000;
const HASHED_BYTES_MAX = 20; // as much as a connection id has in QUIC version 1
const INDEX_BYTES_MAX = 4;
const NAMES = ['flow', 'source', 'cpu'] as const;

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE */
export function checkSteering(given: unknown): Steering {
  if (typeof given === 'string') {
    validateOneOf(given, 'options.steering', NAMES);
    return given;
  }
  if (!isRecord(given)) {
    throw errors.invalidArgType(
      'options.steering',
      "'flow', 'source', 'cpu' or an object with offset and length",
      given,
    );
  }
  refuseUnknown(given, 'options.steering', ['offset', 'length', 'by', 'quic']);
  const { offset, length, by = 'hash', quic = false } = given as PayloadSteering;
  validateInteger(offset, 'options.steering.offset', 0, OFFSET_MAX);
  validateOneOf(by, 'options.steering.by', ['hash', 'index']);
  validateInteger(length, 'options.steering.length', 1, by === 'hash' ? HASHED_BYTES_MAX : INDEX_BYTES_MAX);
  validateBoolean(quic, 'options.steering.quic');
  return { offset, length, by, quic };
}

/** An instruction, `struct sock_filter`. */
type Step = readonly [code: number, k: number, jt?: number, jf?: number];

// linux/bpf_common.h and filter.h
const LOAD_WORD = 0x20;
const LOAD_HALF = 0x28;
const LOAD_BYTE = 0x30;
const LOAD_HALF_FROM_X = 0x48;
const LOAD_NUMBER = 0x00;
const TO_X = 0x07;
const MULTIPLY = 0x24;
const OR_X = 0x4c;
const AND = 0x54;
const SHIFT_LEFT = 0x64;
const SHIFT_RIGHT = 0x74;
const MODULO = 0x94;
const XOR = 0xa4;
const XOR_X = 0xac;
const EQUALS = 0x15;
const HAS_BITS = 0x45;
const RETURN = 0x06;
const RETURN_IT = 0x16;

const NETWORK_HEADER = -0x100000; // SKF_NET_OFF
const PACKET_TYPE = -0x1000 + 4; // SKF_AD_OFF, SKF_AD_PKTTYPE
const PROCESSOR = -0x1000 + 36; // SKF_AD_CPU

const FNV_BASIS = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

function encode(steps: readonly Step[]): Uint8Array {
  const bytes = new Uint8Array(steps.length * 8);
  const codes = new Uint16Array(bytes.buffer);
  const numbers = new Uint32Array(bytes.buffer);
  steps.forEach(([code, k, jt = 0, jf = 0], i) => {
    codes[4 * i] = code;
    bytes.set([jt, jf], 8 * i + 2);
    numbers[2 * i + 1] = k;
  });
  return bytes;
}

/** A jump over those that come for the other case. */
function choose(comparison: number, k: number, then: Step[], otherwise: Step[]): Step[] {
  return [[comparison, k, 0, then.length], ...then, ...otherwise];
}

// The number of a shard is what is in the accumulator, modulo `shards`.
const end = (shards: number): Step[] => [
  [MODULO, shards],
  [RETURN_IT, 0],
];

const fold = (bits: number): Step[] => [
  [TO_X, 0],
  [SHIFT_RIGHT, bits],
  [XOR_X, 0],
];

function byBytes({ length, by }: PayloadSteering, offset: number, shards: number): Step[] {
  const steps: Step[] = [[LOAD_NUMBER, by === 'index' ? 0 : FNV_BASIS]];
  for (let i = 0; i < length; i++) {
    if (by === 'index') steps.push([SHIFT_LEFT, 8], [TO_X, 0], [LOAD_BYTE, offset + i], [OR_X, 0]);
    else steps.push([TO_X, 0], [LOAD_BYTE, offset + i], [XOR_X, 0], [MULTIPLY, FNV_PRIME]);
  }
  return [...steps, ...(by === 'index' ? [] : fold(16)), ...end(shards)];
}

function byPayload(steering: PayloadSteering, shards: number): Step[] {
  const { offset, quic } = steering;
  if (!quic) return byBytes(steering, offset, shards);
  const [long, short] = [6, 1].map((start) => byBytes(steering, start + offset, shards));
  return [[LOAD_BYTE, 0], ...choose(HAS_BITS, 0x80, long, short)];
}

// The finalizer of MurmurHash3. Whoever does not know the seed cannot choose addresses of one shard.
const mixed = (seed: number, shards: number): Step[] => [
  [XOR, seed],
  ...fold(16),
  [MULTIPLY, 0x85ebca6b],
  ...fold(13),
  [MULTIPLY, 0xc2b2ae35],
  ...fold(16),
  ...end(shards),
];

const VERSION: Step[] = [
  [LOAD_BYTE, NETWORK_HEADER],
  [SHIFT_RIGHT, 4],
];

const PORTS_V4: Step[] = [
  [LOAD_BYTE, NETWORK_HEADER],
  [AND, 0xf],
  [SHIFT_LEFT, 2],
  [TO_X, 0],
  [LOAD_HALF_FROM_X, NETWORK_HEADER],
];

function bySource(family: 4 | 6, ports: boolean, seed: number, shards: number): Step[] {
  // X begins as 0.
  const port = (load: Step[]): Step[] => (ports ? [...load, [MULTIPLY, FNV_PRIME], [TO_X, 0]] : []);
  const v4: Step[] = [...port(PORTS_V4), [LOAD_WORD, NETWORK_HEADER + 12], [XOR_X, 0], ...mixed(seed, shards)];
  if (family === 4) return v4;
  const v6: Step[] = [
    ...port([[LOAD_HALF, NETWORK_HEADER + 40]]),
    [LOAD_WORD, NETWORK_HEADER + 8],
    [XOR_X, 0],
    [MULTIPLY, FNV_PRIME],
    [TO_X, 0],
    [LOAD_WORD, NETWORK_HEADER + 12],
    [XOR_X, 0],
    ...mixed(seed, shards),
  ];
  return [...VERSION, ...choose(EQUALS, 4, v4, v6)];
}

/** What the kernel is to run. Undefined: its own hash is what is wanted. `changed`: it cannot do, as the shards are not all there
 * are; then it is a hash of our own of the source's address and port. */
export function steeringProgram(
  steering: Steering,
  family: 4 | 6,
  seed: number,
  shards: number,
  changed: boolean,
): Uint8Array | undefined {
  if (steering === 'flow') return changed ? encode(bySource(family, true, seed, shards)) : undefined;
  if (steering === 'source') return encode(bySource(family, false, seed, shards));
  if (steering === 'cpu') return encode([[LOAD_WORD, PROCESSOR], ...end(shards)]);
  return encode(byPayload(steering, shards));
}

/** A filter for a socket that is to get nothing. */
export const dropAll = encode([[RETURN, 0]]);
const keepAll = encode([[RETURN, 0xffffffff]]);

const PACKET_BROADCAST = 1;
const PACKET_LOOPBACK = 5; // a copy of what this machine has sent to many
const EVERYBODY = 0xffffffff; // 255.255.255.255
const EVERYBODY_HERE = 0x7fffffff; // 127.255.255.255

/**
 * What the filter of each shard but the first begins with: of a broadcast the kernel gives a copy to every socket of the port. On
 * the interface lo only the address tells, as its packets have no type.
 */
export function copyFilter(family: 4 | 6): Uint8Array {
  const version: Step[] = family === 6 ? [...VERSION, [EQUALS, 4, 0, 4]] : [];
  return encode([
    [LOAD_WORD, PACKET_TYPE],
    [EQUALS, PACKET_BROADCAST, version.length + 4],
    [EQUALS, PACKET_LOOPBACK, version.length + 3],
    ...version,
    [LOAD_WORD, NETWORK_HEADER + 16],
    [EQUALS, EVERYBODY, 1],
    [EQUALS, EVERYBODY_HERE, 0, 1],
    [RETURN, 0],
    [LOAD_NUMBER, 0], // as a filter finds it at its beginning
  ]);
}

/** All of that filter. `filter`: what the program wants besides, empty for nothing. */
export function withoutCopies(family: 4 | 6, filter: Uint8Array): Uint8Array {
  return Buffer.concat([copyFilter(family), filter.length === 0 ? keepAll : filter]);
}
