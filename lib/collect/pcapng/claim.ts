// One collector at a time has the files of a prefix in a directory: two would take each other's for their own, and remove them. Each
// has a local socket there that listens, which the kernel closes with the process: who can connect to another one has come second.
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readdir, rename, unlink } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { SinkError } from '../sink.js';
import { sleep } from '../time.js';

/** Of the path of a socket, unix(7). */
const SOCKET_PATH_MAX = 107;
/** Two that come at the same time see each other, and neither has come first. */
const ATTEMPTS = 5;
const AGAIN_MS = 100;

/** Takes it. Resolves with what gives it back. Where no socket can be it is not taken, and whoever has it is looked for all the same.
 * @throws ERR_KSOCKET_PREFIX_IN_USE */
export async function claim(dir: string, prefix: string): Promise<() => Promise<void>> {
  for (let attempt = 1; ; attempt++) {
    const own = new Claim(dir, prefix);
    await own.listen();
    if (!(await own.isTaken())) return () => own.release();
    await own.release();
    if (attempt === ATTEMPTS) break;
    await sleep(AGAIN_MS * Math.random());
  }
  const message = `another collector writes ${prefix}-* there, and would take these files for its own: each needs its own prefix`;
  throw new SinkError('ERR_KSOCKET_PREFIX_IN_USE', message, false);
}

class Claim {
  readonly #dir: string;
  readonly #begin: string;
  readonly #name: string;
  readonly #server: Server = createServer((socket) => socket.destroy());
  #directory: FileHandle | undefined; // where its path is too long for a socket's

  constructor(dir: string, prefix: string) {
    this.#dir = dir;
    this.#begin = `.${prefix}-`;
    this.#name = `${this.#begin}${randomBytes(8).toString('hex')}.lock`;
  }

  async listen(): Promise<void> {
    const unready = `${this.#name}.new`; // while nobody can connect, and it is not to be taken for one that was left
    try {
      const path = await this.#socketPath(unready);
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject);
        this.#server.listen({ path, exclusive: true, writableAll: true }, resolve);
      });
      this.#server.on('error', () => {}).unref();
      await rename(join(this.#dir, unready), join(this.#dir, this.#name));
    } catch {} // what is wrong with the directory is said of the first file
  }

  /** Has another one it? What processes have left that are gone is removed. */
  async isTaken(): Promise<boolean> {
    for (const name of await readdir(this.#dir)) {
      if (name === this.#name || !name.startsWith(this.#begin)) continue;
      if (!/^[0-9a-f]{16}\.lock$/.test(name.slice(this.#begin.length))) continue;
      const code = await connected(await this.#socketPath(name));
      if (code === 'ECONNREFUSED') await unlink(join(this.#dir, name)).catch(() => {});
      else if (code !== 'ENOENT') return true;
    }
    return false;
  }

  async #socketPath(name: string): Promise<string> {
    const path = join(this.#dir, name);
    if (Buffer.byteLength(path) <= SOCKET_PATH_MAX) return path;
    this.#directory ??= await open(this.#dir, 'r');
    return `/proc/self/fd/${this.#directory.fd}/${name}`;
  }

  async release(): Promise<void> {
    this.#server.close();
    await unlink(join(this.#dir, this.#name)).catch(() => {});
    await this.#directory?.close();
  }
}

/** Undefined: it could be connected to; or why not. */
function connected(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
}
