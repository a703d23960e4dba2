// Finds the addon, and makes sure that it was built from the same sources.
import { join } from 'node:path';
import type { Binding } from './contract.js';
import { LAYOUT_HASH } from './layout.js';

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

export const binding: Binding = load();

/** One of `binding.engineNames` where the environment variable KSOCKET_ENGINE asks for one, else empty: the best that
 * works. */
export const engineWanted: string = process.env.KSOCKET_ENGINE ?? '';
