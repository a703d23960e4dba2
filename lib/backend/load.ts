// Finds the addon, and makes sure that it was built from the same sources.
import { createRequire } from 'node:module';
import type { Binding } from './contract.js';
import { LAYOUT_HASH } from './layout.js';

function load(): Binding {
  const place = `../../prebuilds/${process.platform}-${process.arch}/ksocket.node`;
  let loaded: Binding;
  try {
    loaded = createRequire(import.meta.url)(place) as Binding;
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
  if (loaded.layoutHash !== LAYOUT_HASH) {
    throw new Error('ksocket: the addon was built from other sources than the JavaScript; run "npm run build"');
  }
  return loaded;
}

export const binding: Binding = load();

/** One of `binding.engineNames` where the environment variable KSOCKET_ENGINE asks for one, else empty: the best that
 * works. */
export const engineWanted: string = process.env.KSOCKET_ENGINE ?? '';
