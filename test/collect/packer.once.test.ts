// From records as the thread leaves them in the ring to batches: every datagram is in one, those of a source in order, however many
// sources there are.
import assert from 'node:assert/strict';
import { FLOWS_MAX } from '../../build-lib/collect/flows.js';
import { type Lane, Packer, type PackerOptions } from '../../build-lib/collect/packer.js';
import type { CollectedDatagram } from '../../build-lib/collect/types.js';
import { ReceivedRecords } from '../../build-lib/thread/records.js';
import { test } from '../support/test.js';

// As native/core/memory/layout.h has them.
const RECORD_BYTES = 64;
const [AT_PORT, AT_FAMILY, AT_ADDRESS, AT_TIME] = [20, 22, 24, 48];
const RECORDS = 1024;

interface Arrival {
  address: number[];
  port: number;
  ns: bigint;
  /** Datagrams that the kernel has joined: all but the last have the first one's size. */
  payloads: string[];
}

const encoder = new TextEncoder();

/** Like a batch of lib/thread/batch.ts. */
function batchOf(arrivals: Arrival[], gap = 0): Parameters<Packer['take']> {
  const memory = new Uint8Array(RECORDS * RECORD_BYTES);
  const view = new DataView(memory.buffer);
  const bytes: number[] = [];
  const [ats, offsets, sizes]: number[][] = [[], [], []];
  arrivals.forEach(({ address, port, ns, payloads }, i) => {
    const at = i * RECORD_BYTES;
    view.setUint16(at + AT_PORT, port, true);
    view.setUint8(at + AT_FAMILY, address.length === 4 ? 4 : 6);
    memory.set(address, at + AT_ADDRESS);
    view.setBigUint64(at + AT_TIME, ns, true);
    for (const payload of payloads) {
      ats.push(at / 4);
      offsets.push(bytes.length);
      sizes.push(payload.length);
      bytes.push(...encoder.encode(payload));
    }
    for (let n = 0; n < gap; n++) bytes.push(0xee);
  });
  const parts = { records: new ReceivedRecords(memory), arena: Uint8Array.from(bytes), ats, offsets, sizes };
  return [parts as never, ats.length];
}

class Collected {
  readonly datagrams: (CollectedDatagram & { key: string })[] = [];
  readonly sizes: number[] = [];
  readonly packer: Packer;
  readonly #waiting: Lane[] = [];

  constructor(options: Partial<PackerOptions> = {}) {
    this.packer = new Packer({
      collector: 1n,
      batchBytes: 73_728,
      openBytes: 1 << 20,
      subject: () => '',
      lanes: 1,
      local: { port: 514, address: '192.0.2.9' },
      onPack: (lane) => this.#waiting.push(lane),
      onOpen: () => {},
      onUnsorted: () => assert.fail('no subject'),
      ...options,
    });
  }

  take(arrivals: Arrival[], gap?: number): void {
    this.packer.take(...batchOf(arrivals, gap));
    this.write();
  }

  write(): void {
    for (const lane of this.#waiting.splice(0)) {
      const pack = lane.queue.shift();
      assert.ok(pack !== undefined);
      this.sizes.push(pack.bytes.length);
      for (const datagram of pack.datagrams())
        this.datagrams.push({ ...datagram, data: Buffer.from(datagram.data), key: pack.key });
      this.packer.reuse(pack);
    }
  }

  end(): string[] {
    this.packer.closeAll();
    this.write();
    return this.datagrams.map(({ data }) => data.toString());
  }
}

const source = (n: number) => [10, (n >> 16) & 255, (n >> 8) & 255, n & 255];

test('joined datagrams, gaps between records, times that go back, and a clock that is set', () => {
  for (const gap of [0, 3]) {
    const collected = new Collected();
    const arrivals: Arrival[] = [
      { address: source(1), port: 1, ns: 1_000_000_000_000_000_000n, payloads: ['aaaa', 'bbbb', 'c'] },
      { address: source(2), port: 2, ns: 999_999_999_999_999_999n, payloads: ['d'] },
      { address: source(1), port: 1, ns: 1_000_000_000_000_000_005n, payloads: [''] },
      { address: [0xfe, 0x80, ...new Array(13).fill(0), 9], port: 3, ns: 5n, payloads: ['e', 'f'] },
      { address: source(1), port: 1, ns: 1_790_000_000_000_000_000n, payloads: ['g'] },
    ];
    collected.take(arrivals, gap);
    assert.deepEqual(collected.end(), ['aaaa', 'bbbb', 'c', 'd', '', 'e', 'f', 'g']);
    const expected = arrivals.flatMap(({ payloads, ns }) => payloads.map(() => ns));
    assert.deepEqual(
      collected.datagrams.map(({ receivedNs }) => receivedNs),
      expected,
    );
    assert.deepEqual(
      collected.datagrams.map(({ address, local, localPort }) => [address, local, localPort]),
      ['10.0.0.1', '10.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.1', 'fe80::9', 'fe80::9', '10.0.0.1'].map((address) => [
        address,
        '192.0.2.9',
        514,
      ]),
    );
    assert.equal(collected.sizes.length, 3, 'a batch ends where the clock is set by weeks');
  }
});

test('no batch is longer than it may be, and large datagrams are whole', () => {
  const collected = new Collected();
  const sent: string[] = [];
  for (let n = 0; n < 300; n++) {
    const payload = `${n} `.padEnd([1, 1400, 65_507][n % 3], 'x');
    sent.push(payload);
    collected.take([{ address: source(n % 7), port: n % 5, ns: BigInt(n), payloads: [payload] }]);
  }
  assert.deepEqual(collected.end(), sent);
  assert.ok(Math.max(...collected.sizes) <= 73_728);
});

test('more sources than are remembered: each datagram is under its own subject, in order', () => {
  const subject = ({ address }: { address: string }) => `s.${Number(address.split('.')[3]) % 4}`;
  const collected = new Collected({ subject, openBytes: 200_000 });
  const COUNT = 3 * FLOWS_MAX;
  for (let n = 0; n < COUNT; n += 500) {
    const arrivals = Array.from({ length: 500 }, (_, i) => ({
      address: source((n + i) % (FLOWS_MAX + 999)),
      port: 7,
      ns: BigInt(n + i),
      payloads: [String(n + i)],
    }));
    collected.take(arrivals);
    assert.ok(collected.packer.waiting < 20_000, 'what is open is bounded');
  }
  collected.end();
  assert.equal(collected.datagrams.length, Math.ceil(COUNT / 500) * 500);
  const latest = new Map<string, number>();
  for (const { data, address, key } of collected.datagrams) {
    const n = Number(data.toString());
    assert.equal(address, source(n % (FLOWS_MAX + 999)).join('.'));
    assert.equal(key, subject({ address }));
    assert.ok(n > (latest.get(key) ?? -1), `${n} behind ${latest.get(key)}`);
    latest.set(key, n);
  }
});

test('open batches take no more memory than they may, whatever the number of subjects', () => {
  const collected = new Collected({ subject: ({ port }) => `p.${port}`, openBytes: 64 * 4096 });
  for (let n = 0; n < 100; n++) {
    const arrivals = Array.from({ length: 300 }, (_, i) => ({
      address: source(1),
      port: 1 + i,
      ns: BigInt(n),
      payloads: [`${n}`],
    }));
    collected.take(arrivals);
    assert.ok(collected.packer.waiting <= 64 * 100);
  }
  collected.end();
  assert.equal(collected.datagrams.length, 30_000);
  const latest = new Map<string, number>();
  for (const { data, key } of collected.datagrams) {
    assert.equal(Number(data.toString()), (latest.get(key) ?? -1) + 1);
    latest.set(key, Number(data.toString()));
  }
});
