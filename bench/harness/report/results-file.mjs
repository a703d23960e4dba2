import { readFileSync } from 'node:fs';

/** A results.json of an earlier run. */
export function readResults(path) {
  const results = JSON.parse(readFileSync(path, 'utf8'));
  if (!Array.isArray(results.scenarios)) throw new Error(`${path} is not a results.json of this benchmark`);
  return results;
}
