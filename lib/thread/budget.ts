// How long listeners may keep the event loop from everything else: timers, other sockets, answers.
import { now } from '../base/runtime.js';

/** The share of one turn of the event loop, whatever number of drains it consists of. */
const BUDGET_MS = 0.8;
/** Drains closer to each other than this may belong to one turn. */
const SAME_TURN_MS = 1;
/** A socket's share of that, where several have something to do. */
const SHARE_MS = 0.2;

/** How many events between two looks at the clock at most, a power of two: a look costs as much as a tenth of a cheap
 * event. */
const EVENTS_MAX = 64;
/** Events that took longer, together, are looked at one by one again (it may have been the garbage collector) … */
const SLOW_MS = 1;
/** … until so many looks found that the events before were quick: then twice as many may pass unseen. */
const QUICK_MS = 0.25;
const QUICK_LOOKS = 64;

const DEADLINE = 0;
const ENDED = 1;
const LOOKED = 2;
const SHARE_END = 3;

/** After each event: is the time up? The clock is looked at after 1, 2, 4, … events, up to as many as the listeners of
 * late have proved quick enough for. */
export class Budget {
  readonly #times = new Float64Array(4); // fields that are no small integers are allocated anew whenever they are set
  #every = 1;
  #left = 1; // events until the next look
  #everyMax = 1;
  #quick = 0; // looks
  /** This turn's time is up. */
  spent = false;

  /** The event loop has been elsewhere. */
  renew(): void {
    this.spent = false;
    this.#times[ENDED] = 0;
  }

  /** A drain begins; the time is not up. */
  begin(): void {
    const at = now();
    const pause = at - this.#times[ENDED];
    this.#times[DEADLINE] = pause > SAME_TURN_MS ? at + BUDGET_MS : this.#times[DEADLINE] + pause;
    this.#times[LOOKED] = at;
    this.#times[SHARE_END] = at + SHARE_MS;
    this.#every = 1;
    this.#left = 1;
  }

  /** Counts an event. True: it is time to look at the clock. */
  due(): boolean {
    return --this.#left <= 0;
  }

  /** Looks at the clock. True: the time is up. */
  look(): boolean {
    const at = now();
    this.#learn(at - this.#times[LOOKED]);
    this.#times[LOOKED] = at;
    this.#left = this.#every;
    return at >= this.#times[DEADLINE];
  }

  /** As of the latest look: has the socket whose turn it is had its share? Then another one begins. */
  shareEnded(): boolean {
    const at = this.#times[LOOKED];
    if (at < this.#times[SHARE_END]) return false;
    this.#times[SHARE_END] = at + SHARE_MS;
    return true;
  }

  end(): void {
    this.#times[ENDED] = now();
    this.spent = this.#times[ENDED] >= this.#times[DEADLINE];
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
