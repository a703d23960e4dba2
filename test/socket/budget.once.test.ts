// How often a drain looks at the clock, and when a thread that waits for room is told of it.
import assert from 'node:assert/strict';
import { C_HEAD, C_PRODUCER_WAITING, C_TAIL, CONTROL_BYTES } from '../../build-lib/backend/layout.js';
import { Budget } from '../../build-lib/thread/budget.js';
import { ReturnedRecords } from '../../build-lib/thread/returned-records.js';
import { test } from '../support/test.js';

/** Events until the next look at the clock. */
function untilLook(budget: Budget): number {
  let events = 1;
  while (!budget.due()) events++;
  budget.look();
  return events;
}

function work(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

test('the clock is looked at after 1, 2, 4, … events, at most 64, and that after 4000 quick ones', () => {
  const budget = new Budget();
  let events = 0;
  let most = 0;
  for (let i = 0; most < 64 && i < 1_000_000; i++) {
    if (i % 8 === 0) budget.begin();
    const count = untilLook(budget);
    assert.ok(Number.isInteger(Math.log2(count)), `${count}`);
    if (count > most) most = count;
    events += count;
  }
  assert.equal(most, 64);
  assert.ok(events > 4000, `${events}`);
  for (let i = 0; i < 10_000; i++) assert.ok(untilLook(budget) <= 64);
});

test('a few hundred quick events are enough to look less often', () => {
  const learnt = Array.from({ length: 20 }, () => {
    const budget = new Budget();
    budget.begin();
    let most = 0;
    for (let looks = 0; looks < 800; looks++) most = Math.max(most, untilLook(budget));
    return most;
  });
  // The system may have stopped us in the midst of some.
  assert.ok(learnt.filter((most) => most === 64).length >= 10, learnt.join());
});

test('as soon as events took a millisecond each is looked at', () => {
  const budget = new Budget();
  budget.begin();
  for (let i = 0; i < 10_000 || untilLook(budget) < 64; i++) untilLook(budget);
  work(2);
  untilLook(budget); // it finds that
  for (let i = 0; i < 60; i++) assert.equal(untilLook(budget), 1, 'until they have proved quick again');
});

test('a thread that found the ring full is told when an eighth of it was given back, and once', () => {
  const control = new Int32Array(new SharedArrayBuffer(CONTROL_BYTES));
  let told = 0;
  const returned = new ReturnedRecords(control, () => told++);
  const waits = () => {
    control[C_PRODUCER_WAITING >> 2] = 1;
  };
  control[C_HEAD >> 2] = 800;
  returned.upTo(1);
  assert.deepEqual([control[C_TAIL >> 2], told], [1, 0], 'nobody waits');
  waits();
  for (let tail = 2; tail < 101; tail++) returned.upTo(tail);
  assert.equal(told, 0);
  returned.upTo(101);
  assert.equal(told, 1);
  returned.upTo(799);
  assert.equal(told, 1, 'it does not wait any more');
  waits();
  returned.upTo(800);
  assert.equal(told, 2, 'the ring is empty');
});
