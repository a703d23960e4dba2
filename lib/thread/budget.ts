// How long listeners may keep the event loop from everything else: timers, other sockets, answers.
import { now } from '../base/runtime.js';

/** The share of one turn of the event loop, whatever number of drains it consists of. */
const BUDGET_MS = 0.4;
/** Drains closer to each other than this belong to one turn. */
const SAME_TURN_MS = 0.05;

/** How many events between two looks at the clock at most, a power of two: a look costs as much as a tenth of a cheap
 * event. */
const EVENTS_MAX = 64;
/** Events that took longer, together, are looked at one by one again … */
const SLOW_MS = 0.25;
/** … until so many looks in a row were quick: then twice as many may pass unseen. */
const CALM_LOOKS = 64;

const DEADLINE = 0;
const ENDED = 1;
const LOOKED = 2;

/** After each event: is the time up? The clock is looked at after 1, 2, 4, … events, up to as many as the listeners of
 * late have proved quick enough for. */
export class Budget {
  readonly #times = new Float64Array(3); // fields that are no small integers are allocated anew whenever they are set
  #every = 1;
  #left = 1; // events until the next look
  #everyMax = 1;
  #calm = 0;

  /** A drain begins. `turn`: with a turn of the event loop. False: this turn's time is up. */
  begin(turn: boolean): boolean {
    const at = now();
    const pause = at - this.#times[ENDED];
    this.#times[DEADLINE] = turn || pause > SAME_TURN_MS ? at + BUDGET_MS : this.#times[DEADLINE] + pause;
    this.#times[LOOKED] = at;
    this.#every = 1;
    this.#left = 1;
    return at < this.#times[DEADLINE];
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

  end(): void {
    this.#times[ENDED] = now();
  }

  #learn(ms: number): void {
    if (ms > SLOW_MS) {
      this.#every = this.#everyMax = 1;
      this.#calm = 0;
    } else if (this.#every < this.#everyMax) {
      this.#every *= 2;
    } else if (this.#everyMax < EVENTS_MAX && ++this.#calm === CALM_LOOKS) {
      this.#everyMax *= 2;
      this.#calm = 0;
    }
  }
}
