import { metrics } from '../metrics.mjs';
import { colorOf, textStyle, titleStyle } from './chart-style.mjs';

const WIDTH = 860;
const ROW_HEIGHT = 26;
const LEFT = 190;
const TOP = 64;
const BOTTOM = 34;
const PANELS_MAX = 2;
const ROOM_FOR_VALUES = 1.3;

/** Horizontal bars: the headline metric, and the second beside it. Whiskers are minimum and maximum. */
export function scenarioChart(scenario) {
  // The first program of the table is the topmost bar; echarts draws categories upwards.
  const entries = scenario.entries.filter(({ summary }) => summary[scenario.show[0]]).toReversed();
  if (entries.length === 0) return null;
  const shown = scenario.show.slice(0, PANELS_MAX);
  const panels = shown.map((name, index) => panel(name, index, shown.length, entries));
  return {
    width: WIDTH,
    height: TOP + BOTTOM + ROW_HEIGHT * entries.length,
    option: {
      textStyle,
      title: { text: scenario.title, left: 10, top: 8, textStyle: titleStyle },
      grid: panels.map(({ grid }) => grid),
      xAxis: panels.map(({ xAxis }) => xAxis),
      yAxis: panels.map(({ yAxis }) => yAxis),
      series: panels.flatMap(({ series }) => series),
    },
  };
}

function panel(name, index, count, entries) {
  const { label, format } = metrics[name];
  const share = (WIDTH - LEFT) / count;
  const width = share - 20;
  const summaries = entries.map(({ summary }) => summary[name]);
  const axisMax = Math.max(...summaries.map((summary) => summary?.max ?? 0)) * ROOM_FOR_VALUES || 1;
  const axis = { xAxisIndex: index, yAxisIndex: index };
  return {
    grid: { left: LEFT + index * share, width, top: TOP, bottom: BOTTOM },
    xAxis: {
      gridIndex: index,
      type: 'value',
      max: axisMax,
      name: label,
      nameLocation: 'start',
      nameGap: 0,
      nameTextStyle: { align: 'left', verticalAlign: 'bottom', padding: [0, 0, 4, 0] },
      position: 'top',
      axisLabel: { show: false },
      splitLine: { show: false },
    },
    yAxis: {
      gridIndex: index,
      type: 'category',
      data: entries.map(({ name: entryName }) => entryName),
      axisLabel: { show: index === 0 },
      axisTick: { show: false },
    },
    series: [
      {
        ...axis,
        type: 'bar',
        barWidth: 15,
        data: entries.map((entry, i) => ({
          value: summaries[i]?.median ?? 0,
          itemStyle: { color: colorOf(entry.name) },
          label: {
            show: true,
            position: 'right',
            distance: whiskerDistance(summaries[i], width / axisMax),
            formatter: summaries[i] ? format(summaries[i].median) : '–',
          },
        })),
      },
      { ...axis, type: 'custom', silent: true, z: 3, renderItem: whisker, data: whiskerData(summaries) },
    ],
  };
}

/** The value stands behind the whisker, not on it. */
function whiskerDistance(summary, pixelsPerUnit) {
  return summary ? 5 + (summary.max - summary.median) * pixelsPerUnit : 5;
}

function whiskerData(summaries) {
  return summaries.flatMap((summary, i) => (summary && summary.n > 1 ? [[summary.min, i, summary.max]] : []));
}

function whisker(_params, api) {
  const [from, y] = api.coord([api.value(0), api.value(1)]);
  const [to] = api.coord([api.value(2), api.value(1)]);
  const line = (x1, y1, x2, y2) => ({ type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke: '#00000099' } });
  return {
    type: 'group',
    children: [line(from, y, to, y), line(from, y - 3, from, y + 3), line(to, y - 3, to, y + 3)],
  };
}
