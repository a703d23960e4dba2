// `ksocket compare`: ksocket against the node:dgram of the Node that runs it, on this machine, in under a minute.
import { type ChildProcess, fork } from 'node:child_process';
import { SingleBar } from 'cli-progress';
import Table from 'cli-table3';
import { type Command, InvalidArgumentError } from 'commander';
import { type Library, libraries, type PeerOptions, type PeerReport, type Scenario, scenarios } from './scenarios.js';

const SECONDS = 0.6;
const DEADLINE_MS = 20_000;

const examples = `
Both libraries run in turn, round after round, in processes of their own; the table shows medians.
CPU is user and system time of all threads of the process under test, for each datagram.

Examples:
  ksocket compare
  ksocket compare --rounds 5 --json`;

function parseRounds(text: string): number {
  const rounds = Number(text);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100)
    throw new InvalidArgumentError('a number from 1 to 100.');
  return rounds;
}

export function defineCompare(program: Command): void {
  program
    .command('compare')
    .description("measure ksocket and this Node's dgram side by side")
    .option('-r, --rounds <number>', 'how often each is measured', parseRounds, 3)
    .option('--json', 'print the medians as JSON')
    .addHelpText('after', examples)
    .action(compare);
}

class Peer {
  readonly #child: ChildProcess;

  constructor(options: PeerOptions) {
    this.#child = fork(new URL('./peer.js', import.meta.url), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#child.send({ options });
  }

  next<T>(): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('a measuring process did not answer')), DEADLINE_MS);
      this.#child.once('exit', () => reject(new Error('a measuring process ended early')));
      this.#child.once('message', (message) => {
        clearTimeout(timer);
        this.#child.removeAllListeners('exit');
        resolve(message as T);
      });
    });
  }

  start(port: number): Promise<{ report: PeerReport }> {
    const answer = this.next<{ report: PeerReport }>();
    this.#child.send({ port, seconds: SECONDS });
    return answer;
  }

  end(): void {
    this.#child.removeAllListeners('exit');
    this.#child.kill();
  }
}

interface Result {
  value: number;
  cpuNs: number;
}

async function run(scenario: Scenario, library: Library): Promise<Result> {
  const subject = new Peer({ ...scenario.subject, library });
  const load = new Peer(scenario.load);
  try {
    const [{ port: subjectPort }, { port: loadPort }] = await Promise.all([
      subject.next<{ port: number }>(),
      load.next<{ port: number }>(),
    ]);
    const [{ report: bySubject }, { report: byLoad }] = await Promise.all([
      subject.start(loadPort),
      load.start(subjectPort),
    ]);
    const report = scenario.measured === 'subject' ? bySubject : byLoad;
    const cpuNs = (bySubject.cpuMicros * 1000) / Math.max(1, report.count);
    if (scenario.unit === 'p50') return { value: report.p50 ?? Number.NaN, cpuNs };
    if (scenario.unit === 'lost') return { value: byLoad.count - bySubject.count, cpuNs };
    return { value: report.count / report.seconds, cpuNs };
  } finally {
    subject.end();
    load.end();
  }
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function show({ unit }: Pick<Scenario, 'unit'>, value: number): string {
  if (unit === 'p50') return `${value.toFixed(1)} µs`;
  if (unit === 'lost') return `${Math.round(value)} lost`;
  return value >= 1e6 ? `${(value / 1e6).toFixed(2)} M/s` : `${(value / 1e3).toFixed(0)} k/s`;
}

async function compare({ rounds, json }: { rounds: number; json?: boolean }): Promise<void> {
  const results = scenarios.map(() => ({ ksocket: [] as Result[], dgram: [] as Result[] }));
  const bar = new SingleBar({ format: '{bar} {value}/{total} {name}', clearOnComplete: true, stream: process.stderr });
  bar.start(rounds * scenarios.length * libraries.length, 0, { name: '' });
  try {
    for (let round = 0; round < rounds; round++) {
      for (const [i, scenario] of scenarios.entries()) {
        for (const library of round % 2 === 0 ? libraries : libraries.toReversed()) {
          bar.increment(1, { name: scenario.name });
          results[i][library].push(await run(scenario, library));
        }
      }
    }
  } finally {
    bar.stop();
  }

  const rows = scenarios.map((scenario, i) => {
    const of = (library: Library) => ({
      value: median(results[i][library].map((result) => result.value)),
      cpuNs: median(results[i][library].map((result) => result.cpuNs)),
    });
    return { scenario, ksocket: of('ksocket'), dgram: of('dgram') };
  });
  if (json) {
    const out = rows.map(({ scenario, ...rest }) => ({ name: scenario.name, unit: scenario.unit, ...rest }));
    process.stdout.write(`${JSON.stringify({ node: process.version, rounds, scenarios: out }, null, 2)}\n`);
    return;
  }
  const table = new Table({
    head: ['', 'ksocket', `node:dgram ${process.version}`, 'ratio', 'CPU a datagram'],
    style: { head: [], border: [] },
    colAligns: ['left', 'right', 'right', 'right', 'right'],
  });
  for (const { scenario, ksocket, dgram } of rows) {
    const ratio = scenario.unit === 'lost' ? '' : `${(ksocket.value / dgram.value).toFixed(2)} ×`;
    const cpu = scenario.unit === 'rate' ? `${Math.round(ksocket.cpuNs)} : ${Math.round(dgram.cpuNs)} ns` : '';
    table.push([scenario.name, show(scenario, ksocket.value), show(scenario, dgram.value), ratio, cpu]);
  }
  process.stdout.write(`${table}\n`);
}
