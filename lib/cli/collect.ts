// `ksocket collect`: datagrams of one port to an engine, into files, or to standard output.
import { type Command, Option } from 'commander';
import { familyOfText, udp4 } from '../base/family.js';
import type * as collecting from '../collect/index.js';
import { Collecting } from './collecting.js';
import { parseHost, parseListen, parsePort } from './endpoint.js';
import { integer, parseShards } from './numbers.js';
import { onEnding } from './signals.js';
import { defineNatsAccess, NATS_ACCESS, type NatsAccess, natsOptions, parseTarget, type Target } from './target.js';
import { inheritedSockets } from './under-systemd.js';

const DRAIN_S = 10;

interface CollectOptions extends NatsAccess {
  port?: number;
  address?: string;
  to: Target;
  stream?: string;
  subject?: string;
  lanes?: number;
  shards?: number | 'cores';
  batchBytes?: number;
  batchMs?: number;
  inFlight?: number;
  onFull?: 'block' | 'drop';
  prefix?: string;
  rotateBytes?: number;
  rotateSeconds?: number;
  rotateFiles?: number;
  fsync?: 'file' | 'write';
  drain: number;
  monitor?: { host?: string; port: number };
  quiet?: boolean;
}

/** What is for one kind of target alone. */
const ONLY_FOR: Record<Target['kind'], readonly (keyof CollectOptions)[]> = {
  nats: ['stream', 'subject', 'lanes', ...NATS_ACCESS],
  files: ['prefix', 'rotateBytes', 'rotateSeconds', 'rotateFiles', 'fsync'],
  lines: [],
};
const NAMES: Record<Target['kind'], string> = { nats: 'nats://HOST', files: 'a directory', lines: '-' };

const examples = `
Examples:
  ksocket collect --port 514 --to nats://127.0.0.1 --stream LOGS --subject 'syslog.{source}'
                                                  to NATS JetStream, acknowledged, in order per source: docs/collect.md
  ksocket collect --port 514 --to nats://a:4222,b:4222,c:4222 --stream LOGS --subject 'syslog.{hash:16}' --shards cores
  ksocket collect --port 9995 --to /var/lib/netflow --rotate-bytes 1000000000 --rotate-files 24
                                                  files that Wireshark opens
  ksocket collect --port 8125 --to - | jq .text   lines of JSON
  ksocket collect --port 514 --to /tmp/logs --monitor 9100

The first SIGTERM, SIGINT or SIGHUP has all written that was received, and ends with 0; or with 1, when that was not possible within
--drain seconds. Another one ends it at once, says how many datagrams were not delivered, and ends with 1.
A socket that systemd has opened (LISTEN_FDS) is received from in the place of an address and a port.`;

export function defineCollect(program: Command): void {
  const command = program
    .command('collect')
    .description(
      'receive datagrams and hand them, many at a time, to NATS JetStream, into files, or to standard output',
    )
    .option('-p, --port <port>', 'port to listen on, 0 for any free one', parsePort)
    .option('-a, --address <address>', 'address to listen on (default: 0.0.0.0)', parseHost)
    .requiredOption(
      '-t, --to <target>',
      'nats://HOST:PORT, a directory for pcapng files, or - for lines of JSON',
      parseTarget,
    )
    .option(
      '-s, --shards <number>',
      'sockets on the port, each with a thread; "cores": as many as processors',
      parseShards,
    )
    .option('--drain <seconds>', 'that writing may take at the end', integer(0, 2_147_483), DRAIN_S)
    .option('-m, --monitor <[host:]port>', 'serve a live page and metrics, on 127.0.0.1 unless told', parseListen)
    .option('-q, --quiet', 'no line of progress on a terminal');
  defineBatches(command);
  command
    .option('--stream <name>', 'to NATS: the stream; it has to be there')
    .option('--subject <template>', 'to NATS: of what each source sends; with {source}, {port}, {local}, {hash:N}, …')
    .option('--lanes <number>', 'to NATS: messages of one subject that may be on their way at a time', integer(1, 64));
  defineNatsAccess(command)
    .option('--prefix <name>', 'to files: what their names begin with; each collector in a directory has its own')
    .option('--rotate-bytes <bytes>', 'to files: each has so many at most', integer(1, 2 ** 40))
    .option('--rotate-seconds <seconds>', 'to files: after which the next one begins', integer(1, 2_147_483))
    .option('--rotate-files <number>', 'to files: so many are kept', integer(1, 1_000_000))
    .addOption(
      new Option('--fsync <what>', 'to files: what is on the disk before it counts').choices(['file', 'write']),
    )
    .addHelpText('after', examples)
    .action(collect);
}

function defineBatches(command: Command): void {
  command
    .option('--batch-bytes <bytes>', 'a batch has so many at most', integer(1, 2 ** 31))
    .option('--batch-ms <milliseconds>', 'after which a batch is written though it is not full', integer(1, 60_000))
    .option('--in-flight <batches>', 'that may be under way at a time', integer(1, 4096))
    .addOption(
      new Option('--on-full <what>', 'when all of it is full: leave datagrams to the kernel, or drop them').choices([
        'block',
        'drop',
      ]),
    );
}

const flagOf = (name: string) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** @throws what does not go together */
function checkTogether(options: CollectOptions): void {
  const { kind } = options.to;
  for (const [other, names] of Object.entries(ONLY_FOR) as [Target['kind'], (keyof CollectOptions)[]][]) {
    const given = other === kind ? undefined : names.find((name) => options[name] !== undefined);
    if (given !== undefined) throw new Error(`${flagOf(given)} needs --to ${NAMES[other]}, and it is ${NAMES[kind]}`);
  }
  for (const name of ['stream', 'subject'] as const) {
    if (kind === 'nats' && options[name] === undefined) throw new Error(`--to ${NAMES.nats} needs ${flagOf(name)}`);
  }
}

function sinkOf(options: CollectOptions, { jetstream, lines, pcapng }: typeof collecting): collecting.Sink {
  const { to, stream = '', subject = '', lanes, prefix, rotateBytes, rotateSeconds, rotateFiles, fsync } = options;
  if (to.kind === 'lines') return lines();
  if (to.kind === 'files') {
    return pcapng({
      dir: to.dir,
      prefix,
      rotate: { bytes: rotateBytes, seconds: rotateSeconds, files: rotateFiles },
      fsync,
    });
  }
  return jetstream({ ...natsOptions(to.servers, options), stream, subject, lanes });
}

/** Where to listen. */
async function placeOf({
  port,
  address,
}: CollectOptions): Promise<Pick<collecting.CollectorOptions, 'type' | 'fd' | 'port' | 'address'>> {
  const [inherited, ...others] = await inheritedSockets();
  if (inherited !== undefined) {
    if (others.length > 0)
      throw new Error(`systemd has opened ${others.length + 1} sockets, and a collector takes one`);
    const given = port !== undefined ? '--port' : address !== undefined ? '--address' : undefined;
    if (given !== undefined) throw new Error(`${given} cannot be given: systemd has opened the socket (LISTEN_FDS)`);
    return inherited;
  }
  if (port === undefined) throw new Error('--port is needed');
  return { port, address, type: (familyOfText(address ?? '') ?? udp4).type };
}

async function collect(options: CollectOptions): Promise<void> {
  checkTogether(options);
  const { to, shards, batchBytes, batchMs, inFlight, onFull } = options;
  const entry = await import('../collect/index.js');
  const sink = sinkOf(options, entry);
  const collector = entry.createCollector({
    ...(await placeOf(options)),
    sink,
    batch: { bytes: batchBytes, ms: batchMs },
    inFlight,
    shards,
    onFull,
  });
  const monitor =
    options.monitor &&
    (await import('../monitor/index.js')).createMonitor({ ...options.monitor, servers: [collector] });
  const running = new Collecting(collector, {
    name: sink.name,
    monitor,
    outputIsData: to.kind === 'lines',
    progress: Boolean(process.stderr.isTTY) && !options.quiet,
    drainMs: options.drain * 1000,
  });
  onEnding(() => running.onSignal());
  await running.start();
}
