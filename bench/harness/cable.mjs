// A virtual cable (veth) between two network namespaces: what is measured is at the one end, who asks at the other.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { NotAvailable } from './child.mjs';

const OURS = '192.0.2.1';
const THEIRS = '192.0.2.2';
const INTERFACE = 'bench0';

/** @type {Promise<{ ours: Place, theirs: Place }> | undefined} */
let made;

/**
 * @typedef {object} Place
 * @property {string[]} before what a command stands behind to run there
 * @property {Record<string, string>} env
 */

/** Both ends; made once a run, and gone with it. */
export function cable() {
  made ??= make();
  return made;
}

async function space() {
  const holder = spawn('unshare', ['-n', 'sh', '-c', 'echo; exec cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
  holder.on('error', () => {});
  const first = await Promise.race([once(holder.stdout, 'data'), once(holder, 'close')]);
  if (!Buffer.isBuffer(first[0])) throw new NotAvailable('needs the rights to make network namespaces');
  for (const each of [holder, holder.stdin, holder.stdout]) each.unref(); // it ends when this process does
  return holder.pid;
}

function run(command, ...args) {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new NotAvailable(`${command} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`);
}

async function make() {
  const [ours, theirs] = [await space(), await space()];
  const at = (pid) => ['nsenter', '-t', `${pid}`, '-n'];
  const [command, ...there] = at(ours);
  run(
    command,
    ...there,
    'ip',
    'link',
    'add',
    INTERFACE,
    'type',
    'veth',
    'peer',
    'name',
    INTERFACE,
    'netns',
    `${theirs}`,
  );
  for (const [pid, address] of [
    [ours, OURS],
    [theirs, THEIRS],
  ]) {
    run(command, ...at(pid).slice(1), 'ip', 'link', 'set', 'lo', 'up');
    run(command, ...at(pid).slice(1), 'ip', 'addr', 'add', `${address}/24`, 'dev', INTERFACE);
    run(command, ...at(pid).slice(1), 'ip', 'link', 'set', INTERFACE, 'up');
    // Joined datagrams are cut before the cable, as before a wire: a virtual one would carry them whole.
    run(command, ...at(pid).slice(1), 'ethtool', '-K', INTERFACE, 'tx-udp-segmentation', 'off');
  }
  const env = (self, other) => ({
    KSOCKET_BENCH_SELF: self,
    KSOCKET_BENCH_HOST: other,
    KSOCKET_BENCH_INTERFACE: INTERFACE,
  });
  return {
    ours: { before: at(ours), env: env(OURS, THEIRS) },
    theirs: { before: at(theirs), env: env(THEIRS, OURS) },
  };
}
