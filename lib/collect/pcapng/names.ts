// What the files of a directory are called. Names are made of the clock, a number and what the program says: nothing that a
// datagram has.
import { isoTime } from '../../base/runtime.js';

const SUFFIX = '.pcapng';
/** What is still written ends with it. Wireshark, which looks at the bytes, opens it all the same. */
const UNFINISHED = `${SUFFIX}.part`;
const NUMBER_DIGITS = 6;
const NS_PER_MS = 1_000_000n;

/** A file that there is. */
export interface Found {
  name: string;
  number: number;
  finished: boolean;
}

/** `ksocket-20261127T184713Z-000001`, without what it ends with. */
export function baseName(prefix: string, nowNs: bigint, number: number): string {
  const time = isoTime(Number(nowNs / NS_PER_MS)).replace(/\.\d+|[-:]/g, '');
  return `${prefix}-${time}-${`${number}`.padStart(NUMBER_DIGITS, '0')}`;
}

export const finishedName = (base: string): string => base + SUFFIX;
export const unfinishedName = (base: string): string => base + UNFINISHED;
/** What a file that nobody writes any more is called from then on. */
export const finishedOf = (unfinished: string): string => unfinished.slice(0, SUFFIX.length - UNFINISHED.length);

/** Those of `names` that baseName() has made with this prefix, the oldest first. */
export function ours(names: readonly string[], prefix: string): Found[] {
  const found: Found[] = [];
  for (const name of names) {
    if (!name.startsWith(`${prefix}-`)) continue;
    const match = /^\d{8}T\d{6}Z-(\d{6,15})\.pcapng(\.part)?$/.exec(name.slice(prefix.length + 1));
    if (match) found.push({ name, number: Number(match[1]), finished: match[2] === undefined });
  }
  return found.sort((one, other) => one.number - other.number);
}
