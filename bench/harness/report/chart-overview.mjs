import { metrics } from '../metrics.mjs';
import { colorOf, textStyle, titleStyle } from './chart-style.mjs';
import { factorOf } from './format.mjs';

const WIDTH = 940;
const ROW_HEIGHT = 96;
/** What has no sense as a factor: none lost, memory that does not grow. */
const NO_FACTOR = new Set(['lost', 'rssGrowth']);
const SHOWN = ['ksocket', 'node:dgram, newest', 'Bun', 'Deno', 'udx-native', 'C'];

/** How many times better than node:dgram, on the headline metric of every scenario that has a goal. */
export function overviewChart(scenarios) {
  const rows = scenarios
    .filter(({ goals, show }) => goals.length > 0 && !NO_FACTOR.has(show[0]) && metrics[show[0]])
    .map((scenario) => ({ scenario, factors: SHOWN.map((name) => bestFactor(scenario, name)) }))
    .filter(({ factors }) => factors[0] !== null)
    .toReversed();
  if (rows.length === 0) return null;
  return {
    width: WIDTH,
    height: 130 + ROW_HEIGHT * rows.length,
    option: {
      textStyle,
      title: { text: 'times better than node:dgram', left: 10, top: 8, textStyle: titleStyle },
      legend: { top: 32, left: 10, data: SHOWN, textStyle, itemGap: 24 },
      grid: { left: 420, right: 60, top: 66, bottom: 50 },
      xAxis: {
        type: 'log',
        startValue: 1,
        name: 'times better than node:dgram, logarithmic',
        nameLocation: 'middle',
        nameGap: 26,
        axisLabel: { formatter: '{value} ×' },
        splitLine: { lineStyle: { color: '#e2e8f0' } },
      },
      yAxis: {
        type: 'category',
        data: rows.map(({ scenario }) => `${scenario.title}\n${metrics[scenario.show[0]].label}`),
        axisLabel: { lineHeight: 15 },
        axisTick: { show: false },
      },
      series: SHOWN.map((name, i) => ({
        name,
        type: 'bar',
        color: colorOf(name),
        barWidth: 11,
        data: rows.map(({ factors }) => factors[i]),
        label: {
          show: true,
          fontSize: 11,
          position: 'right',
          formatter: ({ value }) => (value ? `${value >= 10 ? value.toFixed(0) : value.toFixed(1)} ×` : ''),
        },
      })),
    },
  };
}

/** A scenario about 'batch' has no entry that is called just ksocket: its first one stands for it. */
function bestFactor(scenario, name) {
  const entry = scenario.entries.find((e) => e.name === name) ?? scenario.entries.find((e) => e.name.startsWith(name));
  return entry ? factorOf(scenario, entry) : null;
}
