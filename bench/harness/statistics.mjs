/** @param {number[]} values */
export function median(values) {
  return quantile(values, 0.5);
}

/** Linear between the two nearest, as most tools do it. */
export function quantile(values, q) {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  const high = Math.ceil(at);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
}

/** @returns {{ median: number, min: number, max: number, p25: number, p75: number, n: number } | null} */
export function summarize(values) {
  const numbers = values.filter((value) => Number.isFinite(value));
  if (numbers.length === 0) return null;
  return {
    median: median(numbers),
    min: Math.min(...numbers),
    max: Math.max(...numbers),
    p25: quantile(numbers, 0.25),
    p75: quantile(numbers, 0.75),
    n: numbers.length,
  };
}
