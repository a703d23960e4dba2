// Writes lib/backend/layout.ts from native/core/contract/layout_fields.h; with --check only says whether it is up to date.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildNative, root } from './native-build.mjs';

const file = join(root, 'lib/backend/layout.ts');
const generated = execFileSync(join(buildNative('default', 'print_layout'), 'print_layout'), { encoding: 'utf8' });
const present = existsSync(file) ? readFileSync(file, 'utf8') : undefined;

if (present === generated) {
  console.log('lib/backend/layout.ts is up to date');
} else if (process.argv.includes('--check')) {
  console.error('lib/backend/layout.ts does not match native/core/contract/layout_fields.h: run `npm run generate`');
  process.exitCode = 1;
} else {
  writeFileSync(file, generated);
  console.log('lib/backend/layout.ts written');
}
