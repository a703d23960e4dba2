// Calls that change one thing take effect one after the other.

export class Turns {
  #latest: Promise<unknown> = Promise.resolve();
  #offer: AbortController | undefined;

  /** Runs the action once those before it have ended. What is on offer to another process, and may be taken back, is: so that a
   * change does not wait for somebody who says nothing, and is handed over, too. */
  change<Result>(action: () => Result | Promise<Result>): Promise<Result> {
    this.#offer?.abort();
    return this.run(action);
  }

  /** The same, and an offer stays. */
  run<Result>(action: () => Result | Promise<Result>): Promise<Result> {
    const done = this.#latest.then(action);
    this.#latest = done.catch(() => {}); // the caller has the rejected promise
    return done;
  }

  /** Offers it to another process; `changing`: something is to change first. One at a time. */
  offer<Result>(action: (changing: AbortSignal) => Promise<Result>): Promise<Result> {
    const offer = new AbortController();
    this.#offer = offer;
    return this.run(() => action(offer.signal)).finally(() => {
      this.#offer = undefined;
    });
  }
}
