// Says when a file has become another: it may be written in place, replaced by a rename, or be a link that is turned (as in
// volumes of Kubernetes).
import { realpathSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { textOf } from './file.js';

/** Who writes a file does it in several steps. */
const SETTLED_MS = 100;

/** Calls `changed` whenever the text is another than before. Keeps no program running.
 * @throws what the system has against it */
export function watchFile(path: string, changed: () => void, failed: (error: Error) => void): void {
  let last = textOf(path);
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    const text = textOf(path);
    if (text === last) return;
    last = text;
    changed();
  };
  const onEvent = () => {
    clearTimeout(timer);
    timer = setTimeout(look, SETTLED_MS).unref();
  };
  for (const directory of new Set([path, realpathSync(path)].map((each) => dirname(each)))) {
    watch(directory, { persistent: false }, onEvent).on('error', failed);
  }
}
