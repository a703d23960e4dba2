import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { rootDir } from './paths.mjs';
import { checkPeer, peers } from './peers.mjs';

/** What a reader needs to place the figures. */
export function describeMachine() {
  return {
    started: new Date().toISOString(),
    commit: git('rev-parse', 'HEAD'),
    uncommittedChanges: git('status', '--porcelain', '--', 'lib', 'native') !== '',
    kernel: `${os.type()} ${os.release()}`,
    cpu: os.cpus()[0]?.model.trim(),
    cores: os.cpus().length,
    memoryBytes: os.totalmem(),
    loadAverage: os.loadavg(),
    node: process.version,
    versions: Object.fromEntries(Object.keys(peers).map((name) => [name, checkPeer(name).version ?? null])),
    sysctl: Object.fromEntries(
      ['rmem_default', 'rmem_max', 'wmem_default', 'wmem_max'].map((name) => [
        `net.core.${name}`,
        read(`/proc/sys/net/core/${name}`),
      ]),
    ),
  };
}

function git(...args) {
  try {
    return execFileSync('git', args, { cwd: rootDir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}

function read(path) {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}
