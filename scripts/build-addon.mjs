// Builds the addon with node-gyp and puts it where a published package carries it: prebuilds/<platform>-<arch>/.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const root = dirname(import.meta.dirname);
const gyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');

// Node's own installation usually carries its headers; then nothing has to be downloaded.
const prefix = dirname(dirname(process.execPath));
const hasHeaders =
  existsSync(join(prefix, 'include/node/node_api.h')) && existsSync(join(prefix, 'include/node/common.gypi'));
const nodedir = process.env.npm_config_nodedir ?? (hasHeaders ? prefix : undefined);

const args = [
  gyp,
  'rebuild',
  '--loglevel=warn',
  ...(nodedir ? [`--nodedir=${nodedir}`] : []),
  ...process.argv.slice(2),
];
const built = spawnSync(process.execPath, args, {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, JOBS: process.env.JOBS ?? 'max' },
});
if (built.status !== 0) process.exit(built.status ?? 1);

const target = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
mkdirSync(target, { recursive: true });
copyFileSync(join(root, 'build/Release/ksocket.node'), join(target, 'ksocket.node'));
