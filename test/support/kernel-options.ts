// What the kernel says of a socket's options, asked by another program: Python's socket module.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import type { Socket } from 'ksocket';

export function fdOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd;
}

function ask(fd: number, expressions: string[]): unknown[] {
  const program = `import json, socket as s\nof = s.socket(fileno=3)\nprint(json.dumps([${expressions.join(', ')}]))`;
  const stdio = ['ignore', 'pipe', 'inherit', fd] as const;
  const { stdout, status } = spawnSync('python3', ['-c', program], { stdio: [...stdio], encoding: 'utf8' });
  assert.equal(status, 0);
  return JSON.parse(stdout);
}

/** Of a descriptor: `level, name` each, by Python's names or the kernel's numbers. */
export function kernelOptions(fd: number, options: string[]): number[] {
  return ask(
    fd,
    options.map((each) => `of.getsockopt(${each})`),
  ) as number[];
}

/** The same of options that are no int: their bytes, of which there are at most `length`. */
export function kernelBytes(fd: number, option: string, length: number): Buffer {
  return Buffer.from(ask(fd, [`of.getsockopt(${option}, ${length}).hex()`])[0] as string, 'hex');
}
