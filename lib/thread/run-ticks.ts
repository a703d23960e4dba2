// What has to happen between two events of one turn of the event loop: nextTicks and microtasks run, as Node runs them
// between two timers.

import { tickCallback } from '../base/runtime.js';

type TickCallback = () => void;

// Under --pending-deprecation process._tickCallback is util.deprecate()'s wrapper (DEP0134), whose prototype is the
// function that it wraps; a function that wraps nothing has Function.prototype, whose own prototype is no function.
function withoutWarning(callback: TickCallback | undefined): TickCallback | undefined {
  let found = callback;
  while (typeof found === 'function') {
    const wrapped: TickCallback = Object.getPrototypeOf(found);
    if (typeof Object.getPrototypeOf(wrapped) !== 'function') break;
    found = wrapped;
  }
  return found;
}

/** Runs what is queued; it costs next to nothing when nothing is. Undefined where the runtime has no such function: then
 * each event needs a turn of the event loop of its own. */
export const runTicks = withoutWarning(tickCallback);
