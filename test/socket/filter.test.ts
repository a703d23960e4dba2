// socket.filter(): what the kernel drops, and what it does not.
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import fc from 'fast-check';
import { type BpfInstruction, compileFilter, createSocket, type Socket, type SocketOptions } from 'ksocket';
import { boundHandle } from '../dgram/handles.js';
import { addonTest, onDgram } from '../support/backend.js';
import { type PacketFields, packetOf, run } from '../support/bpf.js';
import { expressions } from '../support/filter-expressions.js';
import { bound, closed, Inbox, Sockets, sent, unusedPort } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const RET = 0x06;
const all: BpfInstruction[] = [{ code: RET, jt: 0, jf: 0, k: -1 }];
const locked = { code: 'EPERM', syscall: 'setsockopt', message: 'setsockopt EPERM' };

/** What came, up to this: nothing of one sender's overtakes. */
async function upTo(inbox: Inbox, last: string): Promise<string[]> {
  await waitFor(
    () => inbox.texts.includes(last),
    () => `'${last}' among ${inbox.texts}`,
  );
  return inbox.texts.slice(0, inbox.texts.indexOf(last));
}

if (onDgram) {
  test('on node:dgram a filter needs the addon', async () => {
    await using sockets = new Sockets();
    const socket = sockets.make();
    for (const filter of ['udp', all, null]) {
      assert.throws(() => socket.filter(filter), {
        code: 'ERR_KSOCKET_NEEDS_ADDON',
        message: /^filter\(\) needs ksocket's addon/,
      });
    }
    assert.equal(compileFilter('udp', 'udp4').length, 1, 'and the language does not');
  });
}

for (const [kind, options] of [
  ['a shared thread', {}],
  ['a dedicated thread', { thread: 'dedicated' }],
] as const) {
  addonTest('kernel features', `a filter is set, replaced and removed: ${kind}`, async () => {
    await using sockets = new Sockets();
    const socket = sockets.make({ type: 'udp4', ...options });
    const port = await bound(socket);
    const [one, other] = [sockets.make(), sockets.make()];
    await Promise.all([bound(one), bound(other)]);
    const inbox = new Inbox(socket);
    const say = async (...texts: string[]) => {
      for (const text of texts) {
        await sent(one, `one ${text}`, port);
        await sent(other, `other ${text}`, port);
      }
    };
    socket.filter(`src port ${one.address().port}`);
    await say('1');
    socket.filter(`src host 127.0.0.1 and not src port ${one.address().port}`);
    await say('2');
    socket.filter('payload prefix "one"');
    await say('3');
    socket.filter('src host 127.0.0.2');
    await say('4');
    socket.filter('udp');
    await say('5');
    socket.filter(null);
    socket.filter(null); // there is none
    await say('6');
    const expected = ['one 1', 'other 2', 'one 3', 'one 5', 'other 5', 'one 6', 'other 6'];
    await inbox.take(expected.length);
    assert.deepEqual(inbox.texts, expected);
    assert.equal(socket.stats().rxKernelDrops, 5, 'the kernel counts what a filter drops');
  });
}

addonTest('kernel features', 'set before bind() a filter holds from the first datagram on', async () => {
  for (const bind of [
    (socket: Socket, port: number) => socket.bind(port, '127.0.0.1'),
    (socket: Socket, port: number) => socket.bindSync({ port, address: '127.0.0.1' }),
  ]) {
    await using sockets = new Sockets();
    const port = await unusedPort();
    const sender = dgram.createSocket('udp4');
    let going = true;
    sockets.onEnd(async () => {
      going = false;
      await closed(sender);
    });
    const flood = () => {
      for (let i = 0; going && i < 20; i++) sender.send('no', port, '127.0.0.1');
      if (going) setImmediate(flood);
    };
    flood();
    for (let round = 0; round < 10; round++) {
      const socket = sockets.make();
      socket.filter('payload = "yes"');
      const inbox = new Inbox(socket);
      const listening = once(socket, 'listening');
      bind(socket, port);
      await listening;
      await new Promise((resolve) => setTimeout(resolve, 5));
      await sent(sender, 'yes', port);
      await inbox.take(1);
      assert.deepEqual([...new Set(inbox.texts)], ['yes']);
      await closed(socket);
    }
  }
});

addonTest('kernel features', 'every way to a descriptor: a send, a bind() after one that failed', async () => {
  await using sockets = new Sockets();
  const other = sockets.makePeer();
  await bound(other);
  const taken = sockets.makePeer();
  const takenPort = await bound(taken);
  const ways: ((socket: Socket) => unknown)[] = [
    (socket) => socket.send('hello', other.address().port, '127.0.0.1'),
    async (socket) => {
      const refused = once(socket, 'error');
      socket.bind(takenPort, '127.0.0.1');
      assert.equal((await refused)[0].code, 'EADDRINUSE');
      await bound(socket);
    },
  ];
  for (const way of ways) {
    const socket = sockets.make();
    socket.filter('payload != "no"');
    await way(socket);
    if (socket.listenerCount('listening') > 0) await once(socket, 'listening');
    const inbox = new Inbox(socket);
    const { port } = socket.address();
    for (const text of ['no', 'yes', 'no', 'last']) await sent(other, text, port);
    assert.deepEqual(await upTo(inbox, 'last'), ['yes']);
  }
});

addonTest(
  'descriptors',
  'a bound descriptor that is taken gets the filter; what waited in it came before',
  async () => {
    await using sockets = new Sockets();
    const handle = boundHandle('udp4');
    const probe = sockets.make();
    const socket = sockets.make();
    socket.filter('payload != "no"');
    const inbox = new Inbox(socket);
    const sender = sockets.makePeer();
    await bound(probe);
    socket.bind(handle as never);
    const { port } = socket.address();
    for (const text of ['no', 'yes', 'no', 'last']) await sent(sender, text, port);
    assert.deepEqual(await upTo(inbox, 'last'), ['yes']);
  },
);

addonTest('kernel features', 'a locked filter is for good', async () => {
  for (const when of ['before bind()', 'after bind()']) {
    await using sockets = new Sockets();
    const socket = sockets.make();
    const lock = () => socket.filter('payload != "no"', { lock: true });
    const check = () => {
      for (const filter of ['udp', all, null]) assert.throws(() => socket.filter(filter), locked, when);
      assert.throws(() => socket.filter('udp', { lock: false }), locked);
    };
    if (when === 'before bind()') {
      lock();
      check();
      await bound(socket);
    } else {
      await bound(socket);
      lock();
    }
    check();
    const inbox = new Inbox(socket);
    const sender = sockets.makePeer();
    for (const text of ['no', 'yes', 'last']) await sent(sender, text, socket.address().port);
    assert.deepEqual(await upTo(inbox, 'last'), ['yes']);
  }
});

addonTest('kernel features', 'that there is no filter can be locked, too', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  socket.filter(null, { lock: true });
  const port = await bound(socket);
  assert.throws(() => socket.filter('payload = "no"'), locked);
  const inbox = new Inbox(socket);
  await sent(socket, 'hello', port);
  await inbox.take(1);
});

addonTest('kernel features', 'a socket with a locked filter closes, also in a flood', async () => {
  await using sockets = new Sockets();
  const port = await unusedPort();
  const sender = createSocket('udp4');
  await bound(sender);
  let going = true;
  sockets.onEnd(async () => {
    going = false;
    await closed(sender);
  });
  const list = Array.from({ length: 512 }, () => Buffer.from('x'));
  const flood = () => {
    if (!going) return;
    sender.sendMany(list, { port, address: '127.0.0.1' });
    setImmediate(flood);
  };
  flood();
  for (let round = 0; round < 5; round++) {
    const socket = createSocket('udp4');
    socket.filter('udp and len > 1', { lock: true });
    socket.bindSync({ port, address: '127.0.0.1' });
    await once(socket, 'message');
    sender.sendMany(list, { port, address: '127.0.0.1' });
    await closed(socket);
    const { rxDatagrams, rxCloseDrops } = socket.stats();
    assert.ok(rxDatagrams > rxCloseDrops, `${rxDatagrams} of which ${rxCloseDrops} were given up`);
  }
});

addonTest('kernel features', 'instructions of one’s own: how many bytes they return is what is kept', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const port = await bound(socket);
  const inbox = new Inbox(socket);
  const sender = sockets.makePeer();
  socket.filter(all);
  await sent(sender, 'whole', port);
  socket.filter([{ code: RET, jt: 0, jf: 0, k: 8 + 3 }]);
  await sent(sender, 'three', port);
  socket.filter([{ code: RET, jt: 0, jf: 0, k: 0 }]);
  await sent(sender, 'none', port);
  socket.filter(compileFilter('payload = "last"', 'udp4'));
  await sent(sender, 'next', port);
  await sent(sender, 'last', port);
  assert.deepEqual(await upTo(inbox, 'last'), ['whole', 'thr']);
});

addonTest('kernel features', 'on a dual-stack socket a filter tells IPv4 from IPv6', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make('udp6');
  const port = await bound(socket, '::');
  const inbox = new Inbox(socket);
  const [four, six] = [sockets.makePeer('udp4'), sockets.makePeer('udp6')];
  const rows: [filter: string, expected: string[]][] = [
    ['ip', ['four']],
    ['ip6', ['six']],
    ['src host 127.0.0.1', ['four']],
    ['src host ::ffff:127.0.0.1', ['four']],
    ['src host ::1', ['six']],
    ['net 127.0.0.0/8 or net ::/64', ['four', 'six']],
    ['ip[0] = 0x45', ['four']],
    ['ip6[6] = 17', ['six']],
    ['len = 32', ['four']],
    ['len = 51', ['six']],
    ['payload len = 4 or payload prefix "s"', ['four', 'six']],
    [`dst port ${port}`, ['four', 'six']],
    ['dscp = 0 and ecn = 0 and ttl = 64', ['four', 'six']],
  ];
  for (const [filter, expected] of rows) {
    socket.filter(filter);
    await sent(four, 'four', port);
    await sent(six, 'six', port, '::1');
    socket.filter(null);
    await sent(six, `last ${filter}`, port, '::1');
    assert.deepEqual((await upTo(inbox, `last ${filter}`)).splice(-expected.length), expected, filter);
    inbox.all.length = 0;
  }
});

for (const type of ['udp4', 'udp6'] as const) {
  addonTest(
    'kernel features',
    `the kernel decides as its program says, and as the language means: ${type}`,
    async () => {
      await using sockets = new Sockets();
      const socket = sockets.make(type);
      const port = await bound(socket);
      const address = socket.address().address;
      const inbox = new Inbox(socket);
      const sender = sockets.makePeer(type);
      const sport = await bound(sender);
      const host = type === 'udp4' ? [127, 0, 0, 1] : [...new Array(15).fill(0), 1];
      const fields = { version: type === 'udp4' ? 4 : 6, src: host, dst: host, sport, dport: port, tos: 0 } as const;
      // Checksums, IPv4's id and IPv6's flow label are what the kernel likes.
      const known = expressions(false).filter(({ text }) => !/(ip6?|udp)\[/.test(text));
      for (const [index, { text, holds }] of fc.sample(known, 60).entries()) {
        const packets = Array.from({ length: 8 }, (_, i): PacketFields => {
          const payload = Buffer.from(Array.from({ length: i }, (_, k) => (index + k * i) & 3));
          return { ...fields, ttl: [1, 64, 255][i % 3], payload };
        });
        const filter = compileFilter(text, type);
        if (index % 2 === 0) socket.filter(text);
        else socket.filter(filter);
        for (const { ttl, payload } of packets) {
          sender.setTTL(ttl);
          await sent(sender, payload, port, address);
        }
        socket.filter(null);
        await sent(sender, 'the last one', port, address);
        await waitFor(() => inbox.texts.includes('the last one'));
        const expected = packets.filter(holds).map(({ payload }) => Buffer.from(payload).toString('hex'));
        const got = inbox.all.splice(0).slice(0, -1);
        assert.deepEqual(
          got.map(({ data }) => data.toString('hex')),
          expected,
          text,
        );
        for (const packet of packets) assert.equal(run(filter, packetOf(packet)) !== 0, holds(packet), text);
      }
    },
  );
}

/** Sends `texts` as one super-datagram, where the kernel has that. */
function joined(sender: Socket, texts: string[], to: Socket): void {
  const { port } = to.address();
  const list = texts.map((text) => Buffer.from(text));
  assert.equal(sender.sendMany(list, { port, address: '127.0.0.1' }), texts.length);
}
const numbered = (from: number, count: number) => Array.from({ length: count }, (_, i) => String(1000 + from + i));

for (const options of [{}, { thread: 'dedicated' }] as Partial<SocketOptions>[]) {
  const kind = options.thread ?? 'shared';
  addonTest('kernel features', `of joined datagrams each is judged alone: ${kind}`, async () => {
    await using sockets = new Sockets();
    const socket = sockets.make({ type: 'udp4', ...options });
    await bound(socket);
    const inbox = new Inbox(socket);
    const sender = sockets.make();
    await bound(sender);
    const joins = () => socket.stats().rxGroSegments;
    for (let round = 0; round < 4; round++) {
      joined(sender, numbered(round * 50, 50), socket);
      await inbox.take((round + 1) * 50);
    }
    const before = joins();
    // Joined ones wait in the kernel's buffer, or in the ring, while the filter comes.
    for (let round = 4; round < 8; round++) joined(sender, numbered(round * 50, 50), socket);
    await sent(sender, 'sent', socket.address().port);
    socket.filter('payload len = 4 and payload[3] = 0x37');
    joined(sender, numbered(400, 100), socket);
    joined(sender, [...numbered(500, 30), 'end'], socket);
    socket.filter('payload[3] = 0x37 or payload = "last"');
    joined(sender, ['aaa7', 'aaa8', 'last'], socket);
    await waitFor(
      () => inbox.texts.includes('last'),
      () => `${inbox.texts.slice(400)}`,
    );
    const sevens = numbered(400, 130).filter((text) => text.endsWith('7'));
    assert.deepEqual(inbox.texts, [...numbered(0, 400), 'sent', ...sevens, 'aaa7', 'last']);
    // And joined again, once it does not matter any more.
    const alone = joins();
    socket.filter(`src port ${sender.address().port}`);
    for (let round = 0; round < 4; round++) {
      const had = inbox.all.length;
      joined(sender, numbered(0, 50), socket);
      await inbox.take(had + 50);
    }
    const again = joins();
    if (before > 0) assert.ok(again > alone, `${before} were joined before, then ${alone}, now ${again}`);
    socket.filter(`not src port ${sender.address().port}`);
    joined(sender, numbered(0, 50), socket);
    socket.filter(null);
    await sent(sender, 'very last', socket.address().port);
    const had = inbox.all.length;
    await inbox.take(had + 1);
    assert.equal(inbox.texts.at(-1), 'very last');
    assert.equal(inbox.all.length, had + 1);
  });
}

addonTest(
  'kernel features',
  'a filter comes with the room for what waits before it, where the ring is full',
  async () => {
    await using sockets = new Sockets();
    const socket = sockets.make({ type: 'udp4', ringBytes: 256 * 1024 });
    await bound(socket);
    const inbox = new Inbox(socket);
    const sender = sockets.make();
    await bound(sender);
    const text = (number: number) => String(number).padEnd(1000, '.');
    let next = 1000;
    const burst = () =>
      joined(
        sender,
        Array.from({ length: 50 }, () => text(next++)),
        socket,
      );
    for (let round = 0; round < 4; round++) {
      burst();
      await inbox.take((round + 1) * 50);
    }
    // While the event loop is here the ring fills, and then the kernel's buffer, with two bursts: it has no room for many.
    const pause = new Int32Array(new SharedArrayBuffer(4));
    const until = performance.now() + 20_000;
    while (socket.stats().rxPauses === 0) {
      burst();
      while (socket.stats().rxPauses === 0 && socket.stats().rxDatagrams < next - 1000) {
        assert.ok(performance.now() < until, JSON.stringify(socket.stats()));
        Atomics.wait(pause, 0, 0, 1);
      }
    }
    burst();
    socket.filter('payload len = 4 and payload[3] = 0x37');
    joined(sender, numbered(0, 20), socket); // before there is room: dropped, or judged one by one
    await waitFor(
      async () => {
        joined(sender, [...numbered(500, 20), 'end7'], socket);
        await new Promise((resolve) => setTimeout(resolve, 1));
        return inbox.texts.includes('end7');
      },
      () => `${inbox.all.length} datagrams`,
    );
    const long = inbox.texts.filter((each) => each.length !== 4);
    assert.deepEqual(
      long,
      Array.from({ length: long.length }, (_, i) => text(1000 + i)),
      'each alone, in order',
    );
    assert.ok(long.length > 200);
    const short = inbox.texts.filter((each) => each.length === 4);
    assert.deepEqual(
      [...new Set(short)].sort(),
      ['1507', '1517', 'end7', ...(short.includes('1007') ? ['1007', '1017'] : [])].sort(),
    );
  },
);

for (const event of ['message', 'batch'] as const) {
  addonTest('kernel features', `a '${event}' listener sets a filter while more waits behind it`, async () => {
    await using sockets = new Sockets();
    const socket = sockets.make();
    await bound(socket);
    const sender = sockets.make();
    await bound(sender);
    const texts: string[] = [];
    const hear = (text: string) => {
      texts.push(text);
      if (text !== '1010' && text !== '1110') return;
      for (let more = 0; more < 4; more++) joined(sender, numbered(Number(text) - 1000 + 90 + more * 20, 20), socket);
      socket.filter(text === '1010' ? 'payload len = 4' : 'payload[3] != 0x35');
    };
    if (event === 'message') socket.on('message', (data) => hear(String(data)));
    else socket.on('batch', (batch) => batch.length > 0 && [...batch].forEach(({ data }) => void hear(String(data))));
    for (let round = 0; round < 5; round++) joined(sender, numbered(round * 20, 20), socket);
    await waitFor(() => texts.includes('1279'));
    const expected = [...numbered(0, 180), ...numbered(200, 80)];
    assert.deepEqual(
      texts.filter((text) => !text.endsWith('5')),
      expected.filter((text) => !text.endsWith('5')),
    );
    const fives = texts.filter((text) => text.endsWith('5'));
    assert.deepEqual(fives, expected.filter((text) => text.endsWith('5')).slice(0, fives.length));
  });
}

addonTest('kernel features', 'a filter that the kernel has no memory for leaves the one before', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const port = await bound(socket);
  socket.filter('payload != "no"');
  const long = { code: 0x00, jt: 0, jf: 0, k: 0 };
  // Programs are counted in net.core.optmem_max, with the one that they replace.
  const largest = [...new Array(4095).fill(long), ...all];
  let refused: unknown;
  try {
    for (let i = 0; i < 2; i++) socket.filter(largest);
  } catch (error) {
    refused = error;
  }
  const inbox = new Inbox(socket);
  const sender = sockets.makePeer();
  for (const text of ['no', 'yes', 'last']) await sent(sender, text, port);
  if (refused !== undefined) {
    assert.equal((refused as NodeJS.ErrnoException).code, 'ENOMEM');
    assert.equal((refused as { syscall?: string }).syscall, 'setsockopt');
  }
  assert.deepEqual(await upTo(inbox, 'last'), refused === undefined ? ['no', 'yes'] : ['yes']);
});

test('arguments: what is no filter changes nothing', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const filter = (given: unknown, options?: unknown) => () => socket.filter(given as string, options as object);
  const unknown = /The property 'options.locked' is not known \(did you mean 'lock'\?\)/;
  assert.throws(filter('udp', { locked: true }), { code: 'ERR_INVALID_ARG_VALUE', message: unknown });
  assert.throws(filter('udp', { lock: 1 }), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(filter('udp', null), { code: 'ERR_INVALID_ARG_TYPE' });
  socket.close();
  assert.throws(filter('udp'), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' });
});

addonTest('kernel features', 'expressions and instructions that are none', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  for (const given of [undefined, 5, {}, true, new Uint8Array(8)]) {
    assert.throws(() => socket.filter(given as unknown as string), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  assert.throws(() => socket.filter('src port htp'), {
    code: 'ERR_INVALID_ARG_VALUE',
    message:
      "The argument 'filter' is no filter at character 10: a port is expected, not 'htp'. Received 'src port htp'",
    position: 9,
  });
  const ret = all[0];
  const rows: [instructions: unknown[], name: string, reason: RegExp, position?: number][] = [
    [[], 'filter', /has 1 to 4096 instructions, not 0/],
    [new Array(4097).fill(ret), 'filter', /has 1 to 4096 instructions, not 4097/],
    [[ret, null], 'filter[1]', /has a 'code' that is no integer from 0 to 65535/, 1],
    [[{ ...ret, jt: 256 }], 'filter[0]', /has a 'jt' that is no integer from 0 to 255/, 0],
    [[{ ...ret, jf: -1 }], 'filter[0]', /has a 'jf'/, 0],
    [[{ ...ret, k: 2 ** 32 }], 'filter[0]', /has a 'k' that is no integer from -2147483648 to 4294967295/, 0],
    [[{ ...ret, k: 1.5 }], 'filter[0]', /has a 'k'/, 0],
    [[{ code: 0x07, jt: 0, jf: 0, k: 0 }], 'filter[0]', /is the last one, and returns nothing/, 0],
    [[{ ...ret, code: 0xff }, ret], 'filter[0]', /has the code 255, which is none of BPF's/, 0],
    [[{ code: 0x34, jt: 0, jf: 0, k: 0 }, ret], 'filter[0]', /divides by 0/, 0],
    [[{ code: 0x64, jt: 0, jf: 0, k: 32 }, ret], 'filter[0]', /shifts by more than 31 bits/, 0],
    [[{ code: 0x02, jt: 0, jf: 0, k: 16 }, ret], 'filter[0]', /none of the 16/, 0],
    [[{ code: 0x60, jt: 0, jf: 0, k: 1 }, ret], 'filter[0]', /reads M\[1\] before/, 0],
    [[{ code: 0x20, jt: 0, jf: 0, k: -1 }, ret], 'filter[0]', /loads what is beside a datagram/, 0],
    [[{ code: 0x05, jt: 0, jf: 0, k: 1 }, ret], 'filter[0]', /jumps to instruction 2, which is not there/, 0],
    [[{ code: 0x15, jt: 0, jf: 1, k: 1 }, ret], 'filter[0]', /jumps to instruction 2, which is not there/, 0],
  ];
  for (const [instructions, name, reason, position] of rows) {
    assert.throws(
      () => socket.filter(instructions as BpfInstruction[]),
      (error: Error & { code: string; position?: number }) => {
        assert.equal(error.code, 'ERR_INVALID_ARG_VALUE');
        assert.ok(error.message.startsWith(`The argument '${name}' `), error.message);
        assert.match(error.message, reason);
        assert.equal(error.position, position);
        return true;
      },
    );
  }
});

addonTest('kernel features', 'instructions that are refused are those that the kernel refuses', async () => {
  await using sockets = new Sockets();
  const socket = sockets.make();
  await bound(socket);
  // Past the checks, to the kernel.
  type Core = { id: number; thread: { changing(): { setFilter(id: number, filter: object): number } } };
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'ksocket');
  const core = (socket as unknown as Record<symbol, Core>)[symbol as symbol];
  const ask = (program: Uint8Array) =>
    core.thread.changing().setFilter(core.id, { program, lock: false, ofFlows: false });
  const encode = (instructions: BpfInstruction[]) => {
    const bytes = new Uint8Array(8 * instructions.length);
    instructions.forEach(({ code, jt, jf, k }, i) => {
      new Uint16Array(bytes.buffer, 8 * i, 1)[0] = code;
      bytes.set([jt, jf], 8 * i + 2);
      new Uint32Array(bytes.buffer, 8 * i + 4, 1)[0] = k;
    });
    return bytes;
  };
  const codes = [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x15, 0x1d, 0x16, 0x20, 0x28, 0x34, 0x35, 0x45];
  const more = [0x48, 0x60, 0x61, 0x64, 0x6c, 0x74, 0x80, 0x81, 0x84, 0x87, 0x94, 0x9c, 0xa4, 0xb1, 0xa1, 0x0e, 0x40];
  const instruction = fc.record({
    code: fc.oneof(fc.constantFrom(...codes, ...more), fc.nat(0xffff)),
    jt: fc.nat(3),
    jf: fc.nat(3),
    k: fc.constantFrom(
      0,
      1,
      2,
      15,
      16,
      31,
      32,
      0xffff_ffff,
      ...[0, 1, 4, 40, 60, 62, 64].map((at) => 0xffff_f000 + at),
    ),
  });
  const verdicts = [0, 0];
  for (const body of fc.sample(fc.array(instruction, { maxLength: 6 }), 4000)) {
    const program = [...body, ...all];
    let ours = 0;
    try {
      socket.filter(program);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ERR_INVALID_ARG_VALUE', JSON.stringify(program));
      ours = -22;
    }
    assert.equal(ask(encode(program)), ours, JSON.stringify(program));
    verdicts[ours === 0 ? 0 : 1]++;
  }
  assert.ok(verdicts[0] > 200 && verdicts[1] > 200, `${verdicts}`);
  for (const bytes of [1, 7, 9, 8 * 4097]) assert.equal(ask(new Uint8Array(bytes)), -22, `${bytes} bytes`);
});

test('node:dgram has no filter(), so nothing of it is hidden', () => {
  assert.equal('filter' in dgram.Socket.prototype, false);
});
