// Encoded rules read by the letter of native/core/answer/rules/decode.h: what is wrong with them, or how many there are.
export class WrongRules extends Error {}

class Reader {
  #at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes);
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }
  bytes(count: number): Buffer {
    must(count <= this.left, 'there are fewer bytes than are said');
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }
  u8 = () => this.bytes(1).readUInt8();
  u16 = () => this.bytes(2).readUInt16LE();
  u32 = () => this.bytes(4).readUInt32LE();
  i32 = () => this.bytes(4).readInt32LE();
}

function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new WrongRules(what);
}

function readMatch(from: Reader, flags: number): void {
  const [min, max] = [from.u16(), from.u16()];
  must(min <= max, 'the shortest is longer than the longest');
  const [masks, sources, ports, payload] = [from.u16(), from.u16(), from.u16(), from.u32()];
  must((flags & 3) !== 3 && ((flags & 3) !== 0 || payload === 0), 'a payload is exact or a prefix');
  from.bytes(payload);
  for (let i = 0; i < masks; i++) {
    const [at, size] = [from.u16(), from.u16()];
    must(size >= 1 && size <= 256 && at + size <= 65_535, 'a mask lies outside of any datagram');
    const [mask, value] = [from.bytes(size), from.bytes(size)];
    must(
      value.every((byte, n) => (byte & ~mask[n]) === 0),
      'a value has bits that the mask has not',
    );
  }
  readNetworks(from, sources);
  for (let i = 0; i < ports; i++) must(from.u16() !== 0, 'a port is 0');
  if ((flags & 8) === 0) return;
  const [least, most, dscps, ecns] = [from.u8(), from.u8(), [from.u32(), from.u32()], from.u8()];
  const locals = from.u16();
  must(least <= most, 'the fewest hops are more than the most');
  must(dscps.some((bits) => bits !== 0) && ecns >= 1 && ecns <= 15, 'no datagram is marked so');
  const says = least > 0 || most < 255 || dscps.some((bits) => bits !== 0xffffffff) || ecns < 15 || locals > 0;
  must(says, 'there is no condition where there are to be some');
  readNetworks(from, locals);
}

function readNetworks(from: Reader, count: number): void {
  for (let i = 0; i < count; i++) {
    const [family, bits] = [from.u8(), from.u8()];
    must(family === 4 || family === 6, 'a family is unknown');
    const address = BigInt(`0x${from.bytes(family === 4 ? 4 : 16).toString('hex')}`);
    const host = BigInt((family === 4 ? 32 : 128) - bits);
    must(host >= 0n && (address & ((1n << host) - 1n)) === 0n, 'a network has bits behind its prefix');
  }
}

function readPart(from: Reader): void {
  const isOffset = (at: number) => at >= -65_535 && at <= 65_535;
  const kind = from.u8();
  if (kind === 0) from.bytes(from.u32());
  else if (kind === 1) {
    const [start, end] = [from.i32(), from.i32()];
    must(isOffset(start) && (isOffset(end) || end === 0x7fffffff), 'a slice lies outside of any datagram');
  } else if (kind <= 3 || kind === 7) {
    const xor = from.i32();
    must(xor >= -1 && xor <= 65_535, 'an offset lies outside of any datagram');
  } else if (kind === 6) must([1, 2, 4, 8].includes(from.u8()), 'a counter has another size');
  else must(kind === 4 || kind === 5 || (kind >= 8 && kind <= 10), 'a part is unknown');
}

/** How many rules there are. Throws WrongRules. */
export function readRules(bytes: Uint8Array): number {
  const from = new Reader(bytes);
  must(from.bytes(4).toString() === 'ksrl' && from.u16() === 1, 'the header is another one');
  must(from.u8() <= 2 && from.u8() === 0, 'the default is none');
  const rules = from.u32();
  for (let i = 0; i < rules; i++) {
    const [action, flags] = [from.u8(), from.u8()];
    must(action <= 5 && flags <= 15 && ((flags & 4) === 0 || action === 4), 'an action or its flags are unknown');
    readMatch(from, flags);
    if (action !== 4) continue;
    for (let parts = from.u16(); parts > 0; parts--) readPart(from);
  }
  must(from.left === 0, 'there is something behind the last rule');
  return rules;
}
