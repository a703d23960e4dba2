// Where the blocks go: files of one directory, one after the other. Each write is of whole blocks, and what the file system does
// not take is not in the file: a file has nothing but whole blocks, also on a full disk.
import { type FileHandle, lstat, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { now, wallClockNs } from '../../base/runtime.js';
import { fileHeader, statistics } from './blocks.js';
import { claim } from './claim.js';
import { baseName, finishedName, finishedOf, ours, unfinishedName } from './names.js';

/** The program's data: others may not read it. */
const FILE_MODE = 0o640;
const DIRECTORY_MODE = 0o750;

/** When the next file begins, and which ones stay; what is undefined is no reason. */
export interface Rotation {
  bytes: number;
  seconds: number | undefined;
  files: number | undefined;
}

export interface FilesOptions {
  dir: string;
  prefix: string;
  application: string;
  rotate: Rotation;
  fsync: false | 'file' | 'write';
}

/** The file that is written. */
interface Current {
  handle: FileHandle;
  base: string;
  bytes: number;
  /** Of the monotonic clock: when its first packet came. */
  since: number | undefined;
  packets: number;
}

const isCode = (error: unknown, code: string) => (error as NodeJS.ErrnoException).code === code;

/** Not for two calls at a time. */
export class Files {
  readonly #options: FilesOptions;
  #current: Current | undefined;
  #release: () => Promise<void> = async () => {};
  #number = 0;
  /** Files, since open(). */
  begun = 0;
  /** In all of them. */
  bytes = 0;

  constructor(options: FilesOptions) {
    this.#options = options;
  }

  /** Makes the directory, if it is the only one that is missing, and the first file. What a process that was killed has left
   * unfinished is finished now.
   * @throws as mkdir(2), open(2) and write(2); ERR_KSOCKET_PREFIX_IN_USE */
  async open(): Promise<void> {
    const { dir, prefix } = this.#options;
    await mkdir(dir, { mode: DIRECTORY_MODE }).catch((error) => {
      if (!isCode(error, 'EEXIST')) throw error;
    });
    this.#release = await claim(dir, prefix);
    try {
      const found = ours(await readdir(dir), prefix);
      for (const { name, finished } of found) if (!finished) await this.#rename(name, finishedOf(name));
      this.#number = found.at(-1)?.number ?? 0;
      await this.#begin();
    } catch (error) {
      await this.#release();
      throw error;
    }
  }

  /** Appends the blocks of so many packets, `bytesMax` at most, to one file: all, or on an error none. Of `blocks` each is written
   * before the next one is asked for.
   * @throws as open(2), write(2) and fdatasync(2), and what `blocks` throws */
  async write(blocks: Iterable<Uint8Array>, packets: number, bytesMax: number): Promise<void> {
    const current = await this.#roomFor(bytesMax);
    const before = current.bytes;
    await append(current, blocks, this.#options.fsync === 'write');
    this.bytes += current.bytes - before;
    current.since ??= now();
    current.packets += packets;
  }

  /** The last file is whole, and has its name. One without packets does not stay.
   * @throws as fdatasync(2), close(2) and rename(2) */
  async close(): Promise<void> {
    try {
      if (this.#current !== undefined) await this.#finish(this.#current);
    } finally {
      await this.#release();
    }
  }

  async #roomFor(bytes: number): Promise<Current> {
    const current = this.#current;
    if (current !== undefined && !this.#isFull(current, bytes)) return current;
    if (current !== undefined) await this.#finish(current);
    return this.#begin();
  }

  #isFull({ bytes, since }: Current, more: number): boolean {
    const { rotate } = this.#options;
    if (since === undefined) return false; // a batch that is larger than files may be is in one of its own
    return bytes + more > rotate.bytes || (rotate.seconds !== undefined && now() - since >= rotate.seconds * 1000);
  }

  async #begin(): Promise<Current> {
    const { dir, prefix, application } = this.#options;
    await this.#makeRoom();
    for (;;) {
      const base = baseName(prefix, wallClockNs(), ++this.#number);
      const path = join(dir, unfinishedName(base));
      let handle: FileHandle;
      if (await exists(join(dir, finishedName(base)))) continue; // another process has the same second and number
      try {
        handle = await open(path, 'wx', FILE_MODE); // never what somebody else has put there, nor where a link leads
      } catch (error) {
        if (isCode(error, 'EEXIST')) continue;
        throw error;
      }
      const current = { handle, base, bytes: 0, since: undefined, packets: 0 };
      try {
        await append(current, [fileHeader(application)]);
      } catch (error) {
        await handle.close();
        await unlink(path);
        throw error;
      }
      this.#current = current;
      this.begun++;
      return current;
    }
  }

  async #finish(current: Current): Promise<void> {
    const { handle, base, packets } = current;
    this.#current = undefined; // whatever becomes of it: the next one is another
    const unfinished = unfinishedName(base);
    try {
      await append(current, [statistics(wallClockNs(), packets)]).catch(() => {}); // a disk that is full: the packets are there
      if (this.#options.fsync !== false) await handle.datasync();
    } finally {
      await handle.close();
    }
    if (packets > 0) await this.#rename(unfinished, finishedName(base));
    else await unlink(join(this.#options.dir, unfinished));
  }

  // Somebody may have moved it meanwhile, who then has it.
  async #rename(from: string, to: string): Promise<void> {
    const { dir } = this.#options;
    await rename(join(dir, from), join(dir, to)).catch((error) => {
      if (!isCode(error, 'ENOENT')) throw error;
    });
  }

  // For the next one, so that there are never more.
  async #makeRoom(): Promise<void> {
    const { dir, prefix, rotate } = this.#options;
    if (rotate.files === undefined) return;
    const finished = ours(await readdir(dir), prefix).filter((each) => each.finished);
    for (const { name } of finished.slice(0, Math.max(0, finished.length - rotate.files + 1))) {
      await unlink(join(dir, name)).catch((error) => {
        if (!isCode(error, 'ENOENT')) throw error;
      });
    }
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/** All of it, or an error and the file as it was. */
async function append(current: Current, blocks: Iterable<Uint8Array>, sync = false): Promise<void> {
  const { handle } = current;
  let at = current.bytes;
  try {
    for (const bytes of blocks) {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at);
        done += bytesWritten;
        at += bytesWritten;
      }
    }
    if (sync) await handle.datasync();
  } catch (error) {
    await handle.truncate(current.bytes).catch(() => {});
    throw error;
  }
  current.bytes = at;
}
