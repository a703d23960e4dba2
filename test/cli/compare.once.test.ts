// `ksocket compare`: that each scenario runs, with each library, and how its results are shown. Not how fast anything is.
import assert from 'node:assert/strict';
import { median, show } from '../../build-lib/cli/compare/command.js';
import { scenarios } from '../../build-lib/cli/compare/scenarios.js';
import { Child, runCli } from '../support/child.js';
import { test } from '../support/test.js';

const names = scenarios.map(({ name }) => name);

test('compare --json has a value of each library for each scenario', async () => {
  const { code, stdout, stderr } = await runCli(['compare', '--rounds', '1', '--json'], { deadlineMs: 80_000 });
  assert.deepEqual([code, stderr], [0, '']);
  const { node, rounds, scenarios: measured } = JSON.parse(stdout);
  assert.deepEqual([node, rounds], [process.version, 1]);
  const shape = measured.map(({ name, unit }: { name: string; unit: string }) => ({ name, unit }));
  assert.deepEqual(
    shape,
    scenarios.map(({ name, unit }) => ({ name, unit })),
  );
  for (const { name, unit, ksocket, dgram } of measured) {
    for (const { value, cpuNs } of [ksocket, dgram]) {
      assert.ok(unit === 'lost' ? value >= 0 : value > 0, `${name}: ${value} ${unit}`);
      assert.ok(unit !== 'p50' || value < 1e6, `${name}: ${value} µs`);
      assert.ok(cpuNs > 0, `${name}: ${cpuNs} ns`);
    }
  }
});

test('on a terminal compare shows how far it is, and then only the table', async () => {
  // script(1) gives it a terminal.
  const command = `'${process.execPath}' dist/cli/main.js compare --rounds 1`;
  await using child = new Child('script', ['-qec', command, '/dev/null'], { deadlineMs: 80_000 });
  const { code, stdout } = await child.end();
  assert.equal(code, 0, stdout);
  const [progress, table] = stdout.split(/(?=┌)/, 2);
  const runs = scenarios.length * 2;
  for (const [i, name] of names.entries()) assert.ok(progress.includes(` ${2 * i + 2}/${runs} ${name}`), name);
  assert.ok(!progress.includes(` ${runs + 1}/`));
  assert.doesNotMatch(progress, /\n/, 'its line is the one where the table begins');
  const rows = table.split('\n').filter((line) => line.startsWith('│'));
  const cells = rows.map((row) => row.split('│').map((cell) => cell.trim()));
  assert.deepEqual(cells[0].slice(1, -1), ['', 'ksocket', `node:dgram ${process.version}`, 'ratio', 'CPU a datagram']);
  assert.deepEqual(
    cells.slice(1).map(([, name]) => name),
    names,
  );
  const values = { rate: /^\d+ k\/s$|^\d+\.\d\d M\/s$/, p50: /^\d+\.\d µs$/, lost: /^\d+ lost$/ };
  for (const [i, { unit }] of scenarios.entries()) {
    const [, , ksocket, dgram, ratio, cpu] = cells[i + 1];
    for (const value of [ksocket, dgram]) assert.match(value, values[unit]);
    assert.match(ratio, unit === 'lost' ? /^$/ : /^\d+\.\d\d ×$/);
    assert.match(cpu, unit === 'rate' ? /^\d+ : \d+ ns$/ : /^$/);
  }
});

test('values have the unit of their scenario', () => {
  assert.equal(show({ unit: 'rate' }, 1_234_567), '1.23 M/s');
  assert.equal(show({ unit: 'rate' }, 1e6), '1.00 M/s');
  assert.equal(show({ unit: 'rate' }, 999_400), '999 k/s');
  assert.equal(show({ unit: 'p50' }, 12.345), '12.3 µs');
  assert.equal(show({ unit: 'lost' }, 12.6), '13 lost');
});

test('a median is the middle, or half-way between the two', () => {
  assert.deepEqual([[7], [3, 1, 2], [10, 2], [4, 1, 10, 2]].map(median), [7, 2, 6, 3]);
  const values = [3, 1, 2];
  median(values);
  assert.deepEqual(values, [3, 1, 2]);
});

test('a scenario is what its name says', () => {
  for (const { name, subject, load } of scenarios) {
    const { bytes, gso } = { ...subject, ...load };
    const [, named] = /(\d+) B\b/.exec(name) ?? [];
    if (named !== undefined) assert.equal(bytes, Number(named), name);
    if (load.role === 'flood') assert.equal(gso, name.includes('GSO'), name);
  }
});
