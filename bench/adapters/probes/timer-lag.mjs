const EVERY_MS = 10;

/** How late a 10 ms timer fires while datagrams pour in. */
export function timerLag() {
  /** @type {number[]} */
  let lags = [];
  let timer;

  function arm() {
    const due = performance.now() + EVERY_MS;
    timer = setTimeout(() => {
      lags.push(performance.now() - due);
      arm();
    }, EVERY_MS);
  }

  return {
    start() {
      lags = [];
      clearTimeout(timer);
      arm();
    },
    stop() {
      clearTimeout(timer);
      lags.sort((a, b) => a - b);
      return {
        lagWorstMs: lags.at(-1) ?? null,
        lagMedianMs: lags[lags.length >> 1] ?? null,
        timersFired: lags.length,
      };
    },
  };
}
