// Formats the C++ sources; with --check only says which ones differ.
import { execFileSync, spawnSync } from 'node:child_process';
import { dirname } from 'node:path';

const root = dirname(import.meta.dirname);
const check = process.argv.includes('--check');
const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.cc', '*.h', '*.c'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter(Boolean);
const done = spawnSync('clang-format', [...(check ? ['--dry-run', '--Werror'] : ['-i']), ...files], {
  cwd: root,
  stdio: 'inherit',
});
if (done.error) {
  process.stderr.write('clang-format is missing: install it (apt-get install clang-format)\n');
  process.exit(1);
}
process.exit(done.status ?? 1);
