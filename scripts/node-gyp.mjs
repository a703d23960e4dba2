// node-gyp without a download where Node's own installation carries its headers, as it usually does.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const gyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');

function headers() {
  const prefix = dirname(dirname(process.execPath));
  const has = ['include/node/node_api.h', 'include/node/common.gypi'].every((file) => existsSync(join(prefix, file)));
  return process.env.npm_config_nodedir ?? (has ? prefix : undefined);
}

/** `node-gyp command …` where a binding.gyp is. Returns its exit status. */
export function nodeGyp(directory, command, options = []) {
  const nodedir = headers();
  const args = [gyp, command, '--loglevel=warn', ...(nodedir ? [`--nodedir=${nodedir}`] : []), ...options];
  const { status } = spawnSync(process.execPath, args, {
    cwd: directory,
    stdio: 'inherit',
    env: { ...process.env, JOBS: process.env.JOBS ?? 'max' },
  });
  return status ?? 1;
}
