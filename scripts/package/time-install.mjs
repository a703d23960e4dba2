// How long it takes from nothing to the first datagram: in an empty folder, with an empty cache of npm's,
// `npm install ./ksocket-VERSION.tgz && node receive.mjs`. Prints medians, ranges, and the CPU time, which other work on the
// machine does not lengthen as much. On PATH are Node, npm and a shell: who would run node-gyp, or compile, fails.
//
//   node scripts/package/time-install.mjs [--rounds 5]
//
// It measures the registry's answers, too: dependencies come from there.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

const root = dirname(dirname(import.meta.dirname));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const tarball = join(root, `ksocket-${version}.tgz`);
const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } });
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds is a whole number from 1 on');

const RECEIVE = `import { createSocket } from 'ksocket';
const socket = createSocket('udp4', (message) => {
  console.log(String(message));
  socket.close();
});
socket.bind(0, '127.0.0.1', () => socket.send('hello', socket.address().port, '127.0.0.1'));
`;

/** Seconds that passed and seconds of CPU time (times(2)), of the program and its children, and what it printed. Throws when it
 * fails. */
function timed(command, options) {
  const started = performance.now();
  const shell = ['-c', `${command}; status=$?; times >&2; exit $status`];
  const { status, stdout, stderr, error } = spawnSync('/bin/sh', shell, { ...options, encoding: 'utf8' });
  const passed = (performance.now() - started) / 1000;
  if (status !== 0) throw error ?? new Error(`${command} ended with ${status}:\n${stdout}${stderr}`);
  const children = stderr.trimEnd().split('\n').at(-1);
  const [user, system] = Array.from(
    children.matchAll(/(\d+)m([\d.]+)s/g),
    ([, minutes, s]) => 60 * minutes + Number(s),
  );
  return { passed, cpu: user + system, stdout };
}

function round() {
  const folder = mkdtempSync(join(tmpdir(), 'ksocket-install-'));
  try {
    const bin = join(folder, '.bin');
    mkdirSync(bin);
    const npm = spawnSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).stdout.trim();
    for (const [name, path] of Object.entries({ node: process.execPath, npm, sh: '/bin/sh', env: '/usr/bin/env' })) {
      symlinkSync(path, join(bin, name));
    }
    const project = join(folder, 'project');
    mkdirSync(project);
    writeFileSync(join(project, 'receive.mjs'), RECEIVE);
    symlinkSync(tarball, join(project, `ksocket-${version}.tgz`));
    // Nobody's settings, also where `npm run` has told its own.
    const inherited = Object.entries(process.env).filter(([name]) => !/^(npm_|KSOCKET_|NODE_OPTIONS$)/i.test(name));
    const env = { ...Object.fromEntries(inherited), PATH: bin, HOME: folder, npm_config_cache: join(folder, 'cache') };
    const options = { cwd: project, env };
    const install = timed(`npm install ./ksocket-${version}.tgz`, options);
    const run = timed('node receive.mjs', options);
    if (run.stdout !== 'hello\n') throw new Error(`receive.mjs has printed ${JSON.stringify(run.stdout)}`);
    return { install, run };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function median(numbers) {
  const sorted = numbers.toSorted((one, other) => one - other);
  return (sorted[(rounds - 1) >> 1] + sorted[rounds >> 1]) / 2;
}

function row(name, times) {
  const passed = times.map((time) => time.passed);
  const range = `${Math.min(...passed).toFixed(2)} to ${Math.max(...passed).toFixed(2)}`;
  const cpu = median(times.map((time) => time.cpu)).toFixed(2);
  console.log(`${name.padEnd(36)} ${median(passed).toFixed(2)} s (${range}), ${cpu} s of CPU time`);
}

const installs = [];
const runs = [];
for (let i = 0; i < rounds; i++) {
  const { install, run } = round();
  installs.push(install);
  runs.push(run);
}
const both = installs.map(({ passed, cpu }, i) => ({ passed: passed + runs[i].passed, cpu: cpu + runs[i].cpu }));
console.log(
  `medians of ${rounds} rounds, Node ${process.versions.node}, ${availableParallelism()} cores, load ${loadavg()[0].toFixed(1)}`,
);
row(`npm install ./ksocket-${version}.tgz`, installs);
row('node receive.mjs', runs);
row('both', both);
