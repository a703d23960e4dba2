import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { Unavailable } from '../unavailable.mjs';
import { unixDgramRoles } from './unix-dgram-roles.mjs';

// By path, as in ksocket.mjs.
const dir = process.env.KSOCKET_DIR ?? join(import.meta.dirname, '../../..');
const entry = join(dir, 'dist/unix-dgram.js');
if (!existsSync(entry)) throw new Unavailable(`this build has no ${entry}`);

export const roles = unixDgramRoles(await import(pathToFileURL(entry).href));
