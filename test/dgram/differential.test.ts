// ksocket and node:dgram, side by side: the hand-written cases and random scripts, on this Node and on others.
//
// KSOCKET_SCRIPTS: how many random scripts for each Node. KSOCKET_SEED: where they begin.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, test as longTest } from 'node:test';
import { Child, root } from '../support/child.js';
import { inNamespace } from '../support/namespace.js';
import { test } from '../support/test.js';
import { cases } from './cases/all.js';
import { Comparison } from './differential.js';
import { nodeBinary } from './nodes.js';

const SCRIPTS = Number(process.env.KSOCKET_SCRIPTS ?? 1000);
const SEED = Number(process.env.KSOCKET_SEED ?? 2026);
const OTHER_NODES = [22, 24, 26];
const DEADLINE_MS = 85_000 + SCRIPTS * 10;

const comparison = await Comparison.open();
after(() => comparison[Symbol.asyncDispose]());

for (const [name, script] of Object.entries(cases)) {
  test(name, async () => {
    const found = await comparison.differenceOf(script);
    if (found !== undefined) assert.fail(found);
  });
}

/** A network of its own: scripts send to ports that have just been closed, and in the meantime those may belong to other
 * processes. */
const setup = [
  'ip link set lo up',
  'ip link add v0 type veth peer name v1', // an interface that multicast can go to, and that leads nowhere
  'ip addr add 192.0.2.2/24 dev v0',
  'ip -6 addr add fd00::2/64 dev v0 nodad',
  'ip link set v1 up',
  'ip link set v0 up',
  'ip route add default via 192.0.2.1',
].join(' && ');
/** Another where multicast has no way out but lo, by name. */
const bare = 'ip link set lo up';
// Where no namespace may be made they run among the others.
const mayIsolate = spawnSync('unshare', [...inNamespace(setup).slice(1), 'true']).status === 0;

async function compare(network: string, version: number, count: number): Promise<void> {
  const script = ['build-test/dgram/differential.js', '--scripts', `${count}`, '--seed', `${SEED + version}`];
  const command = [...(mayIsolate ? inNamespace(network) : []), nodeBinary(version), ...script];
  await using child = new Child(command[0], command.slice(1), { cwd: root, deadlineMs: DEADLINE_MS });
  const { code, stdout, stderr } = await child.end();
  assert.equal(code, 0, `${stdout}${stderr}`);
  assert.match(stdout, new RegExp(`node v${version}\\.`));
  assert.equal(stderr, '');
}

const running = Number.parseInt(process.versions.node, 10);
for (const version of [running, ...OTHER_NODES]) {
  void longTest(`all cases and ${SCRIPTS} random scripts on node ${version}`, { timeout: DEADLINE_MS }, () =>
    compare(setup, version, SCRIPTS),
  );
}

void longTest('all cases where lo is the only interface', { timeout: DEADLINE_MS }, () => compare(bare, running, 0));
