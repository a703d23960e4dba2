// Reads what lib/server/rules/encode.ts writes; native/core/answer/rules/decode.h describes the format. Both are of one
// build and one process, so the bytes are not doubted.
import { ACTIONS, type Cidr, type Mask, type Match, type Part, type Rule, type RuleSpec } from './rule.js';

const HEADER_BYTES = 6; // the name of the format, and its version
const FLAG_EXACT = 1;
const FLAG_PREFIX = 2;
const FLAG_AMPLIFY = 4;
const TO_THE_END = 0x7fffffff;
const PARTS = ['literal', 'request', 'sourceAddress', 'sourcePort', 'ntp', 'unix', 'counter'] as const;

class Reader {
  readonly #view: DataView;
  readonly #all: Uint8Array;
  #at = HEADER_BYTES;

  constructor(all: Uint8Array) {
    this.#all = all;
    this.#view = new DataView(all.buffer, all.byteOffset, all.byteLength);
  }

  #take(count: number): number {
    this.#at += count;
    return this.#at - count;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }
  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }
  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }
  bytes(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#all.slice(at, at + count);
  }
  times<T>(count: number, read: () => T): T[] {
    return Array.from({ length: count }, read);
  }
}

function readMask(from: Reader): Mask {
  const at = from.u16();
  const size = from.u16();
  return { at, mask: from.bytes(size), value: from.bytes(size) };
}

function readCidr(from: Reader): Cidr {
  const family = from.u8();
  return { prefixBits: from.u8(), bytes: from.bytes(family === 4 ? 4 : 16) };
}

function readMatch(from: Reader, flags: number): Match {
  const [lengthMin, lengthMax, masks, sources, ports] = from.times(5, () => from.u16());
  const payload = from.bytes(from.u32());
  const kind = (flags & FLAG_EXACT) !== 0 ? 'exact' : (flags & FLAG_PREFIX) !== 0 ? 'prefix' : 'any';
  return {
    kind,
    payload,
    lengthMin,
    lengthMax,
    masks: from.times(masks, () => readMask(from)),
    sources: from.times(sources, () => readCidr(from)),
    destinationPorts: from.times(ports, () => from.u16()),
  };
}

function readPart(from: Reader): Part {
  const kind = PARTS[from.u8()];
  switch (kind) {
    case 'literal':
      return { kind, bytes: from.bytes(from.u32()) };
    case 'request': {
      const start = from.i32();
      const end = from.i32();
      return { kind, start, end: end === TO_THE_END ? undefined : end };
    }
    case 'sourceAddress':
    case 'sourcePort':
      return { kind, xor: from.i32() };
    case 'counter':
      return { kind, bytes: from.u8() };
    default:
      return { kind };
  }
}

export function decodeRules(bytes: Uint8Array): RuleSpec {
  const from = new Reader(bytes);
  const otherwise = ACTIONS[from.u8()];
  from.u8();
  let forwards = 0;
  const rules = from.times(from.u32(), (): Rule => {
    const action = ACTIONS[from.u8()];
    const flags = from.u8();
    const match = readMatch(from, flags);
    const parts = action === 'reply' ? from.times(from.u16(), () => readPart(from)) : [];
    const forward = action === 'forward' ? forwards++ : 0;
    return { match, action, amplify: (flags & FLAG_AMPLIFY) !== 0, forward, parts };
  });
  return { rules, otherwise, forwards };
}
