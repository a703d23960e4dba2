// Runs TypeScript tests with an addon that is built with AddressSanitizer, in a copy of the repository under
// build-native/: node scripts/test-asan.mjs [part of a file's name …]
//
// The sanitizer sees every access of native code, and of Node's own libraries to what they allocate. Its leak check
// stays off: Node leaves at its end what the kernel takes back anyway.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runCompiler } from './compiler.mjs';

const root = dirname(import.meta.dirname);
const copy = join(root, 'build-native/addon-asan');
/** How much memory a process takes says nothing under a sanitizer, and it cannot do without address space. */
const WITHOUT = ['lifecycle/memory', 'server/spoofed', 'socket/address-space'];

const filters = process.argv.slice(2);
if (filters.length === 0) filters.push('socket/', 'server/', 'lifecycle/');

rmSync(copy, { recursive: true, force: true });
const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8' });
for (const file of files.split('\n')) {
  if (/^(binding\.gyp|package\.json|tsconfig\.json)$|^(docs|examples|lib|native|scripts|test)\//.test(file)) {
    if (existsSync(join(root, file))) cpSync(join(root, file), join(copy, file));
  }
}
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));

const sanitize = '-fsanitize=address -fno-omit-frame-pointer -g';
run('build-addon.mjs', [], { CFLAGS: sanitize, CXXFLAGS: sanitize, LDFLAGS: sanitize });
run('build-ts.mjs');
const library = runCompiler(['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim();
const without = WITHOUT.flatMap((part) => ['--without', part]);
run('test-ts.mjs', ['--preload', library, '--engine', 'mmsg', ...without, ...filters], {
  ASAN_OPTIONS: 'detect_leaks=0',
});

function run(script, args = [], env = {}) {
  const options = { cwd: copy, stdio: 'inherit', env: { ...process.env, ...env } };
  const { status } = spawnSync(process.execPath, [join(copy, 'scripts', script), ...args], options);
  if (status !== 0) process.exit(status ?? 1);
}
