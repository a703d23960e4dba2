// Three digits of each figure on the line that `ksocket collect` keeps.
import assert from 'node:assert/strict';
import { scaled } from '../../build-lib/cli/progress.js';
import { test } from '../support/test.js';

test('figures have three digits and a prefix', () => {
  const expected: [value: number, text: string][] = [
    [0, '0'],
    [7, '7'],
    [999, '999'],
    [1000, '1.00 k'],
    [1254, '1.25 k'],
    [9994, '9.99 k'],
    [9996, '10.0 k'],
    [12_540, '12.5 k'],
    [99_940, '99.9 k'],
    [99_960, '100 k'],
    [999_400, '999 k'],
    [999_600, '1.00 M'],
    [12_500_000, '12.5 M'],
    [4_000_000_000, '4.00 G'],
    [7.5e15, '7500 T'],
  ];
  for (const [value, text] of expected) assert.equal(scaled(value), text);
  assert.equal(scaled(12, 'B'), '12 B');
  assert.equal(scaled(1254, 'B'), '1.25 kB');
});
