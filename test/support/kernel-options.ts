// What the kernel says of a socket's options, asked by another program: Python's socket module.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Socket } from 'ksocket';

export function fdOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd;
}

/** Of this process's IPv4 UDP sockets that are bound to the port. */
export function descriptorsOf(port: number): number[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const lines = readFileSync('/proc/net/udp', 'utf8').trim().split('\n').slice(1);
  const inodes = lines.map((line) => line.trim().split(/\s+/)).filter(([, local]) => local.endsWith(`:${wanted}`));
  const isOne = (name: string) => {
    try {
      const link = readlinkSync(`/proc/self/fd/${name}`);
      return inodes.some((fields) => link === `socket:[${fields[9]}]`);
    } catch {
      return false; // that of the listing itself
    }
  };
  return readdirSync('/proc/self/fd').filter(isOne).map(Number);
}

/** Of the first of them. */
export function descriptorOf(port: number): number {
  return descriptorsOf(port)[0] ?? assert.fail(`no socket has port ${port}`);
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

/** Connects it to a port of this host where nobody is, and sends something there: the kernel says ECONNREFUSED of it. */
export function refuseAt(fd: number, closedPort: number): void {
  const program = `import socket as s
of = s.socket(fileno=3)
of.connect(('127.0.0.1', ${closedPort}))
of.send(b'nobody')`;
  const { status } = spawnSync('python3', ['-c', program], { stdio: ['ignore', 'inherit', 'inherit', fd] });
  assert.equal(status, 0);
}
