// A program: rules that heed what the kernel says of a datagram, in the network namespace that it is started in, with a
// second host that asks (kernel-rules.test.ts).
import assert from 'node:assert/strict';
import { createServer, features, type Rule, type Server, slot } from 'ksocket';
import { SecondHost } from '../support/second-host.js';
import { waitFor } from '../support/wait.js';

const V4 = ['192.0.2.1', '192.0.2.3'];
const V6 = ['fd00::1', 'fd00::3'];

const places = [
  { address: '0.0.0.0', ours: V4, theirs: '192.0.2.2' },
  { address: '::', ours: V6, theirs: 'fd00::2' },
  // An IPv6 socket, and IPv4 on the wire.
  { address: '::', ours: V4, theirs: '192.0.2.2' },
];

const local = (at: string, reply: string): Rule => ({ match: { local: at }, action: { reply } });

const rules: Rule[] = [
  { match: { prefix: 'slots' }, action: { reply: [slot.ttl(), slot.dscp(), slot.ecn()] } },
  { match: { prefix: 'where' }, action: { amplify: true, reply: slot.localAddress() } },
  { match: { ttl: { min: 255 } }, action: { reply: 'near' } },
  { match: { ttl: 9 }, action: { reply: 'nine' } },
  { match: { dscp: [46, 34], ecn: 1 }, action: { reply: 'both' } },
  { match: { dscp: 46 }, action: { reply: 'fast' } },
  { match: { ecn: [2, 3] }, action: { reply: 'ecn' } },
  local('192.0.2.3', 'other'),
  local('fd00::3/128', 'other'),
  local('192.0.2.0/24', 'net'),
  local('fd00::/64', 'net'),
];

interface Question {
  to: string;
  tos?: number;
  ttl?: number;
  data?: string;
}

async function ask(host: SecondHost, server: Server, question: Question): Promise<Buffer> {
  const port = server.address()?.port;
  await host.do('send', { name: 'theirs', port, data: 'question', ...question });
  const { data, timeout } = await host.do('receive', { name: 'theirs' });
  assert.ok(!timeout, JSON.stringify(question));
  return Buffer.from(data, 'latin1');
}

async function checkAnswers(host: SecondHost, server: Server, [first, second]: string[]): Promise<void> {
  const said = async (question: Question) => (await ask(host, server, question)).toString();
  assert.equal(await said({ to: first }), 'net');
  assert.equal(await said({ to: second }), 'other');
  assert.equal(await said({ to: second, ttl: 255 }), 'near');
  assert.equal(await said({ to: first, ttl: 254 }), 'net');
  assert.equal(await said({ to: first, ttl: 9 }), 'nine');
  assert.equal(await said({ to: first, tos: (34 << 2) | 1 }), 'both');
  assert.equal(await said({ to: first, tos: 34 << 2 }), 'net');
  assert.equal(await said({ to: first, tos: (46 << 2) | 2 }), 'fast');
  assert.equal(await said({ to: first, tos: 3 }), 'ecn');
  const slots = await ask(host, server, { to: first, ttl: 7, tos: (10 << 2) | 2, data: 'slots' });
  assert.deepEqual([...slots], [7, 10, 2]);
}

function addressBytes(text: string): number[] {
  if (!text.includes(':')) return text.split('.').map(Number);
  return [0xfd, ...Array(14).fill(0), Number(text.at(-1))];
}

export const cases: Record<string, () => Promise<void>> = {
  async 'answers by hops, mark and the address that was asked'() {
    await each(async (host, { address, ours }) => {
      await using server = await started({ address, rules });
      await checkAnswers(host, server.it, ours);
      for (const to of ours) {
        assert.deepEqual([...(await ask(host, server.it, { to, data: 'where' }))], addressBytes(to));
      }
    });
  },

  async 'a server that runs gets rules that heed them, and others again'() {
    await each(async (host, { address, ours }) => {
      const plain: Rule[] = [{ action: { reply: 'plain' } }];
      await using server = await started({ address, rules: plain });
      for (let i = 0; i < 2; i++) {
        assert.equal((await ask(host, server.it, { to: ours[0], ttl: 9 })).toString(), 'plain');
        await server.it.update(rules);
        await checkAnswers(host, server.it, ours);
        await server.it.update(plain);
      }
    });
  },

  // The second host's GSO keeps them joined on the way; the rules tell them apart by what is in them and beside them.
  async 'of datagrams that are joined, each is answered by itself'() {
    await each(async (host, { address, ours }) => {
      const heeding: Rule[] = [
        { match: { prefix: 'a', ttl: 9 }, action: { reply: ['nine ', slot.request(0, 1)] } },
        { match: { prefix: 'b', dscp: 46, local: ours[1] }, action: { reply: [slot.ttl(), slot.dscp(), slot.ecn()] } },
        { match: { ttl: { max: 9 }, ecn: 2 }, action: 'echo' },
      ];
      await using server = await started({ address, rules: heeding });
      const port = server.it.address()?.port;
      const data = ['aaaaaaaa', 'bbbbbbbb', 'cccccccc', 'aaaaaaaa', 'dddd'].join('');
      const tos = (46 << 2) | 2;
      // A socket takes joined ones from its second batch on.
      for (let i = 0; i < 2; i++) await ask(host, server.it, { to: ours[0], ttl: 8, tos });
      // One whose hops no rule wants, and behind it one with those that they want.
      for (const ttl of [64, 9]) {
        await host.do('send', { name: 'theirs', to: ours[1], port, data, segment: 8, ttl, tos });
      }
      const answers: string[] = [];
      for (let i = 0; i < 6; i++) {
        const { data: answer, timeout } = await host.do('receive', { name: 'theirs' });
        assert.ok(!timeout, answers.join());
        answers.push(answer);
      }
      assert.deepEqual(answers, ['@.\x02', 'nine a', '\t.\x02', 'cccccccc', 'nine a', 'dddd']);
      const joined = features().engine === 'mmsg' && features().gro ? 10 : 0;
      const counted = () => [server.it.stats().rxDatagrams, server.it.stats().rxGroSegments];
      await waitFor(
        () => counted().join() === `12,${joined}`,
        () => `${counted()}`,
      );
    });
  },

  async 'a server with an address of its own knows it'() {
    await each(async (host, { ours }) => {
      for (const [i, answer] of [
        ['0', 'net'],
        ['1', 'other'],
      ] as const) {
        const address = ours[Number(i)];
        await using server = await started({ address, rules });
        assert.equal((await ask(host, server.it, { to: address })).toString(), answer);
        assert.deepEqual([...(await ask(host, server.it, { to: address, data: 'where' }))], addressBytes(address));
      }
    });
  },
};

async function started(options: { address: string; rules: Rule[] }) {
  const it = createServer({ ...options, port: 0 });
  await it.start();
  return { it, [Symbol.asyncDispose]: () => it.stop() };
}

async function each(check: (host: SecondHost, place: (typeof places)[number]) => Promise<void>): Promise<void> {
  const ours = [...V4.map((address) => `${address}/24`), ...V6.map((address) => `${address}/64`)];
  await using host = await SecondHost.start(ours, ['192.0.2.2/24', 'fd00::2/64']);
  for (const place of places) {
    await host.do('open', { name: 'theirs', address: place.theirs });
    await check(host, place);
  }
}

const name = process.argv[2];
if (process.argv[1] === import.meta.filename && name !== undefined) {
  await cases[name]();
  console.log(`${name}: done`);
}
