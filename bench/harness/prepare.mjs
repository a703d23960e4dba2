import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { benchDir, rootDir } from './paths.mjs';

const stampFile = join(benchDir, 'node_modules/.ksocket-bench');

/** Installs the peers when they are missing or others are wanted now, and builds the load generator. */
export function prepare() {
  installPeers();
  run('make', ['--silent', '-j2', '-C', 'native'], 'the native load generator does not build');
}

function installPeers() {
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === wantedHash()) return;
  console.error('installing the compared runtimes into bench/node_modules …');
  // No install scripts: peers.mjs finds the binaries inside the platform packages.
  const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts'];
  run('npm', args, 'npm could not install them');
  compileUnixDgram();
  writeFileSync(stampFile, wantedHash());
}

// It comes as sources. Where they do not compile, it is not available.
function compileUnixDgram() {
  const place = join(benchDir, 'node_modules/unix-dgram');
  const gyp = `import { nodeGyp } from ${JSON.stringify(join(rootDir, 'scripts/node-gyp.mjs'))};`;
  const build = `process.exitCode = await nodeGyp(${JSON.stringify(place)}, 'rebuild');`;
  spawnSync(process.execPath, ['--input-type=module', '-e', gyp + build], { stdio: ['ignore', 2, 2] });
}

function wantedHash() {
  return ['package.json', 'package-lock.json']
    .map((name) => join(benchDir, name))
    .filter((path) => existsSync(path))
    .reduce((hash, path) => hash.update(readFileSync(path)), createHash('sha256'))
    .update(process.versions.modules)
    .digest('hex');
}

function run(command, args, whatFailed) {
  const { status, error } = spawnSync(command, args, { cwd: benchDir, stdio: ['ignore', 2, 2] });
  if (status === 0) return;
  console.error(`${whatFailed}: ${error?.message ?? `${command} exited with ${status}`}`);
  process.exit(1);
}
