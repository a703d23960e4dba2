// Gives consumed records of the receive ring back to the thread, and wakes it when it waits for that.
import { C_HEAD, C_PRODUCER_WAITING, C_TAIL } from '../backend/layout.js';

export class ReturnedRecords {
  readonly #control: Int32Array;
  readonly #resume: () => void;
  #resumeAt: number | undefined; // while the thread waits for room: the record that has to be consumed before

  /** `resume` tells the native thread that the ring has room. */
  constructor(control: Int32Array, resume: () => void) {
    this.#control = control;
    this.#resume = resume;
  }

  /** All records before `tail` are consumed. A thread that found the ring full is woken when an eighth of it is free: for
   * each bit of room it would come and go once a datagram. */
  upTo(tail: number): void {
    const control = this.#control;
    if (control[C_TAIL >> 2] === tail) return;
    Atomics.store(control, C_TAIL >> 2, tail);
    if (Atomics.load(control, C_PRODUCER_WAITING >> 2) === 0) {
      this.#resumeAt = undefined;
      return;
    }
    const left = (Atomics.load(control, C_HEAD >> 2) - tail) | 0;
    this.#resumeAt ??= (tail + (left >> 3)) | 0;
    if (left > 0 && ((this.#resumeAt - tail) | 0) > 0) return;
    this.#resumeAt = undefined;
    if (Atomics.exchange(control, C_PRODUCER_WAITING >> 2, 0) === 1) this.#resume();
  }
}
