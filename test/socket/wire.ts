// A program: one case of what is said beside a datagram, in the network namespace that it is started in, with a second
// host that looks at the wire (wire.test.ts).
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  type Batch,
  createServer,
  createSocket,
  features,
  type PeerError,
  type SendTime,
  type ServerOptions,
  type Socket,
  type SocketOptions,
} from 'ksocket';
import { SecondHost } from '../support/second-host.js';
import { waitFor } from '../support/wait.js';

const OURS_V4 = ['192.0.2.1', '192.0.2.3'];
const OURS_V6 = ['fd00::1', 'fd00::3'];
const THEIR_V4 = '192.0.2.2';
const THEIR_V6 = 'fd00::2';

function start(): Promise<SecondHost> {
  // Of IPv4 addresses the kernel prefers the first, of IPv6 addresses the latest.
  const ours = [
    ...OURS_V4.map((address) => `${address}/24`),
    ...OURS_V6.slice()
      .reverse()
      .map((address) => `${address}/64`),
  ];
  return SecondHost.start(ours, [`${THEIR_V4}/24`, `${THEIR_V6}/64`]);
}

async function open(options: SocketOptions, address?: string): Promise<Socket> {
  const socket = createSocket(options);
  socket.bind(0, address);
  await once(socket, 'listening');
  return socket;
}

function sent(socket: Socket, ...args: unknown[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const told = (error: Error | null, bytes: number) => (error ? reject(error) : resolve(bytes));
    (socket.send as (...args: unknown[]) => void)(...args, told);
  });
}

const families = [
  { type: 'udp4', any: '0.0.0.0', ours: OURS_V4, theirs: THEIR_V4, to: THEIR_V4 },
  { type: 'udp6', any: '::', ours: OURS_V6, theirs: THEIR_V6, to: THEIR_V6 },
  // An IPv6 socket, and IPv4 on the wire.
  {
    type: 'udp6',
    any: '::',
    ours: OURS_V4.map((address) => `::ffff:${address}`),
    theirs: THEIR_V4,
    to: `::ffff:${THEIR_V4}`,
  },
] as const;

const plain = (address: string) => address.replace('::ffff:', '');

export const cases: Record<string, () => Promise<void>> = {
  async 'what send() says of one datagram, and of no other'() {
    await using host = await start();
    await host.do('sniff', { interface: 'theirs0' });
    for (const { type, ours, theirs, to } of families) {
      const socket = await open({ type });
      const { port } = await host.do('open', { name: 'sink', address: theirs });
      const meant = (packet: { dport: number }) => packet.dport === port;
      await sent(socket, '0', port, to);
      await sent(socket, '1', { port, address: to, dscp: 46, ecn: 2, ttl: 9, local: ours[1] });
      await sent(socket, '2', { port, address: to });
      await sent(socket, '3', { port, address: to, ecn: 1 });
      await sent(socket, '4', { port, address: to, ttl: 255 });
      await sent(socket, '5', { peer: socket.peer(to, port, { dscp: 8, local: ours[1] }), dscp: 10 });
      await sent(socket, '6', socket.peer(to, port, { dscp: 8 }));
      const packets = await host.arrived(7, meant);
      const said = packets.map(({ data, tos, ttl, src }) => [data, tos, ttl, src]);
      const [first, second] = ours.map(plain);
      assert.deepEqual(said, [
        ['0', 0, 64, first],
        ['1', (46 << 2) | 2, 9, second],
        ['2', 0, 64, first],
        ['3', 1, 64, first],
        ['4', 0, 255, first],
        ['5', 10 << 2, 64, second],
        ['6', 8 << 2, 64, first],
      ]);
      socket.close();
    }
  },

  async 'defaults: of all that is sent, until they are taken back'() {
    await using host = await start();
    await host.do('sniff', { interface: 'theirs0' });
    const socket = await open({ type: 'udp4' });
    const { port } = await host.do('open', { name: 'sink', address: THEIR_V4 });
    const to = { port, address: THEIR_V4 };
    socket.setSendDefaults({ dscp: 34, local: OURS_V4[1] });
    await sent(socket, 'a', port, THEIR_V4);
    await sent(socket, 'b', { ...to, ecn: 1 });
    assert.equal(socket.sendMany(['c', port as number, THEIR_V4]), 1);
    assert.equal(socket.sendMany(['d'], { port: port as number, address: THEIR_V4, dscp: 1 }), 1);
    assert.equal(socket.sendMany(['e', socket.peer(THEIR_V4, port as number, { ttl: 3 })]), 1);
    socket.setSendDefaults(null);
    await sent(socket, 'f', port, THEIR_V4);
    const packets = await host.arrived(6, (packet) => packet.dport === port);
    assert.deepEqual(
      packets.map(({ data, tos, ttl, src }) => [data, tos, ttl, src]),
      [
        ['a', 34 << 2, 64, OURS_V4[1]],
        ['b', (34 << 2) | 1, 64, OURS_V4[1]],
        ['c', 34 << 2, 64, OURS_V4[1]],
        ['d', 1 << 2, 64, OURS_V4[1]],
        ['e', 34 << 2, 3, OURS_V4[1]],
        ['f', 0, 64, OURS_V4[0]],
      ],
    );
    socket.close();
  },

  async 'many at once: what is said differently leaves apart, and each peer gets its own in order'() {
    await using host = await start();
    await host.do('sniff', { interface: 'theirs0' });
    for (const { type, ours, theirs, to } of families) {
      const socket = await open({ type });
      const { port } = (await host.do('open', { name: 'sink', address: theirs })) as { port: number };
      const peers = [
        socket.peer(to, port),
        socket.peer(to, port, { dscp: 46 }),
        socket.peer(to, port, { dscp: 46, local: ours[1] }),
        socket.peer(to, port, { ttl: 5 }),
      ];
      const wanted: [tos: number, ttl: number, src: string][] = [
        [0, 64, plain(ours[0])],
        [46 << 2, 64, plain(ours[0])],
        [46 << 2, 64, plain(ours[1])],
        [0, 5, plain(ours[0])],
      ];
      const list: (string | (typeof peers)[number])[] = [];
      // Runs of one to three alike, so that some could be joined.
      const kinds: number[] = [];
      for (let i = 0; i < 400; i++) {
        const kind = Math.floor(i / (1 + (i % 3))) % peers.length;
        kinds.push(kind);
        list.push(String(i).padStart(4, '0'), peers[kind]);
      }
      // While a neighbour is looked for the kernel keeps a few packets and drops the others.
      await sent(socket, 'first', port, to);
      await host.arrived(1, (packet) => packet.dport === port);
      const before = socket.stats();
      assert.equal(socket.sendMany(list), 400);
      const packets = await host.arrived(400, ({ dport, data }) => dport === port && data !== 'first');
      assert.equal(packets.length, 400);
      packets.forEach(({ data, tos, ttl, src }, i) => {
        assert.deepEqual([data, tos, ttl, src], [String(i).padStart(4, '0'), ...wanted[kinds[i]]]);
      });
      const { txDatagrams } = socket.stats();
      assert.equal(txDatagrams - before.txDatagrams, 400);
      // One piece of memory, cut by the kernel.
      const bytes = Buffer.alloc(50 * 100, 'x');
      assert.equal(socket.sendMany(bytes, { segmentSize: 100, peer: peers[2], ecn: 1 }), 50);
      const cut = await host.arrived(50, (packet) => packet.dport === port && packet.data.startsWith('x'));
      for (const { tos, src, data } of cut) {
        assert.deepEqual([tos, src, data.length], [(46 << 2) | 1, plain(ours[1]), 100]);
      }
      socket.close();
    }
  },

  async 'what the kernel refuses is the error of its own datagram'() {
    await using host = await start();
    await host.do('sniff', { interface: 'theirs0' });
    const socket = await open({ type: 'udp4' });
    const { port } = await host.do('open', { name: 'sink', address: THEIR_V4 });
    const to = { port, address: THEIR_V4 };
    const results = await Promise.allSettled([
      sent(socket, 'a', to),
      sent(socket, 'b', { ...to, local: '198.51.100.1' }), // not one of ours
      sent(socket, 'c', to),
      sent(socket, 'd', { ...to, ifindex: 4711 }), // there is none
      sent(socket, 'e', to),
    ]);
    assert.deepEqual(
      results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code)),
      [1, 'ENETUNREACH', 1, 'ENODEV', 1],
    );
    const packets = await host.arrived(3, (packet) => packet.dport === port);
    assert.deepEqual(
      packets.map(({ data }) => data),
      ['a', 'c', 'e'],
    );
    assert.equal(socket.stats().txErrors, 2);
    socket.close();
  },

  async 'what rinfo and a batch say of what another host has sent'() {
    await using host = await start();
    for (const { type, any, ours, theirs } of families) {
      for (const how of ['message', 'batch']) {
        const socket = await open(
          { type, receiveTtl: true, receiveTos: true, receiveLocal: true, receiveTimes: true },
          any,
        );
        const { port } = socket.address();
        await host.do('open', { name: 'theirs', address: theirs });
        const seen: unknown[] = [];
        const times: bigint[] = [];
        if (how === 'message') {
          socket.on('message', (data, { dscp, ecn, ttl, local, ifindex, receivedNs }) => {
            seen.push([String(data), dscp, ecn, ttl, local, ifindex]);
            times.push(receivedNs as bigint);
          });
        } else {
          socket.on('batch', (batch: Batch) => {
            for (let i = 0; i < batch.length; i++) {
              const said = [batch.dscp(i), batch.ecn(i), batch.ttl(i), batch.local(i), batch.ifindex(i)];
              seen.push([String(batch.data(i)), ...said]);
              times.push(batch.receivedNs(i) as bigint);
            }
          });
        }
        const began = BigInt(Date.now()) * 1_000_000n;
        await host.do('send', { name: 'theirs', to: plain(ours[0]), port, data: 'a', tos: (46 << 2) | 3, ttl: 7 });
        await host.do('send', { name: 'theirs', to: plain(ours[1]), port, data: 'b', tos: 0, ttl: 255 });
        // Joined on the way: 30 datagrams of 10 bytes.
        const joined = Array.from({ length: 30 }, (_, i) => String(i).padStart(10, '.'));
        const all = {
          name: 'theirs',
          to: plain(ours[1]),
          port,
          data: joined.join(''),
          tos: 0xb9,
          ttl: 33,
          segment: 10,
        };
        await host.do('send', all);
        await waitFor(
          () => seen.length === 32,
          () => `${seen.length} of 32 datagrams`,
        );
        const index = (seen[0] as unknown[])[5];
        assert.equal(typeof index, 'number');
        assert.deepEqual(seen, [
          ['a', 46, 3, 7, ours[0], index],
          ['b', 0, 0, 255, ours[1], index],
          ...joined.map((text) => [text, 46, 1, 33, ours[1], index]),
        ]);
        const ended = BigInt(Date.now() + 1) * 1_000_000n;
        for (const time of times) assert.ok(time >= began && time <= ended, `${began} <= ${time} <= ${ended}`);
        assert.equal(socket.stats().rxDatagrams, 32);
        socket.close();
      }
    }
  },

  async 'a batch is answered from the address that was asked'() {
    await using host = await start();
    for (const { type, any, ours, theirs } of families) {
      for (const when of ['before bind()', 'after it']) {
        const socket = createSocket({ type });
        const answer = (batch: Batch) => {
          for (let i = 0; i < batch.length; i++) batch.reply(i, `for ${batch.data(i)}`);
        };
        if (when === 'before bind()') socket.on('batch', answer);
        socket.bindSync({ port: 0, address: any });
        if (when === 'after it') socket.on('batch', answer);
        await once(socket, 'listening');
        const { port } = socket.address();
        await host.do('open', { name: 'theirs', address: theirs });
        // The listener came late: the first batch of all finds out.
        const first = when === 'before bind()' ? 0 : 1;
        for (let i = -first; i < 4; i++) {
          const to = plain(ours[Math.abs(i) % 2]);
          await host.do('send', { name: 'theirs', to, port, data: `${i}` });
          const got = await host.do('receive', { name: 'theirs' });
          assert.equal(got.data, `for ${i}`);
          if (i >= 0) assert.equal(got.address, to, when);
        }
        socket.close();
      }
    }
  },

  async 'a server on all addresses answers from the one that was asked'() {
    await using host = await start();
    const back = await open({ type: 'udp4' }, '127.0.0.1');
    back.on('message', (data, { address, port }) => back.send(`back ${data}`, port, address));
    const forward = { address: '127.0.0.1', port: back.address().port };
    const servers: Record<string, ServerOptions> = {
      echo: { reply: 'echo' },
      reply: { reply: 'hello', replyTo: 'source' },
      'reply and echo by rules': { rules: [{ match: { prefix: 'q' }, action: { reply: 'ruled' } }], otherwise: 'echo' },
      forward: { rules: [{ action: { forward } }] },
    };
    for (const { type, any, ours, theirs } of families) {
      for (const [name, options] of Object.entries(servers)) {
        const server = createServer({ ...options, address: any, port: 0 });
        await server.start();
        const { port } = server.address() as { port: number };
        await host.do('open', { name: 'theirs', address: theirs });
        for (let i = 0; i < 4; i++) {
          const to = plain(ours[i % 2]);
          await host.do('send', { name: 'theirs', to, port, data: i < 2 ? 'question' : 'echo' });
          const got = await host.do('receive', { name: 'theirs' });
          assert.equal(got.address, to, `${type} ${name} ${i}: ${JSON.stringify(got)}`);
        }
        await server.stop();
      }
    }
    back.close();
  },

  async 'link-local: an answer leaves by the interface that asked'() {
    await using host = await start();
    // A second interface with a link-local address of its own.
    const { ip } = await import('../support/second-host.js');
    ip('link', 'add', 'other0', 'type', 'veth', 'peer', 'name', 'other1');
    ip('link', 'set', 'other0', 'up');
    ip('addr', 'add', 'fe80::9/64', 'dev', 'ours0', 'nodad');
    await host.ip('addr', 'add', 'fe80::8/64', 'dev', 'theirs0', 'nodad');
    const socket = createSocket('udp6');
    socket.on('batch', (batch) => {
      for (let i = 0; i < batch.length; i++) batch.reply(i, 'answer');
    });
    socket.bindSync({ port: 0 });
    await host.do('open', { name: 'theirs', address: 'fe80::8%theirs0' });
    await host.do('send', { name: 'theirs', to: 'fe80::9%theirs0', port: socket.address().port, data: 'q' });
    const got = await host.do('receive', { name: 'theirs' });
    assert.deepEqual([got.data, got.address?.replace(/%.*/, '')], ['answer', 'fe80::9']);
    socket.close();
  },

  async 'the interface that a multicast leaves by is the one that its send names'() {
    await using host = await start();
    const { ip } = await import('../support/second-host.js');
    await host.ip('link', 'add', 'theirs1', 'type', 'veth', 'peer', 'name', 'ours1', 'netns', `${process.pid}`);
    await host.ip('link', 'set', 'theirs1', 'up');
    ip('addr', 'add', '198.51.100.1/24', 'dev', 'ours1');
    ip('addr', 'add', 'fd01::1/64', 'dev', 'ours1', 'nodad');
    ip('link', 'set', 'ours1', 'up');
    ip('route', 'add', '239.0.0.0/8', 'dev', 'ours0');
    await host.do('sniff', { interface: 'theirs0' });
    await host.do('sniff', { interface: 'theirs1' });
    const [first, second] = ['ours0', 'ours1'].map((name) => Number(ip('-o', 'link', 'show', name).split(':')[0]));
    const groups = [
      ['udp4', '239.1.2.3', OURS_V4[0]],
      ['udp6', 'ff05::114', '::%ours0'],
    ] as const;
    for (const [type, group, byDefault] of groups) {
      const socket = await open({ type });
      const { port } = socket.address();
      socket.setMulticastInterface(byDefault);
      const to = { port, address: group };
      await sent(socket, 'a', port, group);
      await sent(socket, 'b', { ...to, ifindex: second });
      await sent(socket, 'c', { ...to, ifindex: first });
      assert.equal(socket.sendMany(['d', socket.peer(group, port, { ifindex: second })]), 1);
      await sent(socket, 'e', port, group);
      const packets = await host.arrived(5, ({ dst, dport }) => dst === group && dport === port);
      const ways = packets.map(({ data, interface: by }) => `${data} ${by}`).sort();
      assert.deepEqual(ways, ['a theirs0', 'b theirs1', 'c theirs0', 'd theirs1', 'e theirs0']);
      socket.close();
    }
  },

  async 'a datagram of a group: local is the group, and the answer comes from an address of ours'() {
    await using host = await start();
    const group = '239.1.2.3';
    await host.ip('route', 'add', '239.0.0.0/8', 'dev', 'theirs0');
    const socket = createSocket({ type: 'udp4', receiveLocal: true });
    const locals: unknown[] = [];
    socket.on('batch', (batch) => {
      for (let i = 0; i < batch.length; i++) {
        locals.push(batch.local(i));
        batch.reply(i, 'answer');
      }
    });
    socket.bindSync({ port: 0 });
    socket.addMembership(group, OURS_V4[1]);
    await host.do('open', { name: 'theirs', address: THEIR_V4 });
    await host.do('send', { name: 'theirs', to: group, port: socket.address().port, data: 'q' });
    const got = await host.do('receive', { name: 'theirs' });
    assert.deepEqual(locals, [group]);
    assert.equal(got.data, 'answer');
    assert.ok(OURS_V4.includes(got.address as string), got.address);
    socket.close();
  },

  async 'sendtime: of each datagram, when it has left for the other host'() {
    await using host = await start();
    for (const { type, theirs, to } of families) {
      const socket = await open({ type, sendTimes: true });
      socket.on('error', (error) => assert.fail(error));
      const told: SendTime[] = [];
      socket.on('sendtime', (time) => told.push(time));
      const { port } = await host.do('open', { name: 'sink', address: theirs });
      let since = BigInt(Date.now()) * 1_000_000n;
      for (let id = 0; id < 100; id++) {
        await sent(socket, `${id}`, { port, address: to, id: 3 * id });
        if (id % 10 !== 9) continue;
        await waitFor(() => told.length === id + 1);
        const until = BigInt(Date.now() + 1) * 1_000_000n;
        for (const { kind, id: of, timeNs } of told.slice(-10)) {
          assert.deepEqual([kind, (of as number) % 3], ['software', 0]);
          assert.ok(timeNs >= since && timeNs <= until, `${since} ${timeNs} ${until}`);
          since = timeNs;
        }
        since = BigInt(Date.now()) * 1_000_000n;
      }
      assert.deepEqual(
        told.map(({ id }) => id),
        Array.from({ length: 100 }, (_, i) => 3 * i),
      );
      // What is joined for a host leaves in pieces: of a list each has a time of its own.
      assert.equal(
        socket.sendMany(Buffer.alloc(200), { port: port as number, address: to, id: 1000, segmentSize: 10 }),
        20,
      );
      await waitFor(() => told.length === 120);
      assert.deepEqual(
        told.slice(100).map(({ id }) => id),
        Array.from({ length: 20 }, (_, i) => 1000 + i),
      );
      socket.close();
    }
  },

  async 'txTimeNs: without a qdisc that heeds it datagrams leave at once, in order'() {
    await using host = await start();
    await host.do('sniff', { interface: 'theirs0' });
    const { departureTimes } = features();
    assert.equal(departureTimes, false);
    for (const { type, theirs, to } of families) {
      const socket = await open({ type, txTime: true });
      const { port } = await host.do('open', { name: 'sink', address: theirs });
      const meant = (packet: { dport: number }) => packet.dport === port;
      const txTimeNs = process.hrtime.bigint() + 1_000_000n;
      await sent(socket, 'a', { port, address: to, txTimeNs, ttl: 7 });
      await sent(socket, 'b', { port, address: to, txTimeNs: txTimeNs + 1_000_000n });
      await sent(socket, 'c', { port, address: to });
      const packets = await host.arrived(3, meant);
      assert.deepEqual(
        packets.map(({ data, ttl }) => [data, ttl]),
        [
          ['a', 7],
          ['b', 64],
          ['c', 64],
        ],
      );
      socket.close();
    }
  },

  async 'peererror: what routers and hosts say of datagrams, and of no other'() {
    await using host = await start();
    const { ip } = await import('../support/second-host.js');
    // Behind the second host: a network of small packets, one to which there is no way, and one where nobody is.
    await host.ip('link', 'add', 'far0', 'mtu', '1280', 'type', 'veth', 'peer', 'name', 'far1');
    await host.ip('addr', 'add', '198.51.100.1/24', 'dev', 'far0');
    await host.ip('addr', 'add', 'fd01::1/64', 'dev', 'far0', 'nodad');
    await host.ip('link', 'set', 'far0', 'up');
    await host.ip('link', 'set', 'far1', 'up');
    await host.ip('route', 'add', 'prohibit', '203.0.113.0/24');
    await host.ip('route', 'add', 'unreachable', 'fd02::/64');
    await host.do('forward');
    for (const far of ['198.51.100.0/24', '203.0.113.0/24']) ip('route', 'add', far, 'via', THEIR_V4);
    for (const far of ['fd01::/64', 'fd02::/64']) ip('route', 'add', far, 'via', THEIR_V6);
    const plans = [
      {
        type: 'udp4',
        theirs: THEIR_V4,
        far: '198.51.100.9',
        closed: '203.0.113.9',
        refused: ['ECONNREFUSED', 3, 3],
        tooLong: ['EMSGSIZE', 3, 4],
        prohibited: ['EHOSTUNREACH', 3, 13],
      },
      {
        type: 'udp6',
        theirs: THEIR_V6,
        far: 'fd01::9',
        closed: 'fd02::9',
        refused: ['ECONNREFUSED', 1, 4],
        tooLong: ['EMSGSIZE', 2, 0],
        prohibited: ['ENETUNREACH', 1, 0],
      },
    ] as const;
    for (const { type, theirs, far, closed, refused, tooLong, prohibited } of plans) {
      const socket = await open({ type, receiveErrors: true });
      socket.on('error', (error) => assert.fail(error));
      const told: PeerError[] = [];
      socket.on('peererror', (error) => told.push(error));
      const { port } = await host.do('open', { name: 'sink', address: theirs });
      // One after the other: Linux limits how many such messages a host sends.
      const about = async (data: string | Buffer, to: string, at: number) => {
        const count = told.length;
        await sent(socket, data, at, to);
        await waitFor(() => told.length === count + 1);
        const { code, icmpType, icmpCode, address, port: there, reporter, mtu, data: back, syscall } = told[count];
        assert.deepEqual([syscall, address, there, reporter], ['send', to, at, theirs]);
        const begins = Buffer.from(data).subarray(0, back.length);
        assert.equal(String(back), String(begins));
        return { said: [code, icmpType, icmpCode], mtu, back };
      };
      const nobody = await about('nobody there', theirs, port + 1 > 65_535 ? port - 1 : port + 1);
      assert.deepEqual(nobody, { said: refused, mtu: undefined, back: Buffer.from('nobody there') });
      const long = await about(Buffer.alloc(1400, 'l'), far, 9);
      assert.deepEqual([long.said, long.mtu], [tooLong, 1280]);
      assert.deepEqual((await about('prohibited', closed, 9)).said, prohibited);
      // Nothing of it is the result of another datagram.
      await host.do('sniff', { interface: 'theirs0' });
      const results = await Promise.all(Array.from({ length: 100 }, (_, i) => sent(socket, `${i}`, port, theirs)));
      assert.ok(results.every((bytes) => bytes > 0));
      const { rxPeerErrors, rxErrors, txErrors } = socket.stats();
      assert.deepEqual([rxPeerErrors, rxErrors, txErrors], [3, 0, 0]);
      socket.close();
    }
  },

  async 'where it was sent before it was redirected here'() {
    await using host = await start();
    const { ip } = await import('../support/second-host.js');
    // AnyIP: what is sent to any of these addresses is for this machine.
    ip('route', 'add', 'local', '203.0.113.0/24', 'dev', 'lo');
    await host.ip('route', 'add', '203.0.113.0/24', 'via', OURS_V4[0]);
    const socket = await open({ type: 'udp4', receiveOriginalDst: true });
    await host.do('open', { name: 'theirs', address: THEIR_V4 });
    const { port } = socket.address();
    const received = once(socket, 'message');
    await host.do('send', { name: 'theirs', to: '203.0.113.77', port, data: 'q' });
    const [, rinfo] = await received;
    assert.deepEqual(rinfo.originalDst, { address: '203.0.113.77', port });
    socket.close();
  },
};

const name = process.argv[2];
if (process.argv[1] === import.meta.filename && name !== undefined) {
  await cases[name]();
  console.log(`${name}: done`);
}
