import { metrics } from '../metrics.mjs';
import { colorOf, textStyle, titleStyle } from './chart-style.mjs';

const WIDTH = 860;
const HEIGHT = 360;

/** Lines over the points of one series, a panel for each of its first two metrics. */
export function seriesChart(points) {
  const panels = points[0].show.slice(0, 2);
  const { title, xLabel } = points[0].series;
  const names = points[0].entries.map(({ name }) => name);
  return {
    width: WIDTH,
    height: HEIGHT,
    option: {
      textStyle,
      title: { text: `how cost grows: ${title}`, left: 10, top: 8, textStyle: titleStyle },
      legend: { top: 32, left: 10, data: names, textStyle, itemGap: 24 },
      grid: panels.map((_, index) => ({
        left: 70 + index * (WIDTH / 2),
        width: WIDTH / 2 - 90,
        top: 90,
        bottom: 50,
      })),
      xAxis: panels.map((_, gridIndex) => ({
        gridIndex,
        type: 'category',
        data: points.map(({ series }) => shortNumber(series.x)),
        name: xLabel,
        nameLocation: 'middle',
        nameGap: 28,
      })),
      yAxis: panels.map((name, gridIndex) => ({
        gridIndex,
        type: 'log',
        name: metrics[name].label,
        nameTextStyle: { align: 'left' },
        axisLabel: { formatter: (value) => (name === 'rate' ? axisRate(value) : String(value)) },
        splitLine: { lineStyle: { color: '#e2e8f0' } },
      })),
      series: panels.flatMap((metric, index) =>
        names.map((name) => ({
          name,
          type: 'line',
          xAxisIndex: index,
          yAxisIndex: index,
          symbolSize: 5,
          color: colorOf(name),
          data: points.map((point) => medianOf(point, name, metric)),
        })),
      ),
    },
  };
}

function medianOf(point, name, metric) {
  const value = point.entries.find((entry) => entry.name === name)?.summary[metric]?.median;
  return value > 0 ? value : null; // a logarithmic axis has no zero
}

function shortNumber(x) {
  return x >= 1000 && x % 1000 === 0 ? `${x / 1000}k` : String(x);
}

/** The decades of the axis are round: `1 M`, not `1.00 M`. */
function axisRate(value) {
  if (value >= 1e6) return `${value / 1e6} M`;
  return value >= 1e3 ? `${value / 1e3} k` : String(value);
}
