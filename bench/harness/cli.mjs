import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { benchDir } from './paths.mjs';
import { peers } from './peers.mjs';

/**
 * @typedef {object} Options
 * @property {string[]} only globs; empty: the table's rows
 * @property {string[] | null} peers
 * @property {boolean} series
 * @property {boolean} quick
 * @property {number | null} rounds null: 5, and 3 for a point of a series
 * @property {number} seconds
 * @property {number} warmupSeconds
 * @property {string} out
 * @property {string} [report]
 * @property {string | null} alsoKsocket
 * @property {boolean} list
 */

/** @returns {Options} */
export function parseOptions() {
  const command = new Command('bench')
    .description('ksocket against node:dgram, Bun, Deno, udx-native and C, interleaved in one run, on loopback')
    .option('--only <globs>', "only these scenarios, as 'receive/*,echo/defaults'", list, [])
    .option('--series', 'also how cost grows (payload, sources, sockets, segments, paced rate)', false)
    .option('--peers <names>', `only these: ${Object.keys(peers).join(', ')}`, peerList, null)
    .option('--rounds <n>', 'rounds over all programs (default: 5, and 3 for a series)', positive, null)
    .option('--seconds <s>', 'length of one measurement (default: 2, and 1 for a series)', positive, null)
    .option('--warmup <s>', 'before each measurement', positive, 0.5)
    .option('--quick', 'three rounds of half a second: to see that all works, not for figures', false)
    .option('--also-ksocket <dir>', 'a second build of ksocket, run in turn with this one', toPath, null)
    .option(
      '--out <dir>',
      'where results.json, results.md and charts/ go (default: bench/ for a full run, else bench/out/)',
    )
    .option('--report <file>', 'no run: tables and charts from that results.json')
    .option('--list', 'print the selected scenarios', false)
    .parse();
  const given = /** @type {any} */ (command.opts());
  const partial = given.only.length > 0 || given.quick || given.peers !== null || given.alsoKsocket || given.report;
  return {
    ...given,
    rounds: given.rounds ?? (given.quick ? 3 : null),
    seconds: given.seconds ?? (given.quick ? 0.5 : null),
    warmupSeconds: given.warmup,
    out: given.out ?? (partial ? join(benchDir, 'out') : benchDir),
  };
}

function list(text) {
  return text.split(',').filter(Boolean);
}

function toPath(text) {
  return resolve(text);
}

function peerList(text) {
  const names = list(text);
  const unknown = names.find((name) => !Object.hasOwn(peers, name));
  if (unknown) throw new InvalidArgumentError(`no peer is called ${unknown}`);
  return names;
}

function positive(text) {
  const number = Number(text);
  if (!(number > 0)) throw new InvalidArgumentError('a number above 0');
  return number;
}
