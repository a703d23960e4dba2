// What send(), sendMany(), peer() and setSendDefaults() take beside a destination. That it is said on the wire: wire.ts.
import assert from 'node:assert/strict';
import { createSocket as createDgramSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Batch, RemoteInfo, SendMetadata, Socket, SocketOptions } from 'ksocket';
import { addonTest, onDgram } from '../support/backend.js';
import { bound, Sockets } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

interface Heard {
  text: string;
  said: [dscp: number | undefined, ecn: number | undefined, ttl: number | undefined];
  address: string;
}

/** What a socket hears of which it wants to know all. */
class Witness {
  readonly heard: Heard[] = [];
  readonly port: number;

  private constructor(socket: Socket) {
    this.port = socket.address().port;
    socket.on('message', (data: Buffer, { dscp, ecn, ttl, address }: RemoteInfo) => {
      this.heard.push({ text: String(data), said: [dscp, ecn, ttl], address });
    });
  }

  static async make(sockets: Sockets): Promise<Witness> {
    const socket = sockets.make({ type: 'udp4', receiveTos: 'auto', receiveTtl: 'auto' });
    await bound(socket);
    return new Witness(socket);
  }

  async take(count: number): Promise<Heard[]> {
    await waitFor(
      () => this.heard.length >= count,
      () => `${this.heard.length} of ${count} datagrams`,
    );
    return this.heard;
  }
}

const address = '127.0.0.1';

addonTest(
  'kernel features',
  'each form of send() takes options, before and after the bind, connected or not',
  async () => {
    await using sockets = new Sockets();
    const witness = await Witness.make(sockets);
    const { port } = witness;
    const sender = sockets.make();
    const options = { port, address, dscp: 1, ttl: 5 };
    sender.send('early', options); // binds the socket, and has to wait for that
    options.dscp = 9; // too late for it
    await witness.take(1);
    await new Promise((sent) => sender.send('told', { ...options, dscp: 2 }, sent));
    sender.send(['of ', Buffer.from('parts')], { peer: sender.peer(address, port), ecn: 1 });
    sender.send('a name', { port, address: 'localhost', dscp: 3 });
    await witness.take(4);
    sender.send('loopback', { port, dscp: 4 });
    await witness.take(5);
    sender.connect(port, address);
    await once(sender, 'connect');
    sender.send('connected', { dscp: 6 });
    assert.equal(sender.sendMany(['list'], { dscp: 7 }), 1);
    const heard = await witness.take(7);
    assert.deepEqual(
      heard.map(({ text, said }) => [text, ...said]),
      [
        ['early', 1, 0, 5],
        ['told', 2, 0, 5],
        ['of parts', 0, 1, 64],
        ['a name', 3, 0, 64],
        ['loopback', 4, 0, 64],
        ['connected', 6, 0, 64],
        ['list', 7, 0, 64],
      ],
    );
  },
);

addonTest('kernel features', 'defaults are of the socket, and give way to what is said of a datagram', async () => {
  await using sockets = new Sockets();
  const witness = await Witness.make(sockets);
  const { port } = witness;
  const sender = sockets.make();
  await bound(sender);
  assert.equal(sender.setSendDefaults({ dscp: 8, ttl: 7, local: '127.0.0.3' }), sender);
  sender.send('default', port, address);
  sender.send('ecn', { port, address, ecn: 3 });
  sender.send('dscp', { port, address, dscp: 0, local: '127.0.0.4' });
  sender.send('peer', sender.peer(address, port, { ttl: 1 }));
  sender.sendMany(['pair', sender.peer(address, port, { ttl: 2 }), 'triple', sender.peer(address, port)]);
  sender.sendMany(['triple', port, address]);
  sender.setSendDefaults(null);
  sender.send('none', port, address);
  const heard = await witness.take(8);
  assert.deepEqual(
    heard.map(({ text, said, address: from }) => [text, ...said, from]),
    [
      ['default', 8, 0, 7, '127.0.0.3'],
      ['ecn', 8, 3, 7, '127.0.0.3'],
      ['dscp', 0, 0, 7, '127.0.0.4'],
      ['peer', 8, 0, 1, '127.0.0.3'],
      ['pair', 8, 0, 2, '127.0.0.3'],
      ['triple', 8, 0, 7, '127.0.0.3'],
      ['triple', 8, 0, 7, '127.0.0.3'],
      ['none', 0, 0, 64, '127.0.0.1'],
    ],
  );
});

// More sources than one flush has places for, to several sockets: each has room for what a tick sends it.
addonTest('kernel features', 'each datagram of a tick comes from the address that it names', async () => {
  await using sockets = new Sockets();
  const witnesses: Witness[] = [];
  for (let i = 0; i < 7; i++) witnesses.push(await Witness.make(sockets));
  const sender = sockets.make();
  await bound(sender, '0.0.0.0');
  const wanted: string[][][] = witnesses.map(() => []);
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 160 * witnesses.length; i++) {
      const to = i % witnesses.length;
      const local = `127.0.${i % 5}.${(i % 200) + 1}`;
      wanted[to].push([`${round} ${i}`, local]);
      sender.send(`${round} ${i}`, { port: witnesses[to].port, address, local });
    }
    for (const [i, witness] of witnesses.entries()) await witness.take(wanted[i].length);
  }
  for (const [i, { heard }] of witnesses.entries()) {
    assert.deepEqual(
      heard.map(({ text, address: from }) => [text, from]),
      wanted[i],
    );
  }
});

// close() takes back what the tick has sent; what an event before it has sent keeps its own source.
addonTest('kernel features', 'what has to wait in a listener keeps what is said of it', async () => {
  await using sockets = new Sockets();
  const witness = await Witness.make(sockets);
  const sender = sockets.make();
  const asks = sockets.make();
  await bound(sender, '0.0.0.0');
  await bound(asks);
  const to = { port: witness.port, address };
  sender.on('message', () => {
    sender.send('first', { ...to, local: '127.0.0.11' });
    asks.setTTL(9); // hands over what node:dgram would have
    sender.send('second', { ...to, local: '127.0.0.12' });
    sender.send('third', { ...to, local: '127.0.0.13' });
  });
  asks.send('?', sender.address().port, address);
  const heard = await witness.take(3);
  assert.deepEqual(
    heard.map(({ text, address: from }) => [text, from]),
    [
      ['first', '127.0.0.11'],
      ['second', '127.0.0.12'],
      ['third', '127.0.0.13'],
    ],
  );
});

addonTest('kernel features', 'an interface alone is said of IPv4 datagrams of an IPv6 socket, too', async () => {
  await using sockets = new Sockets();
  const inbox = sockets.make('udp6');
  const port = await bound(inbox, '::');
  const heard: string[] = [];
  inbox.on('message', (data) => heard.push(`${data}`));
  const sender = sockets.make('udp6');
  await bound(sender, '::');
  const ways = { ifindex: 1, local: undefined }; // 1 is lo
  const results: unknown[] = [];
  const send = (text: string, options: object) =>
    new Promise<void>((resolve) => {
      sender.send(text, { port, ...options }, (error) => {
        results.push(error);
        resolve();
      });
    });
  await send('mapped', { address: '::ffff:127.0.0.1', ...ways });
  await send('no source', { address: '::ffff:127.0.0.1', local: '::' });
  await send('IPv6', { address: '::1', ...ways });
  sender.setSendDefaults({ ifindex: 1 });
  await send('default', { address: '::ffff:127.0.0.1' });
  assert.deepEqual(results, [null, null, null, null]);
  await waitFor(() => heard.length === 4);
  assert.throws(() => sender.send('x', { port, address: '::1', local: '::1%none' }), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /must name an interface that there is/,
  });
});

addonTest('kernel features', 'batch.reply() answers from the asked address from the first batch on', async () => {
  for (const how of ['a listener behind bind()', 'a descriptor that was bound elsewhere', 'once']) {
    await using sockets = new Sockets();
    const socket = sockets.make();
    const answer = (batch: Batch) => {
      for (let i = 0; i < batch.length; i++) batch.reply(i, batch.data(i));
    };
    if (how === 'a descriptor that was bound elsewhere') {
      socket.on('batch', answer);
      const given = createDgramSocket('udp4');
      await new Promise<void>((resolve) => given.bind(0, '0.0.0.0', resolve));
      const handle = Object.getOwnPropertySymbols(given).map((symbol) => Reflect.get(given, symbol)?.handle);
      (socket.bind as (handle: unknown) => void)(handle.find((each) => each !== undefined));
    } else {
      await bound(socket, '0.0.0.0');
      if (how === 'once') socket.prependOnceListener('batch', answer);
      else socket.on('batch', answer);
    }
    const asks = sockets.make();
    await bound(asks, '0.0.0.0');
    const answered = once(asks, 'message');
    asks.send('?', socket.address().port, '127.0.0.7');
    const [, { address: from }] = await answered;
    assert.equal(from, '127.0.0.7', how);
  }
});

test('what is wrong is named, and nothing is sent', async () => {
  await using sockets = new Sockets();
  const witness = await Witness.make(sockets);
  const { port } = witness;
  const sender = sockets.make();
  await bound(sender);
  const bad: [options: object, code: string, message: RegExp][] = [
    [{ ttl: 0 }, 'ERR_OUT_OF_RANGE', /options\.ttl.*>= 1 && <= 255/],
    [{ ttl: 256 }, 'ERR_OUT_OF_RANGE', /options\.ttl/],
    [{ ttl: 1.5 }, 'ERR_OUT_OF_RANGE', /options\.ttl.*an integer/],
    [{ ttl: '5' }, 'ERR_INVALID_ARG_TYPE', /options\.ttl/],
    [{ dscp: 64 }, 'ERR_OUT_OF_RANGE', /options\.dscp/],
    [{ dscp: -1 }, 'ERR_OUT_OF_RANGE', /options\.dscp/],
    [{ dscp: null }, 'ERR_INVALID_ARG_TYPE', /options\.dscp/],
    [{ ecn: 4 }, 'ERR_OUT_OF_RANGE', /options\.ecn/],
    [{ ifindex: 0 }, 'ERR_OUT_OF_RANGE', /options\.ifindex/],
    [{ ifindex: 2 ** 31 }, 'ERR_OUT_OF_RANGE', /options\.ifindex/],
    [{ local: 'localhost' }, 'ERR_INVALID_ARG_VALUE', /options\.local.*IPv4/],
    [{ local: '::1' }, 'ERR_INVALID_ARG_VALUE', /options\.local.*IPv4/],
    [{ local: 7 }, 'ERR_INVALID_ARG_TYPE', /options\.local/],
    [{ tll: 7, ttl: 7 }, 'ERR_INVALID_ARG_VALUE', /options\.tll.*did you mean 'ttl'/],
  ];
  const ways: [name: string, send: (options: SendMetadata) => unknown][] = [
    ['send', (options) => sender.send('x', { port, address, ...options })],
    ['send to a peer', (options) => sender.send('x', { peer: sender.peer(address, port), ...options })],
    ['sendMany', (options) => sender.sendMany(['x'], { port, address, ...options })],
    ['segments', (options) => sender.sendMany('xx', { segmentSize: 1, port, address, ...options })],
    ['peer', (options) => sender.peer(address, port, options)],
    ['defaults', (options) => sender.setSendDefaults(options)],
  ];
  for (const [name, send] of ways) {
    for (const [options, code, message] of bad) {
      const wanted =
        onDgram && code !== 'ERR_INVALID_ARG_VALUE' ? { code: 'ERR_KSOCKET_NEEDS_ADDON' } : { code, message };
      if (onDgram && 'local' in options) continue; // is refused as such
      assert.throws(() => send(options), wanted, `${name} ${JSON.stringify(options)}`);
    }
  }
  for (const defaults of [undefined, 5, 'x', []]) {
    assert.throws(() => sender.setSendDefaults(defaults as never), { code: 'ERR_INVALID_ARG_TYPE' }, String(defaults));
  }
  sender.send('end', port, address);
  assert.deepEqual(
    (await witness.take(1)).map(({ text }) => text),
    ['end'],
  );
  sender.close();
  assert.throws(() => sender.setSendDefaults(null), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' });
});

test('without the addon what it needs is refused, and auto goes without', async () => {
  await using sockets = new Sockets();
  for (const name of ['receiveTtl', 'receiveTos', 'receiveLocal', 'receiveTimes', 'receiveOriginalDst'] as const) {
    const make = (wish: unknown) => sockets.make({ type: 'udp4', [name]: wish } as SocketOptions);
    if (onDgram) assert.throws(() => make(true), { code: 'ERR_KSOCKET_NEEDS_ADDON', message: new RegExp(name) });
    else make(true);
    assert.throws(() => make('yes'), { code: 'ERR_INVALID_ARG_TYPE' });
    const socket = make('auto');
    const port = await bound(socket);
    const heard = once(socket, 'message');
    sockets.make().send('x', port, address);
    const [, rinfo] = await heard;
    assert.equal(Object.keys(rinfo).length > 4, true, 'the field is there');
  }
});
