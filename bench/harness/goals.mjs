/**
 * A goal compares the medians of two programs, or one median with a number.
 * @typedef {object} Goal
 * @property {'min' | 'max'} bound
 * @property {number} value a ratio when there is an `against`, else in the metric's own unit
 * @property {string} metric
 * @property {string} of the name of an entry
 * @property {string} [against] the name of another
 */

/** @returns {Goal} */
export function atLeast(value, metric, of, against) {
  return { bound: 'min', value, metric, of, against };
}

/** @returns {Goal} */
export function atMost(value, metric, of, against) {
  return { bound: 'max', value, metric, of, against };
}

/**
 * @param {Goal} goal
 * @param {Record<string, { summary: Record<string, { median: number }>, samples: object[] }>} results by entry name
 * @returns {{ measured: number | null, spread: [number, number] | null, passed: boolean | null }}
 *   null where one of the two was not measured. The spread is of the ratios within each round.
 */
export function evaluate(goal, results) {
  const of = results[goal.of]?.summary?.[goal.metric];
  const against = goal.against ? results[goal.against]?.summary?.[goal.metric] : { median: 1 };
  if (!of || !against) return { measured: null, spread: null, passed: null };
  const measured = of.median / against.median;
  const passed = goal.bound === 'min' ? measured >= goal.value : measured <= goal.value;
  return { measured, spread: spreadOf(goal, results), passed };
}

/**
 * @param {Goal} goal
 * @returns {[number, number] | null}
 */
function spreadOf({ metric, of, against }, results) {
  const ratios = [];
  for (const sample of results[of].samples) {
    const other = against ? results[against].samples.find(({ round }) => round === sample.round)?.[metric] : 1;
    if (Number.isFinite(sample[metric] / other)) ratios.push(sample[metric] / other);
  }
  return ratios.length > 0 ? [Math.min(...ratios), Math.max(...ratios)] : null;
}
