// `ksocket serve`: the original kernel module as a command, with its log lines.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { MAX_BYTES_MAX, type ReplyTarget, type ServerOptions } from '../server/options.js';
import { REPLY_BYTES_MAX } from '../server/rules/types.js';
import { createServer, type Server } from '../server/server.js';
import { readConfig, readRules, type ServeConfig, textOf } from './config/file.js';
import { Reloading } from './config/reload.js';
import { watchFile } from './config/watch.js';
import { parseEndpoint, parseHost, parseListen, parsePort } from './endpoint.js';
import { complain } from './fail.js';
import { parseShards } from './numbers.js';
import { Service } from './service.js';
import { ENDING, onEnding } from './signals.js';
import { inheritedSockets } from './under-systemd.js';
import { upgradePath } from './upgrade.js';

interface ServeOptions {
  port: number;
  address: string;
  reply?: string;
  echo?: boolean;
  replyTo?: ReplyTarget;
  maxBytes?: number;
  shards?: number | 'cores';
  config?: string;
  rules?: string;
  kernel?: true | string[];
  watch?: boolean;
  upgrade?: string | boolean;
  quiet?: boolean;
  monitor?: { host?: string; port: number };
}

const examples = `
Examples:
  ksocket serve                                   answer every datagram to port 2325 with "testing..." to 127.0.0.1:23
  ksocket serve --port 7 --echo                   an echo server (RFC 862)
  ksocket serve --reply pong --reply-to source    answer the sender
  ksocket serve --reply-to '[::1]:9999' --quiet   answers go to one place, nothing is logged per datagram
  ksocket serve --port 53 --echo --shards cores   with a thread for each processor: docs/shards.md
  ksocket serve --rules rules.json --kernel eth0  answers by rules, in the kernel as far as it can: docs/kernel.md
  ksocket serve --config serve.json --watch       rules, lists, limits: docs/configuration.md; SIGHUP reads it again
  ksocket serve --echo --upgrade                  the same command again takes over, and nothing is lost: docs/hand-over.md
  ksocket serve --monitor 9100                    http://127.0.0.1:9100/ shows what it does; /metrics is for Prometheus

Sockets that systemd has opened (LISTEN_FDS) are served in the place of an address and a port.`;

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
    .option(
      '-s, --shards <number>',
      'sockets on the port, each with a thread; "cores": as many as processors',
      parseShards,
    )
    .addOption(
      new Option('-c, --config <file>', 'options of createServer() as JSON; SIGHUP reads it again').conflicts([
        'reply',
        'echo',
        'replyTo',
        'maxBytes',
      ]),
    )
    .addOption(
      new Option('--rules <file>', 'rules as JSON, an array, to answer by: docs/rules.md').conflicts([
        'config',
        'reply',
        'echo',
        'replyTo',
        'maxBytes',
      ]),
    )
    .option(
      '-k, --kernel [interfaces...]',
      'answer in the kernel what can be; on these interfaces, or on all that have the address',
    )
    .option('-w, --watch', 'read the file again whenever it has changed')
    .option(
      '-u, --upgrade [path]',
      'take over from the process that waits at this path, if there is one, and wait there for the next one (default: a path by the port)',
    )
    .option('-q, --quiet', 'do not log each datagram')
    .option('-m, --monitor <[host:]port>', 'serve a live page and metrics, on 127.0.0.1 unless told', parseListen)
    .addHelpText('after', examples)
    .action(serve);
}

function ofArguments({ reply, echo, replyTo, maxBytes, rules }: ServeOptions): ServeConfig {
  if (rules !== undefined) return { server: readRules(rules), quiet: false, monitor: undefined };
  const bytes = Buffer.byteLength(reply ?? '');
  if (bytes > REPLY_BYTES_MAX) {
    throw new Error(`--reply has ${bytes} bytes, a datagram carries ${REPLY_BYTES_MAX} at most`);
  }
  return { server: { reply: echo ? 'echo' : reply, replyTo, maxBytes }, quiet: false, monitor: undefined };
}

/** What the command line says goes before what the file says. */
function overriding(options: ServeOptions, command: Command): (config: ServeConfig) => ServeConfig {
  const given: ServerOptions = {};
  for (const name of ['port', 'address'] as const) {
    const isGiven = options.config === undefined || command.getOptionValueSource(name) === 'cli';
    if (isGiven) Object.assign(given, { [name]: options[name] });
  }
  if (options.shards !== undefined) given.shards = options.shards;
  const { kernel } = options;
  if (kernel !== undefined) given.kernel = kernel === true ? true : { interfaces: kernel };
  return ({ server, quiet, monitor }) => ({
    server: { ...server, ...given },
    quiet: options.quiet ?? quiet,
    monitor: options.monitor ?? monitor,
  });
}

/** What says where to listen. */
const PLACES = ['address', 'port', 'fd', 'shards', 'steering'] as const;
/** Where systemd says it. */
const NOWHERE = Object.fromEntries(PLACES.map((name) => [name, undefined]));

/** One, or one for each socket that systemd has opened. */
function serversOf(
  { server }: ServeConfig,
  inherited: readonly number[],
  options: ServeOptions,
  command: Command,
): Server[] {
  if (inherited.length === 0) return [createServer(server)];
  const given = PLACES.find((name) => command.getOptionValueSource(name) === 'cli');
  if (given !== undefined) throw new Error(`--${given} cannot be given: systemd has opened the socket (LISTEN_FDS)`);
  if (options.config !== undefined && PLACES.some((name) => server[name] !== undefined)) {
    complain(`${options.config}: where to listen is left to systemd, which has opened the socket (LISTEN_FDS)`);
  }
  return inherited.map((fd) => createServer({ ...server, ...NOWHERE, fd }));
}

async function serve(options: ServeOptions, command: Command): Promise<void> {
  const { config: path } = options;
  if (options.watch && path === undefined) throw new Error('--watch needs --config');
  let early = false;
  let reload = (): unknown => {
    early = true;
    return undefined;
  };
  if (path !== undefined) process.on('SIGHUP', () => reload()); // which would end what is still starting
  const override = overriding(options, command);
  const known = options.watch && path !== undefined ? textOf(path) : undefined; // what comes later is a change
  const config = override(path === undefined ? ofArguments(options) : readConfig(path));
  const inherited = (await inheritedSockets()).map(({ fd }) => fd);
  const servers = serversOf(config, inherited, options, command);
  const monitor = config.monitor && (await import('../monitor/index.js')).createMonitor({ ...config.monitor, servers });
  const hasOwnPort = inherited.length === 0 && config.server.fd === undefined;
  const shards = hasOwnPort ? (config.server.shards ?? 1) : undefined;
  const service = new Service(servers, monitor, upgradePath(options.upgrade, config.server), shards);
  service.quiet = config.quiet;

  const unload = () => service.unload();
  onEnding(unload, path === undefined ? ENDING : ENDING.filter((signal) => signal !== 'SIGHUP'));
  process.stdout.on('error', unload); // nobody reads the log any more: a pipe's reader has ended, a terminal hung up
  if (path !== undefined) {
    const { request } = new Reloading(path, service, config, override, hasOwnPort);
    reload = request;
    if (options.watch)
      watchFile(path, known, request, (error) => complain(`${path} is not watched any more: ${error.message}`));
  }
  const started = service.start();
  if (early) reload();
  await started;
}
