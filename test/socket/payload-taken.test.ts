// The bytes of a payload are taken when send() is called, and they are the view's own: nothing else that it says of
// itself is believed.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type Batch, createServer, type Socket } from 'ksocket';
import { COUNTER_ROWS_PER_PAGE, COUNTERS_PER_ROW } from '../../build-lib/backend/layout.js';
import { binding, engineWanted } from '../../build-lib/backend/load.js';
import { udp4 } from '../../build-lib/base/family.js';
import { parseLiteral } from '../../build-lib/thread/address.js';
import { allocateThreadMemory } from '../../build-lib/thread/memory.js';
import { StagedRecords, wordOfPort } from '../../build-lib/thread/records.js';
import { bound, Inbox, kinds, Sockets } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor, within } from '../support/wait.js';

type AnySend = (...args: unknown[]) => void;

const detach = (memory: ArrayBuffer) => structuredClone(memory, { transfer: [memory] });
const shrinkable = (bytes: number) =>
  new (ArrayBuffer as unknown as new (n: number, o: object) => ArrayBuffer & { resize(n: number): void })(bytes, {
    maxByteLength: 64,
  });

/** What a program may do to its memory when send() has returned. */
const changes: Record<string, () => [view: Uint8Array, change: () => void]> = {
  overwritten: () => {
    const view = new Uint8Array(Buffer.from('before'));
    return [view, () => view.fill(33)];
  },
  transferred: () => {
    const view = new TextEncoder().encode('before').slice();
    return [view, () => detach(view.buffer as ArrayBuffer)];
  },
  'shrunk to nothing': () => {
    const memory = shrinkable(6);
    const view = new Uint8Array(memory);
    view.set(Buffer.from('before'));
    return [view, () => memory.resize(0)];
  },
  'overwritten, and shared': () => {
    const view = new Uint8Array(new SharedArrayBuffer(6));
    view.set(Buffer.from('before'));
    return [view, () => view.fill(33)];
  },
};

/** The states in which a send has to wait, and that in which it does not. */
type Opened = { socket: Socket; host: string };
const states: Record<string, (sockets: Sockets) => Promise<Opened> | Opened> = {
  bound: async (sockets) => {
    const socket = sockets.make();
    await bound(socket);
    return { socket, host: '127.0.0.1' };
  },
  unbound: (sockets) => ({ socket: sockets.make(), host: '127.0.0.1' }),
  binding: (sockets) => ({ socket: sockets.make().bind(0, '127.0.0.1'), host: '127.0.0.1' }),
  'bound, to a name': async (sockets) => {
    const socket = sockets.make();
    await bound(socket);
    return { socket, host: 'localhost' };
  },
  'unbound, to a name': (sockets) => ({ socket: sockets.make(), host: 'localhost' }),
  'with a lookup of its own': (sockets) => ({
    socket: sockets.make({
      type: 'udp4',
      lookup: (_host, _options, done) => setTimeout(done, 5, null, '127.0.0.1', 4),
    }),
    host: 'anything',
  }),
};

for (const [state, open] of Object.entries(states)) {
  for (const [how, make] of Object.entries(changes)) {
    test(`memory that is ${how} after send(): it has left, or waits, as it was (${state})`, async () => {
      await using sockets = new Sockets();
      const receiver = sockets.makePeer();
      const inbox = new Inbox(receiver);
      const port = await bound(receiver, '0.0.0.0');
      const { socket, host } = await open(sockets);
      const results: unknown[] = [];
      const done = (error: Error | null, bytes: number) => results.push(error ?? bytes);
      const pairs = Array.from({ length: 4 }, make);
      const [whole, part, listed, old] = pairs.map(([view]) => view);
      socket.send(whole, port, host, done);
      socket.send(part, 1, 4, port, host, done);
      socket.send(['<', listed, new DataView(listed.buffer, 0, 2), '>'], port, host, done);
      socket.sendto(old, 0, 3, port, host, done);
      for (const [, change] of pairs) change();
      await inbox.take(4);
      // Names are looked up side by side.
      assert.deepEqual(inbox.texts.sort(), ['<beforebe>', 'bef', 'before', 'efor']);
      await waitFor(() => results.length === 4, 'callbacks');
      assert.deepEqual(results.sort(), [10, 3, 4, 6]);
    });
  }
}

test('more than a datagram can carry is refused later, too, and whoever wraps send() sees the same bytes again', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const socket = sockets.make();
  const seen: string[] = [];
  const { send } = socket as { send: AnySend };
  (socket as { send: AnySend }).send = function (this: Socket, ...args: unknown[]) {
    seen.push(
      Buffer.concat([args[0]].flat().map((part) => Buffer.from(part as string)))
        .toString()
        .slice(0, 10),
    );
    send.apply(this, args);
  };
  const memory = Buffer.from('wrapped');
  socket.send(memory, port, '127.0.0.1');
  memory.fill(0);
  const long = Buffer.alloc(100_000, 'x');
  const refused = within(
    new Promise<NodeJS.ErrnoException | null>((resolve) => socket.send([long], port, 'localhost', resolve)),
    'the callback',
  );
  detach(long.buffer as ArrayBuffer);
  assert.equal((await refused)?.code, 'EMSGSIZE');
  await inbox.take(1);
  assert.deepEqual(inbox.texts, ['wrapped']);
  assert.deepEqual([seen[0], seen[2]], ['wrapped', 'wrapped']);
});

// ---- views that lie

const lies = { length: 20, byteLength: 20, byteOffset: 1, buffer: new ArrayBuffer(64) };

/** Three bytes, `abc`, as something that says otherwise. */
const liars: Record<string, () => Uint8Array> = {
  'a subclass': () => {
    class Liar extends Uint8Array {}
    for (const [name, value] of Object.entries(lies)) Object.defineProperty(Liar.prototype, name, { get: () => value });
    return new Liar([97, 98, 99]);
  },
  'a subclass of Buffer, by prototype': () => {
    const proto = Object.create(
      Buffer.prototype,
      Object.fromEntries(Object.entries(lies).map(([name, value]) => [name, { value }])),
    );
    return Object.setPrototypeOf(new Uint8Array([97, 98, 99]), proto);
  },
  'own properties': () => {
    const view = new Uint8Array([97, 98, 99]);
    for (const [name, value] of Object.entries(lies)) Object.defineProperty(view, name, { value });
    return view;
  },
  'a species that is longer': () => {
    class Liar extends Uint8Array {
      static get [Symbol.species]() {
        return class extends Uint8Array {
          constructor() {
            super(50);
          }
        } as unknown as Uint8ArrayConstructor;
      }
    }
    return new Liar([97, 98, 99]);
  },
  'no prototype': () => Object.setPrototypeOf(new Uint8Array([97, 98, 99]), null),
  'a DataView': () => {
    const view = new DataView(Uint8Array.of(97, 98, 99).buffer);
    for (const [name, value] of Object.entries(lies)) Object.defineProperty(view, name, { value });
    return view as unknown as Uint8Array;
  },
  'another class by its tag': () => {
    const view = new Uint8Array([97, 98, 99]);
    return Object.defineProperty(view, Symbol.toStringTag, { value: 'Float64Array' });
  },
};

/** Bytes of somebody else's datagram, that a wrong length would send along. */
const SECRET = 'SECRET'.repeat(20);

for (const [who, make] of Object.entries(liars)) {
  test(`only a view’s own bytes are sent, whatever it says of itself: ${who}`, async () => {
    await using sockets = new Sockets();
    const receiver = sockets.makePeer();
    const inbox = new Inbox(receiver);
    const port = await bound(receiver);
    const socket = sockets.make();
    const unbound = sockets.make();
    await bound(socket);
    const results: unknown[] = [];
    const done = (error: Error | null, bytes: number) => results.push(error ?? bytes);
    const secretly = async (send: () => void, arrives: string) => {
      socket.send(SECRET, port, '127.0.0.1');
      await inbox.take(1);
      send();
      await inbox.take(2);
      assert.deepEqual(inbox.texts, [SECRET, arrives]);
      inbox.all.length = 0;
    };
    await secretly(() => socket.send(make(), port, '127.0.0.1', done), 'abc');
    await secretly(() => socket.send(make(), port, 'localhost', done), 'abc');
    await secretly(() => socket.send(make(), 1, 2, port, '127.0.0.1', done), 'bc');
    await secretly(() => socket.sendto(make(), 1, 1, port, '127.0.0.1', done), 'b');
    await secretly(() => socket.send(['<', make(), make(), '>'], port, '127.0.0.1', done), '<abcabc>');
    await secretly(() => unbound.send(make(), port, '127.0.0.1', done), 'abc');
    await secretly(() => assert.equal(socket.sendMany([make(), port, '127.0.0.1']), 1), 'abc');
    assert.throws(() => socket.send(make(), 1, 3, port, '127.0.0.1'), { code: 'ERR_BUFFER_OUT_OF_BOUNDS' });
    const connecting = once(socket, 'connect');
    socket.connect(port, '127.0.0.1');
    await connecting;
    socket.send(SECRET);
    await inbox.take(1);
    socket.send(make(), done);
    socket.sendMany([make(), make()]);
    await inbox.take(4);
    assert.deepEqual(inbox.texts, [SECRET, 'abc', 'abc', 'abc']);
    await waitFor(() => results.length === 7, 'callbacks');
    assert.deepEqual(results, [3, 3, 2, 1, 8, 3, 3]);
  });

  test(`answers to a batch have only their own bytes, whatever they say of themselves: ${who}`, async () => {
    await using sockets = new Sockets();
    const client = sockets.makePeer();
    const inbox = new Inbox(client);
    await bound(client);
    const socket = sockets.make();
    const port = await bound(socket);
    socket.on('batch', (batch) => {
      for (let i = 0; i < batch.length; i++) batch.reply(i, batch.size(i) > 3 ? SECRET : make());
    });
    client.send(SECRET, port, '127.0.0.1');
    client.send('ask', port, '127.0.0.1');
    await inbox.take(2);
    assert.deepEqual(inbox.texts, [SECRET, 'abc']);
  });
}

test('what is no view is refused, whatever it pretends: Proxies, array-likes, objects with the prototype', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const socket = sockets.make();
  await bound(socket);
  const client = sockets.makePeer();
  const batches: Batch[] = [];
  const refusal = { code: 'ERR_INVALID_ARG_TYPE' };
  const pretenders = [
    new Proxy(new Uint8Array(3), {}),
    Object.create(Uint8Array.prototype),
    { length: 5, [Symbol.toStringTag]: 'Uint8Array' },
    [1, 2, 3],
    new ArrayBuffer(3),
    undefined,
    null,
  ] as Uint8Array[];
  let refused = 0;
  socket.on('batch', (batch) => {
    batches.push(batch);
    for (const pretender of pretenders) {
      assert.throws(() => batch.reply(0, pretender), refusal);
      refused++;
    }
  });
  await bound(client);
  client.send('?', socket.address().port, '127.0.0.1');
  await waitFor(() => refused === pretenders.length, 'refusals');
  for (const pretender of pretenders) {
    assert.throws(() => socket.send(pretender, port, '127.0.0.1'), refusal);
    assert.throws(() => socket.send([pretender], port, '127.0.0.1'), refusal);
    assert.throws(() => socket.send(pretender, 0, 1, port, '127.0.0.1'), refusal);
    assert.throws(() => socket.sendMany([pretender, port, '127.0.0.1']), refusal);
  }
  socket.send('end', port, '127.0.0.1');
  await inbox.take(1);
  assert.deepEqual(inbox.texts, ['end']);
  assert.equal(socket.stats().txDatagrams, 1);
});

test('a list of datagrams whose later entries shrink an earlier payload sends what that still has', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const socket = sockets.make();
  await bound(socket);
  socket.send(SECRET, port, '127.0.0.1');
  await inbox.take(1);
  const memory = shrinkable(30);
  const list = [new Uint8Array(memory).fill(65), port, '127.0.0.1', 'next', port, '127.0.0.1'];
  Object.defineProperty(list, 2, {
    get() {
      memory.resize(2);
      return '127.0.0.1';
    },
  });
  assert.equal(socket.sendMany(list), 2);
  await inbox.take(3);
  assert.deepEqual(inbox.texts, [SECRET, 'AA', 'next']);
});

test('a list of datagrams whose entries send others themselves', async () => {
  await using sockets = new Sockets();
  const [receiver, other] = [sockets.makePeer(), sockets.makePeer()];
  const [inbox, others] = [new Inbox(receiver), new Inbox(other)];
  const port = await bound(receiver);
  const otherPort = await bound(other);
  const socket = sockets.make();
  await bound(socket);
  const list = ['first', port, '127.0.0.1', 'second', port, '127.0.0.1', 'third', port, '127.0.0.1'];
  Object.defineProperty(list, 3, {
    get() {
      socket.send('aside', otherPort, '127.0.0.1');
      return 'second';
    },
  });
  Object.defineProperty(list, 6, {
    get() {
      assert.equal(socket.sendMany(['another aside', otherPort, '127.0.0.1']), 1);
      return 'third';
    },
  });
  assert.equal(socket.sendMany(list), 3);
  await inbox.take(3);
  await others.take(2);
  assert.deepEqual(inbox.texts, ['first', 'second', 'third']);
  assert.deepEqual(others.texts, ['aside', 'another aside']);
});

// ---- memory that is gone before send()

const gone: Record<string, () => ArrayBufferView> = {
  'a typed array, detached': () => {
    const view = new Uint8Array(5);
    detach(view.buffer);
    return view;
  },
  'a DataView, detached': () => {
    const view = new DataView(new ArrayBuffer(5));
    detach(view.buffer as ArrayBuffer);
    return view;
  },
  'a typed array, out of bounds': () => {
    const memory = shrinkable(8);
    const view = new Uint8Array(memory, 2, 4);
    memory.resize(3);
    return view;
  },
  'a typed array of the rest': () => {
    const memory = shrinkable(8);
    const view = new Uint8Array(memory, 2);
    memory.resize(3);
    return view;
  },
  'a Uint16Array of the rest': () => {
    const memory = shrinkable(8);
    const view = new Uint16Array(memory, 2);
    memory.resize(5);
    return view;
  },
  'a DataView, out of bounds': () => {
    const memory = shrinkable(8);
    const view = new DataView(memory, 2, 4);
    memory.resize(3);
    return view;
  },
};

for (const [what, make] of Object.entries(gone)) {
  test(`memory that was gone before send() is as in node:dgram: ${what}`, async () => {
    const seen: unknown[][] = [];
    for (const [, makeSocket] of kinds) {
      await using sockets = new Sockets();
      const receiver = sockets.makePeer();
      const inbox = new Inbox(receiver);
      const port = await bound(receiver);
      const socket = sockets.add(makeSocket());
      await bound(socket);
      const forms: ((done: unknown) => unknown[])[] = [
        (done) => [make(), port, '127.0.0.1', done],
        (done) => [['<', make(), '>'], port, '127.0.0.1', done],
        (done) => [make(), 0, 1, port, '127.0.0.1', done],
        (done) => [make(), 0, 0, port, '127.0.0.1', done],
      ];
      const results: unknown[] = [];
      for (const form of forms) {
        const outcome = await within(
          new Promise((resolve) => {
            try {
              (socket.send as AnySend)(...form((error: Error | null, bytes: number) => resolve([error, bytes])));
            } catch (error) {
              resolve(`${error} ${(error as NodeJS.ErrnoException).code}`);
            }
          }),
          `${form}`,
        );
        results.push(outcome);
      }
      const sentCount = results.filter((result) => Array.isArray(result)).length;
      await inbox.take(sentCount);
      seen.push([results, inbox.texts]);
    }
    assert.deepEqual(seen[1], seen[0]);
  });
}

// ---- the other ways out

test('a server’s reply and the bytes of its rules are the view’s own, too', async () => {
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  for (const make of Object.values(liars)) {
    if (ArrayBuffer.isView(make()) && !(make() instanceof DataView)) {
      for (const options of [
        { reply: make(), replyTo: 'source' as const },
        { rules: [{ match: { exact: make() }, action: { reply: ['', make()], amplify: true } }] },
      ]) {
        const server = createServer({ address: '127.0.0.1', port: 0, ...options });
        await server.start();
        client.send('abc', server.address()?.port as number, '127.0.0.1');
        await inbox.take(1);
        await server.stop();
        assert.deepEqual(inbox.texts, ['abc']);
        inbox.all.length = 0;
      }
    }
  }
  const pretender = new Proxy(new Uint8Array(3), {});
  assert.throws(() => createServer({ reply: pretender }), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => createServer({ rules: [{ action: { reply: pretender } }] }), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('native code sends nothing from outside the staging memory, whatever the records say', async () => {
  await using sockets = new Sockets();
  const receiver = sockets.makePeer();
  const inbox = new Inbox(receiver);
  const port = await bound(receiver);
  const SLOTS = 16;
  const ARENA = 4096;
  const EINVAL = -22;
  const memory = allocateThreadMemory(1024, 65_536, SLOTS, ARENA);
  const native = new binding.IoThread({
    ...memory,
    engine: engineWanted,
    busyPoll: 0,
    rxUsecs: 0,
    rxFrames: 64,
    adaptiveRx: true,
    libuv: true,
    shareLoop: false,
  });
  const counters = new SharedArrayBuffer(COUNTER_ROWS_PER_PAGE * COUNTERS_PER_ROW * 8);
  native.addCounters(new BigUint64Array(counters));
  try {
    assert.equal(
      native.start(
        () => {},
        () => false,
        () => false,
        { hasRef: () => false },
      ),
      0,
    );
    assert.equal(native.open(1, udp4.number, 0), 0);
    const records = new StagedRecords(memory.txDescriptors);
    memory.txArena.set(Buffer.from('good'), ARENA - 4);
    const stage: [offset: number, length: number, result: number][] = [
      [ARENA - 4, 4, 4],
      [ARENA, 1, EINVAL],
      [0, ARENA + 1, EINVAL],
      [ARENA - 4, 4, 4],
      [ARENA - 3, 4, EINVAL],
      [0xffffffff, 1, EINVAL],
      [1, 0xffffffff, EINVAL],
      [0xffffff00, 0x100, EINVAL],
      [ARENA, 0, 0],
      [ARENA - 4, 4, 4],
    ];
    const to = parseLiteral(udp4, '127.0.0.1');
    const elsewhere = memory.txArena.slice();
    const ways = [(count: number) => native.send(count), (count: number) => native.sendFrom(elsewhere, count)];
    for (const send of ways) {
      inbox.all.length = 0;
      stage.forEach(([offset, length], n) => {
        records.write(n, 1, offset, length, 0);
        records.address(n, to, wordOfPort(port, udp4.number));
      });
      assert.equal(send(stage.length), 0);
      assert.deepEqual(
        stage.map((_, n) => records.result(n)),
        stage.map(([, , result]) => result),
      );
      await inbox.take(4);
      assert.deepEqual(inbox.texts, ['good', 'good', '', 'good']);
      for (let n = 0; n < SLOTS; n++) records.write(n, 1, ARENA, 1, 0);
      assert.equal(send(0xffffffff), 0); // no more than there are
      assert.equal(records.result(SLOTS - 1), EINVAL);
    }
  } finally {
    native.stop();
  }
});
