// hot-shots with the protocol `uds`: the package `unix-dgram` that it asks for is ksocket's, as docs/unix-dgram.md says.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { root, runProgram } from '../support/child.js';
import { test } from '../support/test.js';

/** The files that docs/unix-dgram.md has for it, by name. */
function filesOfPage(): Record<string, string> {
  const page = readFileSync(join(root, 'docs/unix-dgram.md'), 'utf8');
  const files = [...page.matchAll(/^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$/gms)];
  return Object.fromEntries(files.map(([, name, text]) => [name, text]));
}

/** A project that npm has installed so. */
class Project {
  readonly directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));

  constructor() {
    const files = filesOfPage();
    const { dependencies, ...manifest } = JSON.parse(files['package.json']);
    delete dependencies.ksocket; // it is the checkout
    files['package.json'] = JSON.stringify({ name: 'project', private: true, ...manifest, dependencies });
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.directory, name)), { recursive: true });
      writeFileSync(join(this.directory, name), text);
    }
    const options = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
    execFileSync('npm', ['install', ...options], { cwd: this.directory, stdio: 'pipe' });
    symlinkSync(root, join(this.directory, 'node_modules/ksocket'));
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}

test('hot-shots sends its metrics, and goes on when the agent has been started anew', async () => {
  using project = new Project();
  const module = join(project.directory, 'node_modules/unix-dgram');
  assert.ok(!existsSync(join(module, 'binding.gyp')), 'nothing was compiled');
  const program = async (path: string) => {
    const { createSocket } = await import('ksocket');
    const { default: StatsD } = await import('hot-shots' as string);
    const heard: string[] = [];
    const agent = () => {
      const socket = createSocket('unix_dgram', (msg) => heard.push(...`${msg}`.trim().split('\n')));
      socket.bindSync(path);
      return socket;
    };
    const count = async (n: number) => {
      while (heard.length < n) await new Promise((resolve) => setTimeout(resolve, 2));
    };
    const first = agent();
    const options = { protocol: 'uds', path, prefix: 'app.', udsGracefulRestartRateLimit: 1, maxBufferSize: 0 };
    const errors: unknown[] = [];
    const single = new StatsD({ ...options, errorHandler: (error: Error) => errors.push(error.message) });
    const buffered = new StatsD({ ...options, maxBufferSize: 100, bufferFlushInterval: 10 });
    for (let i = 0; i < 500; i++) {
      if (i % 5 === 0) await count(i); // who meets congestion loses what it sends
      single.increment('hits', i);
    }
    for (let i = 0; i < 50; i++) buffered.gauge('load', i);
    await count(550);
    console.log([...new Set(heard)].length, errors.length);
    await new Promise<void>((resolve) => first.close(resolve));
    const second = agent();
    await new Promise((resolve) => setTimeout(resolve, 10));
    const told = await new Promise<Error | undefined>((resolve) => single.increment('lost', 1, resolve));
    console.log(told?.message);
    await new Promise((resolve) => setTimeout(resolve, 10));
    single.increment('found', 1);
    await count(551);
    console.log(heard.at(-1));
    for (const client of [single, buffered]) {
      await new Promise<void>((resolve) => client.close((error: unknown) => resolve(console.log('closed', error))));
    }
    second.close();
  };
  const result = await runProgram(program, [join(project.directory, 'agent')], { cwd: project.directory });
  assert.deepEqual([result.code, result.stderr], [0, ''], result.stdout);
  const [counted, lost, found, ...closed] = result.stdout.split('\n');
  assert.deepEqual([counted, found, ...closed], ['550 0', 'app.found:1|c', 'closed undefined', 'closed undefined', '']);
  assert.match(lost, /send -111/);
});
