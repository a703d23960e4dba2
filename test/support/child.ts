// Child processes: programs that are written in the test that runs them, and commands.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { DEADLINE_MS, waitFor } from './wait.js';

/** The repository, where `import 'ksocket'` is the package itself. */
export const root = dirname(dirname(import.meta.dirname));

export interface ChildResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface ChildOptions {
  env?: Record<string, string | undefined>;
  /** For node itself. */
  execArgv?: string[];
  cwd?: string;
  /** Is its input a pipe, or empty? */
  stdin?: boolean;
  /** What it has at descriptors 3, 4, … */
  fds?: (number | 'pipe')[];
  /** After this the child is killed, and the test fails. */
  deadlineMs?: number;
  /** Another node than the one that runs the test (test/dgram/nodes.ts). */
  node?: string;
  /** A command that runs the child: its arguments come before. */
  under?: string[];
}

/** A running child whose output is collected. */
export class Child {
  readonly process: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #command: string;
  readonly #deadlineMs: number;
  readonly #ended: Promise<[number | null, NodeJS.Signals | null]>;
  #exited = false;

  constructor(command: string, args: string[], options: ChildOptions = {}) {
    this.#command = [command, ...args].join(' ').slice(0, 200);
    this.#deadlineMs = options.deadlineMs ?? DEADLINE_MS;
    const env: NodeJS.ProcessEnv = { ...process.env, ...options.env };
    delete env.NODE_TEST_CONTEXT; // the child is a program, not a test
    const spawning: SpawnOptions = {
      cwd: options.cwd ?? root,
      env,
      stdio: [options.stdin ? 'pipe' : 'ignore', 'pipe', 'pipe', ...(options.fds ?? [])],
    };
    const [program, ...before] = [...(options.under ?? []), command];
    this.process = spawn(program, [...before, ...args], spawning);
    this.process.stdout?.setEncoding('utf8').on('data', (text) => {
      this.stdout += text;
    });
    this.process.stderr?.setEncoding('utf8').on('data', (text) => {
      this.stderr += text;
    });
    this.#ended = once(this.process, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    this.#ended.then(
      () => {
        this.#exited = true;
      },
      () => {},
    );
  }

  get pid(): number {
    return this.process.pid as number;
  }

  get lines(): string[] {
    return this.stdout.split('\n').slice(0, -1);
  }

  /** Waits until the output has a line that matches; returns the match. */
  async line(pattern: RegExp): Promise<RegExpExecArray> {
    const find = () => this.lines.map((line) => pattern.exec(line)).find((match) => match !== null);
    await waitFor(
      () => find() !== undefined || this.#exited,
      () => `${this.#command} does not say ${pattern}. stdout: ${this.stdout} stderr: ${this.stderr}`,
      this.#deadlineMs,
    );
    const match = find();
    if (match) return match;
    throw new Error(`${this.#command} ended without saying ${pattern}. stdout: ${this.stdout} stderr: ${this.stderr}`);
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /** Waits for the end. A child that does not end is killed, and that is a failure. */
  async end(): Promise<ChildResult> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, this.#deadlineMs, undefined);
    });
    const ended = await Promise.race([this.#ended, late]);
    clearTimeout(timer);
    if (ended === undefined) {
      this.kill('SIGKILL');
      throw new Error(`${this.#command} hangs (${this.#deadlineMs} ms). stdout: ${this.stdout} stderr: ${this.stderr}`);
    }
    return { code: ended[0], signal: ended[1], stdout: this.stdout, stderr: this.stderr };
  }

  /** For `using`: nothing is left running, whatever became of the test. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#exited) return;
    this.kill('SIGKILL');
    await this.#ended;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: any function whose arguments survive JSON
type Program = (...args: any[]) => unknown;

function nodeArguments(program: Program, args: unknown[], options: ChildOptions): string[] {
  const source = `await (${program})(...${JSON.stringify(args)})`;
  return [...(options.execArgv ?? []), '--input-type=module', '-e', source];
}

/** Starts node with a function as its program. The function sees its arguments and globals, nothing else of the test
 * file: what it needs it imports. */
export function startProgram<P extends Program>(program: P, args: Parameters<P>, options: ChildOptions = {}): Child {
  return new Child(options.node ?? process.execPath, nodeArguments(program, args, options), options);
}

export async function runProgram<P extends Program>(
  program: P,
  args: Parameters<P>,
  options: ChildOptions = {},
): Promise<ChildResult> {
  await using child = startProgram(program, args, options);
  return await child.end();
}

/** The `ksocket` command. */
export function startCli(args: string[], options: ChildOptions = {}): Child {
  return new Child(process.execPath, ['dist/cli/main.js', ...args], options);
}

export async function runCli(args: string[], options: ChildOptions = {}): Promise<ChildResult> {
  await using child = startCli(args, options);
  return await child.end();
}
