// Says when a file has become another: it may be written in place, replaced by a rename, or be behind a link that is turned (as
// in volumes of Kubernetes), and so may be each directory on the way to it.
import { type FSWatcher, readlinkSync, watch } from 'node:fs';
import { dirname, join } from 'node:path';
import { textOf } from './file.js';

/** Who writes a file does it in several steps. */
const SETTLED_MS = 100;
/** As the kernel follows, path_resolution(7). */
const LINKS_MAX = 40;
/** Of a directory that is gone: the one that it was in says when it is there again. */
const GONE = ['ENOENT', 'ENOTDIR'];

/** A directory, and which of its names lead to the file. */
interface Way {
  readonly names: Set<string>;
  /** It has a link, or the file itself. */
  needed: boolean;
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // none, or not there
  }
}

function waysTo(path: string): Map<string, Way> {
  const ways = new Map<string, Way>();
  const left = (path.startsWith('/') ? path : `${process.cwd()}/${path}`).split('/');
  let at = '/';
  for (let links = 0; left.length > 0 && links <= LINKS_MAX; ) {
    const name = left.shift() as string;
    if (name === '' || name === '.') continue;
    if (name === '..') {
      at = dirname(at);
      continue;
    }
    const link = linkOf(join(at, name));
    const way = ways.get(at) ?? { names: new Set(), needed: false };
    way.names.add(name);
    way.needed ||= link !== undefined || left.length === 0;
    ways.set(at, way);
    if (link === undefined) at = join(at, name);
    else {
      links++;
      left.unshift(...link.split('/'));
      if (link.startsWith('/')) at = '/';
    }
  }
  return ways;
}

/** Calls `changed` whenever the text is another than before, `known` being the first. Keeps no program running.
 * @throws what the system has against it */
export function watchFile(
  path: string,
  known: string | undefined,
  changed: () => void,
  failed: (error: Error) => void,
): void {
  let last = known;
  let timer: NodeJS.Timeout | undefined;
  let watchers: FSWatcher[] = [];
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(look, SETTLED_MS).unref();
  };
  const look = () => {
    try {
      follow();
    } catch (error) {
      failed(error as Error);
    }
    const text = textOf(path);
    if (text === last) return;
    last = text;
    changed();
  };
  /** The way may be another one now. */
  const follow = () => {
    const before = watchers;
    watchers = [];
    try {
      for (const [directory, way] of waysTo(path)) {
        const watcher = watchOne(directory, way, soon);
        if (watcher !== undefined) watchers.push(watcher.on('error', failed));
      }
    } finally {
      for (const watcher of before) watcher.close();
    }
  };
  follow();
  soon(); // it may have changed since it was read
}

// A directory may be full of files that are nobody's business here, and are written all the time.
function watchOne(directory: string, { names, needed }: Way, soon: () => void): FSWatcher | undefined {
  const onEvent = (_: string, name: string | null) => {
    if (name === null || names.has(name)) soon();
  };
  try {
    return watch(directory, { persistent: false }, onEvent);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (GONE.includes(code) || (code === 'EACCES' && !needed)) return undefined; // or it is only passed through
    throw error;
  }
}
