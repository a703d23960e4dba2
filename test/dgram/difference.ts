// Says in few words where two traces differ.
import { isDeepStrictEqual } from 'node:util';
import type { Entry, Trace } from './interpreter.js';

/** The first step in which they differ, or undefined. */
export function difference(expected: Trace, actual: Trace): string | undefined {
  for (let i = 0; i < Math.max(expected.length, actual.length); i++) {
    const [one, other] = [expected[i], actual[i]];
    if (isDeepStrictEqual(one, other)) continue;
    const streams = new Set([...Object.keys(one.byStream), ...Object.keys(other.byStream)]);
    return [
      `step ${i}`,
      ...differenceOf('in order', one.inOrder, other.inOrder),
      ...[...streams].flatMap((name) => differenceOf(name, one.byStream[name], other.byStream[name])),
      ...differenceOf('the peers got', one.sent, other.sent),
    ].join('\n');
  }
  return undefined;
}

const show = (value: unknown) => (value === undefined ? 'nothing' : JSON.stringify(value));

/** An entry's beginning, to find it by. */
const head = (entry: Entry) => show(entry.slice(0, 4)).slice(0, 100);

function differenceOf(name: string, expected: Entry[] = [], actual: Entry[] = []): string[] {
  if (isDeepStrictEqual(expected, actual)) return [];
  const sameOrder =
    expected.length === actual.length &&
    expected.every((entry, n) => entry.slice(0, 3).join() === actual[n].slice(0, 3).join());
  if (sameOrder) {
    const different = expected.flatMap((entry, n) => {
      const parts = partsOf(entry, actual[n], '');
      return parts.length > 0 ? [`    ${head(entry)}`, ...parts.map((part) => `      ${part}`)] : [];
    });
    return [`  ${name}:`, ...different];
  }
  const lines = [`  ${name}:`];
  for (let n = 0; n < Math.max(expected.length, actual.length); n++) {
    if (isDeepStrictEqual(expected[n], actual[n])) lines.push(`    both       ${head(expected[n])}`);
    else lines.push(`    node:dgram ${show(expected[n])}`, `    ksocket    ${show(actual[n])}`);
  }
  return lines;
}

// The innermost parts that differ.
function partsOf(one: unknown, other: unknown, path: string): string[] {
  if (isDeepStrictEqual(one, other)) return [];
  if (one === null || other === null || typeof one !== 'object' || typeof other !== 'object') {
    return [`${path}: node:dgram ${show(one)}, ksocket ${show(other)}`];
  }
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...keys].flatMap((key) =>
    partsOf((one as Record<string, unknown>)[key], (other as Record<string, unknown>)[key], `${path}/${key}`),
  );
}
