// Options without typing errors: what is not known is refused, with the name that was probably meant.
import * as errors from './errors.js';

/** How many letters have to be added, left out, replaced or swapped with their neighbours (Damerau-Levenshtein, each
 * letter once). */
function distance(one: string, other: string): number {
  let before: number[] = [];
  let above = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (let i = 1; i <= one.length; i++) {
    const row = [i];
    for (let k = 1; k <= other.length; k++) {
      const same = one[i - 1] === other[k - 1];
      row[k] = Math.min(row[k - 1] + 1, above[k] + 1, above[k - 1] + (same ? 0 : 1));
      const swapped = i > 1 && k > 1 && one[i - 1] === other[k - 2] && one[i - 2] === other[k - 1];
      if (swapped) row[k] = Math.min(row[k], before[k - 2] + 1);
    }
    [before, above] = [above, row];
  }
  return above[other.length];
}

/** Undefined: nothing is nearer than half of its letters. */
function nearest(key: string, known: readonly string[]): string | undefined {
  let found: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const each of known) {
    const far = distance(key.toLowerCase(), each.toLowerCase());
    if (far < least && far < Math.max(key.length, each.length) / 2) [found, least] = [each, far];
  }
  return found;
}

/** A key that is known may be undefined, which is as if it were not there; one that is not known may not be there, nor
 * in a prototype that it would be read from.
 * @throws ERR_INVALID_ARG_VALUE: `The property 'options.denny' is not known (did you mean 'deny'?), only …` */
export function refuseUnknown(value: object, name: string, known: readonly string[]): void {
  for (const key in value) {
    if (known.includes(key)) continue;
    const meant = nearest(key.slice(0, 64), known);
    const hint = meant === undefined ? '' : ` (did you mean '${meant}'?)`;
    const reason = `is not known${hint}, only ${known.join(', ')}`;
    throw errors.invalidArgValue(`${name}.${key}`, (value as Record<string, unknown>)[key], reason);
  }
}
