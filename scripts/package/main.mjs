// What a release runs: builds the package, a binary for each target, and writes ksocket-VERSION.tgz into the checkout's root, with
// its bill of materials beside it. Binaries come from a cache when nothing has changed that they are made of.
//
//   npm run package [-- --target linux-x64 …] [--repository URL]
//
// Without --target, for all of them. --repository: where the sources are; GitHub's workflow or git's remote says it otherwise.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import zopfli from '@gfx/zopfli';
import { binaryOf } from './binary.mjs';
import { assertSound, inspectBinary } from './inspect.mjs';
import { findRepository } from './repository.mjs';
import { writeBom } from './sbom.mjs';
import { stage } from './stage.mjs';
import { TARGETS } from './targets.mjs';

const root = dirname(dirname(import.meta.dirname));
const { values } = parseArgs({
  options: { target: { type: 'string', multiple: true }, repository: { type: 'string' } },
});
const unknown = values.target?.find((name) => !TARGETS.some((target) => target.name === name));
if (unknown) throw new Error(`--target is one of ${TARGETS.map(({ name }) => name).join(', ')}; not ${unknown}`);
const targets = TARGETS.filter(({ name }) => values.target?.includes(name) ?? true);
const repository = findRepository(root, values.repository);

const built = spawnSync(process.execPath, [join(root, 'scripts/build-ts.mjs')], { cwd: root, stdio: 'inherit' });
if (built.status !== 0) process.exit(built.status ?? 1);
const binaries = {};
for (const target of targets) {
  binaries[target.name] = await binaryOf(root, target);
  assertSound(target, inspectBinary(binaries[target.name]));
}

const work = mkdtempSync(join(tmpdir(), 'ksocket-package-'));
try {
  const manifest = stage(root, join(work, 'package'), { binaries, repository });
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', work];
  execFileSync('npm', args, { cwd: join(work, 'package'), stdio: ['ignore', 'ignore', 'inherit'] });
  const { version } = manifest;
  const name = `ksocket-${version}.tgz`;
  const tarball = join(root, name);
  writeFileSync(tarball, await compress(gunzipSync(readFileSync(join(work, name)))));
  writeFileSync(join(root, `ksocket-${version}.spdx.json`), writeBom(manifest, join(work, 'bom'), tarball));
  console.log(
    `${name}: ${Math.round(statSync(tarball).size / 1000)} kB, for ${targets.map((target) => target.name).join(', ')}`,
  );
  if (!repository) console.log('no repository is known: its README has relative links (--repository URL)');
} finally {
  rmSync(work, { recursive: true });
}

/** As npm does it, only longer: a twentieth less to be downloaded by everybody. */
function compress(tar) {
  return zopfli.gzipAsync(tar, { numiterations: 5 });
}
