// node-gyp without a download where Node's own installation carries its headers, as it usually does.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { findCompiler } from '../native/compile.mjs';

const gyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');

function headers() {
  const prefix = dirname(dirname(process.execPath));
  const has = ['include/node/node_api.h', 'include/node/common.gypi'].every((file) => existsSync(join(prefix, file)));
  return process.env.npm_config_nodedir ?? (has ? prefix : undefined);
}

/** What node-gyp needs, where it is not to be had: a line each, with the package to install. */
export function missingTools() {
  const works = (program, ...args) => spawnSync(program, args, { stdio: 'ignore' }).status === 0;
  const { compiler, candidates, tooOld } = findCompiler(['c++']); // gyp knows no other
  const pythons = [process.env.npm_config_python ?? process.env.PYTHON, 'python3', 'python'].filter(Boolean);
  const missing = [];
  if (!pythons.some((name) => works(name, '-c', 'import sys; sys.exit(sys.version_info < (3, 6))'))) {
    missing.push(
      'Python 3 (Debian, Ubuntu: apt install python3; Fedora: dnf install python3; Alpine: apk add python3)',
    );
  }
  if (!works(process.env.MAKE ?? 'make', '--version')) {
    missing.push('make (Debian, Ubuntu: apt install make; Fedora: dnf install make; Alpine: apk add make)');
  }
  if (tooOld) {
    const old = tooOld.compiler.join(' ');
    missing.push(`a C++20 compiler: ${old} is older than g++ 11 or clang++ 14 (CXX names another one)`);
  } else if (!compiler) {
    missing.push(
      `a C++ compiler, ${candidates[0][0]} (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++; Alpine: apk add g++)`,
    );
  }
  return missing;
}

/** `node-gyp command …` where a binding.gyp is. `onCompiled` is called for each file that the compiler begins with. Returns its
 * exit status. */
export async function nodeGyp(directory, command, options = [], onCompiled = () => {}) {
  const nodedir = headers();
  const args = [gyp, command, '--loglevel=warn', ...(nodedir ? [`--nodedir=${nodedir}`] : []), ...options];
  const child = spawn(process.execPath, args, {
    cwd: directory,
    stdio: ['inherit', 'pipe', 'inherit'],
    env: { ...process.env, JOBS: process.env.JOBS ?? 'max' },
  });
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve(status ?? 1));
  });
  for await (const line of createInterface({ input: child.stdout })) {
    if (/^ {2}CXX\(target\) /.test(line)) onCompiled();
    else if (!/^ {2}[A-Z_]+\(target\) |^ {2}(TOUCH|ACTION|COPY) |^make(\[\d+\])?: |^rm -f/.test(line))
      console.log(line);
  }
  return ended;
}
