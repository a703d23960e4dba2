// Where a rival is better than ksocket: in the median and in each round, so that no spread explains it.
import { metrics } from './metrics.mjs';

const RIVALS = new Set(['dgram', 'dgram-newest', 'bun', 'deno', 'deno-dgram', 'udx', 'unix-dgram', 'nginx']);
const ALL_OF_IT = 0.97;

/** Did it receive (nearly) all that was sent? Then its rate is the sender's. */
export function limitedBySender({ rate, offered }) {
  return rate?.median >= offered?.median * ALL_OF_IT;
}

/**
 * @typedef {object} Loss
 * @property {{ id: string, title: string }} scenario
 * @property {string} metric
 * @property {string} own the name of an entry of ksocket
 * @property {string} rival
 * @property {number} factor how many times better the rival is
 * @property {[number, number]} spread of that within each round
 */

/** @returns {Loss[]} the largest first */
export function lossesOf(scenarios) {
  return scenarios.flatMap(lossesIn).sort((a, b) => b.factor - a.factor);
}

function lossesIn(scenario) {
  const own = scenario.entries.filter(({ peer, env }) => peer === 'ksocket' && !env?.KSOCKET_DIR);
  const rivals = scenario.entries.filter(({ peer }) => RIVALS.has(peer));
  const judged = scenario.show.filter((name) => metrics[name].judged);
  return own.flatMap((entry) =>
    rivals.flatMap((rival) =>
      judged
        .filter((metric) => metric !== 'rate' || !limitedBySender(entry.summary))
        .map((metric) => compare(scenario, metric, entry, rival))
        .filter((loss) => loss !== null),
    ),
  );
}

function compare(scenario, metric, own, rival) {
  const times = (mine, theirs) => (metrics[metric].better === 'higher' ? theirs / mine : mine / theirs);
  const factor = times(own.summary[metric]?.median, rival.summary[metric]?.median);
  const rounds = own.samples
    .map((sample) => [sample, rival.samples.find(({ round }) => round === sample.round)])
    .map(([mine, theirs]) => times(mine[metric], theirs?.[metric]))
    .filter((each) => !Number.isNaN(each));
  if (rounds.length === 0 || !(factor > 1) || Math.min(...rounds) <= 1) return null;
  const { id, title } = scenario;
  const spread = [Math.min(...rounds), Math.max(...rounds)];
  return { scenario: { id, title }, metric, own: own.name, rival: rival.name, factor, spread };
}
