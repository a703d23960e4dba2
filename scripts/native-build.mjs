// Builds native/ without Node's own headers or any download: cmake-js with node-api-headers, a build directory for
// each preset of native/CMakePresets.json, which `cmake --preset` in native/ builds into as well.
//
//   node scripts/native-build.mjs [preset [target]]
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';

export const root = dirname(import.meta.dirname);
const source = join(root, 'native');
const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');

/** Builds `target`, or everything, and returns the build directory. Throws when that fails. */
export function buildNative(preset = 'default', target = undefined) {
  const { directory, variables } = readPreset(preset);
  if (!isConfigured(directory, variables)) {
    // From scratch: CMake refuses to change the generator of a build directory, and keeps variables it is not given.
    run('reconfigure', directory, [
      // cmake-js says Release when nobody says anything; assertions and line numbers are worth more here.
      ...['-B', variables.CMAKE_BUILD_TYPE ?? 'RelWithDebInfo'],
      ...Object.entries(variables).map(([name, value]) => `--CD${name}=${value}`),
    ]);
  }
  run('build', directory, ['-p', String(availableParallelism()), ...(target ? ['-T', target] : [])]);
  return directory;
}

/** The build directory and the cache variables of a preset, with what it inherits. */
function readPreset(name) {
  const presets = JSON.parse(readFileSync(join(source, 'CMakePresets.json'), 'utf8')).configurePresets;
  const find = (wanted) => {
    const own = presets.find((preset) => preset.name === wanted);
    if (!own)
      throw new Error(
        `no preset '${wanted}' in native/CMakePresets.json, only ${presets.map((p) => p.name).join(', ')}`,
      );
    const parents = [own.inherits ?? []].flat().map(find);
    return {
      binaryDir: own.binaryDir ?? parents.find((parent) => parent.binaryDir)?.binaryDir,
      cacheVariables: Object.assign(
        {},
        ...parents.reverse().map((parent) => parent.cacheVariables),
        own.cacheVariables,
      ),
    };
  };
  const { binaryDir, cacheVariables } = find(name);
  return { directory: resolve(binaryDir.replace(/^\$\{sourceDir\}/, source)), variables: cacheVariables };
}

function isConfigured(directory, variables) {
  // A configuration that failed leaves a cache behind, but nothing to build with.
  if (!['build.ninja', 'Makefile'].some((file) => existsSync(join(directory, file)))) return false;
  const cache = readFileSync(join(directory, 'CMakeCache.txt'), 'utf8').split('\n');
  return Object.entries(variables).every(([name, value]) => {
    const line = cache.find((entry) => entry.startsWith(`${name}:`));
    return line !== undefined && line.slice(line.indexOf('=') + 1) === String(value);
  });
}

function run(command, directory, options) {
  const args = [cmakeJs, command, '-l', 'warn', '-d', source, '-O', directory, ...options];
  const { status, error } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) throw new Error(`cmake-js ${command} failed in ${directory}`);
}

if (process.argv[1] === import.meta.filename) {
  try {
    buildNative(...process.argv.slice(2));
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
