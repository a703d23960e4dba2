// What a start costs: the files and modules that are loaded, and that the bundles are one package nevertheless.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { root, runProgram } from '../support/child.js';
import { test } from '../support/test.js';

const read = (file: string) => readFileSync(join(root, file), 'utf8');

function scripts(folder: string): string[] {
  const all = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  return all.filter((file) => /\.c?js$/.test(file)).sort();
}

test('dist/ has a file for each entry, two for what they share, one for who has no addon, one for who has a filter, and the monitor’s page', () => {
  const page = scripts('lib/monitor/page').map((file) => `monitor/page/${file}`);
  const bundles = [
    'cli/commands.js',
    'cli/main.js',
    'cli/peer.js',
    'collect/index.js',
    'consume/index.js',
    'index.js',
    'monitor/index.js',
    'monitor/worker.js',
    'register.js',
    'unix-dgram.js',
    'systemd/index.js',
    'tunnel/index.js',
  ];
  const shared = ['shared/ksocket.js', 'shared/collect.js', 'shared/fallback/index.cjs', 'shared/language/index.cjs'];
  assert.deepEqual(scripts('dist'), [...bundles, ...page, ...shared].sort());
});

test('what ksocket loads are two files in one-byte characters, which import nothing of Node’s', () => {
  const entry = read('dist/index.js');
  const shared = read('dist/shared/ksocket.js');
  assert.deepEqual(
    [...entry.matchAll(/^import .* from (".*");$/gm)].map(([, from]) => from),
    ['"./shared/ksocket.js"'],
  );
  assert.match(shared, /process\.getBuiltinModule\("node:net"\)/, 'Node’s modules are had otherwise');
  assert.doesNotMatch(shared, /^import /m);
  assert.match(entry + shared, /^[\x20-\x7e\t\n]+$/, 'V8 would keep it in twice the memory, and read it more slowly');
});

test('cluster, worker threads and what is behind Node’s lazy exports are loaded when they are needed', async () => {
  const { code, stdout, stderr } = await runProgram(async () => {
    const { moduleLoadList } = process as unknown as { moduleLoadList: string[] };
    const loaded = () => moduleLoadList.map((entry) => entry.replace('NativeModule ', ''));
    const first = new Set(loaded());
    const { createServer, createSocket } = await import('ksocket');
    const atImport = loaded().filter((name) => !first.has(name));
    const hear = (count: number) =>
      new Promise<void>((resolve) => {
        let heard = 0;
        const socket = createSocket('udp4', () => {
          if (++heard === count) socket.close(resolve);
        });
        socket.bind(0, '127.0.0.1', () => {
          for (let n = 0; n < count; n++) socket.send('together', socket.address().port, '127.0.0.1');
        });
      });
    await hear(20);
    const byFew = loaded();
    for (let n = 0; n < 5; n++) await hear(20);
    const byDatagrams = loaded();
    const protection = { deny: ['192.0.2.0/24'] };
    const server = createServer({ address: 'localhost', port: 0, reply: 'echo', ...protection });
    await server.start();
    console.log(JSON.stringify({ atImport, byFew, byDatagrams, byServer: loaded() }));
    await server.stop();
  }, []);
  assert.deepEqual([code, stderr], [0, '']);
  const { atImport, byFew, byDatagrams, byServer } = JSON.parse(stdout) as Record<string, string[]>;
  assert.ok(atImport.includes('dgram'), 'the list is of what is loaded');
  const rare = ['cluster', 'worker_threads'];
  const lazy = ['internal/blocklist', 'internal/dns/promises'];
  for (const name of [...rare, ...lazy, 'child_process', 'module', 'timers/promises', 'internal/mime']) {
    assert.ok(!atImport.includes(name), `${name} is loaded by the import`);
  }
  assert.ok(!byFew.includes('worker_threads'), 'the first have memory of their own');
  for (const name of rare) assert.ok(byDatagrams.includes(name), `${name} is what the module is called`);
  for (const name of lazy) assert.ok(byServer.includes(name), `${name} is what the module is called`);
});

test('the language of filters is loaded with the first filter: until then its file may be missing', async () => {
  const project = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  try {
    const place = join(project, 'node_modules/ksocket');
    cpSync(join(root, 'dist'), join(place, 'dist'), { recursive: true });
    cpSync(join(root, 'package.json'), join(place, 'package.json'));
    symlinkSync(join(root, 'prebuilds'), join(place, 'prebuilds'));
    const program = async () => {
      const { compileFilter, createSocket } = await import('ksocket');
      const socket = createSocket('udp4');
      await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
      try {
        console.log(compileFilter('port 53', 'udp4').length);
      } catch (error) {
        console.log((error as NodeJS.ErrnoException).code);
      }
      socket.close();
    };
    const say = async () => {
      const { code, stdout, stderr } = await runProgram(program, [], { cwd: project });
      assert.deepEqual([code, stderr], [0, '']);
      return stdout.trim();
    };
    assert.equal(await say(), '6');
    rmSync(join(place, 'dist/shared/language/index.cjs'));
    assert.equal(await say(), 'MODULE_NOT_FOUND');
  } finally {
    rmSync(project, { recursive: true });
  }
});

test('a ring costs address space, and memory where datagrams have been', async () => {
  const { code, stdout, stderr } = await runProgram(async () => {
    const { createSocket } = await import('ksocket');
    const { readFileSync } = await import('node:fs');
    const { once } = await import('node:events');
    const mebibytes = () => {
      const status = readFileSync('/proc/self/status', 'utf8');
      return ['VmSize', 'VmRSS'].map((name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024);
    };
    const bound = async (ringBytes: number) => {
      const socket = createSocket({ type: 'udp4', thread: 'dedicated', ringBytes }).bind(0, '127.0.0.1');
      await once(socket, 'listening');
      return socket;
    };
    const sockets = [await bound(1 << 20)];
    const before = mebibytes();
    sockets.push(await bound(1 << 29));
    const [address, memory] = mebibytes().map((value, i) => value - before[i]);
    sockets[1].send('first', sockets[1].address().port, '127.0.0.1');
    await once(sockets[1], 'message');
    console.log(JSON.stringify([address, memory, mebibytes()[1] - before[1]]));
    for (const socket of sockets) socket.close();
  }, []);
  assert.deepEqual([code, stderr], [0, '']);
  const [address, memory, afterDatagram] = JSON.parse(stdout);
  assert.ok(address >= 512, `${address} MiB are the ring's`);
  assert.ok(memory < 32 && afterDatagram < 32, `${memory} MiB, and ${afterDatagram} MiB with a datagram`);
});

test('ksocket, ksocket/register and ksocket/monitor are one package in a process: one thread, the same classes', async () => {
  const { code, stdout, stderr } = await runProgram(async () => {
    await import('ksocket/register' as string);
    const { createServer, createSocket, Socket } = await import('ksocket');
    const { createMonitor } = await import('ksocket/monitor');
    const { default: dgram } = await import('node:dgram');
    const { readdirSync, readFileSync } = await import('node:fs');
    const threads = () =>
      readdirSync('/proc/self/task').filter(
        (task) => readFileSync(`/proc/self/task/${task}/comm`, 'utf8') === 'ksocket-io\n',
      ).length;
    const sockets = [createSocket('udp4'), dgram.createSocket('udp4')];
    for (const socket of sockets) await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
    await server.start();
    const monitor = createMonitor({ servers: [server], port: 0 });
    await monitor.start();
    const { port } = monitor.address() as { port: number };
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    console.log(
      JSON.stringify([
        dgram.Socket === (Socket as unknown),
        threads(),
        /^ksocket_received_datagrams_total/m.test(metrics),
      ]),
    );
    await monitor.stop();
    await server.stop();
    for (const socket of sockets) socket.close();
  }, []);
  assert.deepEqual([code, stderr], [0, '']);
  assert.deepEqual(JSON.parse(stdout), [true, 2, true], 'a thread is the sockets’, the other the server’s');
});

test('source maps lead back to lib/, and carry its text', () => {
  // An entry that says only what another file has is no code.
  const passesOn = (file: string) => /^(export \{[^}]*\} from "[^"]+";\n)+$/.test(read(`dist/${file}`));
  const bundles = scripts('dist').filter((file) => !file.startsWith('monitor/page/') && !passesOn(file));
  const sources = new Set<string>();
  for (const file of bundles) {
    assert.match(read(`dist/${file}`), /\n\/\/# sourceMappingURL=[\w-]+\.c?js\.map\n?$/);
    const map = JSON.parse(read(`dist/${file}.map`)) as { sources: string[]; sourcesContent: string[] };
    assert.ok(map.sources.length > 0, file);
    map.sources.forEach((source, i) => {
      const path = relative(root, join(root, 'dist', dirname(file), source));
      assert.match(path, /^lib\/.*\.ts$/);
      assert.equal(map.sourcesContent[i], read(path), path);
      sources.add(path);
    });
  }
  for (const file of [
    'index',
    'register',
    'unix-dgram',
    'socket/socket',
    'thread/receiver',
    'monitor/worker',
    'collect/collector',
    'consume/consume',
    'cli/compare/peer',
  ]) {
    assert.ok(sources.has(`lib/${file}.ts`), file);
  }
});

test('with --enable-source-maps a stack names the place in lib/', async () => {
  const execArgv = ['--enable-source-maps'];
  const program = async () => {
    const { createSocket } = await import('ksocket');
    try {
      createSocket('udp5' as 'udp4');
    } catch (error) {
      console.log((error as Error).stack);
    }
  };
  const { stdout } = await runProgram(program, [], { execArgv });
  const place = /lib\/socket\/options\.ts:(\d+):/.exec(stdout);
  assert.ok(place !== null, stdout);
  assert.match(read('lib/socket/options.ts').split('\n')[Number(place[1]) - 1], /badType/);
});

test('what npm packs is installed and works: the package’s entries, and its command', async () => {
  const project = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  try {
    const args = ['pack', '--ignore-scripts', '--offline', '--silent', '--pack-destination', project];
    const tarball = execFileSync('npm', args, {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
    const modules = join(project, 'node_modules');
    mkdirSync(join(modules, 'ksocket'), { recursive: true });
    const unpack = ['-xzf', join(project, tarball), '-C', join(modules, 'ksocket'), '--strip-components=1'];
    execFileSync('tar', unpack);
    assert.ok(!existsSync(join(modules, 'ksocket/build-lib')));
    for (const name of Object.keys(JSON.parse(read('package.json')).dependencies)) {
      symlinkSync(join(root, 'node_modules', name), join(modules, name));
    }
    const program = async () => {
      await import('ksocket/register' as string);
      const { createServer } = await import('ksocket');
      const { createMonitor } = await import('ksocket/monitor');
      const { createSocket } = await import('node:dgram');
      const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
      await server.start();
      const { port } = server.address() as { port: number };
      const monitor = createMonitor({ servers: [server], port: 0 });
      await monitor.start();
      const page = await fetch(`http://127.0.0.1:${(monitor.address() as { port: number }).port}/`);
      const socket = createSocket('udp4');
      socket.connect(port, '127.0.0.1', () => socket.send('hello'));
      socket.on('message', async (data) => {
        console.log(`${data} ${page.status} ${import.meta.resolve('ksocket')}`);
        socket.close();
        await monitor.stop();
        await server.stop();
      });
    };
    const { code, stdout, stderr } = await runProgram(program, [], { cwd: project });
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^hello 200 file:.*\/ksocket-test-\w+\/node_modules\/ksocket\/dist\/index\.js\n$/);
    const info = [join(modules, 'ksocket/dist/cli/main.js'), 'info', '--json'];
    const facts = JSON.parse(execFileSync(process.execPath, info, { cwd: project, encoding: 'utf8' }));
    assert.match(facts.engine, /^(mmsg|posix)$/);
  } finally {
    rmSync(project, { recursive: true });
  }
});
