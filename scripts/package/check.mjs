// Looks at the binaries of ksocket-VERSION.tgz, and loads or runs each: those of another architecture under qemu-user. Its last line
// is `N passed, N failed`.
//
//   npm run test:binaries [-- --write]     --write: the table of docs/install.md
//
// Node for arm64 comes from npm, its libraries from Debian's packages; what runs on musl is in musl.mjs.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { ABI, archOf, run } from './foreign.mjs';
import { assertSound, inspectBinary } from './inspect.mjs';
import { loadWithMusl, runWithBun } from './musl.mjs';
import { TARGETS } from './targets.mjs';

const root = dirname(dirname(import.meta.dirname));
const cache = join(root, 'node_modules/.cache/ksocket-package');
const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const work = mkdtempSync(join(tmpdir(), 'ksocket-binaries-'));
const total = { passed: 0, failed: 0 };

function check(name, body) {
  try {
    const result = body();
    total.passed++;
    console.log(`✔ ${name}${result ? `: ${result}` : ''}`);
    return result;
  } catch (error) {
    total.failed++;
    console.log(`✖ ${name}\n  ${String(error.message).replaceAll('\n', '\n  ')}`);
    return undefined;
  }
}

const PROGRAM = `
import { createServer, createSocket } from 'ksocket';
const server = createServer({ port: 0, address: '127.0.0.1', rules: [{ match: { exact: 'ping' }, action: { reply: 'pong' } }] });
await server.start();
const socket = createSocket('udp4', (data) => {
  console.log(String(data), process.arch, process.version);
  socket.close(() => server.stop());
});
socket.bind(0, '127.0.0.1', () => socket.sendMany(['ping', server.address().port, '127.0.0.1']));
`;

/** With Node: "" or the emulator that ran it. */
function runWithNode(target, emulator) {
  const [command, ...first] = [...emulator, nodeFor(target)];
  const env = { ...process.env, KSOCKET_ENGINE: '' };
  const output = run(command, [...first, join(work, 'program.mjs')], { cwd: work, env });
  const [, arch, node] = /^pong (\w+) (v[\d.]+)\n$/.exec(output) ?? [];
  if (arch !== archOf(target)) throw new Error(`it printed ${output}`);
  return `runs on Node ${/\d+/.exec(node)[0]}${emulator.length > 0 ? ', under qemu-user' : ''}`;
}

function nodeFor(target) {
  if (archOf(target) === process.arch) return process.execPath;
  const name = `node-linux-${archOf(target)}`;
  const prefix = join(cache, `${name}-22`);
  const binary = join(prefix, 'node_modules', name, 'bin/node');
  if (!existsSync(binary)) {
    const options = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--force', '--loglevel=error'];
    run('npm', ['install', '--prefix', prefix, ...options, `${name}@22`], { cwd: dirname(cache) });
  }
  return binary;
}

/** What runs programs of another architecture. */
function emulatorFor(target, sysroot) {
  if (archOf(target) === process.arch) return [];
  const name = `qemu-${ABI[archOf(target)]}-static`;
  return [name, ...(sysroot ? ['-L', `/usr/${ABI[archOf(target)]}-linux-gnu`] : [])];
}

function row(target, { glibc, bytes }, proof) {
  return `| \`${target.name}\` | glibc ${glibc}, or musl | ${Math.round(bytes / 1000)} kB | ${proof} |`;
}

/** The table of docs/install.md says what is so now; sizes change with each build, within a tenth. */
function checkTable(rows) {
  const file = join(root, 'docs/install.md');
  const text = readFileSync(file, 'utf8');
  const [, before, table, after] = /^(.*<!-- binaries: [^\n]*-->\n)(.*)(<!-- \/binaries -->.*)$/s.exec(text);
  const head = '| binary | needs | size | shown |\n|---|---|---|---|\n';
  const made = `${head}${rows.join('\n')}\n`;
  if (values.write) return writeFileSync(file, before + made + after);
  const withoutSizes = (of) => of.replaceAll(/\d+ kB/g, 'kB').replaceAll(/Node \d+/g, 'Node');
  if (withoutSizes(made) !== withoutSizes(table)) throw new Error(`it says\n${table}and is\n${made}(--write)`);
  const sizes = (of) => [...of.matchAll(/(\d+) kB/g)].map(([, kilobytes]) => Number(kilobytes));
  sizes(table).forEach((size, i) => {
    if (Math.abs(size - sizes(made)[i]) > size / 10) throw new Error(`${size} kB are ${sizes(made)[i]} kB (--write)`);
  });
}

const rows = [];
try {
  run('tar', ['-xzf', join(root, `ksocket-${version}.tgz`), '-C', work]);
  const installed = join(work, 'node_modules/ksocket');
  mkdirSync(dirname(installed), { recursive: true });
  run('mv', [join(work, 'package'), installed]);
  writeFileSync(join(work, 'program.mjs'), PROGRAM);
  for (const target of TARGETS) {
    const file = join(installed, 'prebuilds', target.name, 'ksocket.node');
    const binary = inspectBinary(file);
    check(`${target.name} is sound`, () => assertSound(target, binary));
    const withGlibc = check(`${target.name} runs with glibc`, () => runWithNode(target, emulatorFor(target, true)));
    const own = archOf(target) === process.arch;
    const withMusl = check(`${target.name} ${own ? 'runs' : 'is loaded'} with musl`, () =>
      own
        ? runWithBun(cache, work, target, join(work, 'program.mjs'))
        : loadWithMusl(cache, work, target, file, emulatorFor(target, false)),
    );
    if (withGlibc && withMusl) rows.push(row(target, binary, `${withGlibc}; ${withMusl}`));
  }
} finally {
  rmSync(work, { recursive: true });
}
check('the table of docs/install.md', () => checkTable(rows));
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;
