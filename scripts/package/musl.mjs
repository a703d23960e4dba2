// The binaries with musl: loaded by musl's dynamic loader everywhere, and run where the processor is this one's.
//
// musl comes from Debian. No Node for it is to be had from there or from npm, but Bun is; the libstdc++ that Bun wants is
// Debian's, which is glibc's but for the few functions below.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ABI, archOf, muslTriple, run } from './foreign.mjs';
import { installZig } from './zig.mjs';

/** What glibc's libstdc++ and libgcc_s use and musl does not have. */
const GLIBC_ONLY = `
#include <stddef.h>
struct tm;
size_t strftime_l(char*, size_t, const char*, const struct tm*, void*);
long getrandom(void*, size_t, unsigned);
unsigned long getauxval(unsigned long);
char __libc_single_threaded = 0;
struct { unsigned vendor, type, subtype, features; } __cpu_model;
unsigned __cpu_features2[4];
int __cpu_indicator_init(void) { return 0; }
int _dl_find_object(void* address, void* result) { return -1; }
int __cxa_thread_atexit_impl(void (*destroy)(void*), void* object, void* library) { return 0; }
unsigned long __getauxval(unsigned long type) { return getauxval(type); }
unsigned arc4random(void) {
  unsigned value = 0;
  getrandom(&value, sizeof(value), 0);
  return value;
}
size_t __strftime_l(char* to, size_t size, const char* format, const struct tm* at, void* locale) {
  return strftime_l(to, size, format, at, locale);
}
`;

/** A program with Bun for musl. */
export function runWithBun(cache, work, target, program) {
  const arch = ABI[archOf(target)];
  const place = join(work, 'bun');
  mkdirSync(place);
  writeFileSync(join(place, 'glibc.c'), GLIBC_ONLY);
  const stands = join(place, `ld-linux-${arch.replace('_', '-')}.so.${arch === 'x86_64' ? 2 : 1}`);
  const linking = [
    '-shared',
    '-fPIC',
    '-O1',
    '-nostdlib',
    '-o',
    stands,
    `-Wl,-soname,${stands.slice(place.length + 1)}`,
  ];
  run(installZig(cache), ['cc', '-target', muslTriple(target), join(place, 'glibc.c'), ...linking]);
  for (const name of ['libstdc++.so.6', 'libgcc_s.so.1']) {
    copyFileSync(join(`/usr/lib/${arch}-linux-gnu`, name), join(place, name));
  }
  const env = { ...process.env, KSOCKET_ENGINE: '', LD_LIBRARY_PATH: place, LD_PRELOAD: stands };
  const output = run(muslLoader(cache, work, arch), [bunFor(cache, arch), program], { cwd: work, env });
  if (!output.startsWith(`pong ${archOf(target)} `)) throw new Error(`it printed ${output}`);
  return 'with musl it runs on Bun';
}

function bunFor(cache, arch) {
  const name = `@oven/bun-linux-${arch === 'x86_64' ? 'x64' : arch}-musl`;
  const prefix = join(cache, `bun-musl-${arch}-1.4`);
  const binary = join(prefix, 'node_modules', name, 'bin/bun');
  if (!existsSync(binary)) {
    const options = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--force', '--loglevel=error'];
    run('npm', ['install', '--prefix', prefix, ...options, `${name}@1.4`], { cwd: dirname(cache) });
  }
  return binary;
}

/** By musl's dynamic loader, into a program that exports what Node would. */
export function loadWithMusl(cache, work, target, file, emulator) {
  const arch = ABI[archOf(target)];
  const wanted = run('readelf', ['-W', '--dyn-syms', file])
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[6] === 'UND' && /^(napi|uv|node)_/.test(fields[7] ?? ''))
    .map((fields) => fields[7]);
  const source = [
    '#include <dlfcn.h>',
    '#include <stdio.h>',
    ...wanted.map((name) => `int ${name}(void) { return 9; }`),
    'int main(int count, char** names) {',
    '  void* addon = dlopen(names[1], RTLD_NOW);',
    '  int (*version)(void) = addon ? (int (*)(void))dlsym(addon, "node_api_module_get_api_version_v1") : 0;',
    '  if (count != 2 || !version) return fprintf(stderr, "%s\\n", dlerror()), 1;',
    '  return printf("%d\\n", version()), 0;',
    '}',
  ];
  const main = join(work, `${target.name}.c`);
  writeFileSync(main, source.join('\n'));
  const program = join(work, target.name);
  const zig = installZig(cache);
  run(zig, ['cc', '-target', muslTriple(target), '-dynamic', '-rdynamic', '-O1', main, '-o', program]);
  const loader = muslLoader(cache, work, arch);
  const [command, ...args] = [...emulator, loader, program, file];
  const output = run(command, args);
  if (output !== '8\n') throw new Error(`it printed ${output}`);
  return `musl's dynamic loader loads it${emulator.length > 0 ? ', under qemu-user' : ''}; not run`;
}

/** From Debian's package `musl` of that architecture, which is unpacked, not installed. */
function muslLoader(cache, work, arch) {
  const place = join(cache, `musl-${arch}`);
  const loader = join(place, `lib/ld-musl-${arch}.so.1`);
  const found = () => spawnSync('test', ['-e', loader]).status === 0;
  if (found()) return loader;
  mkdirSync(place, { recursive: true });
  const debian = { x86_64: 'amd64', aarch64: 'arm64' }[arch];
  const foreign = run('dpkg', ['--print-architecture']).trim() !== debian;
  if (foreign) run('sh', ['-c', `dpkg --add-architecture ${debian} && apt-get update -qq`]);
  run('apt-get', ['download', '-qq', `musl:${debian}`], { cwd: work });
  run('sh', ['-c', `dpkg -x musl_*_${debian}.deb '${place}'`], { cwd: work });
  if (foreign) run('sh', ['-c', `dpkg --remove-architecture ${debian}`]);
  if (!found()) throw new Error(`the package musl:${debian} has no ${loader}`);
  return loader;
}
