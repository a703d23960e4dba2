// Programs of other architectures and C libraries: their names, and how commands are run.
import { execFileSync } from 'node:child_process';

/** By Node's names of them. */
export const ABI = { x64: 'x86_64', arm64: 'aarch64' };

export const archOf = (target) => /linux-(\w+)/.exec(target.name)[1];

export const muslTriple = (target) => `${ABI[archOf(target)]}-linux-musl`;

export function run(command, args, options = {}) {
  return execFileSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 100_000,
    ...options,
  });
}
