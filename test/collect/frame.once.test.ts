// A batch as one message: what goes in comes out, and any bytes are a batch or an error.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  compressFrame,
  expandFrame,
  FrameError,
  HEADER_BYTES,
  hasZstd,
  readFrame,
  SOURCE_BYTES,
} from '../../build-lib/collect/frame.js';
import { Pack } from '../../build-lib/collect/pack.js';
import type { CollectedDatagram } from '../../build-lib/collect/types.js';
import { test } from '../support/test.js';

interface Source {
  family: number;
  address: number[];
  port: number;
  localFamily: number;
  local: number[];
  localPort: number;
  scope: number;
}

/** As the kernel gives them: datagrams of one source, of one size but for the last. */
interface Arrival {
  source: number;
  /** Nanoseconds after the one before. */
  passed: number;
  many: number;
  size: number;
  last: number;
}

const bytes16 = fc.array(fc.nat(255), { minLength: 16, maxLength: 16 });
const source: fc.Arbitrary<Source> = fc.record({
  family: fc.constantFrom(4, 6),
  address: bytes16,
  port: fc.nat(65_535),
  localFamily: fc.constantFrom(0, 4, 6),
  local: bytes16,
  localPort: fc.nat(65_535),
  scope: fc.constantFrom(0, 0, 3),
});
const arrival: fc.Arbitrary<Arrival> = fc.record({
  source: fc.nat(9),
  passed: fc.oneof(fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: -(2 ** 40), max: 2 ** 50 })),
  many: fc.constantFrom(1, 1, 2, 7),
  size: fc.constantFrom(0, 1, 64, 100, 127, 128, 1400),
  last: fc.nat(1400),
});
const batch = fc.record({
  sources: fc.array(source, { minLength: 1, maxLength: 10 }),
  arrivals: fc.array(arrival, { maxLength: 60 }),
  base: fc.bigInt({ min: 0n, max: 2n ** 62n }),
});

const group = (bytes: number[], i: number) => (bytes[2 * i] << 8) | bytes[2 * i + 1];
/** A long form of RFC 4291; what is compared is parsed. */
const text6 = (bytes: number[]) => Array.from({ length: 8 }, (_, i) => group(bytes, i).toString(16)).join(':');

function write(out: Uint8Array, at: number, from: Source): void {
  const view = new DataView(out.buffer, out.byteOffset + at, SOURCE_BYTES);
  view.setUint16(0, from.port, true);
  view.setUint16(2, from.localPort, true);
  view.setUint8(4, from.family);
  view.setUint8(5, from.localFamily);
  out.set(from.address, at + 8);
  view.setUint32(24, from.scope, true);
  out.set(from.local, at + 28);
}

function pack({ sources, arrivals, base }: typeof batch extends fc.Arbitrary<infer T> ? T : never) {
  const made = new Pack(0xfeedn, 7, 'key', 0, new Uint8Array(128));
  const expected: { data: Buffer; source: Source; ns: bigint }[] = [];
  const numbers = new Map<number, number>();
  let ns = base;
  let seed = 0;
  for (const each of arrivals) {
    const index = each.source % sources.length;
    const last = each.many === 1 ? each.size : Math.min(each.last, each.size);
    if (ns + BigInt(each.passed) < 0n) continue;
    ns += BigInt(each.passed);
    let number = numbers.get(index);
    if (number === undefined) {
      number = made.addSource((out, at) => write(out, at, sources[index]));
      numbers.set(index, number);
    }
    const length = (each.many - 1) * each.size + last;
    const payload = Buffer.from(Array.from({ length }, () => (seed = (seed * 31 + 7) & 255)));
    const at = made.add(number, Number(ns >> 32n), Number(ns & 0xffffffffn), each.many, each.size, last);
    made.place(at, payload, 0, payload.length);
    for (let i = 0; i < each.many; i++) {
      const end = i === each.many - 1 ? length : (i + 1) * each.size;
      expected.push({ data: payload.subarray(i * each.size, end), source: sources[index], ns });
    }
  }
  return { made, expected };
}

function same(actual: CollectedDatagram[], expected: ReturnType<typeof pack>['expected']): void {
  assert.equal(actual.length, expected.length);
  actual.forEach((datagram, i) => {
    const { data, source: from, ns } = expected[i];
    assert.ok(data.equals(datagram.data), `datagram ${i}`);
    assert.deepEqual([datagram.port, datagram.localPort, datagram.receivedNs], [from.port, from.localPort, ns]);
    assert.equal(parsed(datagram.address), textOf(from.address, from.family));
    if (from.family === 6) assert.equal(datagram.address.includes('%'), from.scope !== 0);
    if (from.localFamily === 0) assert.equal(datagram.local, undefined);
    else assert.equal(parsed(datagram.local as string), textOf(from.local, from.localFamily));
  });
}

const textOf = (bytes: number[], family: number) => (family === 4 ? bytes.slice(0, 4).join('.') : text6(bytes));

/** In the long form. */
function parsed(address: string): string {
  if (!address.includes(':')) return address;
  let text = address.replace(/%.*/, '');
  const dotted = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (dotted !== null) {
    const [a, b, c, d] = dotted.slice(1).map(Number);
    text = `${text.slice(0, dotted.index)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const [head, tail] = text.split('::').map((part) => part.split(':').filter(Boolean));
  const zeroes = tail === undefined ? [] : new Array<string>(8 - head.length - tail.length).fill('0');
  return [...head, ...zeroes, ...(tail ?? [])].join(':');
}

test('what is packed is read again: payloads, sources, times and their order', async () => {
  await fc.assert(
    fc.asyncProperty(batch, async (given) => {
      const { made, expected } = pack(given);
      const frame = readFrame(made.bytes, made.key);
      assert.deepEqual([frame.id, frame.id, frame.count], ['feed-7', made.id, expected.length]);
      assert.equal(frame.payloadBytes, made.payloadBytes);
      same([...frame.datagrams()], expected);
      same([...readFrame(await expandFrame(await compressFrame(made.bytes))).datagrams()], expected);
    }),
    { numRuns: 300 },
  );
});

/** Reads all of it: no matter what, it is what it says, or a FrameError. */
async function survive(bytes: Uint8Array): Promise<boolean> {
  try {
    const frame = readFrame(await expandFrame(bytes));
    let count = 0;
    let total = 0;
    for (const { data } of frame.datagrams()) {
      count++;
      total += data.length;
    }
    assert.deepEqual([count, total], [frame.count, frame.payloadBytes]);
    return true;
  } catch (error) {
    assert.ok(error instanceof FrameError, `${error}`);
    return false;
  }
}

test('any bytes are a batch or ERR_KSOCKET_BAD_FRAME', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      assert.equal(await survive(bytes), false);
    }),
    { numRuns: 500 },
  );
});

test('so are a batch with other bytes in it, and a part of one', async () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 });
  let whole = 0;
  await fc.assert(
    fc.asyncProperty(batch, changes, fc.nat(), fc.boolean(), async (given, changed, cut, compress) => {
      const { made } = pack(given);
      const bytes = Uint8Array.from(compress ? await compressFrame(made.bytes) : made.bytes);
      for (const [at, value] of changed) bytes[at % bytes.length] = value;
      if (await survive(bytes)) whole++;
      if (cut % bytes.length !== 0) assert.equal(await survive(bytes.subarray(0, cut % bytes.length)), false);
    }),
    { numRuns: 1000 },
  );
  assert.ok(whole > 0, 'what is changed in a payload is still a batch');
});

test('a few bytes do not become gigabytes, nor a loop without an end', () => {
  const { made } = pack({ sources: [], arrivals: [], base: 0n });
  const header = Uint8Array.from(made.bytes.subarray(0, HEADER_BYTES));
  const say = (at: number, value: number) => {
    const bytes = Uint8Array.from(header);
    new DataView(bytes.buffer).setUint32(at, value, true);
    return bytes;
  };
  assert.throws(() => readFrame(say(8, 0xffffffff)), /4294967295 datagrams, 4194304 are allowed/);
  assert.throws(() => readFrame(say(12, 0xffffffff)), /4294967295 bytes, 67108864 are allowed/);
  const many = new Uint8Array(HEADER_BYTES + 5 + SOURCE_BYTES);
  many.set(header);
  const view = new DataView(many.buffer);
  view.setUint32(8, 1, true);
  view.setUint32(16, 5, true);
  view.setUint32(20, SOURCE_BYTES, true);
  many.set([0, 0, 0x80, 0x80, 0x7f], HEADER_BYTES); // so many that the number is not whole
  many[HEADER_BYTES + 5 + 4] = 4;
  assert.throws(() => readFrame(many), { code: 'ERR_KSOCKET_BAD_FRAME' });
});

test('another version, unknown flags and what is no batch are said', () => {
  const { made } = pack({ sources: [], arrivals: [], base: 0n });
  const change = (at: number, value: number) => {
    const bytes = Uint8Array.from(made.bytes);
    bytes[at] = value;
    return bytes;
  };
  assert.throws(() => readFrame(change(4, 2)), /of version 2, and what is known is 1/);
  assert.throws(() => readFrame(change(5, 2)), /flags that are not known: 2/);
  assert.throws(() => readFrame(change(0, 0)), /does not begin with KSDB/);
  assert.throws(() => readFrame(change(5, 1)), /is compressed/);
});

test('with zstd a batch is shorter, and its header says so; without it is the same', async () => {
  const arrivals = Array.from({ length: 50 }, () => ({ source: 0, passed: 10, many: 1, size: 100, last: 0 }));
  const from = {
    family: 4,
    address: new Array(16).fill(1),
    port: 1,
    localFamily: 0,
    local: [],
    localPort: 2,
    scope: 0,
  };
  const { made } = pack({ sources: [from], arrivals, base: 1n });
  const compressed = await compressFrame(made.bytes);
  if (hasZstd()) {
    assert.ok(compressed.length < made.bytes.length);
    assert.equal(compressed[5], 1);
    assert.equal((await expandFrame(compressed)).length, made.bytes.length);
  } else {
    assert.equal(compressed, made.bytes);
    await assert.rejects(expandFrame(Uint8Array.from(made.bytes).fill(1, 5, 6)), { code: 'ERR_KSOCKET_NO_ZSTD' });
  }
});
