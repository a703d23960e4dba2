/**
 * A goal compares the medians of two programs, or one median with a number.
 * @typedef {object} Goal
 * @property {'min' | 'max'} bound
 * @property {number} value a ratio when there is an `against`, else in the metric's own unit
 * @property {string} metric
 * @property {string} of the name of an entry
 * @property {string} [against] the name of another
 * @property {true} [difference] of the two, and not their quotient
 */

/** @returns {Goal} */
export function atLeast(value, metric, of, against) {
  return { bound: 'min', value, metric, of, against };
}

/** @returns {Goal} */
export function atMost(value, metric, of, against) {
  return { bound: 'max', value, metric, of, against };
}

/** At most `value` more than the other, in the metric's own unit. @returns {Goal} */
export function atMostMore(value, metric, of, against) {
  return { bound: 'max', value, metric, of, against, difference: true };
}

/**
 * @param {Goal} goal
 * @param {Record<string, { summary: Record<string, { median: number }>, samples: object[] }>} results by entry name
 * @returns {{ measured: number | null, spread: [number, number] | null, passed: boolean | null }}
 *   null where one of the two was not measured. The spread is of what each round says.
 */
export function evaluate(goal, results) {
  const of = results[goal.of]?.summary?.[goal.metric];
  const against = goal.against ? results[goal.against]?.summary?.[goal.metric] : { median: 1 };
  if (!of || !against) return { measured: null, spread: null, passed: null };
  const measured = goal.difference ? of.median - against.median : of.median / against.median;
  const passed = goal.bound === 'min' ? measured >= goal.value : measured <= goal.value;
  return { measured, spread: spreadOf(goal, results), passed };
}

/**
 * @param {Goal} goal
 * @returns {[number, number] | null}
 */
function spreadOf({ metric, of, against, difference }, results) {
  const found = [];
  for (const sample of results[of].samples) {
    const other = against ? results[against].samples.find(({ round }) => round === sample.round)?.[metric] : 1;
    const value = difference ? sample[metric] - other : sample[metric] / other;
    if (Number.isFinite(value)) found.push(value);
  }
  return found.length > 0 ? [Math.min(...found), Math.max(...found)] : null;
}
