// A copy of the tree in which mutants live, and running commands there with a limit.
import { spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { variablesOf } from '../test-engines.mjs';

export const root = resolve(import.meta.dirname, '../..');

/** What tests need of the tree. node_modules/ is the tree's own. */
const PARTS = [
  '.dependency-cruiser.mjs',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'LICENSE',
  'README.md',
  'biome.json',
  'binding.gyp',
];
const FOLDERS = ['bench', 'build-test', 'dist', 'docs', 'examples', 'lib', 'native', 'prebuilds', 'scripts', 'test'];

/** What is loaded when it is needed is a bundle elsewhere. That modules may be required is an experiment of Node 20's, and said so. */
const MODULE_BY_MODULE = `const { emitWarning } = process;
process.emitWarning = () => {};
module.exports = require('./index.js');
process.emitWarning = emitWarning;
`;

export class Scratch {
  #running = new Set(); // what ends each command

  constructor() {
    this.path = mkdtempSync(join(tmpdir(), 'ksocket-mutants-'));
    chmodSync(this.path, 0o755);
    for (const part of [...PARTS, ...FOLDERS, 'package.json', 'package-lock.json', 'tsconfig.json']) {
      cpSync(join(root, part), join(this.path, part), { recursive: true, preserveTimestamps: true });
    }
    symlinkSync(join(root, 'node_modules'), join(this.path, 'node_modules'));
    // A mutant is a module: dist/ is module by module here, and so what tests of internals import.
    cpSync(join(root, 'build-lib'), join(this.path, 'dist'), { recursive: true, preserveTimestamps: true });
    symlinkSync('dist', join(this.path, 'build-lib'));
    for (const part of readdirSync(join(this.path, 'dist'), { recursive: true }).filter((name) =>
      name.endsWith('.cjs'),
    )) {
      if (part.startsWith('shared')) continue; // of the bundles, which nobody loads here
      this.write(join('dist', part), MODULE_BY_MODULE);
    }
  }

  read(file) {
    return readFileSync(join(this.path, file), 'utf8');
  }

  write(file, text) {
    writeFileSync(join(this.path, file), text);
  }

  /** The compiled test files. */
  tests() {
    const names = readdirSync(join(this.path, 'build-test'), { recursive: true });
    return names.filter((file) => file.endsWith('.test.js')).sort();
  }

  runTest(test, engine, limitMs, env = {}) {
    const { variable, other } = variablesOf(engine);
    const own = { [variable]: engine, [other]: undefined, ...env };
    return this.run(process.execPath, [`build-test/${test}`], { env: own, limitMs });
  }

  /** Runs a command to its end, or to the limit: then it is ended with all that it has started. `status` is null then. */
  run(command, args, { env = {}, cwd = '.', limitMs = 600_000, nice = true } = {}) {
    const [program, ...rest] = nice ? ['nice', '-n', '10', command, ...args] : [command, ...args];
    const started = performance.now();
    const child = spawn(program, rest, {
      cwd: join(this.path, cwd),
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // a group of its own
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output = (output + text).slice(-200_000);
      });
    }
    const endGroup = () => {
      this.#running.delete(endGroup);
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {} // all have ended
    };
    this.#running.add(endGroup);
    return new Promise((done, failed) => {
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        endGroup();
      }, limitMs);
      child.on('error', failed);
      child.on('exit', (code, signal) => {
        clearTimeout(timer);
        endGroup(); // what a test has left behind
        const status = late ? null : (code ?? `signal ${signal}`);
        setImmediate(() => done({ status, output, ms: performance.now() - started }));
      });
    });
  }

  remove() {
    for (const end of this.#running) end();
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A file of what is worth keeping between two runs, by `key`: what it was made from. */
export class Kept {
  constructor(name, key) {
    this.file = join(root, 'node_modules/.cache/ksocket-mutants', `${name}.json`);
    this.key = key;
  }

  read() {
    try {
      const { key, value } = JSON.parse(readFileSync(this.file, 'utf8'));
      return key === this.key ? value : undefined;
    } catch {
      return undefined;
    }
  }

  write(value) {
    mkdirSync(dirname(this.file), { recursive: true });
    writeFileSync(this.file, JSON.stringify({ key: this.key, value }));
  }
}
