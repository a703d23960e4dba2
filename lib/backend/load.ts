// Finds the addon, and makes sure that it was built from the same sources; or what stands in for it.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Binding } from './contract.js';
import { LAYOUT_HASH } from './layout.js';

export type Backend = 'addon' | 'dgram';

/** Which implementation of `Binding` this is: KSOCKET_BACKEND says it, else whether there is an addon for the platform. On
 * Linux there is, and where it is missing that is an error: with another backend a program would only be slow. */
function chooseBackend(): Backend {
  const wanted = process.env.KSOCKET_BACKEND ?? '';
  if (wanted === 'addon' || wanted === 'dgram') return wanted;
  if (wanted !== '') throw new Error(`KSOCKET_BACKEND must be 'addon' or 'dgram'. Received '${wanted}'`);
  if (process.platform === 'linux') return 'addon';
  // Once a process: workers import ksocket, too.
  if (!process.getBuiltinModule('node:worker_threads').isMainThread) return 'dgram';
  process.emitWarning(`no addon for ${process.platform}: sockets are node:dgram's, and slower`, {
    code: 'KSOCKET_NO_ADDON',
    detail: 'KSOCKET_BACKEND=dgram says that this is what is wanted',
  });
  return 'dgram';
}

export const backend: Backend = chooseBackend();

// At once, as require('ksocket') allows no await; and only if it is needed.
function loadFallback(): Binding {
  const { createRequire } = process.getBuiltinModule('node:module');
  // Tools that gather a program's files know this form.
  const place = new URL('./fallback/index.js', import.meta.url);
  return (createRequire(import.meta.url)(fileURLToPath(place)) as { binding: Binding }).binding;
}

function load(): Binding {
  const place = join(import.meta.dirname, `../../prebuilds/${process.platform}-${process.arch}/ksocket.node`);
  const addon = { exports: {} as Binding };
  try {
    process.dlopen(addon, place); // which require() does in the end; looking for modules it spends more time than this
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_DLOPEN_DISABLED') {
      throw new Error(
        'ksocket is an addon, and Node loads none with --no-addons, or --permission and no --allow-addons',
        {
          cause,
        },
      );
    }
    throw new Error(
      `ksocket has no addon for ${process.platform}-${process.arch} (looked for ${place}); build it with "npm run build:native"`,
      { cause },
    );
  }
  if (addon.exports.layoutHash !== LAYOUT_HASH) {
    throw new Error('ksocket: the addon was built from other sources than the JavaScript; run "npm run build"');
  }
  return addon.exports;
}

export const binding: Binding = backend === 'dgram' ? loadFallback() : load();

/** One of `binding.engineNames` where the environment variable KSOCKET_ENGINE asks for one, else empty: the best that
 * works. */
export const engineWanted: string = process.env.KSOCKET_ENGINE ?? '';
