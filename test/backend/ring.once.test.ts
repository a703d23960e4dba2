// The ring that JavaScript fills by itself, against the reader of lib/thread/.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Host } from '../../build-lib/backend/fallback/hosts.js';
import { RxRing } from '../../build-lib/backend/fallback/ring.js';
import {
  C_BASE,
  C_CROWDING,
  C_HEAD,
  C_TAIL,
  C_WAKE_PENDING,
  KIND_DATAGRAM,
  KIND_SENT,
} from '../../build-lib/backend/layout.js';
import { allocateThreadMemory } from '../../build-lib/thread/memory.js';
import { ReceivedRecords } from '../../build-lib/thread/records.js';
import { test } from '../support/test.js';

const SLOTS = 8;
const ARENA = 64;
const from = new Host('127.0.0.1', 3);

/** What was put into the ring and is not taken yet. */
type Expected = { kind: 'datagram'; payload: Buffer; kept: number } | { kind: 'sent'; number: number };

class Pair {
  readonly memory = allocateThreadMemory(SLOTS, ARENA, 1, 1);
  readonly records = new ReceivedRecords(this.memory.descriptors);
  readonly expected: Expected[] = [];
  wakeUps = 0;
  readonly ring = new RxRing(this.memory, () => this.wakeUps++);
  #number = 0;

  get #control(): Int32Array {
    return this.memory.control;
  }

  put(length: number, kept: number): boolean {
    const payload = Buffer.alloc(length, ++this.#number);
    const done = this.ring.datagram(1, from, 9, payload, kept);
    if (done) this.expected.push({ kind: 'datagram', payload, kept });
    return done;
  }

  notice(): boolean {
    const number = ++this.#number;
    const done = this.ring.notice(1, KIND_SENT, -5, number);
    if (done) this.expected.push({ kind: 'sent', number });
    return done;
  }

  /** All that is there is what was put, however often one looks; `count` of it are given back. */
  take(count: number): void {
    const { records, expected } = this;
    const tail = this.#control[C_TAIL >> 2];
    assert.equal((this.#control[C_HEAD >> 2] - tail) | 0, expected.length);
    expected.forEach((each, i) => {
      const at = records.at((tail + i) | 0, this.#control[C_BASE >> 2]);
      assert.equal(records.socketId(at), 1);
      if (each.kind === 'sent') {
        assert.deepEqual([records.kind(at), records.result(at), records.sendNumber(at)], [KIND_SENT, -5, each.number]);
        return;
      }
      const offset = records.offset(at);
      assert.equal(records.kind(at), KIND_DATAGRAM);
      assert.deepEqual([records.address(at), records.family(at), records.port(at)], ['127.0.0.1', 4, 9]);
      assert.deepEqual(
        Buffer.from(this.memory.arena.subarray(offset, offset + records.length(at))),
        each.payload.subarray(0, each.kept),
      );
      assert.equal(records.truncated(at), each.kept < each.payload.length);
      assert.equal(records.size(at), each.payload.length);
    });
    expected.splice(0, count);
    this.#control[C_TAIL >> 2] = (tail + Math.min(count, (this.#control[C_HEAD >> 2] - tail) | 0)) | 0;
  }
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.nat(ARENA), fc.nat(ARENA)).map(([length, cut]) => ({ length, cut })) },
  { weight: 1, arbitrary: fc.constant('notice' as const) },
  { weight: 3, arbitrary: fc.nat(SLOTS) },
);

test('whatever is put in comes out as it was, until it is given back (property)', () => {
  let refused = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const pair = new Pair();
      for (const each of steps) {
        if (typeof each === 'number') pair.take(each);
        else if (each === 'notice') pair.notice();
        else if (!pair.put(each.length, Math.min(each.length, each.cut))) refused++;
        pair.take(0);
      }
      pair.take(SLOTS);
      assert.ok(pair.put(ARENA, ARENA), 'an empty ring has room for all that it can hold');
    }),
    { numRuns: 1000 },
  );
  assert.ok(refused > 100, 'it was full now and then');
});

test('the reader is woken once, until it has cleared the flag', () => {
  const pair = new Pair();
  pair.put(1, 1);
  pair.put(1, 1);
  assert.equal(pair.wakeUps, 1);
  pair.memory.control[C_WAKE_PENDING >> 2] = 0;
  pair.notice();
  assert.equal(pair.wakeUps, 2);
});

test('who crowds leaves the last quarter to others, unless the ring is empty', () => {
  const pair = new Pair();
  pair.memory.control[C_CROWDING >> 2] = 1;
  const puts = () => {
    let count = 0;
    while (!pair.ring.yields(1) && pair.put(4, 4)) count++;
    return count;
  };
  assert.equal(puts(), (SLOTS / 4) * 3 + 1, 'records');
  assert.equal(pair.ring.yields(2), false);
  pair.take(SLOTS);
  assert.equal(pair.ring.yields(1), false);
  pair.put(ARENA, ARENA);
  assert.equal(pair.ring.yields(1), true, 'bytes');
});
