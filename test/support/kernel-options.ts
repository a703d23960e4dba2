// What the kernel says of a socket's options, asked by another program: Python's socket module.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Socket } from 'ksocket';

export function fdOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd;
}

/** Of this process's IPv4 UDP socket that is bound to the port. */
export function descriptorOf(port: number): number {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const lines = readFileSync('/proc/net/udp', 'utf8').trim().split('\n').slice(1);
  const inodes = lines.map((line) => line.trim().split(/\s+/)).filter(([, local]) => local.endsWith(`:${wanted}`));
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      const link = readlinkSync(`/proc/self/fd/${name}`);
      if (inodes.some((fields) => link === `socket:[${fields[9]}]`)) return Number(name);
    } catch {} // that of the listing itself
  }
  return assert.fail(`no socket has port ${port}`);
}

function ask(fds: number[], expressions: string[]): unknown[][] {
  const program = `import json, socket as s
print(json.dumps([[${expressions.join(', ')}] for of in (s.socket(fileno=3 + i) for i in range(${fds.length}))]))`;
  const stdio = ['ignore', 'pipe', 'inherit', ...fds] as const;
  const { stdout, status } = spawnSync('python3', ['-c', program], { stdio: [...stdio], encoding: 'utf8' });
  assert.equal(status, 0);
  return JSON.parse(stdout);
}

/** Of each descriptor: `level, name` each, by Python's names or the kernel's numbers. */
export function kernelOptionsOf(fds: number[], options: string[]): number[][] {
  return ask(
    fds,
    options.map((each) => `of.getsockopt(${each})`),
  ) as number[][];
}

export function kernelOptions(fd: number, options: string[]): number[] {
  return kernelOptionsOf([fd], options)[0];
}

/** The same of an option that is no int: its bytes, of which there are at most `length`. */
export function kernelBytesOf(fds: number[], option: string, length: number): Buffer[] {
  return ask(fds, [`of.getsockopt(${option}, ${length}).hex()`]).map(([hex]) => Buffer.from(hex as string, 'hex'));
}
