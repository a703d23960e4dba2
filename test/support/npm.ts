// Packages from npm that tests run beside ksocket. node_modules/.cache outlives the test runs.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from './child.js';

/** The directory that has these in its node_modules, `name@version` each. No script of theirs runs. */
export function fromNpm(...wanted: string[]): string {
  const name = wanted.join('+').replaceAll(/[^\w.+-]/g, '_');
  const prefix = join(root, 'node_modules/.cache/ksocket-tests', name);
  if (!existsSync(prefix)) install(prefix, wanted);
  return prefix;
}

/** The same of a package with a binding.gyp, built for the Node that runs the test. */
export function builtFromNpm(wanted: string): string {
  const plain = fromNpm(wanted);
  const prefix = `${plain}.abi${process.versions.modules}`;
  const [name] = wanted.split(/(?<=.)@/);
  const compile = (own: string) => {
    cpSync(plain, own, { recursive: true });
    const gyp = `import { nodeGyp } from ${JSON.stringify(join(root, 'scripts/node-gyp.mjs'))};`;
    const build = `process.exitCode = await nodeGyp(${JSON.stringify(join(own, 'node_modules', name))}, 'rebuild');`;
    execFileSync(process.execPath, ['--input-type=module', '-e', gyp + build], { stdio: 'pipe' });
  };
  if (!existsSync(prefix)) makeOnce(prefix, compile);
  return prefix;
}

function install(prefix: string, wanted: string[]): void {
  const options = ['--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  makeOnce(prefix, (own) => {
    mkdirSync(own, { recursive: true });
    execFileSync('npm', ['install', '--prefix', own, ...options, ...wanted], { cwd: dirname(own), stdio: 'pipe' });
  });
}

// Another test file may make it at the same time: what is there under its name is complete.
function makeOnce(prefix: string, make: (own: string) => void): void {
  const own = `${prefix}.${process.pid}`;
  try {
    make(own);
    renameSync(own, prefix);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error; // rename(2): it was there first
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}
