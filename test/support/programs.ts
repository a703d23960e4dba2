// The C++ programs beside this file, which scripts/test-ts.mjs compiles.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Child, root } from './child.js';

const bin = join(root, 'build-test/bin');

/** For LD_PRELOAD: see kernel_preload.cc. What the tests themselves run with (a sanitizer) comes first. */
export const kernelPreload = [process.env.LD_PRELOAD, join(bin, 'kernel_preload.so')].filter(Boolean).join(':');

/** Sends datagrams with any source: forger.cc. */
export const forger = join(bin, 'forger');

export interface Sending {
  port: number;
  /** 0: until killed. */
  count: number;
  bytes: number;
  /** Datagrams a second; 0: as fast as it can. */
  rate?: number;
  /** Bytes that may lie in the receiver's kernel buffer: beyond, it waits. */
  ahead?: number;
  /** The number of the first. */
  first?: number;
}

/** How far ahead of a receiver a sender may be so that a kernel buffer of the default size never overflows. */
export const AHEAD_BYTES = 64 * 1024;

export function senderCommand(sending: Sending): [command: string, args: string[]] {
  const { port, count, bytes, rate = 0, ahead = 0, first = 0 } = sending;
  return [join(bin, 'sender'), [port, count, bytes, rate, ahead, first].map(String)];
}

/** Starts sender.cc: numbered datagrams from a process of its own. */
export function startSender(sending: Sending): Child {
  return new Child(...senderCommand(sending));
}

/** Runs sender.cc to its end with the event loop blocked meanwhile. */
export function sendWhileBlocked(sending: Sending): void {
  const { status, stdout, stderr } = spawnSync(...senderCommand(sending), { encoding: 'utf8', timeout: 60_000 });
  assert.equal(status, 0, `${stdout} ${stderr}`);
}

/** Throws unless `data` is what sender.cc sends; returns its number. */
export function checkNumbered(data: Uint8Array, bytes: number): number {
  if (data.length !== bytes) throw new Error(`${data.length} bytes instead of ${bytes}`);
  const number = new DataView(data.buffer, data.byteOffset).getUint32(0, true);
  for (let i = 4; i < data.length; i++) {
    if (data[i] !== ((number + i) & 255)) throw new Error(`datagram ${number} is damaged at byte ${i}`);
  }
  return number;
}

/** flows.cc at work: clients of a forwarder, and its back end. */
export class Flowing {
  readonly #child: Child;
  readonly backEndPort: number;

  constructor(child: Child, backEndPort: number) {
    this.#child = child;
    this.backEndPort = backEndPort;
  }

  /** The forwarder listens there. */
  go(serverPort: number): void {
    this.#child.process.stdin?.write(`${serverPort}\n`);
  }

  /** What became of it all. */
  async end(): Promise<Record<'sent' | 'lost' | 'twice' | 'moved' | 'unanswered' | 'answeredTwice', number>> {
    this.#child.process.stdin?.end();
    const { code, stdout, stderr } = await this.#child.end();
    assert.equal(code, 0, stderr);
    const [, ...found] =
      /^sent (\d+) lost (\d+) twice (\d+) moved (\d+) unanswered (\d+) answered-twice (\d+)$/m.exec(stdout) ?? [];
    const [sent, lost, twice, moved, unanswered, answeredTwice] = found.map(Number);
    return { sent, lost, twice, moved, unanswered, answeredTwice };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }
}

/** Starts flows.cc: so many clients, who send `rate` datagrams a second together. */
export async function startFlows(clients: number, rate: number): Promise<Flowing> {
  const child = new Child(join(bin, 'flows'), ['0', `${clients}`, `${rate}`], { stdin: true });
  const [, port] = await child.line(/^port (\d+)$/);
  return new Flowing(child, Number(port));
}
/** Floods with datagrams, each from a source of its own: forged_flood.cc. */
export const forgedFlood = join(bin, 'forged_flood');
