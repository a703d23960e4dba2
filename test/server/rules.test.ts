import assert from 'node:assert/strict';
import { createServer, type Rule, type Server, type ServerOptions, type Socket, slot } from 'ksocket';
import { bound, Sockets } from '../support/peer.js';
import { heldAtRest, untilHeldIs } from '../support/process.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

// A server on loopback, and a client that hears its answers.
class Conversation implements AsyncDisposable {
  readonly sockets = new Sockets();
  readonly heard: string[] = [];
  readonly client: Socket;
  readonly server: Server;

  private constructor(options: ServerOptions) {
    this.server = createServer({ address: '127.0.0.1', port: 0, ...options });
    this.client = this.sockets.make();
    this.client.on('message', (data) => this.heard.push(data.toString('latin1')));
  }
  static async start(options: ServerOptions): Promise<Conversation> {
    const talk = new Conversation(options);
    await talk.server.start();
    await bound(talk.client);
    return talk;
  }
  get port(): number {
    return this.server.address()?.port as number;
  }
  say(...requests: (string | Buffer)[]): void {
    for (const request of requests) this.client.send(request, this.port, '127.0.0.1');
  }
  // What comes back, one answer for each of these. The last one, '.', is answered by every server here.
  async ask(...requests: (string | Buffer)[]): Promise<string[]> {
    this.heard.length = 0;
    this.say(...requests, '.');
    await waitFor(
      () => this.heard.includes('.'),
      () => this.heard.join(),
    );
    return this.heard.filter((answer) => answer !== '.');
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.sockets[Symbol.asyncDispose]();
    await this.server.stop();
  }
}

const end: Rule = { name: 'end', match: { exact: '.' }, action: 'echo' };

test('the first rule that matches answers, the others do not', async () => {
  await using talk = await Conversation.start({
    rules: [
      end,
      { name: 'count', match: { prefix: 'p' }, action: 'count' },
      { name: 'ping', match: { exact: 'ping' }, action: { reply: 'pong' } },
      { name: 'short', match: { length: { max: 3 } }, action: { reply: 'ok' } },
      { name: 'odd', match: { bits: { at: 0, mask: Buffer.of(1), value: Buffer.of(1) } }, action: { reply: 'odd' } },
    ],
  });
  assert.deepEqual(await talk.ask('ping', 'pin', 'pong', 'abcd', 'bbbb'), ['pong', 'ok', 'odd']);
  await waitFor(() => talk.server.stats().answering.ruleDrops === 2);
  assert.deepEqual(talk.server.ruleHits(), { end: 1, count: 3, ping: 1, short: 1, odd: 1 });
  assert.equal(talk.server.stats().answering.replies, 4);
});

test('a reply is put together from the request, the source, the time and a counter', async () => {
  await using talk = await Conversation.start({
    rules: [
      end,
      {
        match: { prefix: 'q' },
        action: {
          amplify: true,
          reply: [
            'a:',
            slot.request(1, 3),
            slot.sourceAddress(),
            slot.sourcePort(),
            slot.counter(2),
            slot.time('unix'),
            slot.time('ntp'),
          ],
        },
      },
    ],
  });
  const before = BigInt(Date.now());
  const [first, second] = (await talk.ask('qxyz', 'qq')).map((answer) => Buffer.from(answer, 'latin1'));
  assert.equal(first.subarray(0, 4).toString(), 'a:xy');
  assert.deepEqual([...first.subarray(4, 8)], [127, 0, 0, 1]);
  assert.equal(first.readUInt16BE(8), talk.client.address().port);
  assert.equal(first.readUInt16BE(10), 0);
  const unixMs = first.readBigUInt64BE(12) / 1_000_000n;
  assert.ok(unixMs >= before - 1n && unixMs <= BigInt(Date.now()) + 1n);
  const ntpSeconds = BigInt(first.readUInt32BE(20)) - 2_208_988_800n;
  assert.ok(ntpSeconds === unixMs / 1000n || ntpSeconds === unixMs / 1000n + 1n);
  assert.equal(second.subarray(0, 3).toString(), 'a:q');
  assert.equal(second.readUInt16BE(9), 1);
});

test('a reply longer than its request is not sent, unless the rule says so', async () => {
  await using talk = await Conversation.start({
    rules: [
      end,
      { match: { prefix: 'a' }, action: { reply: 'longer' } },
      { match: { exact: 'b' }, action: { reply: 'amplified', amplify: true } },
    ],
  });
  assert.deepEqual(await talk.ask('a', 'b', 'a bit more'), ['amplified', 'longer']);
  assert.equal(talk.server.stats().answering.refusedReplies, 1);
});

test('JavaScript gets what a rule delivers, and only that', async () => {
  await using talk = await Conversation.start({
    rules: [end, { match: { prefix: 'js' }, action: 'deliver' }],
    otherwise: 'echo',
  });
  const got: string[] = [];
  talk.server.on('datagram', (data) => got.push(`${data}`));
  assert.deepEqual(await talk.ask('js 1', 'not js', 'js 2'), ['not js']);
  await waitFor(() => got.length === 2);
  assert.deepEqual(got, ['js 1', 'js 2']);
});

test('a burst of joined datagrams is decided about one by one', async () => {
  await using talk = await Conversation.start({
    rules: [end, { match: { prefix: 'drop' }, action: 'drop' }, { match: { prefix: 'rep' }, action: { reply: '=' } }],
    otherwise: 'echo',
  });
  const requests = Array.from({ length: 60 }, (_, i) => `${['drop', 'rep ', 'echo'][i % 3]}${String(i).padStart(3)}`);
  const answers = await talk.ask(...requests);
  assert.equal(answers.filter((answer) => answer === '=').length, 20);
  assert.deepEqual(
    answers.filter((answer) => answer !== '='),
    requests.filter((request) => request.startsWith('echo')),
  );
  assert.equal(talk.server.stats().answering.ruleDrops, 20);
});

test('rules forward to a back end and bring its answers back', async () => {
  await using sockets = new Sockets();
  const backEnd = sockets.make();
  backEnd.on('message', (data, { port, address }) => backEnd.send(`<${data}>`, port, address));
  const target = { address: 'localhost', port: await bound(backEnd) };
  await using talk = await Conversation.start({
    rules: [end, { name: 'all', action: { forward: { ...target, address: '127.0.0.1' } } }],
  });
  talk.say('one');
  await waitFor(() => talk.heard.length === 1);
  assert.deepEqual(talk.heard, ['<one>']);
  // The same rule in a new set keeps the flow.
  await talk.server.update([end, { name: 'all', action: { forward: { ...target, address: '127.0.0.1' } } }]);
  talk.say('two');
  await waitFor(() => talk.heard.length === 2);
  const { forwarded, returned, flowsOpened } = talk.server.stats().answering;
  assert.deepEqual({ forwarded, returned, flowsOpened }, { forwarded: 2, returned: 2, flowsOpened: 1 });
  assert.deepEqual(talk.server.ruleHits(), { end: 0, all: 2 });
});

test('what a former rule has forwarded is still answered', async () => {
  await using sockets = new Sockets();
  const backEnd = sockets.make();
  const asked = new Promise<() => void>((resolve) => {
    backEnd.on('message', (_, { port, address }) => resolve(() => backEnd.send('late', port, address)));
  });
  const port = await bound(backEnd);
  await using talk = await Conversation.start({
    rules: [{ name: 'all', action: { forward: { address: '127.0.0.1', port } } }],
  });
  talk.say('question');
  const answer = await asked;
  await talk.server.update([{ action: 'echo' }]);
  assert.deepEqual(await talk.ask('new'), ['new'], 'by the new rules');
  answer();
  await waitFor(() => talk.heard.includes('late'));
  assert.equal(talk.server.stats().answering.returned, 1);
});

test('rules are swapped while datagrams come: each is answered by one set, none is lost', async () => {
  const set = (i: number): Rule[] => [
    { name: 'a', match: { prefix: 'a' }, action: { reply: `a${i}`, amplify: true } },
    { name: 'b', match: { prefix: 'b' }, action: { reply: `b${i}`, amplify: true } },
    end,
  ];
  await using talk = await Conversation.start({ rules: set(0) });
  let said = 0;
  for (let i = 1; i <= 200; i++) {
    talk.say('a', 'b');
    said += 2;
    await talk.server.update(set(i));
    // No more on the way than the smallest receive buffer holds.
    await waitFor(() => said - talk.heard.length < 100);
  }
  await waitFor(
    () => talk.heard.length === said,
    () => `${talk.heard.length} of ${said}`,
  );
  // Both of a pair come in one batch or in two; a later set never answers before an earlier one.
  let latest = 0;
  for (const answer of talk.heard) {
    assert.match(answer, /^[ab]\d+$/);
    assert.ok(Number(answer.slice(1)) >= latest);
    latest = Number(answer.slice(1));
  }
  assert.deepEqual(await talk.ask('a'), ['a200']);
  assert.equal(talk.server.ruleHits().a, 201);
});

test('an update that is wrong changes nothing', async () => {
  await using talk = await Conversation.start({ rules: [end, { match: { exact: 'x' }, action: { reply: 'y' } }] });
  await assert.rejects(talk.server.update([{ action: 'nonsense' as never }]), { code: 'ERR_INVALID_ARG_VALUE' });
  await assert.rejects(talk.server.update([{ action: { forward: { address: 'no.such.host.invalid', port: 1 } } }]), {
    syscall: 'getaddrinfo',
  });
  assert.deepEqual(await talk.ask('x'), ['y']);
  const plain = createServer();
  await assert.rejects(plain.update([]), { code: 'ERR_INVALID_STATE' });
});

test('rules that were set while the server stood still hold from its next start', async () => {
  const server = createServer({ address: '127.0.0.1', port: 0, rules: [] });
  await server.update([{ action: 'echo' }]);
  await server.start();
  await using sockets = new Sockets();
  const client = sockets.make();
  const answer = new Promise((resolve) => client.once('message', (data) => resolve(`${data}`)));
  client.send('hello', server.address()?.port as number, '127.0.0.1');
  assert.equal(await answer, 'hello');
  await server.stop();
});

test('lists and limits stand before every kind of answer', async () => {
  const kinds: ServerOptions[] = [{ reply: 'echo' }, { rules: [], otherwise: 'echo' }];
  for (const kind of kinds) {
    {
      await using talk = await Conversation.start({ ...kind, limits: { perSource: { rate: 1, burst: 5 } } });
      talk.say(...Array.from({ length: 20 }, (_, i) => `${i}`));
      await waitFor(() => talk.server.stats().answering.limited === 15);
      assert.equal(talk.server.stats().rxDatagrams, 20);
      await waitFor(() => talk.heard.length === 5);
      assert.deepEqual(talk.heard, ['0', '1', '2', '3', '4']);
    }
    {
      await using talk = await Conversation.start({ ...kind, deny: ['127.0.0.2', '127.0.1.0/24'] });
      const stranger = talk.sockets.make();
      await new Promise<void>((resolve) => stranger.bind(0, '127.0.1.77', resolve));
      let answered = false;
      stranger.on('message', () => {
        answered = true;
      });
      stranger.send('denied', talk.port, '127.0.0.1');
      assert.deepEqual(await talk.ask('served'), ['served']);
      assert.equal(answered, false);
      // The kernel's filter has dropped it, or the thread where there is none.
      await waitFor(() => talk.server.stats().answering.denied + talk.server.stats().rxKernelDrops === 1);
      assert.equal(talk.server.stats().rxDatagrams, 2 + talk.server.stats().answering.denied);
    }
  }
});

test('options that exclude each other, or are wrong, are refused', () => {
  const wrong: [ServerOptions, RegExp][] = [
    [{ rules: [], reply: 'x' }, /options\.reply.*together with rules/],
    [{ rules: [], handler: './x.so' }, /options\.handler.*together with rules/],
    [{ rules: [{ name: 'dns', match: { length: -1 }, action: 'drop' }] }, /rules\[0\].*dns.*length/],
    [{ rules: [], otherwise: 'forward' as never }, /otherwise/],
    [{ deny: ['10.0.0.0/33'] }, /options\.deny/],
    [{ limits: { total: { rate: 0 } } }, /options\.limits\.total\.rate/],
  ];
  for (const [options, message] of wrong) assert.throws(() => createServer(options), { message });
});

test('servers with rules leave nothing behind', async () => {
  const before = await heldAtRest();
  {
    await using sockets = new Sockets();
    const backEnd = sockets.make();
    const port = await bound(backEnd);
    for (let i = 0; i < 5; i++) {
      await using talk = await Conversation.start({
        rules: [end, { action: { forward: { address: '127.0.0.1', port }, flows: 10 } }],
        limits: { perSource: { rate: 1000 } },
      });
      talk.say('x');
      await waitFor(() => talk.server.stats().answering.flowsOpened === 1);
    }
  }
  await untilHeldIs(before);
});
