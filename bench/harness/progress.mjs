import cliProgress from 'cli-progress';
import { metrics } from './metrics.mjs';
import { reasonOf } from './report/format.mjs';

/** A bar on a terminal; elsewhere a line for each measurement, so that a log can be followed. */
export function createProgress(total) {
  return process.stderr.isTTY ? barProgress(total) : lineProgress(total);
}

function barProgress(total) {
  const bar = new cliProgress.SingleBar(
    {
      format: '{bar} {value}/{total} · {eta_formatted} left · round {round} · {what}',
      clearOnComplete: true,
      hideCursor: true,
      etaBuffer: 50,
    },
    cliProgress.Presets.shades_classic,
  );
  bar.start(total, 0, { round: 1, what: '' });
  return {
    begin: (scenario, entry, round) => bar.update({ round: round + 1, what: `${scenario.id} · ${entry.name}` }),
    done: () => bar.increment(),
    stop: () => bar.stop(),
  };
}

function lineProgress(total) {
  let done = 0;
  return {
    begin() {},
    done(scenario, program) {
      done++;
      console.error(`${done}/${total} ${scenario.id} · ${program.entry.name}: ${lastOf(scenario, program)}`);
    },
    stop() {},
  };
}

function lastOf({ show }, { unavailable, failures, samples }) {
  const sample = samples.at(-1);
  if (!sample) return unavailable ? `not available: ${unavailable}` : `failed: ${reasonOf(failures.at(-1))}`;
  return show
    .filter((name) => Number.isFinite(sample[name]))
    .map((name) => `${metrics[name].format(sample[name])} ${metrics[name].label}`)
    .join(' · ');
}
