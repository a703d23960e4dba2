/**
 * Keeps the event loop busy once, in the middle of the load.
 * @param {{ blockAfterMs?: number, blockMs?: number }} options
 */
export function blockedLoop({ blockAfterMs = 500, blockMs = 500 }) {
  let blockedMs = 0;
  let timer;
  return {
    start() {
      blockedMs = 0;
      timer = setTimeout(() => {
        const from = performance.now();
        while (performance.now() - from < blockMs);
        blockedMs = performance.now() - from;
      }, blockAfterMs);
    },
    stop() {
      clearTimeout(timer);
      return { blockedMs };
    },
  };
}
