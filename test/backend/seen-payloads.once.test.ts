// Of the payloads whose hashes fall together the latest eight are known again, as in native code.
import assert from 'node:assert/strict';
import { SeenPayloads } from '../../build-lib/backend/fallback/protection/seen-payloads.js';
import { test } from '../support/test.js';

const WAYS = 8;
const SETS = 4096;

test('the latest eight of a place are known, and the ninth before is not', () => {
  const seen = new SeenPayloads();
  const others = { place: 6, tag: 2 };
  assert.equal(seen.add(others), false);
  const hash = (n: number) => ({ place: 5 + n * SETS, tag: 2 * n });
  for (let n = 1; n <= WAYS; n++) assert.equal(seen.add(hash(n)), false, `${n}`);
  for (let n = 1; n <= WAYS; n++) assert.equal(seen.add(hash(n)), true, `${n}`);
  assert.equal(seen.add(hash(WAYS + 1)), false);
  for (let n = 2; n <= WAYS + 1; n++) assert.equal(seen.add(hash(n)), true, `${n}`);
  assert.equal(seen.add(hash(1)), false, 'the oldest went');
  assert.equal(seen.add(others), true, 'the next place has its own');
});
