// `ksocket serve`: the original kernel module as a command, with its log lines.
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Monitor } from '../monitor/index.js';
import { MAX_BYTES_MAX, type ReplyTarget, type ServerOptions } from '../server/options.js';
import { REPLY_BYTES_MAX } from '../server/rules/types.js';
import { createServer } from '../server/server.js';
import { parseEndpoint, parseHost, parseListen, parsePort, printable } from './endpoint.js';
import { fail } from './fail.js';

/** The signals that end it: from a terminal, from who manages processes, from a terminal that closes. */
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

interface ServeOptions {
  port: number;
  address: string;
  reply?: string;
  echo?: boolean;
  replyTo?: ReplyTarget;
  maxBytes?: number;
  quiet?: boolean;
  monitor?: { host?: string; port: number };
}

const examples = `
Examples:
  ksocket serve                                   answer every datagram to port 2325 with "testing..." to 127.0.0.1:23
  ksocket serve --port 7 --echo                   an echo server (RFC 862)
  ksocket serve --reply pong --reply-to source    answer the sender
  ksocket serve --reply-to '[::1]:9999' --quiet   answers go to one place, nothing is logged per datagram
  ksocket serve --monitor 9100                    http://127.0.0.1:9100/ shows what it does; /metrics is for Prometheus`;

function parseMaxBytes(text: string): number {
  const bytes = Number(text);
  if (!Number.isInteger(bytes) || bytes < 1 || bytes > MAX_BYTES_MAX)
    throw new InvalidArgumentError(`a number from 1 to ${MAX_BYTES_MAX}.`);
  return bytes;
}

export function defineServe(program: Command): void {
  program
    .command('serve')
    .description('receive datagrams and answer them from a native thread')
    .option('-p, --port <port>', 'port to listen on, 0 for any free one', parsePort, 2325)
    .option('-a, --address <address>', 'address to listen on', parseHost, '0.0.0.0')
    .option('-r, --reply <text>', 'what to answer (default: "testing...")')
    .addOption(new Option('-e, --echo', 'answer with the datagram itself, to its sender').conflicts('reply'))
    .option('-t, --reply-to <target>', '"source", or HOST:PORT (default: 127.0.0.1:23)', (text) =>
      text === 'source' ? 'source' : parseEndpoint(text),
    )
    .option(
      '-b, --max-bytes <bytes>',
      'size of the receive buffer; longer datagrams are cut (default: 10, or all with --reply or --echo)',
      parseMaxBytes,
    )
    .option('-q, --quiet', 'do not log each datagram')
    .option('-m, --monitor <[host:]port>', 'serve a live page and metrics, on 127.0.0.1 unless told', parseListen)
    .addHelpText('after', examples)
    .action(serve);
}

function log(line: string): void {
  process.stdout.write(`ksocket: ${line}\n`);
}

// The line that the original has for what failed.
function failure(error: NodeJS.ErrnoException): string {
  const number = Math.abs(error.errno ?? 0);
  if (error.syscall === 'pthread_create') return `unable to start native thread, error = ${number}`;
  if (error.syscall === 'socket') return `Could not create a datagram socket, error = ${number}`;
  return `Could not bind or connect to socket, error = ${number}`;
}

async function serve(options: ServeOptions): Promise<void> {
  const { port, address, echo, replyTo, maxBytes } = options;
  const bytes = Buffer.byteLength(options.reply ?? '');
  if (bytes > REPLY_BYTES_MAX) {
    return fail(`--reply has ${bytes} bytes, a datagram carries ${REPLY_BYTES_MAX} at most`);
  }
  const server = createServer({
    port,
    address,
    reply: echo ? 'echo' : options.reply,
    replyTo,
    maxBytes,
  } satisfies ServerOptions);
  server.on('error', (error: NodeJS.ErrnoException) => {
    log(`error getting datagram, ${error.syscall} error = ${Math.abs(error.errno ?? 0)}`);
  });
  if (!options.quiet) {
    server.on('datagram', (data) => {
      log(`received ${data.length} bytes`);
      process.stdout.write(` data: ${printable(data)}\n`);
    });
  }

  const monitor =
    options.monitor && (await import('../monitor/index.js')).createMonitor({ ...options.monitor, servers: [server] });

  let unloading = false;
  const unload = async () => {
    if (unloading) return;
    unloading = true;
    const wasRunning = server.running;
    await monitor?.stop();
    await server.stop();
    log(wasRunning ? 'successfully killed native thread' : 'no native thread to kill');
    log('module unloaded');
  };
  for (const signal of ENDING) process.on(signal, unload); // to the very end: no signal of theirs kills what ends anyway
  process.stdout.on('error', unload); // nobody reads the log any more: a pipe's reader has ended, a terminal hung up

  try {
    await server.start();
  } catch (error) {
    const { errno, message } = error as NodeJS.ErrnoException;
    if (errno !== undefined) fail(failure(error as NodeJS.ErrnoException));
    fail(message);
    await unload();
    return;
  }
  log(`listening on port ${server.address()?.port}`);
  if (monitor !== undefined) await watch(monitor, unload);
}

// Starts the monitor. Who asked for one does not want to go without.
async function watch(monitor: Monitor, unload: () => Promise<void>): Promise<void> {
  const giveUp = async (error: Error) => {
    fail(`no monitor: ${error.message}`);
    await unload();
  };
  try {
    await monitor.start();
  } catch (error) {
    return giveUp(error as Error);
  }
  const listening = monitor.address();
  if (listening === null) return; // stopped meanwhile
  const { address, family, port } = listening;
  log(`monitor on http://${family === 'IPv6' ? `[${address}]` : address}:${port}/`);
  monitor.on('error', giveUp);
}
