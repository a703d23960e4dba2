// Selects, runs, reports. `node bench/main.mjs --help` lists the options.

import { endAllChildren } from './harness/child.mjs';
import { parseOptions } from './harness/cli.mjs';
import { describeMachine } from './harness/machine.mjs';
import { createProgress } from './harness/progress.mjs';
import { report } from './harness/report/index.mjs';
import { readResults } from './harness/report/results-file.mjs';
import { plan, run, totalOf } from './harness/runner.mjs';
import { select } from './harness/selection.mjs';
import { scenarios } from './scenarios/index.mjs';

const options = parseOptions();

if (options.report) {
  report(readResults(options.report), options.out);
  process.exit(0);
}

const selected = select(scenarios, options);
if (options.list) {
  for (const { id, title } of selected) console.log(`${id.padEnd(32)} ${title}`);
  process.exit(0);
}
if (selected.length === 0) {
  console.error('no scenario has that name: see --list');
  process.exit(1);
}

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    if (stopping.signal.aborted) process.exit(130);
    console.error('\nstopping: what was measured so far is reported');
    stopping.abort();
    endAllChildren();
  });
}
process.on('exit', endAllChildren);

const machine = describeMachine();
if (machine.loadAverage[0] > 0.5) {
  console.error(`this machine is busy (load average ${machine.loadAverage[0].toFixed(1)}): figures will suffer`);
}
const work = plan(selected, options);
const progress = createProgress(totalOf(work));
const measured = await run(work, options, progress, stopping.signal);
progress.stop();

const { rounds, seconds, warmupSeconds, quick } = options;
const results = {
  machine,
  options: { rounds, seconds, warmupSeconds, quick },
  finished: new Date().toISOString(),
  complete: !stopping.signal.aborted,
  scenarios: measured,
};
report(results, options.out);
process.exit(0);
