// An immediate that keeps no program running.
import { clearInterval, type Immediate, setImmediate, setInterval } from './runtime.js';

/** Calls back behind this turn of the event loop. That alone does not keep the program running; as long as something else does, it
 * comes: for an immediate that was unref'd the loop does not look at the clock, and sleeps until something happens. */
export function unheldImmediate(callback: () => void): Immediate {
  const pulse = setInterval(() => {}, 1);
  (pulse as Partial<typeof pulse>).unref?.(); // there is none where timers are numbers
  const immediate = setImmediate(() => {
    clearInterval(pulse);
    callback();
  });
  immediate.unref?.();
  return immediate;
}
