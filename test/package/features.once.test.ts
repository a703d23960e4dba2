// features(): what this kernel, and what this process may do.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { features } from 'ksocket';
import { runProgram } from '../support/child.js';
import { inNamespace } from '../support/namespace.js';
import { test } from '../support/test.js';

async function tell() {
  const { features } = await import('ksocket');
  console.log(JSON.stringify(features()));
}

async function featuresUnder(under: string[], env = {}): Promise<ReturnType<typeof features>> {
  const { code, stdout, stderr } = await runProgram(tell, [], { under, env });
  assert.deepEqual([code, stderr], [0, '']);
  return JSON.parse(stdout);
}

const options = [
  'bindToDevice',
  'mark',
  'transparent',
  'freebind',
  'mtuDiscover',
  'maxPacingRate',
  'sendTimes',
  'txTime',
  'receiveTtl',
  'receiveTos',
  'receiveLocal',
  'receiveTimes',
  'receiveOriginalDst',
  'receiveErrors',
  'pacing',
  'departureTimes',
  'allInterfaces',
  'pathMtu',
  'setsockopt',
  'shards',
  'kernelAnswers',
  'cpus',
  'priorityMax',
] as const;

test('with all capabilities all is had, but for what no device has', async () => {
  const { missing, ...had } = await featuresUnder(inNamespace('ip link set lo up'));
  const asked = Object.fromEntries(options.map((name) => [name, had[name]]));
  const yes = Object.fromEntries(options.map((name) => [name, true]));
  const { kernelAnswers } = features(); // whose rights no namespace gives
  assert.deepEqual(asked, { ...yes, pacing: false, departureTimes: false, kernelAnswers, priorityMax: 99 });
  assert.deepEqual(Object.keys(missing).sort(), [
    'departureTimes',
    ...(kernelAnswers ? [] : ['kernelAnswers']),
    'pacing',
  ]);
  assert.match(missing.pacing ?? '', /^needs the qdisc fq /);
  assert.equal(missing.departureTimes, 'needs the qdisc fq or etf on the device that sends');
});

test('without a capability the features that need it are missing, and it says which', async () => {
  const { missing, ...had } = await featuresUnder(['setpriv', '--bounding-set=-net_raw,-net_admin,-sys_nice', '--']);
  assert.deepEqual([had.mark, had.transparent, had.priorityMax], [false, false, 0]);
  assert.deepEqual([had.bindToDevice, had.freebind, had.mtuDiscover, had.cpus], [true, true, true, true]);
  assert.equal(missing.mark, 'EPERM: needs CAP_NET_ADMIN or CAP_NET_RAW');
  assert.equal(missing.transparent, 'EPERM: needs CAP_NET_RAW or CAP_NET_ADMIN');
  assert.equal(missing.priorityMax, 'EPERM: needs CAP_SYS_NICE or a higher RLIMIT_RTPRIO (ulimit -r)');
});

test('pacing is what tc(8) says of the devices', async () => {
  const hasFq = () => / fq /.test(spawnSync('tc', ['qdisc', 'show'], { encoding: 'utf8' }).stdout);
  const { pacing, missing } = features();
  assert.equal(pacing, hasFq());
  assert.equal('pacing' in missing, !pacing);
  // A kernel that has fq can be asked for one.
  const setup =
    'ip link set lo up; { tc qdisc replace dev lo root fq 2> /dev/null || tc qdisc replace dev lo root tbf rate 1mbit burst 10kb latency 1ms; }';
  const under = inNamespace(setup);
  const kind = spawnSync(under[0], [...under.slice(1), 'tc', 'qdisc', 'show', 'dev', 'lo'], {
    encoding: 'utf8',
  }).stdout;
  assert.match(kind, /^qdisc (fq|tbf) /);
  const had = await featuresUnder(under);
  const isFq = kind.startsWith('qdisc fq ');
  assert.deepEqual([had.pacing, had.departureTimes], [isFq, isFq]);
});

test('without the addon they are missing, and it says so', async () => {
  const { missing, ...had } = await featuresUnder(['env'], { KSOCKET_BACKEND: 'dgram', KSOCKET_ENGINE: undefined });
  assert.deepEqual(
    options.map((name) => had[name]),
    options.map((name) => (name === 'priorityMax' ? 0 : false)),
  );
  assert.deepEqual(
    missing,
    Object.fromEntries(options.map((name) => [name, "needs ksocket's addon (docs/backends.md)"])),
  );
});
