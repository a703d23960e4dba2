// Programs from npm that the tests of the tarball run.
import { join } from 'node:path';
import { fromNpm } from '../support/npm.js';

const { arch } = process;

/** The path of a file in a package, `name@version`. */
export const tool = (wanted: string, file: string): string => join(fromNpm(wanted), 'node_modules', file);

// The packages of these two download or link at install what their platform packages have.
const bunPlatform = `@oven/bun-linux-${arch === 'arm64' ? 'aarch64' : arch}`;
export const bun = (): string => tool(`${bunPlatform}@1.4`, `${bunPlatform}/bin/bun`);
export const deno = (): string => tool(`@deno/linux-${arch}-glibc@2`, `@deno/linux-${arch}-glibc/deno`);
export const esbuild = (): string => tool('esbuild@0.28', `@esbuild/linux-${arch}/bin/esbuild`);
