// What the drains of all threads of an environment may take of one turn of the event loop, and who goes on in the next.
import { type Immediate, setImmediate } from '../base/runtime.js';
import { unheldImmediate } from '../base/unheld.js';
import { Budget } from './budget.js';
import { runTicks } from './run-ticks.js';

export interface Waiter {
  /** Goes on; there is time. */
  run(): void;
  /** Does what it waits for keep the process running? */
  readonly held: boolean;
  /** Is it to go on later? */
  waits: boolean;
}

const waiting = new Set<Waiter>();
let immediate: Immediate | undefined;
let running = false; // the immediate's callback
let afterTimers = false; // that is when it comes

export const budget = new Budget();

/** `waiter` goes on later: in this turn of the event loop if there is time left, else in the next, behind the timers. */
export function goOnLater(waiter: Waiter): void {
  waiting.add(waiter);
  waiter.waits = true;
  arm();
  if (waiter.held) immediate?.ref?.();
}

export function forget(waiter: Waiter): void {
  waiting.delete(waiter);
  waiter.waits = false;
}

// An immediate comes in the same turn of the event loop, before any timer, unless an immediate has set it.
function arm(): void {
  if (immediate !== undefined) return;
  afterTimers = running;
  const held = [...waiting].some(({ held }) => held);
  immediate = held ? setImmediate(onImmediate) : unheldImmediate(onImmediate);
}

function onImmediate(): void {
  immediate = undefined;
  running = true;
  if (afterTimers) budget.renew();
  let next: Waiter | undefined;
  try {
    // Those who wait again come behind those who have not had their turn.
    for (let left = waiting.size; left > 0 && !budget.spent; left--) {
      if (next !== undefined) {
        if (runTicks === undefined) break;
        runTicks(); // between the events of two threads as between those of one
        if (budget.spent) break;
      }
      [next] = waiting as Iterable<Waiter>;
      forget(next);
      next.run();
    }
  } finally {
    if (waiting.size > 0) arm();
    running = false;
  }
}
