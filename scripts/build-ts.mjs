// Compiles lib/ to dist/ from scratch, so that no file of a removed module stays behind.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = dirname(import.meta.dirname);
rmSync(join(root, 'dist'), { recursive: true, force: true });
const tsc = spawnSync('tsc', ['-p', 'tsconfig.json'], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}` },
});
if (tsc.status !== 0) process.exit(tsc.status ?? 1);
const cli = join(root, 'dist/cli/main.js');
if (existsSync(cli)) chmodSync(cli, 0o755);
