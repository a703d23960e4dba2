// Servers of NATS (Debian's nats-server), on loopback ports and with what they store in a directory that goes with them.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type JetStreamManager, jetstreamManager, type StreamConfig } from '@nats-io/jetstream';
import { type ConnectionOptions, connect, type NatsConnection } from '@nats-io/transport-node';
import { Child } from './child.js';
import { install } from './clients.js';
import { waitFor } from './wait.js';

/** So many ports of the loopback address that nobody has. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ports.push((server.address() as { port: number }).port);
  }
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  return ports;
}

/** A server, whose process may be killed and started again. */
export class NatsNode {
  readonly name: string;
  readonly port: number;
  readonly #config: string;
  #child: Child | undefined;

  constructor(directory: string, name: string, port: number, more: string) {
    this.name = name;
    this.port = port;
    const store = join(directory, name);
    mkdirSync(store);
    this.#config = join(directory, `${name}.conf`);
    const lines = [
      `server_name: ${name}`,
      `listen: "127.0.0.1:${port}"`,
      `jetstream { store_dir: ${JSON.stringify(store)} }`,
      more,
    ];
    writeFileSync(this.#config, lines.join('\n'));
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  start(): void {
    this.#child = new Child('nats-server', ['-c', this.#config], { deadlineMs: 600_000 });
  }

  get log(): string {
    return this.#child?.stderr ?? '';
  }

  get pid(): number {
    return (this.#child as Child).pid;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.process.kill(signal);
  }

  /** Resolves when the process is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    child.process.kill('SIGCONT');
    child.process.kill('SIGKILL');
    await child.end();
  }
}

/** One server or a cluster of them, and somebody who may do everything there. */
export class Nats {
  readonly directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
  nodes: NatsNode[] = [];
  #connection: NatsConnection | undefined;
  #manager: JetStreamManager | undefined;

  /** `config`: more lines of it. `login`: whose they are. */
  static async start({ nodes = 1, config = '', login = {} as ConnectionOptions } = {}): Promise<Nats> {
    await install('nats-server', 'nats-server');
    const nats = new Nats();
    const ports = await freePorts(2 * nodes);
    const routes = ports.slice(nodes).map((port) => `nats://127.0.0.1:${port}`);
    nats.nodes = Array.from({ length: nodes }, (_, i) => {
      const cluster = `cluster { name: test, listen: "127.0.0.1:${ports[nodes + i]}", routes: ${JSON.stringify(routes)} }`;
      return new NatsNode(nats.directory, `n${i}`, ports[i], nodes === 1 ? config : `${config}\n${cluster}`);
    });
    for (const node of nats.nodes) node.start();
    await nats.#connect(login);
    return nats;
  }

  async #connect(login: ConnectionOptions): Promise<void> {
    const options = {
      servers: this.servers,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 100,
      timeout: 1000,
      ...login,
    };
    await waitFor(
      async () => {
        try {
          this.#connection ??= await connect(options);
          this.#manager = await jetstreamManager(this.#connection, { timeout: 1000 });
          return true;
        } catch {
          return false;
        }
      },
      () => `the servers: ${this.nodes.map(({ log }) => log).join('\n')}`,
    );
  }

  get servers(): string[] {
    return this.nodes.map(({ url }) => url);
  }

  get connection(): NatsConnection {
    return this.#connection as NatsConnection;
  }

  get manager(): JetStreamManager {
    return this.#manager as JetStreamManager;
  }

  /** Makes a stream, when the cluster has a leader. */
  async stream(config: Partial<StreamConfig> & { name: string }): Promise<void> {
    await waitFor(async () => {
      try {
        await this.manager.streams.add(config);
        return true;
      } catch (error) {
        if (this.nodes.length === 1) throw error;
        return false;
      }
    }, 'the stream');
  }

  /** The node that leads the stream's replicas. */
  async leader(stream: string): Promise<NatsNode> {
    let found: NatsNode | undefined;
    await waitFor(async () => {
      try {
        const { cluster } = await this.manager.streams.info(stream);
        found = this.nodes.find(({ name }) => name === cluster?.leader);
      } catch {} // while it is chosen
      return found !== undefined;
    }, 'the leader');
    return found as NatsNode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection?.close();
    for (const node of this.nodes) await node.kill();
    rmSync(this.directory, { recursive: true });
  }
}
