// Finds the addon, and makes sure that it was built from the same sources.
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { addonFails, addonStale, addonsAreOff, noAddon, notBundled } from '../base/errors.js';
import { getBuiltinModule } from '../base/runtime.js';
import type { Binding } from './binding.js';
import { LAYOUT_HASH } from './layout.js';
import { targetHere, traced } from './targets.js';

const FILE = 'ksocket.node';

// What bundlers put in the place of import.meta and require.
declare const __dirname: string | undefined;
declare const __webpack_require__: unknown;
declare const bundlersRequire: unknown; // targets.ts
const here: string | undefined = import.meta.dirname ?? (typeof __dirname === 'string' ? __dirname : undefined);

/** The addon in this file; undefined where there is no such file. */
function open(file: string): Binding | undefined {
  const addon = { exports: {} as Binding };
  try {
    process.dlopen(addon, file); // which require() does in the end; looking for modules it spends more time than this
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_DLOPEN_DISABLED') throw addonsAreOff(cause);
    if (!existsSync(file)) return undefined;
    throw addonFails(file, cause as Error);
  }
  if (addon.exports.layoutHash !== LAYOUT_HASH) throw addonStale(file);
  return addon.exports;
}

/** From a single executable application, which has no files but its assets. */
function openAsset(): Binding | undefined {
  const sea = getBuiltinModule('node:sea') as typeof import('node:sea') | undefined;
  if (!sea?.isSea()) return undefined;
  let bytes: ArrayBuffer;
  try {
    bytes = sea.getRawAsset(FILE) as ArrayBuffer;
  } catch {
    return undefined;
  }
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-'));
  try {
    const file = join(directory, FILE);
    writeFileSync(file, Buffer.from(bytes), { mode: 0o700 });
    return open(file);
  } finally {
    rmSync(directory, { recursive: true }); // it stays in memory
  }
}

/** From where a bundler has put it. */
function openTraced(target: string): Binding | undefined {
  const ways = traced[target];
  if (ways === undefined) return undefined;
  if (typeof bundlersRequire === 'function') {
    const found = attempt(() => ways.require()) as Binding | { default: unknown } | string | undefined;
    const addon = found !== null && typeof found === 'object' && 'default' in found ? found.default : found;
    if (typeof addon === 'string') return open(resolve(here ?? '', addon));
    if ((addon as Binding | undefined)?.layoutHash === LAYOUT_HASH) return addon as Binding;
  }
  const file = attempt(() => fileURLToPath(ways.url()));
  return file === undefined ? undefined : open(file);
}

/** What it gives; undefined where it throws. */
export function attempt<T>(what: () => T): T | undefined {
  try {
    return what();
  } catch {
    return undefined;
  }
}

/** From beside the program. */
function openBeside(target: string): Binding | undefined {
  const program = process.argv[1] === undefined ? undefined : dirname(process.argv[1]);
  for (const place of new Set([here, program, dirname(process.execPath)])) {
    const found = place && open(join(place, 'prebuilds', target, FILE));
    if (found) return found;
  }
  return undefined;
}

/** What a bundler's user has to do. */
function bundleAdvice(): string {
  if (getBuiltinModule('node:sea')?.isSea()) return `give the single executable application an asset "${FILE}"`;
  if ('bun' in process.versions) return 'bun build needs it on disk: --external ksocket';
  if (typeof __webpack_require__ === 'function') {
    return 'keep ksocket out of it (webpack: externals: { ksocket: "module ksocket" }; ncc: --external ksocket)';
  }
  return 'keep ksocket out of it (esbuild: --external:ksocket, or --loader:.node=file; rollup: external: ["ksocket"])';
}

/** The addon, or undefined on a platform that there is none for.
 * @throws ERR_KSOCKET_…, where there should be one, and there is not or does not load */
export function findAddon(): Binding | undefined {
  const given = process.env.KSOCKET_ADDON;
  if (given) {
    const addon = open(resolve(given));
    if (addon === undefined) throw addonFails(given, new Error('no such file (KSOCKET_ADDON names it)'));
    return addon;
  }
  const target = targetHere();
  const prebuilds = here && join(here, '../../prebuilds');
  const own = prebuilds && open(join(prebuilds, target, FILE));
  const found = own || openAsset() || openBeside(target) || openTraced(target);
  if (found || traced[target] === undefined) return found;
  if (!prebuilds || !existsSync(join(prebuilds, '../dist'))) throw notBundled(target, bundleAdvice());
  const others = existsSync(prebuilds) ? readdirSync(prebuilds) : [];
  throw noAddon(target, others, existsSync(join(prebuilds, '../binding.gyp')));
}
