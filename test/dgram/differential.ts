// Compares ksocket with node:dgram. As a program, for the Node it runs on:
//
//   node build-test/dgram/differential.js [--scripts N] [--seed S] [CASE …]
//
// runs the hand-written cases (those whose name has CASE in it) and N random scripts, and prints each difference.
import dgram from 'node:dgram';
import { parseArgs } from 'node:util';
import * as ksocket from 'ksocket';
import { cases } from './cases/all.js';
import { difference } from './difference.js';
import { openPeers, type Peers, World } from './interpreter.js';
import type { Script } from './script.js';

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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dgram[Symbol.asyncDispose]();
    await this.#ksocket[Symbol.asyncDispose]();
    this.#peers.peer4.close();
    this.#peers.peer6?.close();
  }
}

if (process.argv[1] === import.meta.filename) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { scripts: { type: 'string', default: '0' }, seed: { type: 'string', default: '1' } },
  });
  process.on('warning', (warning) => {
    console.log(`a warning: ${warning.stack}`);
    process.exitCode = 1;
  });
  await using comparison = await Comparison.open();
  let different = 0;
  let run = 0;
  for (const [name, script] of Object.entries(cases)) {
    if (positionals.length > 0 && !positionals.some((part) => name.includes(part))) continue;
    run++;
    const found = await comparison.differenceOf(script).catch((error) => String(error));
    if (found === undefined) continue;
    different++;
    console.log(`${name}: ${found}`);
  }
  console.log(`${run} cases, ${different} differ`);
  void values;
  if (different > 0) process.exitCode = 1;
}
