// Who is compared. A peer is a driver (how it uses UDP) in a runtime (what runs it).
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { adapter, benchDir, loadgen, nginx, startup } from './paths.mjs';

const modules = join(benchDir, 'node_modules');
const arch = process.arch === 'arm64' ? 'arm64' : 'x64';

/** Binaries come straight from the platform packages: install scripts may be blocked, and only link them. */
const runtimes = {
  node: { command: process.execPath, args: [] },
  'newest-node': { command: join(modules, `node-linux-${arch}/bin/node`), args: [] },
  bun: {
    command: join(modules, `@oven/bun-linux-${arch === 'arm64' ? 'aarch64' : 'x64'}/bin/bun`),
    args: ['run'],
  },
  deno: {
    command: join(modules, `@deno/linux-${arch}-glibc/deno`),
    args: ['run', '--quiet', '--allow-all', '--unstable-net'],
  },
  // The distribution's; a program beside it speaks to the harness.
  nginx: { command: process.execPath, args: [], program: nginx, itself: 'nginx', version: '-v' },
  // Of both ends of a tunnel: kinds/tunnel.mjs starts them.
  linux: { itself: 'iperf3' },
  'tap-dgram': { itself: 'python3' },
  socat: { itself: 'socat', version: '-V' },
  n2n: { itself: 'edge', version: '--help' },
};

/**
 * @typedef {object} Peer
 * @property {string} label
 * @property {string} [runtime] none: the native load generator itself
 * @property {string} [driver]
 */

/** @type {Record<string, Peer>} */
export const peers = {
  ksocket: { label: 'ksocket', runtime: 'node', driver: 'ksocket' },
  dgram: { label: 'node:dgram', runtime: 'node', driver: 'dgram' },
  'dgram-newest': { label: 'node:dgram, newest Node', runtime: 'newest-node', driver: 'dgram' },
  bun: { label: 'Bun udpSocket', runtime: 'bun', driver: 'bun' },
  deno: { label: 'Deno listenDatagram', runtime: 'deno', driver: 'deno' },
  'deno-dgram': { label: 'Deno node:dgram', runtime: 'deno', driver: 'dgram' },
  'ksocket-unix-dgram': { label: 'ksocket/unix-dgram', runtime: 'node', driver: 'ksocket-unix-dgram' },
  'ksocket-collect': { label: 'ksocket/collect', runtime: 'node', driver: 'ksocket-collect' },
  'unix-dgram': { label: 'unix-dgram', runtime: 'node', driver: 'unix-dgram' },
  udx: { label: 'udx-native', runtime: 'node', driver: 'udx' },
  nginx: { label: 'nginx, stream module', runtime: 'nginx', driver: 'nginx' },
  linux: { label: 'Linux vxlan', runtime: 'linux' },
  'tap-dgram': { label: 'node:dgram and node:fs on a TAP device', runtime: 'tap-dgram' },
  socat: { label: 'socat, TUN over UDP', runtime: 'socat' },
  n2n: { label: 'n2n, with its encryption', runtime: 'n2n' },
  c: { label: 'C' },
};

/** @returns {{ command: string, args: string[] }} how to start that peer in that role */
export function commandOf(peerName, role, options) {
  const peer = peers[peerName];
  if (!peer.runtime) return { command: loadgen, args: nativeArgs(role, options) };
  const runtime = runtimes[peer.runtime];
  if (role === 'startup') return { command: runtime.command, args: [...runtime.args, startup, peer.driver] };
  return {
    command: runtime.command,
    args: [...runtime.args, runtime.program ?? adapter, peer.driver, role, JSON.stringify(options)],
  };
}

/** `{ gro: true, size: 64, ports: [1, 2] }` → `--gro --size 64 --port 1,2` */
export function nativeArgs(command, options) {
  const args = [command];
  for (const [name, value] of Object.entries(options)) {
    if (value === false || value === undefined) continue;
    args.push(name === 'ports' ? '--port' : `--${name}`);
    if (value !== true) args.push(Array.isArray(value) ? value.join(',') : String(value));
  }
  return args;
}

/** @returns {{ version?: string, reason?: string }} whether that peer can be started here at all */
export function checkPeer(peerName) {
  const { runtime } = peers[peerName];
  if (!runtime) return existsSync(loadgen) ? { version: 'C++20' } : { reason: 'the load generator is not built' };
  const { itself, command = itself, version = '--version' } = { ...runtimes[runtime] };
  if (!itself && !existsSync(command)) return { reason: `its npm package is not installed (${command})` };
  try {
    const { error, stdout, stderr } = spawnSync(itself ?? command, [version], { encoding: 'utf8', timeout: 20_000 });
    if (error) throw error;
    return { version: (stdout || stderr).split('\n')[0].trim() };
  } catch (error) {
    return { reason: `does not start: ${error.message.split('\n')[0]}` };
  }
}
