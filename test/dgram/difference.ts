// Says in few words where two traces differ.
import { isDeepStrictEqual } from 'node:util';
import type { Entry, Trace } from './interpreter.js';

/**
 * `actual` without the datagrams that got through in spite of a close(), if these are all it has in excess.
 *
 * What a tick sends to literal addresses leaves with the first of it, so a close() between two ticks may find that the
 * second datagram has left already, where node:dgram would have dropped it: docs/compatibility.md.
 */
export function withoutEarly(expected: Trace, actual: Trace, messagesToo: boolean): Trace {
  return actual.map((step, i) => {
    const wanted = expected[i];
    if (wanted === undefined) return step;
    const byStream = { ...step.byStream };
    for (const [name, entries] of Object.entries(step.byStream)) {
      if (messagesToo && name.startsWith('message ')) byStream[name] = common(wanted.byStream[name] ?? [], entries);
      if (byStream[name].length === 0) delete byStream[name];
    }
    const sent = step.sent.map((texts) => common(wanted.sent.find((list) => isPart(list, texts)) ?? [], texts));
    return { ...step, byStream, sent: sent.filter((texts) => texts.length > 0) };
  });
}

/** Those of `all` that are, in this order, in `wanted`, too. */
function common<T>(wanted: readonly T[], all: readonly T[]): T[] {
  let at = 0;
  return all.filter((one) => at < wanted.length && isDeepStrictEqual(one, wanted[at]) && ++at > 0);
}

function isPart(wanted: readonly string[], all: readonly string[]): boolean {
  return common(wanted, all).length === wanted.length;
}

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
