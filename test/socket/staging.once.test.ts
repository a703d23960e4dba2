// What one flush hands to native code at most, of lists of every form. The sender writes memory that the test reads.
import assert from 'node:assert/strict';
import type { NativeIoThread, ThreadMemory } from '../../build-lib/backend/contract.js';
import {
  CONTROL_BYTES,
  D_LENGTH,
  D_OFFSET,
  D_SEGMENT_SIZE,
  DESCRIPTOR_BYTES,
  SOURCE_BYTES,
} from '../../build-lib/backend/layout.js';
import { udp4 } from '../../build-lib/base/family.js';
import { literalDestination } from '../../build-lib/thread/destination.js';
import { Lists } from '../../build-lib/thread/lists.js';
import { Sender } from '../../build-lib/thread/sender.js';
import { STAGED_BYTES_MAX, STAGED_DATAGRAMS_MAX, Staging } from '../../build-lib/thread/staging.js';
import { test } from '../support/test.js';
import { nextTurn } from '../support/wait.js';

/** A sender, and what its flushes have handed over, each as its datagrams. */
function stagingSender(deferFlush = true): { sender: Sender; lists: Lists; flushes: Buffer[][]; refused: number[] } {
  const memory = {
    control: new Int32Array(CONTROL_BYTES / 4),
    txDescriptors: new Uint8Array(STAGED_DATAGRAMS_MAX * DESCRIPTOR_BYTES),
    txSources: new Uint8Array(STAGED_DATAGRAMS_MAX * SOURCE_BYTES),
    txArena: new Uint8Array(STAGED_BYTES_MAX),
  } as unknown as ThreadMemory;
  const flushes: Buffer[][] = [];
  const refused: number[] = [];
  const send = (records: number) => {
    const words = new DataView(memory.txDescriptors.buffer);
    const datagrams: Buffer[] = [];
    for (let at = 0; at < records * DESCRIPTOR_BYTES; at += DESCRIPTOR_BYTES) {
      const start = words.getUint32(at + D_OFFSET, true);
      const end = start + words.getUint32(at + D_LENGTH, true);
      const segment = words.getUint16(at + D_SEGMENT_SIZE, true);
      let from = start;
      do {
        datagrams.push(Buffer.from(memory.txArena.slice(from, Math.min(end, from + (segment || end)))));
        from += segment || end;
      } while (from < end);
    }
    flushes.push(datagrams);
    return 0;
  };
  const native = { send } as unknown as NativeIoThread;
  const staging = new Staging(memory);
  const countRefused = (id: number) => refused.push(id);
  const sender = new Sender(native, memory.control, staging, () => deferFlush, countRefused);
  const lists = new Lists(
    native,
    staging,
    () => sender.flush(),
    countRefused,
    (id) => sender.defer(id),
  );
  return { sender, lists, flushes, refused };
}

const ID = 5;
const destination = literalDestination(udp4, '127.0.0.1', 9, 'address');

const forms: [name: string, send: (lists: Lists, list: Uint8Array[]) => number][] = [
  ['to one place', (lists, list) => lists.sendList(ID, destination, list)],
  [
    'of triples',
    (lists, list) => {
      const triples = list.flatMap((data) => [data, 9, '127.0.0.1']);
      return lists.sendTriples(ID, udp4, triples, undefined, undefined);
    },
  ],
  [
    'of pairs',
    (lists, list) => {
      const pairs = list.flatMap((data) => [data, 'peer']);
      return lists.sendPairs(ID, pairs, () => destination);
    },
  ],
];

for (const [name, send] of forms) {
  // A run that begins at an odd place is still open where the flush ends.
  test(`a list ${name}: a flush has ${STAGED_DATAGRAMS_MAX} datagrams at most, and all of them leave in order`, () => {
    const { lists, flushes } = stagingSender();
    const list = Array.from({ length: 3000 }, (_, i) => Buffer.alloc(i < 3 ? 9 - i : 2, i));
    assert.equal(send(lists, list), list.length);
    assert.deepEqual(
      flushes.map((datagrams) => datagrams.length),
      [STAGED_DATAGRAMS_MAX, STAGED_DATAGRAMS_MAX, 3000 - 2 * STAGED_DATAGRAMS_MAX],
    );
    assert.deepEqual(flushes.flat(), list);
  });

  test(`a list ${name}: a flush has ${STAGED_BYTES_MAX} bytes at most`, () => {
    const { lists, flushes } = stagingSender();
    const list = Array.from({ length: 70 }, (_, i) => Buffer.alloc(16_384, i));
    assert.equal(send(lists, list), list.length);
    const perFlush = STAGED_BYTES_MAX / 16_384;
    assert.deepEqual(
      flushes.map((datagrams) => datagrams.length),
      [perFlush, perFlush, 70 - 2 * perFlush],
    );
    assert.deepEqual(flushes.flat(), list);
  });

  test(`a list ${name}: what is longer than any datagram is taken and counted, and the others leave`, () => {
    const { lists, flushes, refused } = stagingSender();
    const list = [65_535, 65_536, 3].map((length) => Buffer.alloc(length, length));
    assert.equal(send(lists, list), 3);
    assert.deepEqual(flushes.flat(), [list[0], list[2]]);
    assert.deepEqual(refused, [ID]);
  });

  test(`a list ${name}: what it repeats is handed over as often as it stands there, with what stands between`, () => {
    const { lists, flushes } = stagingSender();
    const [a, b, other] = [1, 2, 3].map((n) => Buffer.alloc(40, n));
    const like = Buffer.from(a);
    const runs: [Buffer, number][] = [
      [a, 300],
      [other, 1],
      [a, 64],
      [a, 1],
      [b, 65],
      [like, 129],
      [Buffer.alloc(9), 2],
      [a, 1500],
    ];
    const list = runs.flatMap(([data, times]) => Array<Buffer>(times).fill(data));
    assert.equal(send(lists, list), list.length);
    assert.deepEqual(
      flushes.map((datagrams) => datagrams.length),
      [STAGED_DATAGRAMS_MAX, STAGED_DATAGRAMS_MAX, list.length - 2 * STAGED_DATAGRAMS_MAX],
    );
    assert.deepEqual(flushes.flat(), list);
  });
}

function sendSome(sender: Sender, count: number): void {
  for (let i = 0; i < count; i++) sender.send(ID, destination.to, 9, Buffer.from(`${i}`), true);
}

test('what a tick sends leaves together at its end', async () => {
  const { sender, flushes } = stagingSender(false);
  sendSome(sender, 100);
  assert.equal(flushes.length, 0);
  await nextTurn();
  assert.deepEqual(
    flushes.map((datagrams) => datagrams.length),
    [100],
  );
});

test('after a while with sends and without a tick, they leave all the same', () => {
  const { sender, flushes } = stagingSender(false);
  sendSome(sender, 2);
  for (const end = performance.now() + 30; performance.now() < end; );
  sendSome(sender, 1);
  assert.equal(flushes.length, 0, 'the clock is looked at now and then');
  sendSome(sender, 1);
  assert.deepEqual(
    flushes.map((datagrams) => datagrams.length),
    [4],
  );
});
