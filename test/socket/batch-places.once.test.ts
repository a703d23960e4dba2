// Which datagrams of a record get a place in a batch. The batch reads records that this test has written.
import assert from 'node:assert/strict';
import { D_LENGTH, D_OFFSET, D_SEGMENT_SIZE, DESCRIPTOR_BYTES } from '../../build-lib/backend/layout.js';
import { Batch, type Replier } from '../../build-lib/thread/batch.js';
import { ReceivedRecords } from '../../build-lib/thread/records.js';
import { test } from '../support/test.js';

const PLACES = 2048;

/** A batch, and how to add a record to it. */
function openBatch() {
  const memory = new Uint8Array(2 * PLACES * DESCRIPTOR_BYTES);
  const view = new DataView(memory.buffer);
  const records = new ReceivedRecords(memory);
  const batch = new Batch(records, new Uint8Array(65_536));
  batch.open({} as Replier);
  let n = 0;
  /** `from`: so many bytes of it have been handed out before. */
  const add = (offset: number, length: number, segmentSize: number, from = 0) => {
    const at = n++ * DESCRIPTOR_BYTES;
    view.setUint32(at + D_OFFSET, offset, true);
    view.setUint32(at + D_LENGTH, length, true);
    view.setUint16(at + D_SEGMENT_SIZE, segmentSize, true);
    return batch.add(at >> 2, from);
  };
  const places = (from: number) =>
    Array.from({ length: batch.length - from }, (_, i) => [batch.offset(from + i), batch.size(from + i)]);
  return { batch, add, places };
}

test('a record’s segments lie behind each other, of which the last may be shorter; an empty datagram has a place', () => {
  const { add, places } = openBatch();
  assert.ok(add(100, 25, 10));
  assert.ok(add(200, 0, 0));
  assert.ok(add(300, 7, 0));
  assert.ok(add(400, 20, 10));
  assert.ok(add(500, 25, 10, 10), 'of which one has been handed out');
  assert.deepEqual(places(0), [
    [100, 10],
    [110, 10],
    [120, 5],
    [200, 0],
    [300, 7],
    [400, 10],
    [410, 10],
    [510, 10],
    [520, 5],
  ]);
});

const threes: [what: string, length: number, from: number][] = [
  ['three segments', 30, 0],
  ['three segments, the last of them short', 21, 0],
  ['the last three of ten segments', 100, 70],
];
for (const [what, length, from] of threes) {
  test(`${what} have a place where three are left, and none where two are`, () => {
    for (const left of [3, 2]) {
      const { batch, add } = openBatch();
      for (let i = 0; i < PLACES - left; i++) assert.ok(add(i, 1, 0));
      assert.equal(add(0, length, 10, from), left === 3);
      assert.equal(batch.length, left === 3 ? PLACES : PLACES - 2);
    }
  });
}

test('a full batch has no place for an empty datagram', () => {
  const { batch, add } = openBatch();
  for (let i = 0; i < PLACES; i++) assert.ok(add(i, 0, 0));
  assert.equal(add(0, 0, 0), false);
  assert.equal(batch.length, PLACES);
});
