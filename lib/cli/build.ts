// `ksocket build`: compiles the addon where the package has none that loads. It needs a C++ compiler and nothing else.
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { SingleBar } from 'cli-progress';
import type { Command } from 'commander';
import { targetHere } from '../backend/targets.js';
import { fail } from './fail.js';

/** native/compile.mjs, which is no part of the bundle: it finds the sources beside itself. */
interface Compiling {
  findCompiler(usual: string[]): {
    compiler?: string[];
    candidates: string[][];
    tooOld?: { compiler: string[]; says: string };
  };
  compile(job: {
    compiler: string[];
    out: string;
    flags?: string[];
    linking?: string[];
    onStep?: (done: number, all: number) => void;
  }): Promise<void>;
}

const root = join(import.meta.dirname, '../..');

const examples = `
It needs a C++20 compiler (g++ 11 or newer, clang++ 14 or newer): CXX names it, or it is the first of c++, g++ and
clang++ on PATH. No Python, no make, no node-gyp, nothing is downloaded.

Examples:
  ksocket build                          for this machine, into the package
  CXX=clang++-18 ksocket build
  ksocket build --out ./ksocket.node     into a file that KSOCKET_ADDON then names`;

const INSTALL =
  'Debian, Ubuntu: apt install g++; Fedora, RHEL: dnf install gcc-c++; Alpine: apk add g++; Arch: pacman -S gcc';

/** Why nothing compiles. */
function whyNone({ candidates, tooOld }: ReturnType<Compiling['findCompiler']>): string {
  if (tooOld) {
    const { compiler, says } = tooOld;
    return `${compiler.join(' ')} does not compile C++20: ${says}; g++ 11 or clang++ 14 does (${INSTALL})`;
  }
  const names = candidates.map((candidate) => candidate.join(' ')).join(', ');
  return `there is no C++ compiler (looked for ${names}; ${INSTALL}; or CXX names one)`;
}

/** Does a process of this Node load it? "", or why not. */
function whyUseless(file: string): string {
  const program = `import(${JSON.stringify(new URL('../index.js', import.meta.url).href)}).then(({ features }) => features())`;
  const { status, stderr } = spawnSync(process.execPath, ['-e', program], {
    env: { ...process.env, KSOCKET_ADDON: file, KSOCKET_BACKEND: 'addon' },
    encoding: 'utf8',
  });
  if (status === 0) return '';
  return /^\w*Error.*$/m.exec(stderr)?.[0] ?? stderr.trim();
}

async function build({ out }: { out?: string }): Promise<void> {
  const target = targetHere();
  if (process.platform !== 'linux') return fail(`the addon is for Linux, this is ${target}`);
  const native = new URL('../../native/compile.mjs', import.meta.url).href;
  const { compile, findCompiler } = (await import(native)) as Compiling;
  const found = findCompiler(['c++', 'g++', 'clang++']);
  const { compiler } = found;
  if (compiler === undefined) return fail(whyNone(found));
  const file = out === undefined ? join(root, 'prebuilds', target, 'ksocket.node') : resolve(out);
  const bar = process.stderr.isTTY
    ? new SingleBar({ format: 'compiling {bar} {value}/{total}', hideCursor: true })
    : null;
  process.stdout.write(`compiling the addon for ${target} with ${compiler.join(' ')}, a minute or two\n`);
  let started = false;
  const onStep = (done: number, all: number) => {
    if (!started) bar?.start(all, done);
    started = true;
    bar?.update(done);
  };
  try {
    await compile({ compiler, out: file, linking: ['-s'], onStep });
  } catch (error) {
    bar?.stop();
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'EACCES' && code !== 'EROFS' && code !== 'EPERM') throw error;
    return fail(`${message}; --out FILE puts it elsewhere, and KSOCKET_ADDON=FILE is where it is looked for`);
  }
  bar?.stop();
  const useless = whyUseless(file);
  if (useless) return fail(`compiled ${file}, which does not load: ${useless}`);
  process.stdout.write(`${file}\n${out === undefined ? '' : `set KSOCKET_ADDON to it\n`}`);
}

export function defineBuild(program: Command): void {
  program
    .command('build')
    .description('compile the addon for this machine, where the package has none')
    .option('-o, --out <file>', 'where to put it (default: where ksocket looks for it)')
    .addHelpText('after', examples)
    .action(build);
}
