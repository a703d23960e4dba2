// Compiles the addon with a C++ compiler alone, without node-gyp, Python or make: for `ksocket build`, and for the binaries of a
// release (scripts/package/). What is compiled, and how, is in compile.json, which binding.gyp reads as well.
import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';

const native = import.meta.dirname;
const settings = JSON.parse(readFileSync(join(native, 'compile.json'), 'utf8'));

/** In a published package all sources and headers are in this: a JSON object of their paths and texts. */
export const ARCHIVE = 'sources.json.br';

function unpack(directory) {
  const files = JSON.parse(brotliDecompressSync(readFileSync(join(native, ARCHIVE))));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  return directory;
}

/** The addon's sources, relative to the directory that they are in. */
export function sources(directory = native) {
  const found = settings.sources.flatMap((folder) =>
    readdirSync(join(directory, folder), { recursive: true }).map((name) => join(folder, name)),
  );
  return ['addon.cc', ...found.filter((name) => name.endsWith('.cc')).sort()];
}

/** Directories with the headers of Node-API and libuv: in a published package beside the sources, in a checkout those of its
 * dependencies and of the Node that runs. */
export function headers(directory = native) {
  const vendored = join(directory, 'vendor');
  if (existsSync(vendored)) return [vendored];
  const require = createRequire(import.meta.url);
  const prefix = process.env.npm_config_nodedir ?? dirname(dirname(process.execPath));
  return [require('node-addon-api').include_dir, require('node-api-headers').include_dir, join(prefix, 'include/node')];
}

/** What the sources use of the language and its library. */
const PROBE = `
#include <bit>
#include <concepts>
#include <span>
static_assert(__cplusplus >= 202002L);
template <std::unsigned_integral T> constexpr int width(T value) { return std::bit_width(value); }
static_assert(width(8u) == 4);
int main() { int cells[2] = {}; return std::span(cells)[0]; }
`;

/**
 * The first C++20 compiler: the command that CXX names, with its first arguments, or of the `usual` ones. Where there is none,
 * `candidates` are all that were tried, and `tooOld` the first of them that runs, and what it says of C++20.
 */
export function findCompiler(usual) {
  const named = process.env.CXX?.trim();
  const candidates = named ? [named.split(/\s+/)] : usual.map((program) => [program]);
  let tooOld;
  for (const compiler of candidates) {
    const [program, ...first] = compiler;
    const args = [...first, '-std=c++20', '-x', 'c++', '-fsyntax-only', '-'];
    const { error, status, stderr } = spawnSync(program, args, { input: PROBE, encoding: 'utf8' });
    if (status === 0) return { compiler, candidates };
    // What reads nothing may have ended before it is written to.
    if (error === undefined || error.code === 'EPIPE') tooOld ??= { compiler, says: stderr.trim().split('\n')[0] };
  }
  return { candidates, tooOld };
}

/**
 * Compiles and links. `compiler`: a program that takes g++'s arguments, with its first ones. `flags` go to each of its calls,
 * `linking` to the last one, `flagsOf(name)` to a source's; `more` are paths of other sources. Rejects with what the compiler has written. `onStep(done, all)` is
 * called after each file.
 */
export async function compile({
  compiler,
  out,
  flags = [],
  linking = [],
  flagsOf = () => [],
  more = [],
  onStep = () => {},
}) {
  const [program, ...first] = compiler;
  mkdirSync(dirname(out), { recursive: true });
  const work = mkdtempSync(join(dirname(out), '.build-'));
  try {
    const from = existsSync(join(native, ARCHIVE)) ? unpack(join(work, 'native')) : native;
    const each = [
      ...[...first, ...flags, '-fPIC', ...settings.cflags, ...settings.cflags_cc],
      ...settings.defines.map((define) => `-D${define}`),
      ...['-I', from, ...headers(from).flatMap((path) => ['-isystem', path])],
    ];
    const files = [...sources(from).map((name) => join(from, name)), ...more];
    const objects = files.map((_, i) => join(work, `${i}.o`));
    let next = 0;
    let done = 0;
    const worker = async () => {
      for (let i = next++; i < files.length; i = next++) {
        await run(program, [...each, ...flagsOf(relative(from, files[i])), '-c', files[i], '-o', objects[i]]);
        onStep(++done, files.length + 1);
      }
    };
    const workers = await Promise.allSettled(Array.from({ length: availableParallelism() }, worker));
    for (const { reason } of workers) if (reason) throw reason;
    const made = join(work, 'ksocket.node');
    // Once loaded it stays: when the worker thread ends that has loaded it, Node closes it, and what would then have to run in its
    // stead at the process's end (atexit(3)) would be gone. Not every toolchain's libraries see to that.
    const exports = [`-Wl,--version-script=${join(from, 'exports.map')}`, '-Wl,-z,nodelete'];
    await run(program, [...first, ...flags, '-shared', ...objects, ...exports, ...linking, '-o', made]);
    renameSync(made, out); // whole or not at all
    onStep(++done, files.length + 1);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function run(program, args) {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => {
      if (status === 0) resolve(output);
      else reject(new Error(`${program} ended with ${signal ?? status}:\n${output}`));
    });
  });
}
