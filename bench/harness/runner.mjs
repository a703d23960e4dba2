import { setTimeout as sleep } from 'node:timers/promises';
import { NotAvailable } from './child.mjs';
import { evaluate } from './goals.mjs';
import { kinds } from './kinds/index.mjs';
import { checkPeer } from './peers.mjs';
import { summarize } from './statistics.mjs';

const FAILURES_MAX = 2;
const PAUSE_MS = 50; // the kernel frees the sockets of the program before

/**
 * One scenario with its rounds and times decided, and room for what is measured.
 * @param {import('../scenarios/entry.mjs').Scenario[]} selected
 * @param {import('./cli.mjs').Options} options
 */
export function plan(selected, options) {
  const availability = new Map();
  return selected.map((scenario) => ({
    scenario,
    rounds: scenario.rounds ?? options.rounds ?? (scenario.series ? 3 : 5),
    seconds:
      (options.quick ? (scenario.quickSeconds ?? scenario.seconds) : scenario.seconds) ??
      options.seconds ??
      (scenario.series ? 1 : 2),
    programs: scenario.entries.map((entry) => {
      if (!availability.has(entry.peer)) availability.set(entry.peer, checkPeer(entry.peer));
      const { version, reason } = availability.get(entry.peer);
      return { entry, version, unavailable: reason, failures: [], samples: [] };
    }),
  }));
}

/** @returns {number} runs in all */
export function totalOf(work) {
  return work.reduce((sum, { rounds, programs }) => sum + rounds * programs.length, 0);
}

/**
 * Round by round over all scenarios, and inside a scenario program by program: what drifts on the
 * machine meets all of them. Each round begins with another program.
 */
export async function run(work, options, progress, stopped) {
  const roundsMax = Math.max(...work.map(({ rounds }) => rounds));
  for (let round = 0; round < roundsMax; round++) {
    for (const { scenario, rounds, seconds, programs } of work) {
      if (round >= rounds) continue;
      for (let i = 0; i < programs.length; i++) {
        const program = programs[(i + round) % programs.length];
        progress.begin(scenario, program.entry, round);
        if (isWorthRunning(program)) {
          const times = { seconds, warmupSeconds: options.warmupSeconds };
          await measure(scenario, program, round, times, stopped);
        }
        if (stopped.aborted) return work.map(resultOf);
        progress.done(scenario, program);
      }
    }
  }
  return work.map(resultOf);
}

function isWorthRunning({ unavailable, failures, samples }) {
  return !unavailable && (failures.length < FAILURES_MAX || samples.length > 0);
}

async function measure(scenario, program, round, times, stopped) {
  try {
    const metrics = await kinds[scenario.kind](scenario, program.entry, times);
    program.samples.push({ round, ...metrics });
  } catch (error) {
    if (stopped.aborted) return; // we ended it ourselves
    if (error instanceof NotAvailable) program.unavailable = error.message;
    else program.failures.push(error.message);
  }
  await sleep(PAUSE_MS);
}

/** What results.json holds of one scenario. */
function resultOf({ scenario, rounds, seconds, programs }) {
  const { id, title, kind, show, load, sink, goals, series } = scenario;
  const results = programs.map(({ entry, version, unavailable, failures, samples }) => ({
    ...entry,
    version,
    notAvailable: samples.length > 0 ? undefined : (unavailable ?? failures[0] ?? 'the run ended before its turn'),
    failures,
    summary: summaryOf(samples),
    samples,
  }));
  const byName = Object.fromEntries(results.map((result) => [result.name, result]));
  return {
    id,
    title,
    kind,
    show,
    load,
    sink,
    series,
    rounds,
    seconds,
    goals: goals.map((goal) => ({ ...goal, ...evaluate(goal, byName) })),
    entries: results,
  };
}

function summaryOf(samples) {
  const summary = {};
  for (const name of new Set(samples.flatMap(Object.keys))) {
    if (name === 'round' || name === 'raw') continue;
    const summarized = summarize(samples.map((sample) => sample[name]));
    if (summarized) summary[name] = summarized;
  }
  return summary;
}
