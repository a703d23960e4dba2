import { dirname, join } from 'node:path';

export const benchDir = dirname(import.meta.dirname);
export const rootDir = dirname(benchDir);
export const loadgen = join(benchDir, 'native/build/loadgen');
export const startup = join(benchDir, 'adapters/startup.mjs');
export const nginx = join(benchDir, 'adapters/nginx.mjs');
export const adapter = join(benchDir, 'adapters/program.mjs');
