import { spawn } from 'node:child_process';
import { once } from 'node:events';

const READY_MS = 20_000;
const ANSWER_MS = 15_000;
const END_MS = 3_000;
const STDERR_CHARS_MAX = 2_000;

/** Every process this run has started and not yet seen end. */
const living = new Set();

/** Ends them all, by their own ids, at once. For the exit of the harness. */
export function endAllChildren() {
  for (const child of living) child.kill();
}

/** A peer that says it cannot play this role. */
export class NotAvailable extends Error {}

/** A measured program or a load generator, spoken to in JSON lines. */
export class Child {
  /** @type {{ name: string, resolve: (message: any) => void, reject: (error: Error) => void }[]} */
  #waiting = [];
  /** @type {any[]} */
  #unread = [];
  #stderr = '';
  #ended = false;
  #process;

  /**
   * @param {string} label for messages
   * @param {string} command
   * @param {string[]} args
   * @param {Record<string, string>} [env]
   */
  constructor(label, command, args, env) {
    this.label = label;
    this.#process = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, NODE_OPTIONS: '', NO_COLOR: '1', ...env },
    });
    living.add(this);
    this.#readLines();
    this.#process.stderr.setEncoding('utf8');
    this.#process.stderr.on('data', (text) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARS_MAX);
    });
    this.#process.stdin.on('error', () => {}); // the end of the process says more
    this.#process.on('error', (error) => this.#onEnd(error.message));
    // 'close' and not 'exit': the last line may still be in the pipe.
    this.#process.on('close', (code, signal) => this.#onEnd(`ended with ${signal ?? `code ${code}`}`));
  }

  #readLines() {
    let input = '';
    this.#process.stdout.setEncoding('utf8');
    this.#process.stdout.on('data', (text) => {
      input += text;
      const lines = input.split('\n');
      input = lines.pop() ?? '';
      for (const line of lines) {
        if (line.startsWith('{')) this.#onMessage(JSON.parse(line));
      }
    });
  }

  #onMessage(message) {
    const index = this.#waiting.findIndex((waiter) => waiter.name === message.event);
    if (index >= 0) {
      this.#waiting.splice(index, 1)[0].resolve(message);
    } else if (message.event === 'unavailable') {
      this.#failAll(new NotAvailable(message.reason));
    } else {
      this.#unread.push(message);
    }
  }

  #onEnd(how) {
    this.#ended = true;
    living.delete(this);
    const details = this.#stderr.trim();
    this.#failAll(new Error(`${this.label} ${how}${details ? `: ${details}` : ''}`));
  }

  #failAll(error) {
    this.failure = error;
    for (const waiter of this.#waiting.splice(0)) waiter.reject(error);
  }

  /** The next message with that event name. */
  async next(name, timeoutMs = ANSWER_MS) {
    const index = this.#unread.findIndex((message) => message.event === name);
    if (index >= 0) return this.#unread.splice(index, 1)[0];
    if (this.failure) throw this.failure;
    const { promise, resolve, reject } = withResolvers();
    const timer = setTimeout(
      () => reject(new Error(`${this.label} did not say "${name}" within ${timeoutMs} ms`)),
      timeoutMs,
    );
    this.#waiting.push({ name, resolve, reject });
    return promise.finally(() => clearTimeout(timer));
  }

  ready() {
    return this.next('ready', READY_MS);
  }

  /** Opens the measured window. */
  start() {
    this.#process.stdin.write('{"cmd":"start"}\n');
    return this.next('started');
  }

  /** Closes it, and returns what was measured in it. */
  stop() {
    this.#process.stdin.write('{"cmd":"stop"}\n');
    return this.next('result');
  }

  /** For programs that report when they are told to end. */
  terminate() {
    this.#process.kill('SIGTERM');
    return this.next('result');
  }

  get pid() {
    return this.#process.pid;
  }

  kill() {
    if (!this.#ended) this.#process.kill('SIGKILL');
  }

  /** Asks, then makes it end. Resolves when the process is gone. */
  async end() {
    if (this.#ended) return;
    const closed = once(this.#process, 'close').catch(() => {});
    this.#process.stdin.end('{"cmd":"exit"}\n');
    const timer = setTimeout(() => this.kill(), END_MS);
    await closed;
    clearTimeout(timer);
  }
}

/** Promise.withResolvers is Node 22. */
function withResolvers() {
  let resolve;
  let reject;
  const promise = new Promise((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
