// Compiles lib/ to dist/ from scratch (what the monitor's page consists of is copied), so that no file of a removed module stays behind.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = dirname(import.meta.dirname);
rmSync(join(root, 'dist'), { recursive: true, force: true });
const tsc = spawnSync('tsc', ['-p', 'tsconfig.json'], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}` },
});
if (tsc.status !== 0) process.exit(tsc.status ?? 1);
cpSync(join(root, 'lib/monitor/page'), join(root, 'dist/monitor/page'), { recursive: true });
const cli = join(root, 'dist/cli/main.js');
if (existsSync(cli)) chmodSync(cli, 0o755);
