import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as echarts from 'echarts';
import { overviewChart } from './chart-overview.mjs';
import { scenarioChart } from './chart-scenario.mjs';
import { seriesChart } from './chart-series.mjs';
import { seriesOf } from './tables.mjs';

/** @returns {number} how many were written */
export function writeCharts({ scenarios }, dir) {
  const charts = scenarios
    .filter(({ series }) => !series)
    .map((scenario) => ({ name: scenario.id.replaceAll('/', '-'), chart: scenarioChart(scenario) }));
  for (const points of seriesOf(scenarios)) {
    charts.push({ name: `series-${points[0].series.id}`, chart: seriesChart(points) });
  }
  charts.push({ name: 'overview', chart: overviewChart(scenarios) });

  const drawn = charts.filter(({ chart }) => chart);
  for (const { name, chart } of drawn) writeFileSync(join(dir, `${name}.svg`), svgOf(chart));
  return drawn.length;
}

/** @param {{ width: number, height: number, option: object }} chart */
function svgOf({ width, height, option }) {
  const drawing = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  drawing.setOption({ animation: false, backgroundColor: '#ffffff', ...option });
  const svg = drawing.renderToSVGString();
  drawing.dispose();
  return svg;
}
