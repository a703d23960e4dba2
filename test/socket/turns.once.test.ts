// In which order a drain serves its sockets, when it gives records back, and who comes before it in the next turn of the
// event loop. The receiver reads a ring that this test has written.
import assert from 'node:assert/strict';
import { stat } from 'node:fs';
import {
  C_HEAD,
  C_TAIL,
  CONTROL_BYTES,
  D_KIND,
  D_SOCKET_ID,
  DESCRIPTOR_BYTES,
  KIND_ERROR,
} from '../../build-lib/backend/layout.js';
import type { Endpoint } from '../../build-lib/thread/endpoint.js';
import { Receiver } from '../../build-lib/thread/receiver.js';
import { budget, goOnLater } from '../../build-lib/thread/turns.js';
import { test } from '../support/test.js';
import { nextTurn, waitFor } from '../support/wait.js';

const SLOTS = 64;

function work(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

/** A receiver of these records, each an error of the socket in that slot; `onRecord` is called for each. The first
 * `published` are there, further ones once `control` says so. */
function receiverOf(
  slots: number[],
  onRecord: (slot: number, control: Int32Array) => void,
  afterDrain = () => {},
  published = slots.length,
): Receiver {
  const control = new Int32Array(new SharedArrayBuffer(CONTROL_BYTES));
  const descriptors = new Uint8Array(SLOTS * DESCRIPTOR_BYTES);
  const words = new Uint32Array(descriptors.buffer);
  slots.forEach((slot, i) => {
    words[(i * DESCRIPTOR_BYTES + D_SOCKET_ID) >> 2] = slot;
    descriptors[i * DESCRIPTOR_BYTES + D_KIND] = KIND_ERROR;
  });
  control[C_HEAD >> 2] = published;
  const endpoints: (Endpoint | undefined)[] = [];
  for (const slot of new Set(slots)) {
    endpoints[slot] = {
      id: slot,
      pooled: false,
      onDatagram: () => assert.fail('there is none'),
      onReceiveError: () => onRecord(slot, control),
    };
  }
  const memory = {
    control,
    descriptors,
    arena: new Uint8Array(64),
    txDescriptors: new Uint8Array(0),
    txSources: new Uint8Array(0),
    txArena: new Uint8Array(0),
  };
  return new Receiver(memory, endpoints, {
    answers: { flush: afterDrain },
    resume() {},
    alone: () => new Set(slots).size === 1,
    held: () => true,
  });
}

test('records go back to the thread while a drain still works', async () => {
  const tails = [new Set<number>()]; // that each drain saw
  let seen = 0;
  const receiver = receiverOf(
    Array(SLOTS - 1).fill(1),
    (_, control) => {
      seen++;
      tails.at(-1)?.add(control[C_TAIL >> 2]);
    },
    () => tails.push(new Set()),
  );
  receiver.drain();
  await waitFor(() => seen === SLOTS - 1);
  assert.ok(
    tails.some(({ size }) => size > 1),
    tails.map((each) => [...each].join(' ')).join(', '),
  );
});

/** What happens when a listener works so long, and another record comes meanwhile. */
async function orderWhereOneComes(ms: number): Promise<string[]> {
  await nextTurn(); // a drain may not begin in a turn whose time is up
  await nextTurn();
  const order: string[] = [];
  const receiver = receiverOf(
    [1, 1],
    (_, control) => {
      order.push('record');
      if (order.length > 1) return;
      process.nextTick(() => order.push('tick'));
      setImmediate(() => order.push('immediate'));
      work(ms);
      Atomics.store(control, C_HEAD >> 2, 2);
    },
    () => {},
    1,
  );
  receiver.drain();
  await waitFor(() => order.length === 4);
  return order;
}

test('a record that comes while a drain works is handed out behind the ticks of the listener, and at once', async () => {
  let order: string[] = [];
  // On a busy machine the time may be up by itself.
  for (let i = 0; i < 50 && order[3] !== 'immediate'; i++) {
    order = await orderWhereOneComes(0);
    assert.ok(order.indexOf('tick') < order.lastIndexOf('record'), order.join(', '));
  }
  assert.deepEqual(order, ['record', 'tick', 'record', 'immediate']);
});

test('a record that comes while a drain works waits for a turn of its own once the time is up', async () => {
  for (let i = 0; i < 5; i++) {
    assert.deepEqual(await orderWhereOneComes(5), ['record', 'tick', 'immediate', 'record']);
  }
});

test('once the time was up sockets take turns: the one that used it up comes last, and none has more than its share', async () => {
  const served: number[] = [];
  const receiver = receiverOf([1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3], (slot) => {
    served.push(slot);
    work(served.length === 1 ? 5 : 0.3); // all of a turn's time, then more than a share
  });
  receiver.drain();
  await waitFor(() => served.length === 15);
  assert.deepEqual(served.slice(0, 12), [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3], 'while all have something');
});

test('who has used up the time of a turn goes on behind the timers', async () => {
  // The receivers of the tests before had used up their last turn's time, too: their immediate begins a new one.
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
  for (let i = 0; i < 5; i++) {
    const order: string[] = [];
    // Not a timer's callback: those come before the immediates of the same turn.
    stat('.', () => {
      setTimeout(() => order.push('timer'), 1);
      budget.begin();
      work(5);
      budget.end();
      goOnLater({ run: () => order.push('drain'), held: true, waits: false });
    });
    await waitFor(() => order.length === 2);
    assert.deepEqual(order, ['timer', 'drain']);
  }
});
