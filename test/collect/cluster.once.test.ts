// Three servers, two collectors, two consumers, each a process; they are killed one after the other while datagrams come. Nothing
// is lost that is not counted, and each source stays in order.
//
// KSOCKET_TEST_COLLECT_RATE: datagrams a second; KSOCKET_TEST_COLLECT_SECONDS: for how long.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSocket, type Socket } from 'ksocket';
import { Child } from '../support/child.js';
import { Nats } from '../support/nats.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const RATE = Number(process.env.KSOCKET_TEST_COLLECT_RATE ?? 5000);
const SECONDS = Number(process.env.KSOCKET_TEST_COLLECT_SECONDS ?? 14);
const SUBJECTS = ['logs.0', 'logs.1', 'logs.2', 'logs.3'];
const SOURCES = 4; // of each collector
const PADDING = '.'.repeat(92);

interface Counted {
  port?: number;
  receivedDatagrams: number;
  acknowledgedDatagrams: number;
  openDatagrams: number;
  inFlightDatagrams: number;
  inFlightBatches: number;
  refusedDatagrams: number;
  drops: number;
  rss: number;
  result?: { drained: boolean; abandonedDatagrams: number };
}

interface Worked {
  at: number;
  sequence: number;
  deliveries: number;
  key: string;
  numbers: Record<string, number[]>;
}

/** A process that says lines of JSON. */
class Program<Line> {
  readonly #child: Child;

  constructor(name: string, ...args: string[]) {
    const file = join(import.meta.dirname, `${name}.js`);
    this.#child = new Child(process.execPath, [file, ...args], { stdin: true, deadlineMs: 600_000 });
  }

  /** Whole ones. */
  get lines(): Line[] {
    return this.#child.stdout
      .slice(0, this.#child.stdout.lastIndexOf('\n') + 1)
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Line);
  }

  get stderr(): string {
    return this.#child.stderr;
  }

  async kill(): Promise<void> {
    this.#child.process.kill('SIGKILL');
    await this.#child.end();
  }

  async end(): Promise<void> {
    this.#child.process.stdin?.end();
    const { code, stderr } = await this.#child.end();
    assert.equal(code, 0, stderr);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }
}

/** A collector and those who send to it. */
class Edge {
  readonly program: Program<Counted>;
  readonly #sockets: Socket[] = [];
  #port = 0;
  sent = 0;
  on = true;

  constructor(nats: Nats) {
    this.program = new Program('collector-program', nats.servers.join(), 'logs.{flow:4}');
  }

  async begin(): Promise<void> {
    await waitFor(
      () => this.program.lines.length > 0,
      () => `a collector: ${this.program.stderr}`,
    );
    this.#port = this.program.lines[0].port as number;
    for (let i = 0; i < SOURCES; i++) {
      const socket = createSocket({ type: 'udp4', gso: false, sendBufferSize: 1 << 20 }).bind(0, '127.0.0.1');
      await once(socket, 'listening');
      this.#sockets.push(socket);
    }
  }

  get ports(): number[] {
    return this.#sockets.map((socket) => socket.address().port);
  }

  /** The sources in turn; each counts from 0. */
  send(count: number): void {
    for (let i = 0; i < count; i++) {
      const number = Math.floor(this.sent / SOURCES);
      this.#sockets[this.sent++ % SOURCES].send(`${number} ${PADDING}`, this.#port, '127.0.0.1');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.close();
    await this.program[Symbol.asyncDispose]();
  }

  get latest(): Counted {
    return this.program.lines.at(-1) as Counted;
  }
}

/** What happens when, in parts of the time. */
type Plan = [part: number, what: () => Promise<unknown>][];

async function sendAll(edges: Edge[], plan: Plan): Promise<void> {
  const begin = performance.now();
  let due = 0;
  const running: Promise<unknown>[] = [];
  for (;;) {
    const passed = (performance.now() - begin) / 1000;
    if (passed > SECONDS) break;
    while (plan.length > 0 && passed > plan[0][0] * SECONDS) running.push(plan.shift()![1]());
    const wanted = Math.min(Math.floor(passed * RATE), due + RATE / 10); // a stall is not made up for in one go
    const each = Math.floor((wanted - due) / edges.length);
    due += each * edges.length;
    for (const edge of edges) if (edge.on) edge.send(each);
    await sleep(2);
  }
  await Promise.all(running);
}

test('a leader, a consumer and a collector are killed: what was sent is acknowledged, dropped and counted, or was in the window', async () => {
  await using nats = await Nats.start({ nodes: 3 });
  await nats.stream({ name: 'LOGS', subjects: ['logs.>'], num_replicas: 3 });
  const edges = [new Edge(nats), new Edge(nats)];
  await using _first = edges[0];
  await using _second = edges[1];
  for (const edge of edges) await edge.begin();
  const args = [nats.servers.join(), SUBJECTS.join()];
  const consumers: Program<Worked>[] = [];
  await using _consumers = {
    async [Symbol.asyncDispose]() {
      for (const each of consumers) await each[Symbol.asyncDispose]();
    },
  };
  const consumer = () => consumers.push(new Program<Worked>('consumer-program', ...args));
  consumer();
  consumer();
  let atKill: Counted | undefined;
  let sentAtKill = 0;
  await sendAll(edges, [
    [
      0.15,
      async () => {
        const leader = await nats.leader('LOGS');
        await leader.kill();
        await sleep(0.25 * SECONDS * 1000);
        leader.start();
      },
    ],
    [
      0.6,
      async () => {
        await consumers[0].kill();
        await sleep(1000);
        consumer();
      },
    ],
    [
      0.8,
      async () => {
        edges[1].on = false;
        atKill = edges[1].latest;
        sentAtKill = edges[1].sent;
        await edges[1].program.kill();
      },
    ],
  ]);
  const [survivor, killed] = edges;
  await survivor.program.end();
  await waitFor(
    async () => {
      const all = await Promise.all(
        SUBJECTS.map((subject) => nats.manager.consumers.info('LOGS', `workers-${subject.replace('.', '_')}`)),
      );
      return all.every(({ num_pending: left, num_ack_pending: unknown }) => left === 0 && unknown === 0);
    },
    () => `all of it is consumed: ${consumers.map(({ stderr }) => stderr).join('\n')}`,
    60_000,
  );
  const worked = consumers.flatMap(({ lines }) => lines).sort((a, b) => a.at - b.at);
  for (const each of consumers.slice(1)) await each.end();

  // Who survives accounts for each datagram.
  const end = survivor.latest;
  assert.deepEqual(end.result, { drained: true, abandonedDatagrams: 0 }, survivor.program.stderr);
  assert.equal(end.acknowledgedDatagrams + end.drops + end.refusedDatagrams, survivor.sent, JSON.stringify(end));
  assert.ok(end.acknowledgedDatagrams > survivor.sent / 3, `${end.acknowledgedDatagrams} of ${survivor.sent}`);

  const consumed = check(worked);
  const countOf = (edge: Edge) => edge.ports.reduce((sum, port) => sum + (consumed.get(port)?.size ?? 0), 0);
  assert.equal(countOf(survivor), end.acknowledgedDatagrams, 'each acknowledged datagram is consumed');

  // Of the other it is known what it had said, at most 50 ms before.
  const last = killed.latest;
  const arrived = countOf(killed);
  assert.ok(arrived >= last.acknowledgedDatagrams, `${arrived} of ${last.acknowledgedDatagrams} acknowledged`);
  const lost = killed.sent - arrived - last.drops;
  const window = last.openDatagrams + last.inFlightDatagrams;
  const unread = sentAtKill - last.receivedDatagrams - last.drops;
  assert.ok(lost <= window + unread, `${lost} are lost, ${window} were in the window and ${unread} not read`);
  console.log(
    `# ${survivor.sent + killed.sent} sent, ${end.acknowledgedDatagrams + arrived} consumed, ${end.drops + last.drops} dropped, ` +
      `${lost} lost with a collector that had ${window} in its window (${atKill?.inFlightBatches} batches), ${unread} unread`,
  );
  for (const edge of edges) {
    const sizes = edge.program.lines.map(({ rss }) => rss);
    assert.ok(Math.max(...sizes) < 220 * 1024 * 1024, `${Math.max(...sizes)} bytes of memory`);
  }
}, 240_000);

/** In order for each source, and what comes twice says so. Returns the numbers of each port. */
function check(worked: Worked[]): Map<number, Set<number>> {
  const consumed = new Map<number, Set<number>>();
  const seen = new Set<number>();
  const latest = new Map<string, number>();
  for (const { sequence, deliveries, key, numbers } of worked) {
    if (seen.has(sequence)) {
      assert.ok(deliveries > 1, `message ${sequence} came twice and does not say so`);
      continue;
    }
    seen.add(sequence);
    const before = latest.get(key) ?? 0;
    assert.ok(sequence > before, `${key}: message ${sequence} behind ${before}`);
    latest.set(key, sequence);
    for (const [port, list] of Object.entries(numbers)) {
      const all = consumed.get(Number(port)) ?? new Set();
      consumed.set(Number(port), all);
      for (const number of list) {
        const previous = latest.get(port) ?? -1;
        assert.ok(number > previous, `port ${port}: ${number} behind ${previous}`);
        latest.set(port, number);
        all.add(number);
      }
    }
  }
  return consumed;
}
