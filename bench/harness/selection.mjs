/**
 * @param {import('../scenarios/entry.mjs').Scenario[]} all
 * @param {Pick<import('./cli.mjs').Options, 'only' | 'series' | 'peers' | 'alsoKsocket'>} options
 * @returns {import('../scenarios/entry.mjs').Scenario[]}
 */
export function select(all, { only, series, peers, alsoKsocket }) {
  const patterns = only.map(globToRegExp);
  return all
    .filter(({ id, series: point }) =>
      patterns.length > 0 ? patterns.some((pattern) => pattern.test(id)) : series || !point,
    )
    .map((scenario) => ({
      ...scenario,
      entries: scenario.entries
        .filter(({ peer }) => !peers || peers.includes(peer))
        .flatMap((entry) =>
          alsoKsocket && entry.peer === 'ksocket' ? [entry, otherBuild(entry, alsoKsocket)] : [entry],
        ),
    }))
    .filter(({ entries }) => entries.length > 0);
}

function otherBuild(entry, dir) {
  return { ...entry, name: `${entry.name} (other)`, env: { KSOCKET_DIR: dir } };
}

/** `*` is anything, and a whole id or a beginning up to a slash may be named. */
function globToRegExp(glob) {
  const escaped = glob
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${escaped}(/.*)?$`);
}
