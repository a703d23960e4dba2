// Builds the addon with node-gyp and puts it where a published package carries it: prebuilds/<platform>-<arch>/.
import { copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { nodeGyp } from './node-gyp.mjs';

const root = dirname(import.meta.dirname);

const status = nodeGyp(root, 'rebuild', process.argv.slice(2));
if (status !== 0) process.exit(status);

const target = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
mkdirSync(target, { recursive: true });
copyFileSync(join(root, 'build/Release/ksocket.node'), join(target, 'ksocket.node'));
