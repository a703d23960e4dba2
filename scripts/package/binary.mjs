// One binary of a release: compiled once for what it is made of, then taken from the cache.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join, relative } from 'node:path';
import { compile, headers } from '../../native/compile.mjs';
import { unbind } from './unbind.mjs';
import { installZig, ZIG_VERSION } from './zig.mjs';

// Sections that nobody needs are most of a static libc++. Loops over datagrams are bound by memory and system calls, not by how
// wide they are.
// Nothing throws, so nobody unwinds: tables for that were a sixth of a binary (one from `ksocket build` has them).
const FLAGS = [
  '-fno-asynchronous-unwind-tables',
  '-fno-unwind-tables',
  '-ffunction-sections',
  '-fdata-sections',
  '-fno-vectorize',
  '-fno-slp-vectorize',
  '-fno-unroll-loops',
];
/** What runs once a socket, a server or a change of rules, and not once a datagram, is compiled to be small. */
const SELDOM =
  /^(addon|bridge\/(?!async_context|io_thread_object|loop_watch|ring_reader|waker)|core\/(endpoint\/(endpoint_filter|peer_backlogs|watches)|thread\/(io_thread_changes|postponed|schedule|ticker)|sharing\/fresh_sockets)\.|core\/(bpf|socket|xdp)\/|core\/answer\/(handler\.|forwarder_hand_over|rule_responder_hand_over|rules\/(decode|program)|protection\/(filter|local_addresses))|engine\/(features|choose|gso_limit))/;
const flagsOf = (name) => (SELDOM.test(name) ? ['-Os'] : []);
const LINKING = ['-Wl,--gc-sections', '-s'];
const MORE = ['no_exceptions.cc', 'either_libc.cc'].map((name) => join(import.meta.dirname, name));

/** All that a binary depends on, in one number. */
function fingerprint(root, target) {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([ZIG_VERSION, target, FLAGS, `${SELDOM}`, LINKING]));
  for (const file of [...inputs(root), ...MORE, join(import.meta.dirname, 'unbind.mjs')])
    hash.update(`${relative(root, file)}\0`).update(readFileSync(file));
  return hash.digest('hex').slice(0, 16);
}

function inputs(root) {
  const native = join(root, 'native');
  const files = (folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
  const single = ['addon.cc', 'exports.map', 'compile.json', 'compile.mjs'].map((name) => join(native, name));
  const folders = ['bridge', 'core', 'engine', 'include'].map((name) => join(native, name));
  const [addonApi, nodeApi] = headers();
  return [
    ...single,
    ...[...folders, addonApi, nodeApi].flatMap(files).filter((file) => /\.(h|cc|map|m?js|json)$/.test(file)),
  ];
}

/** The path of this target's binary. */
export async function binaryOf(root, target) {
  const cache = join(root, 'node_modules/.cache/ksocket-package');
  const out = join(cache, `${target.name}-${fingerprint(root, target)}.node`);
  if (existsSync(out)) {
    console.log(`${target.name}: as it was`);
    return out;
  }
  mkdirSync(cache, { recursive: true });
  const zig = installZig(cache);
  const started = Date.now();
  const linked = `${out}.linked`;
  await compile({
    compiler: [zig, 'c++', '-target', target.triple],
    out: linked,
    flags: [...FLAGS, ...target.flags],
    linking: LINKING,
    flagsOf,
    more: MORE,
    onStep: (done, all) => process.stdout.isTTY && process.stdout.write(`\r${target.name}: ${done} of ${all} `),
  });
  unbind(linked);
  renameSync(linked, out);
  console.log(
    `${process.stdout.isTTY ? '\r' : ''}${target.name}: compiled in ${Math.round((Date.now() - started) / 1000)} s`,
  );
  return out;
}
