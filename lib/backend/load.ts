// The backend: the addon, or what stands in for it where there is none.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { fallbackNotBundled } from '../base/errors.js';
import { attempt, findAddon } from './addon.js';
import type { Binding } from './binding.js';
import { LAYOUT_HASH } from './layout.js';
import { targetHere } from './targets.js';

/** What sockets are made of: this package's `addon`, or node:`dgram`. */
export type Backend = 'addon' | 'dgram';

/** As KSOCKET_BACKEND says: `dgram` does without the addon, `addon` with nothing else. Otherwise it is the addon, or on platforms
 * that have none, node:dgram. Where there should be one and it is missing that is an error: a program would only be slow. */
function chooseAddon(): Binding | undefined {
  const wanted = process.env.KSOCKET_BACKEND ?? '';
  if (wanted === 'dgram') return undefined;
  if (wanted !== '' && wanted !== 'addon') {
    throw new Error(`KSOCKET_BACKEND must be 'addon' or 'dgram'. Received '${wanted}'`);
  }
  const addon = findAddon();
  if (addon !== undefined) return addon;
  const target = targetHere();
  if (wanted === 'addon') throw new Error(`KSOCKET_BACKEND is 'addon', and ksocket has none for ${target}`);
  // Once a process: workers import ksocket, too.
  if (process.getBuiltinModule('node:worker_threads').isMainThread) {
    const remedy = process.platform === 'linux' ? '"npx ksocket build" makes an addon; ' : '';
    process.emitWarning(`no addon for ${target}: sockets are node:dgram's, and slower`, {
      code: 'KSOCKET_NO_ADDON',
      detail: `${remedy}KSOCKET_BACKEND=dgram says that this is what is wanted`,
    });
  }
  return undefined;
}

/** In an output of a bundler its `require`, for what it has put into the bundle (targets.ts). */
declare const bundlersRequire: (file: string) => unknown;

interface Fallback {
  binding?: Binding;
}

/** From inside of a bundle. */
function bundledFallback(): Binding | undefined {
  if (typeof bundlersRequire !== 'function') return undefined;
  const found = attempt(() => bundlersRequire('./fallback/index.cjs')) as Fallback | undefined;
  return found?.binding?.layoutHash === LAYOUT_HASH ? found.binding : undefined;
}

// At once, as require('ksocket') allows no await; and only if it is needed.
function loadFallback(): Binding {
  const bundled = bundledFallback();
  if (bundled !== undefined) return bundled;
  // Tools that gather a program's files know this form. In a bundle in CommonJS it has no URL to start from.
  const file = attempt(() => fileURLToPath(new URL('./fallback/index.cjs', import.meta.url)));
  if (file === undefined || !existsSync(file)) throw fallbackNotBundled();
  const { createRequire } = process.getBuiltinModule('node:module');
  return (createRequire(file)(file) as Required<Fallback>).binding;
}

const addon = chooseAddon();

export const backend: Backend = addon === undefined ? 'dgram' : 'addon';
export const binding: Binding = addon ?? loadFallback();

/** One of `binding.engineNames` where the environment variable KSOCKET_ENGINE asks for one, else empty: the best that
 * works. */
export const engineWanted: string = process.env.KSOCKET_ENGINE ?? '';
