// Starts `imports` in a process of its own, with nothing but the environment, and passes on what it says.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const { stdout, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, 'imports.js')]);
process.stdout.write(stdout);
process.stderr.write(stderr);
