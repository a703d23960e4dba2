import { lossesOf } from '../losses.mjs';
import { metrics } from '../metrics.mjs';
import {
  factorOf,
  formatFactor,
  goalText,
  LOSS_HEAD,
  lossCells,
  measuredText,
  nameWithRemarks,
  reasonOf,
  verdict,
  withSpread,
} from './format.mjs';

/** The run as a page: the machine, the goals, and a table for each scenario. */
export function markdownOf({ machine, options, scenarios, complete }) {
  return `${[
    '# Benchmark results',
    machineText(machine, options, complete),
    ...goalsSection(scenarios),
    lossesSection(scenarios),
    ...scenarios.filter(({ series }) => !series).map(scenarioSection),
  ].join('\n\n')}\n`;
}

export function machineText(machine, options, complete) {
  const changed = machine.uncommittedChanges ? ' with uncommitted changes' : '';
  const versions = Object.entries(machine.versions)
    .filter(([, version]) => version)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ');
  return [
    `${machine.cores} × ${machine.cpu}, ${machine.kernel}, ${machine.started.slice(0, 10)}, commit \`${machine.commit?.slice(0, 12)}\`${changed}.`,
    `${versions}.`,
    `Medians (minimum–maximum) of rounds, all programs in turn inside each round${options.quick ? '; a quick run, not for figures' : ''}${complete ? '' : '; the run was stopped early'}.`,
  ].join('\n');
}

function goalsSection(scenarios) {
  const rows = scenarios.flatMap(({ title, goals }) =>
    goals.map((goal) => [title, goalText(goal), measuredText(goal), verdict(goal)]),
  );
  if (rows.length === 0) return [];
  return ['## What must hold', table(['scenario', 'goal', 'measured (spread)', ''], rows)];
}

function lossesSection(scenarios) {
  const rows = lossesOf(scenarios).map(lossCells);
  return `## Where others are better\n\nIn the median and in every round.\n\n${rows.length > 0 ? table(LOSS_HEAD, rows) : 'Nowhere.'}`;
}

function scenarioSection(scenario) {
  const rows = scenario.entries.map((entry) =>
    entry.notAvailable
      ? [entry.name, `not available: ${reasonOf(entry.notAvailable)}`, ...scenario.show.slice(1).map(() => ''), '']
      : [
          nameWithRemarks(scenario, entry),
          ...scenario.show.map((name) => withSpread(name, entry.summary[name])),
          formatFactor(factorOf(scenario, entry)),
        ],
  );
  const head = ['program', ...scenario.show.map((name) => metrics[name].label), 'against node:dgram'];
  return `## ${scenario.title}\n\n\`${scenario.id}\`\n\n${table(head, rows)}`;
}

export function table(head, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
