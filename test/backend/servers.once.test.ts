// A server on the addon and one on node:dgram, asked the same: they answer, count and hand out the same.
import assert from 'node:assert/strict';
import dgram, { type Socket } from 'node:dgram';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { type DefaultAction, type Rule, type ServerOptions, slot } from 'ksocket';
import { bound, closed } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';
import type { Order, Told } from './server-worker.js';
import { Side } from './side.js';

const RUNS = 400;
const PROTECTED_RUNS = 60;
/** Every set of rules hands the one to JavaScript and answers the other, behind what was asked before. */
const MARK = '!';
const END = '.';
const endRules: Rule[] = [
  { name: 'mark', match: { exact: MARK }, action: 'deliver' },
  { name: 'end', match: { exact: END }, action: 'echo' },
];

/** Sends from its own socket, so that both servers see the same source. */
class Asker implements AsyncDisposable {
  readonly socket: Socket;
  #heard: string[] = [];

  constructor() {
    this.socket = dgram.createSocket('udp4', (data) => this.#heard.push(data.toString('latin1')));
  }

  async ask(port: number, requests: readonly Uint8Array[]): Promise<string[]> {
    this.#heard = [];
    for (const request of [...requests, MARK, END]) this.socket.send(request, port, '127.0.0.1');
    await waitFor(
      () => this.#heard.includes(END),
      () => `the end: ${this.#heard}`,
    );
    return this.#heard;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closed(this.socket);
  }
}

const byte = fc.constantFrom(0x61, 0x62, 0, 0xff);
const bytes = (maxLength: number, minLength = 0) =>
  fc.array(byte, { minLength, maxLength }).map((all) => Uint8Array.from(all));
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const bits = bytes(2, 1).chain((mask) =>
  fc.record({
    at: fc.nat(4),
    mask: fc.constant(mask),
    value: bytes(mask.length, mask.length).map((value) => value.map((each, i) => each & mask[i])),
  }),
);
const match = fc
  .record({
    payload: fc.constantFrom('exact', 'prefix', 'any'),
    begin: bytes(3),
    length: optional(fc.tuple(fc.nat(4), fc.nat(4)).map(([min, more]) => ({ min, max: min + more }))),
    bits: optional(fc.array(bits, { minLength: 1, maxLength: 2 })),
    source: optional(
      fc.constantFrom('127.0.0.0/8', '127.0.0.0/31', '127.0.0.2/31', '127.0.0.1', '::/0', '::ffff:127.0.0.0/104'),
    ),
  })
  .map(({ payload, begin, ...others }) => ({ ...others, ...(payload === 'any' ? {} : { [payload]: begin }) }));
const offset = fc.integer({ min: -5, max: 5 });
const part = fc.oneof(
  bytes(3),
  fc.tuple(offset, optional(offset)).map(([start, end]) => slot.request(start, end)),
  optional(fc.nat(6)).map((xor) => slot.sourceAddress({ xor })),
  optional(fc.nat(6)).map((xor) => slot.sourcePort({ xor })),
  fc.constantFrom(1, 2, 4, 8).map((size) => slot.counter(size as 1 | 2 | 4 | 8)),
);
const action = fc.oneof(
  fc.constantFrom('echo', 'drop', 'deliver', 'count'),
  fc.record({ reply: fc.array(part, { maxLength: 3 }), amplify: fc.boolean() }),
) as fc.Arbitrary<Rule['action']>;
const rules = fc.array(fc.record({ match, action }), { maxLength: 8 }) as fc.Arbitrary<Rule[]>;
const otherwise = fc.constantFrom<DefaultAction[]>('echo', 'drop', 'deliver');
const requests = fc.array(bytes(6), { maxLength: 8 });

// Bound to every address, a server gets IPv4 sources as IPv6 has them.
for (const address of ['127.0.0.1', '::']) {
  test(`the same rules answer, count, drop and deliver the same on both backends: ${address}`, async () => {
    await using addon = new Side('addon');
    await using other = new Side('dgram');
    await using asker = new Asker();
    await bound(asker.socket);
    const options: ServerOptions = { address, rules: endRules, loops: false };
    assert.equal((await addon.start(options)).backend, 'addon');
    assert.equal((await other.start(options)).backend, 'dgram');
    let refused = 0;
    const property = fc.asyncProperty(rules, otherwise, requests, async (given, fallback, asked) => {
      const order: Order = { do: 'update', rules: [...endRules, ...given], otherwise: fallback };
      const [updated, updatedOther] = [await addon.order(order), await other.order(order)];
      assert.deepEqual(updatedOther, updated);
      if (updated.code !== undefined) {
        refused++; // a reply that would never be sent
        return;
      }
      assert.deepEqual(await asker.ask(other.port, asked), await asker.ask(addon.port, asked));
      assert.deepEqual(await tellAll(other), await tellAll(addon));
    });
    await fc.assert(property, { numRuns: RUNS });
    assert.ok(refused < RUNS / 2, `${refused} of ${RUNS} were refused`);
  });
}

/** What has been delivered comes in events of its own, a moment later. */
async function tellAll(side: Side): Promise<Told> {
  const delivered: string[] = [];
  for (;;) {
    const told = await side.order({ do: 'tell' });
    delivered.push(...(told.delivered ?? []));
    if (delivered.at(-1)?.startsWith(MARK)) return { ...told, delivered };
  }
}

const SOURCES = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5', '127.1.0.1'];
const EACH = 4;
const list = optional(
  fc.array(
    fc.constantFrom(
      ...[
        '127.0.0.2',
        '127.0.0.0/30',
        '127.0.0.4-127.0.0.5',
        '::ffff:127.0.0.3',
        '::ffff:127.1.0.0/112',
        '::/0',
        '::1',
      ],
      ...['127.0.0.3-127.0.0.200', '0.0.0.0/0', '10.0.0.0/8'],
    ),
    { maxLength: 4 },
  ),
);
const limit = optional(fc.integer({ min: 1, max: 5 }).map((burst) => ({ rate: 1, burst })));
const total = optional(fc.integer({ min: 1, max: 15 }).map((burst) => ({ rate: 1, burst })));

test('the same lists and limits admit the same datagrams on both backends', async () => {
  await using addon = new Side('addon');
  await using other = new Side('dgram');
  const heard = new Map<number, string[]>(); // by the server's port
  const askers = SOURCES.map((address) =>
    dgram.createSocket('udp4', (data, { port }) => heard.get(port)?.push(`${address} ${data}`)),
  );
  for (const [i, asker] of askers.entries()) await bound(asker, SOURCES[i]);
  const ask = async (side: Side) => {
    heard.set(side.port, []);
    for (let n = 0; n < EACH; n++) for (const asker of askers) asker.send(`${n}`, side.port, '127.0.0.1');
  };
  const counted = async (side: Side) => {
    const {
      replies = 0,
      denied = 0,
      limited = 0,
      limitedTotal = 0,
    } = (await side.order({ do: 'tell' })).answering ?? {};
    return { replies, limited, limitedTotal, denied };
  };
  const property = fc.asyncProperty(list, list, limit, total, async (allow, deny, perSource, all) => {
    const options: ServerOptions = { rules: [], otherwise: 'echo', allow, deny, limits: { perSource, total: all } };
    for (const side of [addon, other]) {
      assert.equal((await side.start(options)).code, undefined);
      await ask(side);
    }
    await waitFor(async () => {
      const { replies, denied, limited, limitedTotal } = await counted(other);
      return replies + denied + limited + limitedTotal === SOURCES.length * EACH;
    }, 'all that was sent in a counter');
    // Most of what the lists refuse the addon's kernel drops by itself.
    const { denied: _, ...expected } = await counted(other);
    await waitFor(
      async () => {
        const { denied: _, ...found } = await counted(addon);
        return isDeepStrictEqual(found, expected);
      },
      () => JSON.stringify({ options, expected }),
    );
    const answers = (side: Side) => heard.get(side.port)?.toSorted() ?? [];
    await waitFor(
      () => [addon, other].every((side) => answers(side).length === expected.replies),
      () => JSON.stringify({ options, expected, addon: answers(addon), other: answers(other) }),
    );
    assert.deepEqual(answers(other), answers(addon));
  });
  try {
    await fc.assert(property, { numRuns: PROTECTED_RUNS });
  } finally {
    for (const asker of askers) await closed(asker);
  }
});
