// Plays scenarios: node main.js SEED RUNS [PATH]. Prints a line of JSON: how many were played, what was seen, and the
// smallest one found that fails, if there is any. Before each chunk a line with its seed: for one who does not end.
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { kept } from './kept.js';
import { play } from './play.js';
import { scenarios } from './scenario.js';
import { world } from './world.js';

/** After so many the event loop gets a turn: objects of native code are given up there. */
const CHUNK = 500;

const [seed, runs] = process.argv.slice(2, 4).map(Number);
const path = process.argv[4];

/** Why it fails, if it does. */
function failureOf(name: string): object | undefined {
  try {
    play(kept[name]);
    return undefined;
  } catch (error) {
    return { seed, error: `${name}: ${(error as Error).stack}`, scenario: kept[name] };
  }
}

const property = fc.property(scenarios, play);
let played = 0;
let failure = path === undefined ? Object.keys(kept).map(failureOf).find(Boolean) : undefined;
for (let chunk = 0; played < runs && failure === undefined; chunk++) {
  const numRuns = Math.min(CHUNK, runs - played);
  const own = seed + chunk;
  console.log(JSON.stringify({ seed: own }));
  const found = fc.check(property, path === undefined ? { seed: own, numRuns } : { seed, path, numRuns: 1 });
  played += found.numRuns;
  if (found.failed) {
    const { counterexample, counterexamplePath, numShrinks, errorInstance } = found;
    const error = errorInstance instanceof Error ? errorInstance.stack : String(errorInstance);
    failure = {
      seed: path === undefined ? own : seed,
      path: counterexamplePath,
      numShrinks,
      error,
      scenario: counterexample?.[0],
    };
  }
  await setImmediate();
}
console.log(JSON.stringify({ played, seen: world.seen, failure }));
