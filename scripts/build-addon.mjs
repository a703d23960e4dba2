// Builds the addon with node-gyp and puts it where a published package carries it: prebuilds/<platform>-<arch>/.
import { copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sources } from '../native/compile.mjs';
import { missingTools, nodeGyp } from './node-gyp.mjs';

const root = dirname(import.meta.dirname);

const missing = missingTools();
if (missing.length > 0) {
  console.error(`ksocket: building it from source needs\n${missing.map((each) => `  ${each}`).join('\n')}`);
  process.exit(1);
}

const all = sources().length;
let begun = 0;
/** A terminal has one line that changes; a log gets some lines. */
function progress() {
  begun++;
  const text = `ksocket: compiling the addon, file ${begun} of ${all}`;
  if (process.stdout.isTTY) process.stdout.write(`\r${text}${begun === all ? '\n' : ''}`);
  else if (begun === 1 || begun % 20 === 0 || begun === all) console.log(text);
}

const status = await nodeGyp(root, 'rebuild', process.argv.slice(2), progress);
if (status !== 0) process.exit(status);

const target = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
mkdirSync(target, { recursive: true });
copyFileSync(join(root, 'build/Release/ksocket.node'), join(target, 'ksocket.node'));
