import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { benchDir } from '../paths.mjs';
import { writeCharts } from './charts.mjs';
import { markdownOf } from './markdown.mjs';
import { updateReadme } from './readme.mjs';
import { printGoals, printLosses, printScenarios } from './tables.mjs';

/** Prints the tables and writes results.json, results.md and the charts. */
export function report(results, outDir) {
  const chartsDir = join(outDir, 'charts');
  mkdirSync(chartsDir, { recursive: true });
  writeFileSync(join(outDir, 'results.json'), `${JSON.stringify(results, null, 1)}\n`);
  writeFileSync(join(outDir, 'results.md'), markdownOf(results));
  const charts = writeCharts(results, chartsDir);

  if (resolve(outDir) === benchDir) updateReadme(results); // a full run

  printScenarios(results);
  printGoals(results);
  printLosses(results);
  const here = (path) => relative(process.cwd(), path) || '.';
  console.log(`${here(join(outDir, 'results.json'))}, results.md and ${charts} charts in ${here(chartsDir)}`);
}
