// A tunnel for a long time: iperf3 without an end, over TCP and UDP in turn and in both directions, while the wire's rate changes
// (tc-netem(8), tc-tbf(8)) and the other end is killed and starts again every 20 seconds. The tunnel's memory and
// descriptors must stay as they are, and frames must come through in the end. Prints what it sees; the last line is
// `N passed, N failed`. In network namespaces of its own.
//
//   node scripts/soak-tunnel.mjs [--seconds 600] [--restart 20]      needs iproute2, iperf3
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { TWO_HOSTS } from '../bench/harness/two-hosts.mjs';
import { requireWholeNumbers } from './whole-numbers.mjs';

const root = join(import.meta.dirname, '..');
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    restart: { type: 'string', default: '20' },
    inside: { type: 'boolean' },
  },
});
requireWholeNumbers(values, { seconds: 40, restart: 2 });
const [seconds, restart] = [Number(values.seconds), Number(values.restart)];

const RATES = ['1gbit', '50mbit', '5gbit', '300mbit'];
const TRAFFIC = [
  [],
  ['-R'],
  ['-u', '-b', '100M'],
  ['-u', '-b', '100M', '-R'],
  ['-P', '4'],
  ['-u', '-b', '20M', '-l', '64', '-R'],
];
const far = ['ip', 'netns', 'exec', 'far'];
/** V8 and malloc have found their size by then. */
const WARM_SECONDS = Math.min(60, seconds / 3);
const GROWTH_MB_MAX = 16;
/** Twice what Linux believes a neighbour for that it does not hear of. */
const NEIGHBOUR_SECONDS_MAX = 90;

if (!values.inside) {
  const asUser = process.getuid() === 0 ? [] : ['-r'];
  const self = [
    process.execPath,
    import.meta.filename,
    '--inside',
    '--seconds',
    values.seconds,
    '--restart',
    values.restart,
  ];
  const under = [...asUser, '-n', '-m', '--kill-child', '-p', '-f', 'sh', '-c', `${TWO_HOSTS} && exec "$0" "$@"`];
  const { status } = spawnSync('unshare', [...under, ...self], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
} else {
  await soak();
}

/** A tunnel of its own process, as the command line has it. */
async function startTunnel(before, n) {
  const args = ['tunnel', '--dev', 'lan0', '--vni', '7', '--address', `10.50.0.${n}/24`, '--remote', `10.7.0.${3 - n}`];
  const command = [...before, process.execPath, join(root, 'dist/cli/main.js'), ...args];
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const data of child.stdout.iterator({ destroyOnReturn: false })) if (`${data}`.includes('clear')) break;
  child.stdout.resume();
  return child;
}

async function ended(child, signal) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill(signal);
  await closed;
}

function look(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return { mb: Number(/^VmRSS:\s+(\d+)/m.exec(status)[1]) / 1024, fds: readdirSync(`/proc/${pid}/fd`).length };
}

/** One transfer after the other, whatever becomes of each, until `until()`. How many came to their end. */
async function traffic(until) {
  let whole = 0;
  for (let n = 0; !until(); n++) {
    const client = ['-c', '10.50.0.2', '-t', '5', '--connect-timeout', '2000', ...TRAFFIC[n % TRAFFIC.length]];
    const child = spawn('iperf3', client, { stdio: 'ignore' });
    const stuck = globalThis.setTimeout(() => child.kill('SIGKILL'), 15_000);
    const [code] = await once(child, 'close');
    clearTimeout(stuck);
    if (code === 0) whole++;
    else await setTimeout(500);
  }
  return whole;
}

/** The server ends with the connection that it has; it is started again. */
async function serve(until) {
  while (!until()) {
    const child = spawn(far[0], [...far.slice(1), 'iperf3', '-s', '-1', '--idle-timeout', '10'], { stdio: 'ignore' });
    const stuck = globalThis.setTimeout(() => child.kill('SIGKILL'), 20_000);
    await once(child, 'close');
    clearTimeout(stuck);
    await setTimeout(50);
  }
}

async function soak() {
  let over = false;
  const until = () => over;
  const tunnel = await startTunnel([], 1);
  let other = await startTunnel(far, 2);
  void serve(until);
  const moved = traffic(until);
  const seen = [];
  for (let second = 0; second < seconds && tunnel.exitCode === null; second++) {
    await setTimeout(1000);
    if (second % 10 === 0) {
      const rate = RATES[(second / 10) % RATES.length];
      const shape = `dev wire root tbf rate ${rate} burst 256k latency 50ms`;
      for (const ip of [[], far]) spawnSync('sh', ['-c', `exec ${[...ip, 'tc', 'qdisc', 'replace', shape].join(' ')}`]);
    }
    if (second % restart === restart - 1) {
      await ended(other, (second / restart) % 2 < 1 ? 'SIGKILL' : 'SIGTERM');
      other = await startTunnel(far, 2);
    }
    const now = look(tunnel.pid);
    if (second >= WARM_SECONDS) seen.push(now);
    if (second % 10 === 0) console.log(`${second} s: ${now.mb.toFixed(1)} MB, ${now.fds} descriptors`);
  }
  over = true;
  const whole = await moved;
  // Its Ethernet address is another one since it has started again: who knew the old one asks when that is too old.
  const ask = () => spawnSync('ping', ['-c', '1', '-W', '2', '10.50.0.2']).status === 0;
  let asked = 0;
  while (!ask() && asked < NEIGHBOUR_SECONDS_MAX) asked += 2;
  const half = Math.floor(seen.length / 2);
  const most = (all) => Math.max(...all.map(({ mb }) => mb));
  const growth = most(seen.slice(half)) - most(seen.slice(0, half));
  const fds = seen.map(({ fds }) => fds);
  tunnel.kill('SIGTERM');
  const [code] = await once(tunnel, 'close');
  await ended(other, 'SIGTERM');
  const checks = [
    [`memory: ${growth.toFixed(1)} MB more in the second half`, growth < GROWTH_MB_MAX],
    [`descriptors: ${Math.min(...fds)} to ${Math.max(...fds)}`, Math.max(...fds) === Math.min(...fds)],
    [`transfers that came to their end: ${whole}`, whole >= seconds / restart / 4],
    [`the other end answers in the end, after ${asked} s`, asked < NEIGHBOUR_SECONDS_MAX],
    [`it ends as it should: ${code}`, code === 0],
  ];
  for (const [what, holds] of checks) console.log(`${holds ? '✔' : '✖'} ${what}`);
  const failed = checks.filter(([, holds]) => !holds).length;
  console.log(`${checks.length - failed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
  setTimeout(1000).then(() => process.exit());
}
