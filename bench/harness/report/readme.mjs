// The main table in the project's README, from the figures of a full run.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { metrics } from '../metrics.mjs';
import { rootDir } from '../paths.mjs';
import { machineText, table } from './markdown.mjs';

const BEGIN = '<!-- bench: written by `npm run bench` -->';
const END = '<!-- /bench -->';
const OTHERS = ['node:dgram', 'Bun', 'udx-native', 'C'];
/** What a user decides by, ordinary days first; the rest is in results.md. */
const ROWS = [
  'startup',
  'series/paced-first/1000',
  'series/paced-warm/1000',
  'paced/20000',
  'echo/defaults',
  'echo/busy-poll',
  'series/payload/16384',
  'sockets/in-turn',
  'blocked/500ms',
  'echo/server',
  'receive/flood-split-by-kernel',
  'receive/flood-gro',
  'send/one-peer',
  'send/1000-peers',
];

export function updateReadme(results) {
  const file = join(rootDir, 'README.md');
  const before = readFileSync(file, 'utf8');
  const [begin, end] = [before.indexOf(BEGIN), before.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${file} has no place for the main table: ${BEGIN} … ${END}`);
  writeFileSync(file, `${before.slice(0, begin) + BEGIN}\n${summaryOf(results)}\n${before.slice(end)}`);
}

function summaryOf({ machine, options, scenarios, complete }) {
  const rows = ROWS.map((id) => scenarios.find((scenario) => scenario.id === id))
    .filter((scenario) => scenario !== undefined)
    .map((scenario) => {
      const [name] = scenario.show;
      // A scenario about 'batch' has no entry that is called just ksocket.
      const own = scenario.entries.find((entry) => entry.name.startsWith('ksocket'));
      const cells = [own, ...OTHERS.map((peer) => scenario.entries.find((entry) => entry.name === peer))];
      return [scenario.title, metrics[name].label, ...cells.map((entry) => figure(entry, name))];
    });
  return [table(['', '', 'ksocket', ...OTHERS], rows), '', machineText(machine, options, complete)].join('\n');
}

function figure(entry, name) {
  const median = entry?.summary?.[name]?.median;
  return median === undefined || median === null ? '–' : metrics[name].format(median);
}
