// A project of a user who has installed the tarball.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Child, type ChildResult, root } from '../support/child.js';

export const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
export const tarball = join(root, `ksocket-${version}.tgz`);
assert.ok(existsSync(tarball), `there is no ${tarball}: npm run package makes it`);

/** npm, of the Node that runs the tests. */
const npm = join(dirname(dirname(process.execPath)), 'lib/node_modules/npm/bin/npm-cli.js');
export const npmHere = existsSync(npm) ? npm : '/usr/share/nodejs/npm/bin/npm-cli.js';

/** What README.md shows first: it hears what it sends itself. */
export const receiveProgram = `import { createSocket, features } from 'ksocket';
const socket = createSocket('udp4', (message, { address }) => {
  console.log(String(message), address, features().engine);
  socket.close();
});
socket.bind(0, '127.0.0.1', () => socket.send('hello', socket.address().port, '127.0.0.1'));
`;
export const received = 'hello 127.0.0.1 mmsg\n';

export class Consumer {
  readonly directory = mkdtempSync(join(tmpdir(), 'ksocket-consumer-'));
  /** Nothing but Node and a shell: who compiles, or looks for a compiler, fails. */
  readonly bin = join(this.directory, '.bin');

  constructor(manifest: object = {}) {
    mkdirSync(this.bin);
    symlinkSync('/bin/sh', join(this.bin, 'sh'));
    this.useNode(process.execPath);
    this.write('package.json', JSON.stringify({ name: 'consumer', private: true, type: 'module', ...manifest }));
    this.write('receive.mjs', receiveProgram);
  }

  useNode(binary: string): void {
    rmSync(join(this.bin, 'node'), { force: true });
    symlinkSync(binary, join(this.bin, 'node'));
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  write(name: string, text: string): void {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), text);
  }

  /** Runs it here; with `compilers`, on the PATH of the tests. */
  async run(
    command: string,
    args: string[],
    {
      env = {},
      compilers = false,
      deadlineMs = 80_000,
    }: { env?: NodeJS.ProcessEnv; compilers?: boolean; deadlineMs?: number } = {},
  ): Promise<ChildResult> {
    // Nobody's settings, also where `npm run` has told its own.
    const npms = Object.keys(process.env).filter((name) => /^npm_/i.test(name));
    const own = {
      ...Object.fromEntries(npms.map((name) => [name, undefined])),
      KSOCKET_ENGINE: undefined,
      PATH: compilers ? process.env.PATH : this.bin,
      HOME: this.directory,
      npm_config_cache: join(root, 'node_modules/.cache/ksocket-tests/npm-cache'),
      ...env,
    };
    await using child = new Child(command, args, { cwd: this.directory, env: own, deadlineMs });
    return await child.end();
  }

  /** The same, of something that ends with 0 and without a word on standard error. Returns what it prints. */
  async runWell(command: string, args: string[], options: Parameters<Consumer['run']>[2] = {}): Promise<string> {
    const { code, signal, stdout, stderr } = await this.run(command, args, options);
    assert.deepEqual(
      { code, signal, stderr },
      { code: 0, signal: null, stderr: '' },
      `${command} ${args.join(' ')}: ${stdout}`,
    );
    return stdout;
  }

  /** Installs the tarball. */
  async install(...others: string[]): Promise<void> {
    const quiet = ['--no-audit', '--no-fund', '--loglevel=warn', '--no-update-notifier'];
    await this.runWell(process.execPath, [npmHere, 'install', ...quiet, tarball, ...others]);
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
