import Table from 'cli-table3';
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

const style = { head: [], border: [] };

/** One table a scenario; the points of a series are lines of one table. */
export function printScenarios({ scenarios }) {
  for (const scenario of scenarios.filter(({ series }) => !series)) {
    console.log(`\n${scenario.title}  [${scenario.id}]`);
    console.log(scenarioTable(scenario));
  }
  for (const points of seriesOf(scenarios)) {
    console.log(`\nhow cost grows: ${points[0].series.title}  [series/${points[0].series.id}]`);
    console.log(seriesTable(points));
  }
}

function scenarioTable(scenario) {
  const shown = scenario.show.map((name) => metrics[name].label);
  const table = new Table({ style, head: ['program', ...shown, 'against node:dgram'] });
  for (const entry of scenario.entries) {
    if (entry.notAvailable) {
      table.push([
        entry.name,
        { colSpan: shown.length + 1, content: `not available: ${reasonOf(entry.notAvailable)}` },
      ]);
      continue;
    }
    table.push([
      nameWithRemarks(scenario, entry),
      ...scenario.show.map((name) => withSpread(name, entry.summary[name])),
      formatFactor(factorOf(scenario, entry)),
    ]);
  }
  return table.toString();
}

function seriesTable(points) {
  const names = points[0].entries.map(({ name }) => name);
  const shown = points[0].show.slice(0, 2).map((metric) => metrics[metric].label);
  const table = new Table({ style, head: [`${points[0].series.xLabel} (${shown.join(' · ')})`, ...names] });
  for (const point of points) {
    const cells = names.map((name) => {
      const { summary, notAvailable } = point.entries.find((entry) => entry.name === name) ?? {};
      if (!summary?.[point.show[0]]) return notAvailable ? 'not available' : '–';
      return point.show
        .slice(0, 2)
        .map((metric) => (summary[metric] ? metrics[metric].format(summary[metric].median) : '–'))
        .join(' · ');
    });
    table.push([point.series.x, ...cells]);
  }
  return table.toString();
}

/** @returns {any[][]} the points of each series, in order */
export function seriesOf(scenarios) {
  const byId = new Map();
  for (const scenario of scenarios) {
    if (!scenario.series) continue;
    const points = byId.get(scenario.series.id) ?? [];
    points.push(scenario);
    byId.set(scenario.series.id, points);
  }
  return [...byId.values()];
}

export function printGoals({ scenarios }) {
  const table = new Table({ style, head: ['scenario', 'goal', 'measured (spread of rounds)', ''] });
  for (const { title, goals } of scenarios) {
    for (const goal of goals) table.push([title, goalText(goal), measuredText(goal), verdict(goal)]);
  }
  if (table.length > 0) console.log(`\nwhat must hold\n${table}`);
}

export function printLosses({ scenarios }) {
  const losses = lossesOf(scenarios);
  if (losses.length === 0) {
    console.log('\nnobody is better than ksocket beyond the spread');
    return;
  }
  const table = new Table({ style, head: LOSS_HEAD });
  for (const loss of losses) table.push(lossCells(loss));
  console.log(`\nwhere others are better, in the median and in every round\n${table}`);
}
