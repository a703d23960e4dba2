// Two hosts with a wire between them, a tunnel over it, and iperf3 through that: `hosts.mjs WHAT JSON-LOAD`, run as pid 1 of
// namespaces that the harness has made. Prints one line of JSON.
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { rootDir } from '../../harness/paths.mjs';

const what = process.argv[2];
const { seconds, udpBytes } = JSON.parse(process.argv[3]);
const READY_MS = 15_000;
/** Which program each end is, where it is one; n: 1 or 2. */
const cli = [process.execPath, join(rootDir, 'dist/cli/main.js'), 'tunnel', '--dev', 'lan0', '--vni', '7'];
const own = (n) => `10.50.0.${n}`;
const wire = (n) => `10.7.0.${n}`;
const TAP = `import fcntl, os, struct, sys
fd = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(fd, 0x400454ca, struct.pack('16sH22x', b'lan0', 0x1002))
os.set_inheritable(fd, True)
if fd != 3: os.dup2(fd, 3, True)
os.execvp(sys.argv[1], sys.argv[1:])`;
const programs = {
  ksocket: (n) => [...cli, '--address', `${own(n)}/24`, '--remote', wire(3 - n)],
  javascript: (n) => ['python3', '-c', TAP, process.execPath, join(import.meta.dirname, 'javascript.mjs'), wire(3 - n)],
  socat: (n) => [
    'socat',
    `TUN:${own(n)}/24,up,iff-no-pi,tun-name=lan0`,
    `UDP-DATAGRAM:${wire(3 - n)}:7000,bind=${wire(n)}:7000`,
  ],
  n2n: (n) => [
    'edge',
    '-d',
    'lan0',
    '-c',
    'bench',
    '-k',
    'bench',
    '-a',
    own(n),
    '-s',
    '255.255.255.0',
    '-l',
    `${wire(2)}:7777`,
  ],
};

const hosts = { 1: [], 2: ['ip', 'netns', 'exec', 'far'] };
const on = (n, ...command) => [...hosts[n], ...command];

function sh(command) {
  const { status, stderr } = spawnSync('sh', ['-ec', command], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
}

function start(n, command) {
  const [name, ...args] = on(n, ...command);
  const child = spawn(name, args, {
    stdio: ['ignore', 'ignore', process.env.KSOCKET_BENCH_SAYS ? 'inherit' : 'ignore'],
  });
  child.on('exit', (code) => {
    if (!ending) fail(new Error(`${command[0]} has ended with ${code}`));
  });
  return child;
}

function whenDevice(n, then) {
  const ip = on(n, 'ip').join(' ');
  sh(
    `for i in $(seq 300); do ${ip} link show lan0 >/dev/null 2>&1 && break; sleep 0.05; done; ${then.replaceAll('IP', ip)}`,
  );
}

/** @returns {import('node:child_process').ChildProcess[]} the programs whose processor time is the tunnel's */
function startEnds() {
  if (what === 'veth') {
    sh(`ip addr add ${own(1)}/24 dev wire && ip -n far addr add ${own(2)}/24 dev wire`);
    return [];
  }
  if (what === 'vxlan') {
    for (const [n, ip] of [
      [1, 'ip'],
      [2, 'ip -n far'],
    ]) {
      sh(`${ip} link add lan0 type vxlan id 7 local ${wire(n)} remote ${wire(3 - n)} dstport 4789`);
      sh(`${ip} addr add ${own(n)}/24 dev lan0 && ${ip} link set lan0 up`);
    }
    return [];
  }
  if (what === 'n2n') start(2, ['supernode', '-l', '7777']);
  const ends = [1, 2].map((n) => start(n, programs[what](n)));
  for (const n of [1, 2]) {
    if (what === 'javascript')
      whenDevice(n, `IP addr add ${own(n)}/24 dev lan0; IP link set lan0 mtu 1450 txqueuelen 1000 up`);
    if (what === 'socat') whenDevice(n, 'IP link set lan0 mtu 1472');
  }
  return ends;
}

/** Of all threads of a program: sched_debug's run time, exact where the ticks of stat are hundredths. */
function cpuNsOf({ pid }) {
  const tasks = readdirSync(`/proc/${pid}/task`);
  return tasks.reduce(
    (sum, id) => sum + Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]),
    0,
  );
}

async function measure() {
  const ends = startEnds();
  const before = performance.now();
  const ping = () => spawnSync('ping', ['-c', '1', '-W', '1', own(2)]).status === 0;
  while (!ping()) {
    if (performance.now() - before > READY_MS) throw new Error('nobody answers behind the tunnel');
    await sleep(100);
  }
  sh(`ip netns exec far iperf3 -s -1 -D -B ${own(2)} && sleep 0.5`);
  const load = udpBytes ? ['-u', '-b', '0', '-l', `${udpBytes}`] : [];
  const cpu = ends.map(cpuNsOf);
  const client = spawn('iperf3', ['-c', own(2), '-t', `${seconds}`, '-J', ...load], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const data of client.stdout) text += data;
  const cpuNs = ends.map((end, i) => cpuNsOf(end) - cpu[i]).reduce((sum, each) => sum + each, 0);
  const { error, end } = JSON.parse(text);
  if (error) throw new Error(error);
  const cores = ends.length > 0 ? cpuNs / 1e9 / seconds : undefined;
  if (!udpBytes) return { gbits: end.sum_received.bits_per_second / 1e9, cores };
  const packets = end.sum.packets - end.sum.lost_packets;
  return {
    rate: packets / end.sum.seconds,
    offered: end.sum.packets / end.sum.seconds,
    cpuNs: ends.length > 0 ? cpuNs / packets : undefined,
    cores,
  };
}

let ending = false;
function fail(error) {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
}
try {
  const result = await measure();
  ending = true;
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
} catch (error) {
  ending = true;
  fail(error);
}
