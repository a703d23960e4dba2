// Clients that others have written, from Debian's packages.
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Child, type ChildResult } from './child.js';

const run = promisify(execFile);
const INSTALL_LIMIT_MS = 80_000;

/** Installs a program's package where it is missing and we are root. Test processes take turns: apt has one lock. */
export async function install(program: string, packageName: string): Promise<void> {
  const have = `command -v ${program} >/dev/null`;
  const get = `apt-get update -q && apt-get install -y -q --no-install-recommends ${packageName}`;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    await run('sh', ['-c', have]);
  } catch {
    if (process.getuid?.() !== 0) throw new Error(`There is no ${program}: install the package ${packageName}`);
    const lock = join(tmpdir(), 'ksocket-test-apt.lock');
    await run('flock', [lock, 'sh', '-c', `${have} || { ${get}; }`], { env, timeout: INSTALL_LIMIT_MS });
  }
}

/** Runs a client to its end. */
export async function runClient(packageName: string, program: string, ...args: string[]): Promise<ChildResult> {
  await install(program, packageName);
  await using child = new Child(program, args);
  return await child.end();
}

/** Says a line with socat, and returns the line that comes back. */
export async function sayLine(line: string, port: number): Promise<string> {
  const talk = `echo "${line}"; IFS= read -r answer; echo "$answer" >&2`;
  const { code, stderr } = await runClient('socat', 'socat', '-t0', `UDP4:127.0.0.1:${port}`, `SYSTEM:${talk}`);
  if (code !== 0) throw new Error(`socat ended with ${code}: ${stderr}`);
  return stderr.trimEnd();
}
