// Answers in the kernel (docs/kernel.md): who may ask for them, and who asks.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { createServer, features, type KernelState, type Server } from 'ksocket';
import { Child, root } from './child.js';
import { ip } from './second-host.js';
import { test } from './test.js';
import { waitFor } from './wait.js';

/** A test that loads programs. Where this process may not, its name says so, and it tests that a server says the same. */
export function kernelTest(name: string, body: () => Promise<void>, limitMs?: number): void {
  const { kernelAnswers, missing } = features();
  if (kernelAnswers) {
    test(name, body, limitMs);
    return;
  }
  test(`NOT TESTED, ${missing.kernelAnswers}: ${name}`, async () => {
    const server = createServer({ address: '127.0.0.1', port: 0, rules: [], otherwise: 'echo', kernel: true });
    await server.start();
    assert.deepEqual([server.kernel.state, server.kernel.reason], ['unavailable', missing.kernelAnswers]);
    await server.stop();
  });
}

export interface Asked {
  sent: number;
  answered: number;
  twice: number;
  wrong: string[];
  words: Record<string, number>;
  /** The least and the highest, where each was another one. */
  numbers: number[];
}

/** asker.py, started; `under`: what it runs behind. */
export class Asker {
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  static async start(
    under: string[],
    address: string,
    port: number,
    count: number,
    rate: number,
    ...more: string[]
  ): Promise<Asker> {
    const program = join(root, 'test/support/asker.py');
    const [command, ...args] = [...under, 'python3', program, address, `${port}`, `${count}`, `${rate}`, ...more];
    const child = new Child(command, args, { env: { LD_PRELOAD: '' } });
    await child.line(/^asking$/);
    return new Asker(child);
  }

  async end(): Promise<Asked> {
    const { code, stdout, stderr } = await this.#child.end();
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout.split('\n')[1]);
  }
}

/** `more`: further arguments of asker.py. */
export async function ask(
  under: string[],
  address: string,
  port: number,
  count: number,
  rate = 2000,
  ...more: string[]
): Promise<Asked> {
  return (await Asker.start(under, address, port, count, rate, ...more)).end();
}

export const answeredAll = ({ sent, answered, twice, wrong }: Asked): boolean =>
  answered === sent && twice === 0 && wrong.length === 0;

/** Does the interface have a program, whosever it is? */
export function hasProgram(name: string): boolean {
  return /\bxdp/.test(ip('-d', 'link', 'show', 'dev', name));
}

export function portOf(server: Server): number {
  return server.address()?.port ?? 0;
}

/** Until the server's state in the kernel is like this. */
export async function becomes(server: Server, wanted: (state: KernelState) => boolean): Promise<void> {
  await waitFor(
    () => wanted(server.kernel),
    () => JSON.stringify(server.kernel),
  );
}

/** `[name, mode]` of each interface. */
export function modes({ kernel }: Server): [string, string | null][] {
  return kernel.interfaces.map(({ name, mode }) => [name, mode]);
}

/** What the kernel has of programs, by name. */
export function programs(): string[] {
  const all: { type: string; id: number }[] = JSON.parse(
    execFileSync('bpftool', ['-j', 'prog', 'show'], { encoding: 'utf8' }),
  );
  return all.filter(({ type }) => type === 'xdp').map(({ id }) => `${id}`);
}
