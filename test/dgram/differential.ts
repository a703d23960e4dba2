// Compares ksocket with node:dgram. As a program, for the Node it runs on:
//
//   node build-test/dgram/differential.js [--scripts N] [--seed S] [--no-cases] [CASE …]
//
// runs the hand-written cases (those whose name has CASE in it) and N random scripts, and prints each difference.
import dgram from 'node:dgram';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import * as ksocket from 'ksocket';
import { cases } from './cases/all.js';
import { difference, withoutEarly } from './difference.js';
import { openPeers, type Peers, World } from './interpreter.js';
import { scripts } from './random.js';
import { print, type Script } from './script.js';

export class Comparison implements AsyncDisposable {
  readonly #peers: Peers;
  readonly #dgram: World;
  readonly #ksocket: World;

  private constructor(peers: Peers, ofDgram: World, ofKsocket: World) {
    this.#peers = peers;
    this.#dgram = ofDgram;
    this.#ksocket = ofKsocket;
  }

  static async open(): Promise<Comparison> {
    const peers = await openPeers();
    return new Comparison(peers, await World.open(dgram, peers), await World.open(ksocket, peers));
  }

  /** Says where the two differ. */
  async differenceOf(script: Script): Promise<string | undefined> {
    return difference(await this.#dgram.run(script), await this.#ksocket.run(script));
  }

  /** Runs random scripts; says what the smallest one is on which the two differ. `progress` is told how many are done,
   * now and then. */
  async randomDifference(count: number, seed: number, progress: (done: number) => void): Promise<string | undefined> {
    const types = this.#peers.peer6 === undefined ? ['udp4'] : ['udp4', 'udp6'];
    let done = 0;
    const property = fc.asyncProperty(scripts(types), async (script) => {
      const found = await this.#randomDifferenceOf(script);
      if (found !== undefined) throw new Error(found);
      if (++done % 1000 === 0) progress(done);
    });
    const result = await fc.check(property, { numRuns: count, seed, endOnFailure: false });
    if (!result.failed) return undefined;
    const [smallest] = result.counterexample ?? [];
    return `seed ${seed}, path ${result.counterexamplePath}\n${smallest && print(smallest)}\n${result.errorInstance}`;
  }

  async #randomDifferenceOf(script: Script): Promise<string | undefined> {
    const expected = await this.#dgram.run(script);
    const actual = await this.#ksocket.run(script);
    const found = difference(expected, actual);
    const text = JSON.stringify(script.steps, (_, value) => (typeof value === 'bigint' ? `${value}n` : value));
    if (found === undefined || !/"close"|"abort"/.test(text)) return found;
    // Where listeners react to messages, one too many would be a fault.
    return difference(expected, withoutEarly(expected, actual, !text.includes('"feed"')));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dgram[Symbol.asyncDispose]();
    await this.#ksocket[Symbol.asyncDispose]();
    for (const peer of Object.values(this.#peers)) peer?.close();
  }
}

if (process.argv[1] === import.meta.filename) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    allowNegative: true,
    options: {
      scripts: { type: 'string', default: '0' },
      seed: { type: 'string', default: '1' },
      cases: { type: 'boolean', default: true },
      /** Not these cases. */
      without: { type: 'string', multiple: true, default: [] },
    },
  });
  process.on('warning', (warning) => {
    console.log(`a warning: ${warning.stack}`);
    process.exitCode = 1;
  });
  await using comparison = await Comparison.open();
  let run = 0;
  let different = 0;
  for (const [name, script] of Object.entries(values.cases ? cases : {})) {
    if (positionals.length > 0 && !positionals.some((part) => name.includes(part))) continue;
    if (values.without.includes(name)) continue;
    run++;
    const found = await comparison.differenceOf(script).catch((error) => String(error));
    if (found === undefined) continue;
    different++;
    console.log(`${name}: ${found}`);
  }
  const count = Number(values.scripts);
  const random = await comparison.randomDifference(count, Number(values.seed), (done) =>
    console.log(`${done} scripts`),
  );
  if (random !== undefined) {
    different++;
    console.log(random);
  }
  console.log(`${run} cases and ${count} random scripts on node ${process.version}: ${different} differ`);
  if (different > 0) process.exitCode = 1;
}
