// What `import 'ksocket'` does and does not do.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeBinary } from '../dgram/nodes.js';
import { root, runCli, runProgram } from '../support/child.js';
import { test } from '../support/test.js';

class Installation {
  /** A project with ksocket in its node_modules, and nothing else. */
  readonly project = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  readonly path = join(this.project, 'node_modules/ksocket');

  constructor() {
    mkdirSync(this.path, { recursive: true });
    for (const part of ['dist', 'prebuilds', 'package.json']) {
      cpSync(join(root, part), join(this.path, part), { recursive: true });
    }
    writeFileSync(join(this.project, 'package.json'), '{}');
  }

  [Symbol.dispose](): void {
    rmSync(this.project, { recursive: true });
  }
}

/** One datagram to itself. */
async function selfTest(specifier: string) {
  const { createSocket, features } = (await import(specifier)) as typeof import('ksocket');
  const socket = createSocket('udp4', (data) => {
    console.log(`${data} ${features().engine}`);
    socket.close();
  });
  socket.bind(0, '127.0.0.1', () => socket.send('hello', socket.address().port, '127.0.0.1'));
}

const anyEngine = { env: { KSOCKET_ENGINE: undefined } };

test('it needs no other package', async () => {
  using installation = new Installation();
  const result = await runProgram(selfTest, ['ksocket'], { ...anyEngine, cwd: installation.project });
  assert.deepEqual([result.code, result.stderr], [0, '']);
  assert.match(result.stdout, /^hello (mmsg|posix)\n$/);
});

test('where Node loads no addons it says so', async () => {
  using installation = new Installation();
  const options = { ...anyEngine, cwd: installation.project, execArgv: ['--no-addons'] };
  const { code, stderr } = await runProgram(selfTest, ['ksocket'], options);
  assert.equal(code, 1);
  assert.match(stderr, /ERR_KSOCKET_ADDONS_OFF/);
  assert.match(stderr, /ksocket is an addon, and Node loads none with --no-addons/);
  assert.match(stderr, /KSOCKET_BACKEND=dgram does without it/);
});

test('require() loads it as well', async () => {
  using installation = new Installation();
  writeFileSync(
    join(installation.project, 'program.cjs'),
    "const { createSocket } = require('ksocket'); console.log(typeof createSocket, typeof require('ksocket/package.json').version);",
  );
  const { Child } = await import('../support/child.js');
  await using child = new Child(process.execPath, ['program.cjs'], { ...anyEngine, cwd: installation.project });
  const { code, stdout, stderr } = await child.end();
  assert.equal(code, 0, stderr);
  assert.equal(stdout, 'function string\n');
  assert.doesNotMatch(stderr, /Error/);
});

/** What it offers beside types. */
const names = ['Server', 'Socket', 'UnixSocket', 'compileFilter', 'createServer', 'createSocket', 'features', 'slot'];

test('the default export is an object with everything, to be used like node:dgram’s', async () => {
  for (const major of [20, 22, 24, 26]) {
    const { code, stdout, stderr } = await runProgram(
      async () => {
        const named = await import('ksocket');
        const { default: dgram } = named;
        const { createRequire } = await import('node:module');
        const required = createRequire(`${process.cwd()}/`)('ksocket');
        const same = Object.entries(dgram).every(
          ([name, value]) => (named as Record<string, unknown>)[name] === value && required[name] === value,
        );
        const original = dgram.createSocket;
        let replaced = false;
        dgram.createSocket = (...args: Parameters<typeof original>) => {
          replaced = true;
          return original(...args);
        };
        dgram.createSocket('udp4').close(); // programs replace its functions in tests, as they do with node:dgram's
        const { __esModule, 'module.exports': exported, ...others } = { ...required };
        console.log(
          JSON.stringify({
            names: Object.keys(named).sort(),
            inDefault: Object.keys(dgram).sort(),
            required: Object.keys(others).sort(),
            requiredDefault: required.default === dgram,
            same,
            replaced,
          }),
        );
      },
      [],
      { ...anyEngine, execArgv: ['--no-warnings'], node: nodeBinary(major) },
    );
    assert.deepEqual([code, stderr], [0, '']);
    assert.deepEqual(JSON.parse(stdout), {
      names: [...names, 'default'].sort(),
      inDefault: names,
      required: [...names, 'default'].sort(),
      requiredDefault: true,
      same: true,
      replaced: true,
    });
  }
});

test('import dgram from ‘ksocket’ is all that a program written for node:dgram has to change', async () => {
  using installation = new Installation();
  writeFileSync(
    join(installation.project, 'program.mjs'),
    `import dgram from 'ksocket';
     const socket = dgram.createSocket('udp4', (data) => { console.log(String(data)); socket.close(); });
     socket.bind(0, '127.0.0.1', () => socket.send('hello', socket.address().port, '127.0.0.1'));`,
  );
  const { Child } = await import('../support/child.js');
  await using child = new Child(process.execPath, ['program.mjs'], { ...anyEngine, cwd: installation.project });
  const { code, stdout, stderr } = await child.end();
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'hello\n', stderr: '' });
});

test('it loads only its own modules and Node’s, though others are installed', async () => {
  // The hooks thread tells of every module by writing to standard error.
  const hooks = `data:text/javascript,${encodeURIComponent(`
    import { writeSync } from 'node:fs';
    export async function load(url, context, next) {
      writeSync(2, url + '\\n');
      return next(url, context);
    }
  `)}`;
  const register = `data:text/javascript,${encodeURIComponent(
    `import { register } from 'node:module'; register(${JSON.stringify(hooks)});`,
  )}`;
  const result = await runProgram(selfTest, ['ksocket'], {
    ...anyEngine,
    execArgv: ['--no-warnings', '--import', register],
  });
  assert.equal(result.code, 0, result.stderr);
  const loaded = result.stderr.trim().split('\n');
  const files = loaded.filter((url) => !/^(node|data):/.test(url));
  assert.deepEqual(
    files.map((url) => url.replace(/^.*\/dist\//, '')),
    ['index.js', 'shared/ksocket.js'],
  );
});

const target = `${process.platform}-${process.arch}`;

/** Ends with 1 and this code; returns what it says. */
async function refused(installation: Installation, code: string, env: Record<string, string> = {}): Promise<string> {
  const options = { env: { ...anyEngine.env, ...env }, cwd: installation.project };
  const result = await runProgram(selfTest, ['ksocket'], options);
  assert.equal(result.code, 1, result.stdout);
  assert.match(result.stderr, new RegExp(`code: '${code}'`));
  return result.stderr;
}

test('a missing addon is an error that says what to do', async () => {
  using installation = new Installation();
  const prebuilds = join(installation.path, 'prebuilds');
  renameSync(join(prebuilds, target), join(prebuilds, 'linux-riscv64'));
  const others = await refused(installation, 'ERR_KSOCKET_NO_ADDON');
  assert.match(
    others,
    new RegExp(`Error.*: ksocket has no addon for ${target} \\(only for linux-riscv64\\); "npx ksocket build"`),
  );
  rmSync(prebuilds, { recursive: true });
  const none = await refused(installation, 'ERR_KSOCKET_NO_ADDON');
  assert.match(none, new RegExp(`ksocket has no addon for ${target} \\(none is built\\)`));
  assert.match(none, /"npx ksocket build" makes one/);
  writeFileSync(join(installation.path, 'binding.gyp'), '');
  assert.match(await refused(installation, 'ERR_KSOCKET_NO_ADDON'), /"npm run build:native" makes it/);
});

test('an addon that does not load is one that was found, and says why it does not', async () => {
  using installation = new Installation();
  const file = join(installation.path, 'prebuilds', target, 'ksocket.node');
  writeFileSync(file, 'no shared object');
  const words = await refused(installation, 'ERR_KSOCKET_ADDON_FAILS');
  assert.match(words, /ksocket's addon \S+ksocket\.node does not load: \S+: (file too short|invalid ELF header)/);
  assert.ok(words.includes(file));
  assert.match(words, /\[cause\]: Error/);
});

test('KSOCKET_ADDON names the addon, and what it names is taken or refused', async () => {
  using installation = new Installation();
  const prebuilt = join(installation.path, 'prebuilds', target, 'ksocket.node');
  const elsewhere = join(installation.project, 'elsewhere.node');
  renameSync(prebuilt, elsewhere);
  for (const name of [elsewhere, 'elsewhere.node']) {
    const env = { ...anyEngine.env, KSOCKET_ADDON: name };
    const { code, stderr, stdout } = await runProgram(selfTest, ['ksocket'], { env, cwd: installation.project });
    assert.deepEqual([code, stderr], [0, ''], name);
    assert.match(stdout, /^hello/);
  }
  renameSync(elsewhere, prebuilt);
  const words = await refused(installation, 'ERR_KSOCKET_ADDON_FAILS', { KSOCKET_ADDON: elsewhere });
  assert.match(words, /elsewhere\.node does not load: no such file \(KSOCKET_ADDON names it\)/);
});

test('out of its package it is found beside the program, and missed otherwise', async () => {
  using installation = new Installation();
  const bundled = join(installation.project, 'a/b/bundle');
  cpSync(join(installation.path, 'dist'), bundled, { recursive: true });
  writeFileSync(join(bundled, 'package.json'), '{ "type": "module" }');
  writeFileSync(
    join(installation.project, 'program.mjs'),
    `import { features } from './a/b/bundle/index.js';
     console.log(features().gro);`,
  );
  const { Child } = await import('../support/child.js');
  const run = async () => {
    await using child = new Child(process.execPath, ['program.mjs'], { ...anyEngine, cwd: installation.project });
    return await child.end();
  };
  const missed = await run();
  assert.equal(missed.code, 1);
  assert.match(missed.stderr, /ERR_KSOCKET_NOT_BUNDLED/);
  assert.match(missed.stderr, new RegExp(`put prebuilds/${target}/ksocket\\.node of the package beside the bundle`));
  for (const place of [join(bundled, 'shared'), installation.project]) {
    cpSync(join(installation.path, 'prebuilds'), join(place, 'prebuilds'), { recursive: true });
    const { code, stderr, stdout } = await run();
    assert.deepEqual([code, stderr], [0, ''], place);
    assert.match(stdout, /^(true|false)\n$/);
    rmSync(join(place, 'prebuilds'), { recursive: true });
  }
});

test('an addon that does not fit the JavaScript is refused', async () => {
  using installation = new Installation();
  const bundle = join(installation.path, 'dist/shared/ksocket.js');
  const { readFileSync } = await import('node:fs');
  const source = readFileSync(bundle, 'utf8');
  const changed = source.replace(/layoutHash !== \d+/, 'layoutHash !== 1');
  assert.notEqual(changed, source);
  writeFileSync(bundle, changed);
  assert.match(
    await refused(installation, 'ERR_KSOCKET_ADDON_STALE'),
    /was built from other sources than the JavaScript/,
  );
});

test('the command works through a link, as npm makes it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  try {
    const link = join(directory, 'ksocket');
    symlinkSync(join(root, 'dist/cli/main.js'), link);
    const { Child } = await import('../support/child.js');
    await using child = new Child(link, ['--version']); // by its first line, so it is executable
    const direct = await runCli(['--version']);
    assert.deepEqual(await child.end(), direct);
    assert.equal(direct.code, 0);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('nothing happens at import: no thread, no descriptor, no global, no listener', async () => {
  const result = await runProgram(async () => {
    const { readdirSync, readFileSync, readlinkSync } = await import('node:fs');
    const { createSocket } = await import('node:dgram');
    void createSocket; // what Node itself loads for UDP is loaded
    const state = () => ({
      // Without the one that reads the directory.
      fds: readdirSync('/proc/self/fd').flatMap((fd) => {
        try {
          return `${fd} ${readlinkSync(`/proc/self/fd/${fd}`)}`;
        } catch {
          return [];
        }
      }),
      // Loading modules may start threads of libuv's pool: those are Node's.
      ioThreads: readdirSync('/proc/self/task').filter(
        (task) => readFileSync(`/proc/self/task/${task}/comm`, 'utf8') === 'ksocket-io\n',
      ).length,
      globals: Object.getOwnPropertyNames(globalThis).sort().join(),
      listeners: process.eventNames().map((name) => `${String(name)} ${process.listenerCount(name)}`),
    });
    // Node closes some of the files that it read for an import a moment later.
    const settled = async () => {
      let fds = '';
      for (let same = 0; same < 20; ) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        const now = state().fds.join();
        same = now === fds ? same + 1 : 0;
        fds = now;
      }
      return state();
    };
    const before = await settled();
    await import('ksocket');
    console.log(JSON.stringify([before, await settled()]));
  }, []);
  assert.deepEqual([result.code, result.stderr], [0, '']);
  const [before, after] = JSON.parse(result.stdout);
  assert.deepEqual(after, before);
});
