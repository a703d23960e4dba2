// The backend: the addon, or what stands in for it where there is none.
import { fileURLToPath } from 'node:url';
import { findAddon } from './addon.js';
import type { Binding } from './contract.js';
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

// At once, as require('ksocket') allows no await; and only if it is needed.
function loadFallback(): Binding {
  const { createRequire } = process.getBuiltinModule('node:module');
  // Tools that gather a program's files know this form.
  const place = new URL('./fallback/index.js', import.meta.url);
  return (createRequire(import.meta.url)(fileURLToPath(place)) as { binding: Binding }).binding;
}

const addon = chooseAddon();

export const backend: Backend = addon === undefined ? 'dgram' : 'addon';
export const binding: Binding = addon ?? loadFallback();

/** One of `binding.engineNames` where the environment variable KSOCKET_ENGINE asks for one, else empty: the best that
 * works. */
export const engineWanted: string = process.env.KSOCKET_ENGINE ?? '';
