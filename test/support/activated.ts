// Children that are started as services are: with sockets that somebody else has opened, and somebody who listens to them.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, root } from './child.js';
import { waitFor } from './wait.js';

/** A socket for listen.py. */
export interface Listening {
  type: 'udp4' | 'udp6' | 'tcp4' | 'tcp6' | 'unix_dgram' | 'unix_stream' | 'unix_seqpacket' | 'file';
  /** An abstract name begins with a zero. */
  address?: string;
  port?: number;
  reusePort?: boolean;
  /** Of what it sends by IPv4. */
  tos?: number;
  /** What it is bound to besides. */
  device?: string;
  ipv6Only?: boolean;
  unbound?: boolean;
}

/** What runs a child (ChildOptions.under) that has these sockets. */
export function listening(...sockets: Listening[]): string[] {
  return ['python3', join(root, 'test/support/listen.py'), JSON.stringify(sockets)];
}

/** What listens where services send what they have to say; in a process and a language of its own. */
const receiver = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
s.bind("\\0" + name[1:] if name[0] == "@" else name)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
print("ready", flush=True)
while True:
  data, rights, flags, sender = s.recvmsg(65536, 256)
  pid = int.from_bytes(rights[0][2][0:4], sys.byteorder)
  print(pid, ascii(data.decode()), flush=True)
`;

const stuffing = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setblocking(False)
name = sys.argv[1]
try:
  while True: s.sendto(b"STATUS=", "\\0" + name[1:] if name[0] == "@" else name)
except BlockingIOError: pass
`;

export interface Told {
  /** Of whom the kernel says that it has sent it. */
  pid: number;
  lines: string[];
}

/** Whom services tell what state they are in. */
export class Manager implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  /** For NOTIFY_SOCKET. */
  readonly address: string;
  #child: Child | undefined;

  constructor(abstract = false) {
    this.address = abstract ? `@ksocket-test-${process.pid}-${Math.random()}` : join(this.#directory, 'notify');
  }

  async start(): Promise<this> {
    this.#child = new Child('python3', ['-c', receiver, this.address]);
    await this.#child.line(/^ready$/);
    return this;
  }

  /** It does not read any more, and there is no place for another message. */
  async stops(): Promise<void> {
    this.#child?.kill('SIGSTOP');
    const { code } = await new Child('python3', ['-c', stuffing, this.address]).end();
    if (code !== 0) throw new Error(`ended with ${code}`);
  }

  goesOn(): void {
    this.#child?.kill('SIGCONT');
  }

  get told(): Told[] {
    return (this.#child?.lines ?? []).slice(1).map((line) => {
      const [, pid, text] = /^(\d+) '(.*)'$/.exec(line) ?? [];
      return { pid: Number(pid), lines: text.split('\\n') };
    });
  }

  /** All lines, as they came. */
  get lines(): string[] {
    return this.told.flatMap(({ lines }) => lines);
  }

  async hears(line: string | RegExp, times = 1): Promise<void> {
    const found = () =>
      this.lines.filter((each) => (typeof line === 'string' ? each === line : line.test(each))).length;
    await waitFor(
      () => found() >= times,
      () => `${line} is not told: ${JSON.stringify(this.told)}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child?.[Symbol.asyncDispose]();
    rmSync(this.#directory, { recursive: true });
  }
}

/** Ends a child that ends well. */
export async function endsWell(child: Child, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  const ended = once(child.process, 'exit');
  child.kill(signal);
  const [code] = await ended;
  if (code !== 0) throw new Error(`ended with ${code}: ${child.stderr}`);
}
