// `ksocket tunnel`: a TAP device whose frames go to other machines, with the log lines of `ksocket serve`.
import { isIP } from 'node:net';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Monitor } from '../monitor/index.js';
import type { Tunnel, TunnelOptions, TunnelRemote } from '../tunnel/index.js';
import { parseHost, parseListen, parsePort } from './endpoint.js';
import { fail } from './fail.js';
import { log, nameOfMonitor } from './service.js';
import { onEnding } from './signals.js';
import { keepTelling, tell } from './under-systemd.js';

interface TunnelArguments {
  dev?: string;
  remote: TunnelRemote[];
  local?: TunnelRemote;
  raw?: boolean;
  vni: number;
  address?: string[];
  mtu?: number;
  persistent?: boolean;
  clampMss?: boolean;
  queues?: number;
  flood: boolean;
  monitor?: { host?: string; port: number };
}

const examples = `
Examples:
  ksocket tunnel --dev tap0 --remote 192.0.2.2 --address 10.9.0.1/24   VXLAN network 1 to one other machine
  ksocket tunnel --remote a.example --remote b.example --vni 42        a switch between three machines
  ksocket tunnel --remote '[2001:db8::2]:9000' --local '[::]:9000' --raw
  ksocket tunnel --remote 192.0.2.2 --monitor 9100                     http://127.0.0.1:9100/ shows what it moves

It needs Linux, /dev/net/tun and CAP_NET_ADMIN. Frames travel in the clear: docs/tunnel.md.`;

/** `192.0.2.2`, `name:4789`, `2001:db8::2` or `[2001:db8::2]:4789`. */
function parseEnd(text: string): TunnelRemote {
  if (isIP(text) === 6) return { address: text };
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text);
  const [, inBrackets, plain, port] = match ?? [];
  if (match === null || port === '0') throw new InvalidArgumentError('expected HOST, HOST:PORT or [IPV6]:PORT.');
  return { address: inBrackets ?? plain, port: port ? parsePort(port) : undefined };
}

function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('a number.');
  return Number(text);
}

/** Of an option that may come several times. */
function each<T>(parse: (text: string) => T): (text: string, before: T[] | undefined) => T[] {
  return (text, before = []) => [...before, parse(text)];
}

export function defineTunnel(program: Command): void {
  program
    .command('tunnel')
    .description('join networks of several machines: Ethernet frames of a TAP device in UDP datagrams')
    .option(
      '-d, --dev <name>',
      'the TAP device, made if it is not there (default: the kernel chooses a name)',
      parseHost,
    )
    .requiredOption('-r, --remote <host[:port]>', 'another end, port 4789 unless told; once for each', each(parseEnd))
    .option('-l, --local <host[:port]>', 'where datagrams come in (default: every address, port 4789)', parseEnd)
    .option('-n, --vni <number>', 'the VXLAN network, the same at all ends', parseCount, 1)
    .addOption(new Option('--raw', 'frames alone in their datagrams, without VXLAN').conflicts('vni'))
    .option('-a, --address <address/bits>', 'an IP address that the device gets; once for each', each(parseHost))
    .option('--mtu <bytes>', 'of the device (default: what the path to the remotes has room for)', parseCount)
    .option('--persistent', 'the device stays when the command ends')
    .option('--queues <number>', 'of the device, each with a thread (default: 1)', parseCount)
    .option('--clamp-mss', 'TCP connections get no larger segments than fit the device')
    .option('--no-flood', 'frames to an address that nobody knows are dropped')
    .option('-m, --monitor <[host:]port>', 'serve a live page and metrics, on 127.0.0.1 unless told', parseListen)
    .addHelpText('after', examples)
    .action(tunnel);
}

function optionsOf(given: TunnelArguments): TunnelOptions {
  const { dev, remote, address, raw, vni, monitor, ...same } = given;
  const network = raw ? { encapsulation: 'raw' as const } : { vni };
  return { ...same, device: dev, remotes: remote, addresses: address, ...network };
}

async function tunnel(given: TunnelArguments): Promise<void> {
  const made = (await import('../tunnel/index.js')).createTunnel(optionsOf(given));
  const monitor =
    given.monitor && (await import('../monitor/index.js')).createMonitor({ ...given.monitor, servers: [made] });
  const running = new RunningTunnel(made, given, monitor);
  const unload = () => void running.unload();
  onEnding(unload);
  process.stdout.on('error', unload);
  await running.start();
}

class RunningTunnel {
  readonly #tunnel: Tunnel;
  readonly #given: TunnelArguments;
  readonly #monitor: Monitor | undefined;
  #started = false;
  #unloading = false;

  constructor(made: Tunnel, given: TunnelArguments, monitor: Monitor | undefined) {
    this.#tunnel = made;
    this.#given = given;
    this.#monitor = monitor;
    made.on('error', (error: NodeJS.ErrnoException) => {
      log(`error getting datagram, ${error.syscall} error = ${Math.abs(error.errno ?? 0)}`);
    });
  }

  /** Resolves when it has started, or has failed and said so. */
  async start(): Promise<void> {
    try {
      await this.#tunnel.start();
    } catch (error) {
      return this.#giveUp(error as NodeJS.ErrnoException);
    }
    this.#started = true;
    const status = `listening on port ${this.#tunnel.address()?.port}`;
    log(status);
    this.#describe();
    if (this.#monitor !== undefined && !(await this.#watch(this.#monitor))) return;
    if (this.#unloading) return;
    void tell({ ready: true, status });
    void keepTelling();
  }

  #describe(): void {
    const { device, mtu } = this.#tunnel.stats();
    const { raw, vni, remote } = this.#given;
    const what = raw ? 'bare frames' : `VXLAN network ${vni}`;
    log(`device ${device}, MTU ${mtu}, ${what}, ${remote.length} remote${remote.length === 1 ? '' : 's'}`);
    log(
      'frames travel in the clear: who is on the way can read and forge them (docs/tunnel.md shows an encrypted link)',
    );
  }

  async #watch(monitor: Monitor): Promise<boolean> {
    const giveUp = (error: Error) => this.#giveUp(new Error(`no monitor: ${error.message}`));
    try {
      await monitor.start();
    } catch (error) {
      await giveUp(error as Error);
      return false;
    }
    log(nameOfMonitor(monitor));
    monitor.on('error', giveUp);
    return true;
  }

  async #giveUp({ message, errno }: NodeJS.ErrnoException): Promise<void> {
    fail(message);
    await tell({ status: message, errno: errno && -errno });
    await this.unload();
  }

  /** Ends it, once. */
  async unload(): Promise<void> {
    if (this.#unloading) return;
    this.#unloading = true;
    const told = tell({ stopping: true });
    await this.#monitor?.stop();
    await this.#tunnel.stop(); // behind a start under way
    log(this.#started ? 'successfully killed native thread' : 'no native thread to kill');
    log('module unloaded');
    await told;
  }
}
