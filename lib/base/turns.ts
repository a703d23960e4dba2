// Calls that change one thing take effect one after the other.

interface Gathered<Item> {
  readonly item: Item;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

export class Turns {
  #latest: Promise<unknown> = Promise.resolve();
  #gathered: Gathered<unknown>[] | undefined; // of the action that waits last, and has not begun
  #offer: AbortController | undefined;

  /** Runs the action once those before it have ended. What is on offer to another process, and may be taken back, is: so that a
   * change does not wait for somebody who says nothing, and is handed over, too. */
  change<Result>(action: () => Result | Promise<Result>): Promise<Result> {
    this.#offer?.abort();
    return this.run(action);
  }

  /** The same, and an offer stays. */
  run<Result>(action: () => Result | Promise<Result>): Promise<Result> {
    this.#gathered = undefined;
    const done = this.#latest.then(action);
    this.#latest = done.catch(() => {}); // the caller has the rejected promise
    return done;
  }

  /** As change(). Calls with nothing else between them are one action, if it has not begun when they come: it gets what all of them
   * have given, in order, and says what becomes of each. `action` is the same in all calls. */
  gather<Item>(
    item: Item,
    action: (items: readonly Item[]) => Promise<readonly PromiseSettledResult<void>[]>,
  ): Promise<void> {
    this.#offer?.abort();
    this.#gathered ??= this.#gather(action);
    const gathered = this.#gathered;
    return new Promise((resolve, reject) => void gathered.push({ item, resolve, reject }));
  }

  // Who has called is told before the next action begins.
  #gather<Item>(action: (items: readonly Item[]) => Promise<readonly PromiseSettledResult<void>[]>) {
    const gathered: Gathered<unknown>[] = [];
    void this.run(async () => {
      if (this.#gathered === gathered) this.#gathered = undefined;
      const results = await action(gathered.map(({ item }) => item as Item));
      results.forEach((result, i) => {
        if (result.status === 'fulfilled') gathered[i].resolve();
        else gathered[i].reject(result.reason);
      });
    });
    return gathered;
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
