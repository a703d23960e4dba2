// The language of filters, from a bundle of its own (scripts/build-ts.mjs), once a program uses it.
import { fileURLToPath } from 'node:url';
import { getBuiltinModule } from '../base/runtime.js';
import type { FilterLanguage } from './types.js';

declare const bundlersRequire: (file: string) => unknown; // lib/backend/targets.ts

let language: FilterLanguage | undefined;

export function filterLanguage(): FilterLanguage {
  language ??= load().language;
  return language;
}

// At once, as socket.filter() is done when it returns.
function load(): { language: FilterLanguage } {
  if (typeof bundlersRequire === 'function') {
    try {
      return bundlersRequire('./language/index.cjs') as { language: FilterLanguage };
    } catch {} // it is a function of another bundle
  }
  const { createRequire } = getBuiltinModule('node:module');
  // Tools that gather a program's files know this form.
  const place = new URL('./language/index.cjs', import.meta.url);
  return createRequire(import.meta.url)(fileURLToPath(place)) as { language: FilterLanguage };
}
