// What the kernel says of a socket's options, asked by another program: Python's socket module.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import type { Socket } from 'ksocket';

export function fdOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd;
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
