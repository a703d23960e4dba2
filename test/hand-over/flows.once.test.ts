// A forwarding server goes from process to process under load, and processes are killed on the way: flows.cc sends, answers and
// counts.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Child, type ChildOptions, startProgram } from '../support/child.js';
import { type Flowing, startFlows } from '../support/programs.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

/** On a machine that does nothing else: KSOCKET_TEST_CLIENTS=4096 KSOCKET_TEST_RATE=50000 npm run test:ts -- hand-over/flows */
const CLIENTS = Number(process.env.KSOCKET_TEST_CLIENTS ?? 1024);
const RATE = Number(process.env.KSOCKET_TEST_RATE ?? 5000);

/** One process after the other. */
class Line {
  readonly directory = mkdtempSync(join(tmpdir(), 'ksocket-'));
  readonly door = join(this.directory, 'door');
  readonly all: Child[] = [];

  /** The first one is told where the back end is, the others take over. */
  start(backEnd?: number, options: ChildOptions = {}): Child {
    const child = startProgram(
      async (door: string, target: number | null) => {
        const { writeSync } = await import('node:fs');
        const { createServer } = await import('ksocket');
        const to = { address: '127.0.0.1', port: Number(target) };
        const forwarding = { address: '127.0.0.1', port: 0, rules: [{ name: 'all', action: { forward: to } }] };
        const server = createServer(target === null ? {} : forwarding);
        if (target === null) await server.takeOver(door);
        else await server.start();
        writeSync(1, `serving ${server.address()?.port}\n`);
        await server.handOver(door);
        const { rxKernelDrops, answering } = server.stats();
        writeSync(1, `dropped ${rxKernelDrops + answering.forwardDrops}\n`);
      },
      [this.door, backEnd ?? null],
      options,
    );
    this.all.push(child);
    return child;
  }

  async offered(): Promise<void> {
    await waitFor(() => statSync(this.door, { throwIfNoEntry: false }) !== undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.all) await child[Symbol.asyncDispose]();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function begin(line: Line, rate: number, clients = CLIENTS, options: ChildOptions = {}): Promise<Flowing> {
  const flows = await startFlows(clients, rate);
  const first = line.start(flows.backEndPort, options);
  const [, port] = await first.line(/^serving (\d+)$/);
  flows.go(Number(port));
  return flows;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('ten times in a row: nothing is lost, nothing comes twice, no flow moves', async () => {
  await using line = new Line();
  await using flows = await begin(line, RATE);
  await pause(500); // every client has asked
  for (let i = 0; i < 10; i++) {
    await line.offered();
    await line.start().line(/^serving /);
    await line.all[i].line(/^dropped 0$/);
    assert.equal((await line.all[i].end()).code, 0);
  }
  await pause(300);
  const { sent, ...failures } = await flows.end();
  assert.ok(sent > 5000, `${sent}`);
  assert.deepEqual(failures, { lost: 0, twice: 0, moved: 0, unanswered: 0, answeredTwice: 0 });
});

test('takers that are killed at any moment, with flows on the way: the giver goes on', async () => {
  await using line = new Line();
  await using flows = await begin(line, 2000);
  await pause(700);
  const giver = line.all[0];
  const hasGiven = () => giver.lines.some((each) => each.startsWith('dropped'));
  for (let i = 0; i < 10 && !hasGiven(); i++) {
    await waitFor(() => hasGiven() || statSync(line.door, { throwIfNoEntry: false }) !== undefined);
    const taker = line.start();
    await pause(70 + i * 5); // from before it knocks to after it has begun
    if (giver.process.exitCode === null) {
      taker.kill('SIGKILL');
      await taker.end();
    }
  }
  await pause(200);
  const { sent, ...failures } = await flows.end();
  assert.ok(sent > 1000);
  assert.deepEqual([failures.twice, failures.moved, failures.answeredTwice], [0, 0, 0]);
  // A taker may have begun just then: then what it had is gone with it, and the socket, too. (What the giver says of that may
  // come late.)
  const serves = (hasGiven() ? line.all.slice(1) : [giver]).some(({ process: { exitCode, signalCode } }) => {
    return exitCode === null && signalCode === null;
  });
  if (serves) assert.deepEqual([failures.lost, failures.unanswered], [0, 0]);
});

test('a giver that has few descriptors left sends fewer at a time', async () => {
  await using line = new Line();
  // Flows have three quarters of them.
  const few = ['bash', '-c', 'ulimit -n 256; exec "$0" "$@"'];
  await using flows = await begin(line, 1000, 150, { under: few });
  await pause(500);
  await line.offered();
  await line.start().line(/^serving /);
  await line.all[0].line(/^dropped 0$/);
  await pause(300);
  const { sent, ...failures } = await flows.end();
  assert.ok(sent > 500, `${sent}`);
  assert.deepEqual(failures, { lost: 0, twice: 0, moved: 0, unanswered: 0, answeredTwice: 0 });
});
