// docs/troubleshooting.md says of every counter what it means: its tables are held against what programs see.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer, createSocket } from 'ksocket';
import { createCollector, lines } from 'ksocket/collect';
import { figureMetrics } from '../../build-lib/monitor/collector-metrics.js';
import {
  answeringCounterMetrics,
  counterMetrics,
  threadCounterMetrics,
} from '../../build-lib/monitor/counter-metrics.js';
import { root } from '../support/child.js';
import { test } from '../support/test.js';

interface Row {
  names: string[];
  /** The label of the metric that lost datagrams are in. */
  reason: string | undefined;
  cells: string[];
}

/** The rows of the tables whose first column is `counter`. */
function rowsOf(markdown: string): Row[] {
  const tables = markdown.split('\n\n').filter((part) => part.startsWith('| counter |'));
  return tables.flatMap((table) => {
    const [header, , ...rows] = table
      .trim()
      .split('\n')
      .map((line) => line.split('|').slice(1, -1));
    const codes = (cell: string) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name);
    return rows.map((cells): Row => {
      const reason = header[1].trim() === 'reason' ? codes(cells[1])[0] : undefined;
      return { names: codes(cells[0]), reason, cells: cells.map((cell) => cell.trim()) };
    });
  });
}

const document = (name: string) => readFileSync(join(root, 'docs', name), 'utf8');
const rows = rowsOf(document('troubleshooting.md'));

/** As programs see them. */
function counters(): string[] {
  const { thread, answering, ...own } = createServer().stats();
  assert.deepEqual(Object.keys(createSocket('udp4').stats()).sort(), [...Object.keys(own), 'thread'].sort());
  const { socket, sink, ...collected } = createCollector({ sink: lines() }).stats();
  assert.deepEqual([Object.keys(socket), Object.keys(sink)], [[...Object.keys(own), 'thread'], ['lines']]);
  return [own, thread, answering, collected].flatMap((stats) => Object.keys(stats));
}

test('the page has a row for every counter, and none for what is no counter', () => {
  assert.deepEqual(rows.flatMap(({ names }) => names).sort(), counters().sort());
});

test('each row says what its counter counts', () => {
  for (const { names, cells } of rows) {
    assert.ok(names.length > 0);
    assert.ok(
      cells.some((cell, i) => i > 0 && cell.length > 15),
      names.join(),
    );
  }
});

test('what is lost has the reason in its row that the monitor gives it, in the monitor’s page, too', () => {
  const metrics = { ...counterMetrics, ...answeringCounterMetrics, ...threadCounterMetrics, ...figureMetrics };
  const reasons = Object.entries(metrics).map(([name, { labels }]) => [name, labels?.reason] as const);
  const lost = reasons.filter(([, reason]) => reason !== undefined).sort();
  assert.ok(lost.length > 5);
  const said = rows.flatMap(({ names, reason }) => (reason ? names.map((name) => [name, reason] as const) : []));
  assert.deepEqual(said.sort(), lost);
  const line = /^\| `ksocket_dropped_datagrams_total` .*$/m.exec(document('monitor.md'))?.[0] ?? '';
  for (const [, reason] of lost) assert.ok(line.includes(`\`${reason}\``), `monitor.md: ${reason}`);
});
