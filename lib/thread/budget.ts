// How long listeners may keep the event loop from everything else: timers, other sockets, answers.
import { now } from '../base/runtime.js';

/** The share of one turn of the event loop, whatever number of drains it consists of. */
const BUDGET_MS = 0.4;
/** Drains closer to each other than this may belong to one turn. */
const SAME_TURN_MS = 1;

/** How many events between two looks at the clock at most, a power of two: a look costs as much as a tenth of a cheap
 * event. */
const EVENTS_MAX = 64;
/** Events that took longer, together, are looked at one by one again (it may have been the garbage collector) … */
const SLOW_MS = 1;
/** … until so many looks found that the events before were quick: then twice as many may pass unseen. */
const QUICK_MS = 0.25;
const QUICK_LOOKS = 256;

const DEADLINE = 0;
const ENDED = 1;
const LOOKED = 2;

/** After each event: is the time up? The clock is looked at after 1, 2, 4, … events, up to as many as the listeners of
 * late have proved quick enough for. */
export class Budget {
  readonly #times = new Float64Array(3); // fields that are no small integers are allocated anew whenever they are set
  #spent = false;
  #every = 1;
  #left = 1; // events until the next look
  #everyMax = 1;
  #quick = 0; // looks

  /** A drain begins. `newTurn`: the event loop has been elsewhere since the last. False: this turn's time is up. */
  begin(newTurn: boolean): boolean {
    if (this.#spent && !newTurn) return false;
    this.#spent = false;
    const at = now();
    const pause = at - this.#times[ENDED];
    this.#times[DEADLINE] = newTurn || pause > SAME_TURN_MS ? at + BUDGET_MS : this.#times[DEADLINE] + pause;
    this.#times[LOOKED] = at;
    this.#every = 1;
    this.#left = 1;
    return true;
  }

  /** Counts an event. True: it is time to look at the clock, `spent()`. */
  due(): boolean {
    return --this.#left <= 0;
  }

  spent(): boolean {
    const at = now();
    this.#learn(at - this.#times[LOOKED]);
    this.#times[LOOKED] = at;
    this.#left = this.#every;
    return at >= this.#times[DEADLINE];
  }

  /** The drain ends. True: it has used up what this turn has. */
  end(): boolean {
    this.#times[ENDED] = now();
    this.#spent = this.#times[ENDED] >= this.#times[DEADLINE];
    return this.#spent;
  }

  #learn(ms: number): void {
    if (ms > SLOW_MS) {
      this.#every = this.#everyMax = 1;
      this.#quick = 0;
    } else if (ms < QUICK_MS) {
      if (this.#every < this.#everyMax) {
        this.#every *= 2;
      } else if (this.#everyMax < EVENTS_MAX && ++this.#quick === QUICK_LOOKS) {
        this.#everyMax *= 2;
        this.#quick = 0;
      }
    }
  }
}
