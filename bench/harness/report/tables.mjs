import Table from 'cli-table3';
import { metrics } from '../metrics.mjs';
import {
  factorOf,
  formatFactor,
  goalText,
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
  const table = new Table({ style, head: [points[0].series.xLabel, ...names] });
  for (const point of points) {
    const cells = names.map((name) => {
      const { summary, notAvailable } = point.entries.find((entry) => entry.name === name) ?? {};
      if (!summary?.rate) return notAvailable ? 'not available' : '–';
      const cpuNs = summary.cpuNs ? `${metrics.cpuNs.format(summary.cpuNs.median)} ns` : '–';
      return `${metrics.rate.format(summary.rate.median)}/s · ${cpuNs}`;
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
