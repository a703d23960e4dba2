// A second host: a network namespace joined to ours, which has to be one of the test's own, by a pair of interfaces. What
// it does is in second-host.py: what a test says of the wire is said by another program.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { waitFor } from './wait.js';

/** A UDP packet as it was on the wire. */
export interface Packet {
  tos: number;
  df: boolean;
  ttl: number;
  src: string;
  dst: string;
  /** That it came in by. */
  interface: string;
  sport: number;
  dport: number;
  data: string;
}

export interface Answer {
  port: number;
  address: string;
  data: string;
  timeout?: boolean;
}

/** Our interface, and the other host's. */
export const OURS = 'ours0';
export const THEIRS = 'theirs0';

const program = fileURLToPath(new URL('../../test/support/second-host.py', import.meta.url));

// Without what the test itself may be preloaded with, a sanitizer.
const env = { ...process.env, LD_PRELOAD: '' };

export function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', env });
}

export class SecondHost {
  readonly #child: ChildProcess;
  readonly #answers: (Answer & { pid?: number; error?: string })[] = [];
  readonly packets: Packet[] = [];

  private constructor() {
    this.#child = spawn('unshare', ['-n', 'python3', program], { stdio: ['pipe', 'pipe', 'inherit'], env });
    const lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    lines.on('line', (line) => {
      const said = JSON.parse(line);
      if (said.packet === undefined) this.#answers.push(said);
      else this.packets.push(said.packet);
    });
  }

  /** With these addresses and lengths of their networks on the two ends. */
  static async start(ours: readonly string[], theirs: readonly string[], mtu = 1500): Promise<SecondHost> {
    const host = new SecondHost();
    const { pid } = await host.#answer();
    ip('link', 'set', 'lo', 'up');
    ip(
      'link',
      'add',
      OURS,
      'mtu',
      `${mtu}`,
      'type',
      'veth',
      'peer',
      'name',
      THEIRS,
      'mtu',
      `${mtu}`,
      'netns',
      `${pid}`,
    );
    for (const address of ours) ip('addr', 'add', address, 'dev', OURS, ...(address.includes(':') ? ['nodad'] : []));
    // What we send joined is cut before it leaves, as it is by most network cards' drivers: veth would pass it on whole.
    ip('link', 'set', OURS, 'gso_max_segs', '1');
    ip('link', 'set', OURS, 'up');
    for (const address of theirs) {
      await host.ip('addr', 'add', address, 'dev', THEIRS, ...(address.includes(':') ? ['nodad'] : []));
    }
    await host.ip('link', 'set', 'lo', 'up');
    await host.ip('link', 'set', THEIRS, 'up');
    return host;
  }

  /** What a command stands behind to run there. */
  get before(): string[] {
    return ['nsenter', '-t', `${this.#child.pid}`, '-n'];
  }

  ip(...args: string[]): Promise<Answer> {
    return this.do('ip', { arguments: args });
  }

  /** Has it do one of second-host.py's commands; its answer. */
  async do(name: string, given: Record<string, unknown> = {}): Promise<Answer> {
    this.#child.stdin?.write(`${JSON.stringify({ do: name, ...given })}\n`);
    return this.#answer();
  }

  /** So many of the packets that arrive there and are meant. */
  async arrived(count: number, meant: (packet: Packet) => boolean): Promise<Packet[]> {
    const found = () => this.packets.filter(meant);
    await waitFor(
      () => found().length >= count,
      () => `${found().length} of ${count} packets`,
    );
    return found();
  }

  async #answer() {
    await waitFor(() => this.#answers.length > 0 || this.#child.exitCode !== null);
    const answer = this.#answers.shift();
    if (answer === undefined) throw new Error(`the second host has ended: ${this.#child.exitCode}`);
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await ended;
  }
}
