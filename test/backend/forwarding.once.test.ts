// To which back end a client's datagrams go: the same on the addon and on node:dgram, by the rule and not by chance.
import assert from 'node:assert/strict';
import dgram, { type Socket } from 'node:dgram';
import type { ForwardAction } from 'ksocket';
import { Forwarder } from '../../build-lib/backend/fallback/answer/forwarder.js';
import { RuleResponder, type RuleSurroundings } from '../../build-lib/backend/fallback/answer/rule-responder.js';
import type { Match, Rule } from '../../build-lib/backend/fallback/rules/rule.js';
import { bound, closed } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';
import { Side } from './side.js';

const BACK_ENDS = 3;
const CLIENTS = 6;
const EACH = 2;
type Balance = NonNullable<ForwardAction['balance']>;

/** What `CLIENTS` ports of 127.0.0.1 have sent, one behind the other: whose datagrams each back end has got. */
async function forwarded(backend: string, balance: Balance): Promise<string[][]> {
  await using side = new Side(backend);
  const heard: string[][] = [];
  const backEnds = Array.from({ length: BACK_ENDS }, (_, n) => {
    heard.push([]);
    return dgram.createSocket('udp4', (data) => heard[n].push(`${data}`));
  });
  const clients: Socket[] = Array.from({ length: CLIENTS }, () => dgram.createSocket('udp4'));
  const count = () => heard.reduce((sum, each) => sum + each.length, 0);
  try {
    const forward: { address: string; port: number }[] = [];
    for (const backEnd of backEnds) forward.push({ address: '127.0.0.1', port: await bound(backEnd) });
    const { code } = await side.start({ rules: [{ name: 'on', match: {}, action: { forward, balance } }] });
    assert.equal(code, undefined);
    for (const client of clients) await bound(client);
    let expected = 0;
    for (let round = 0; round < EACH; round++) {
      for (const [n, client] of clients.entries()) {
        client.send(`${n}`, side.port, '127.0.0.1');
        expected += balance === 'all' ? BACK_ENDS : 1;
        await waitFor(
          () => count() >= expected,
          () => JSON.stringify({ backend, balance, heard }),
        );
      }
    }
    return heard;
  } finally {
    for (const socket of [...backEnds, ...clients]) await closed(socket);
  }
}

/** From which ports a back end was sent two datagrams of one client, with a rest between them in which the flow expires. */
async function portsAroundARest(backend: string): Promise<number[]> {
  await using side = new Side(backend);
  const ports: number[] = [];
  const backEnd = dgram.createSocket('udp4', (_, { port }) => ports.push(port));
  const client = dgram.createSocket('udp4');
  try {
    const target = { address: '127.0.0.1', port: await bound(backEnd) };
    await bound(client);
    await side.start({ rules: [{ name: 'on', match: {}, action: { forward: target, idleMs: 200 } }] });
    for (const expired of [1, 2]) {
      client.send('x', side.port, '127.0.0.1');
      await waitFor(
        async () => (await side.order({ do: 'tell' })).answering?.flowsExpired === expired,
        () => JSON.stringify({ backend, expired, ports }),
      );
    }
    return ports;
  } finally {
    for (const socket of [backEnd, client]) await closed(socket);
  }
}

for (const backend of ['addon', 'dgram']) {
  const all = Array.from({ length: CLIENTS }, (_, n) => `${n}`);

  test(`${backend}: one back end after the other gets a client, and keeps it`, async () => {
    const of = (n: number) => all.filter((each) => Number(each) % BACK_ENDS === n);
    const expected = Array.from({ length: BACK_ENDS }, (_, n) => [...of(n), ...of(n)]);
    assert.deepEqual(await forwarded(backend, 'round-robin'), expected);
  });

  test(`${backend}: by their source, all ports of an address go to one back end`, async () => {
    const heard = await forwarded(backend, 'source');
    assert.deepEqual(
      heard.filter((each) => each.length > 0),
      [[...all, ...all]],
    );
  });

  test(`${backend}: all back ends get what each client has sent`, async () => {
    assert.deepEqual(await forwarded(backend, 'all'), Array(BACK_ENDS).fill([...all, ...all]));
  });

  test(`${backend}: a flow that has expired is closed, and the next datagram opens another`, async () => {
    const ports = await portsAroundARest(backend);
    assert.equal(ports.length, 2);
    assert.notEqual(ports[1], ports[0]);
  });
}

test('a forwarder of former rules that has no flows any more is let go', async (t) => {
  const { mock } = t.mock.method(Forwarder.prototype, 'expire');
  const looks = (of: number) => mock.calls.filter((call) => (call.this as Forwarder).options.idleMs === of).length;
  const responder = new RuleResponder({} as RuleSurroundings); // no datagram comes
  t.after(() => responder.close());
  const any = { kind: 'any', payload: new Uint8Array(), lengthMin: 0, lengthMax: 65_535 } as const;
  const match: Match = { ...any, masks: [], sources: [], destinationPorts: [] };
  const rules: Rule[] = [{ match, action: 'forward', amplify: false, forward: 0, parts: [] }];
  const targets = [{ family: 4, address: '127.0.0.1', port: 9 }] as const;
  for (const idleMs of [1, 2]) {
    const forward = { targets, balance: 'source', idleMs, flows: 1 } as const;
    responder.update({ rules, otherwise: 'drop', forwards: 1 }, ['on'], [forward]);
  }
  // Its timer keeps no program.
  await waitFor(() => looks(2) === 3, 'three looks at the present ones');
  assert.equal(looks(1), 1);
});
