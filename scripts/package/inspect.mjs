// What a binary needs and shows, as readelf(1) tells it.
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { GLIBC_FLOOR } from './targets.mjs';

/** What Node looks for in an addon (native/exports.map). */
const EXPORTS = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];

/** Functions whose oldest version in some glibc is another one (unbind.mjs). */
const TWOFOLD =
  /^(pthread_cond_\w+|timer_\w+|realpath|fmemopen|posix_spawnp?|nftw(64)?|glob(64)?|regexec|expf?|exp2f?|logf?|log2f?|powf?|lgamma\w*)$/;

function readelf(...args) {
  return execFileSync('readelf', ['-W', ...args], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
}

function versionParts(version) {
  return version.split('.').map(Number);
}

/** Is version `a` newer than `b`? `2.9` is older than `2.28`. */
export function isNewer(a, b) {
  const [left, right] = [versionParts(a), versionParts(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}

/** `machine`, `needed` libraries, functions that it has `wanted` and those that are `twofold`, the newest `glibc` whose symbols it uses ('' for none), other versioned symbols, what it
 * `exports`, whether it is `stripped`, and its `bytes`. */
export function inspectBinary(file) {
  const versions = [...readelf('-V', file).matchAll(/Name: (\w+)_([\d.]+)/g)];
  const glibc = versions.filter(([, name]) => name === 'GLIBC').map(([, , version]) => version);
  const symbols = readelf('--dyn-syms', file)
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  const wanted = symbols.filter((fields) => fields[6] === 'UND').map((fields) => fields[7]?.replace(/@.*/, '') ?? '');
  return {
    machine: /Machine:\s+(.*)/.exec(readelf('-h', file))[1],
    needed: [...readelf('-d', file).matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, library]) => library).sort(),
    glibc: glibc.reduce((newest, version) => (newest === '' || isNewer(version, newest) ? version : newest), ''),
    otherVersions: [
      ...new Set(versions.filter(([, name]) => name !== 'GLIBC').map(([, name, version]) => `${name}_${version}`)),
    ],
    exports: symbols
      .filter((fields) => /^\d+:$/.test(fields[0]) && fields[6] !== 'UND' && fields[4] !== 'LOCAL')
      .map((fields) => fields[7])
      .sort(),
    wanted,
    twofold: wanted.filter((name) => TWOFOLD.test(name)),
    stripped: !/\.symtab\b/.test(readelf('-S', file)),
    bytes: statSync(file).size,
  };
}

/** Throws where a binary would not load everywhere, or shows what is its own. */
export function assertSound(target, binary) {
  const wrong = [];
  if (binary.machine !== target.machine) wrong.push(`is for ${binary.machine}`);
  if (binary.glibc && isNewer(binary.glibc, GLIBC_FLOOR)) wrong.push(`needs glibc ${binary.glibc}`);
  if (binary.otherVersions.length > 0) wrong.push(`needs ${binary.otherVersions.join(', ')}`);
  if (binary.needed.length > 0) wrong.push(`names ${binary.needed.join(', ')}`);
  if (binary.twofold.length > 0) wrong.push(`takes an old ${binary.twofold.join(', ')}`);
  if (`${binary.exports}` !== `${EXPORTS}`) wrong.push(`exports ${binary.exports.join(', ')}`);
  if (!binary.stripped) wrong.push('is not stripped');
  if (wrong.length > 0) throw new Error(`the binary for ${target.name} ${wrong.join('; ')}`);
}
