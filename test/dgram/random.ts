// Random scripts. Whatever they do must have one outcome: nothing in them depends on how fast a datagram is, or on which
// of two sockets hears first. So there are three kinds of scripts.
import fc from 'fast-check';
import {
  changes,
  events,
  type LookupKind,
  type Op,
  type Script,
  type SocketPlan,
  type Value,
  viewKinds,
} from './script.js';

/** `feed`: the peers send, and listeners react. `self`: sockets send to themselves, and only record. `timers`: nothing
 * is received, but lookups and operations may wait for the next turn. `settings`: as `feed`, to peers that see the hop
 * limit, which changes all the time; `named`: the same, and the host is a name now and then. */
type Kind = 'feed' | 'self' | 'timers' | 'settings' | 'named';

const hears = (kind: Kind) => kind === 'feed' || kind === 'settings' || kind === 'named';
const hasWitness = (kind: Kind) => kind === 'settings' || kind === 'named';

const SOCKETS_MAX = 3;

const constants = (...values: Value[]): fc.Arbitrary<Value> => fc.constantFrom<Value>(...values);

const numbers = constants(
  0,
  1,
  -1,
  1.5,
  2,
  64,
  255,
  256,
  4096,
  65536,
  2 ** 31,
  2 ** 32,
  Number.NaN,
  Number.POSITIVE_INFINITY,
);
const oddities = fc.oneof(
  numbers,
  constants(undefined, null, true, false, '', 'x', '5', 5n, { $: 'object', of: {} }, { $: 'list', of: [] }),
);

// biome-ignore format: a table
const lookups: Record<Kind, (LookupKind | undefined)[]> = {
  feed: [undefined, undefined, undefined, 'sync', 'tick', 'failing sync'],
  self: [undefined, undefined, undefined, 'sync', 'tick'],
  timers: [undefined, undefined, 'sync', 'tick', 'immediate', 'immediate', 'failing', 'failing sync', 'never',
    'other family', 'undefined', 'number', 'throwing'],
  settings: [undefined],
  named: ['sync', 'tick'],
};

function plans(kind: Kind, types: string[]): fc.Arbitrary<SocketPlan> {
  const record = fc.record<SocketPlan>(
    {
      options: fc.record(
        {
          type: fc.constantFrom<Value>(...types),
          reuseAddr: constants(true, false),
          ipv6Only: constants(true, false),
          recvBufferSize: constants(0, 50_000, 100_000),
          sendBufferSize: constants(5000, 100_000),
        },
        { requiredKeys: ['type'] },
      ) as fc.Arbitrary<Record<string, Value>>,
      lookup: fc.constantFrom(...lookups[kind]) as fc.Arbitrary<LookupKind>,
      signal: fc.constantFrom('fresh', 'fresh', 'aborted'),
      events: fc.constantFrom(events, events, events, ['message', 'listening', 'close'] as const),
    },
    { requiredKeys: ['options', 'lookup'] },
  );
  return record;
}

/** The peer of the socket's family. */
function peerPort(kind: Kind, type: string): fc.Arbitrary<Value> {
  const family = type === 'udp6' ? 6 : 4;
  return fc.constant<Value>({ $: 'port', of: hasWitness(kind) ? `witness${family}` : `peer${family}` });
}

const badPorts = constants(undefined, null, 0, -1, 65536, 1.5, '', 'x', true, 5n);

function addresses(kind: Kind, type: string): fc.Arbitrary<Value> {
  const [own, other] = type === 'udp6' ? ['::1', '127.0.0.1'] : ['127.0.0.1', '::1'];
  const name = kind === 'named' ? 'localhost' : own;
  return fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom<Value>(own, name, undefined, null, '') },
    { weight: 1, arbitrary: fc.constantFrom<Value>(other, 5, true, { $: 'object', of: {} }) },
  );
}

const texts = fc.constantFrom('', 'a', 'bc', 'grüße', 'x'.repeat(200));
const views = fc.record(
  {
    $: fc.constant('view' as const),
    kind: fc.constantFrom(...viewKinds),
    text: texts,
    change: fc.constantFrom(...changes),
  },
  { requiredKeys: ['$', 'kind', 'text'] },
) as fc.Arbitrary<Value>;
const messages: fc.Arbitrary<Value> = fc.oneof(
  { weight: 6, arbitrary: texts },
  { weight: 3, arbitrary: views },
  {
    weight: 2,
    arbitrary: fc.record({
      $: fc.constant('list' as const),
      of: fc.array(fc.oneof({ weight: 2, arbitrary: texts }, { weight: 1, arbitrary: views }), { maxLength: 3 }),
    }),
  },
  { weight: 1, arbitrary: oddities },
);

interface Shape {
  kind: Kind;
  types: string[];
  depth: number;
  /** The socket whose 'message' listener this is in. */
  inMessageOf?: number;
}

function callbacks(shape: Shape): fc.Arbitrary<Value> {
  // What a 'message' listener sends leaves behind the messages of its batch, and so calls back later than in node:dgram.
  const then =
    shape.inMessageOf === undefined ? operations({ ...shape, depth: shape.depth + 1 }, 2) : fc.constant<Op[]>([]);
  return fc.oneof(
    // biome-ignore lint/suspicious/noThenProperty: a step of a script, not a promise
    { weight: 5, arbitrary: then.map((ops): Value => ({ $: 'callback', then: ops })) },
    // A text could be an address, and one that has to be looked up.
    { weight: 1, arbitrary: oddities.filter((value) => typeof value !== 'string') },
  );
}

function sends(shape: Shape, on: number): fc.Arbitrary<Op> {
  const type = shape.types[on];
  // Not to another socket: what one tick sends leaves together, so whether that socket has connected before is open.
  const port =
    shape.kind === 'self' && shape.inMessageOf === undefined
      ? fc.oneof(peerPort(shape.kind, type), fc.constant<Value>({ $: 'port', of: on }))
      : peerPort(shape.kind, type);
  const to = fc.oneof({ weight: 10, arbitrary: port }, { weight: 1, arbitrary: badPorts });
  const noText = oddities.filter((value) => typeof value !== 'string');
  const bound = fc.oneof({ weight: 6, arbitrary: constants(0, 1, 2) }, { weight: 1, arbitrary: noText });
  const args = fc.oneof(
    { weight: 3, arbitrary: fc.tuple(to, addresses(shape.kind, type)) },
    { weight: 5, arbitrary: fc.tuple(to, addresses(shape.kind, type), callbacks(shape)) },
    { weight: 2, arbitrary: fc.tuple(to, callbacks(shape)) },
    { weight: 1, arbitrary: fc.tuple(to) },
    { weight: 2, arbitrary: fc.tuple(bound, bound, to, addresses(shape.kind, type), callbacks(shape)) },
    { weight: 1, arbitrary: fc.tuple(bound, bound, to, callbacks(shape)) },
    { weight: 3, arbitrary: fc.tuple(callbacks(shape)) },
    { weight: 1, arbitrary: fc.tuple(bound, bound, callbacks(shape)) },
    { weight: 1, arbitrary: fc.tuple() },
  ) as fc.Arbitrary<Value[]>;
  return fc.tuple(messages, args).map(([message, rest]) => ({ call: 'send', on, args: [message, ...rest] }));
}

function binds(shape: Shape, on: number): fc.Arbitrary<Op> {
  const type = shape.types[on];
  // In node:dgram a udp6 socket whose bind has failed sets the hop limit of IPv4: docs/compatibility.md.
  const failing = hasWitness(shape.kind) ? 0 : 1;
  const port = fc.oneof(
    { weight: 10, arbitrary: constants(0, undefined, null, '0', 65536) },
    { weight: failing, arbitrary: peerPort(shape.kind, type) },
  );
  const address =
    type === 'udp6' ? constants('::1', '::', undefined, '') : constants('127.0.0.1', '0.0.0.0', undefined, '');
  const badAddress = constants('192.0.2.77', '2001:db8::77', 5);
  const place = fc.oneof({ weight: 12, arbitrary: address }, { weight: failing, arbitrary: badAddress });
  const callback = callbacks(shape).filter((value) => typeof value !== 'bigint');
  const options = fc
    .record({ port, address: place, exclusive: constants(true, false, undefined) })
    .map((of): Value => ({ $: 'object', of }));
  return (
    fc.oneof(
      fc.tuple(),
      fc.tuple(callback),
      fc.tuple(port),
      fc.tuple(port, place),
      fc.tuple(port, place, callback),
      fc.tuple(options),
      fc.tuple(options, callback),
    ) as fc.Arbitrary<Value[]>
  ).map((args) => ({ call: 'bind', on, args }));
}

function connects(shape: Shape, on: number): fc.Arbitrary<Op> {
  const type = shape.types[on];
  const to = fc.oneof({ weight: 10, arbitrary: peerPort(shape.kind, type) }, { weight: 1, arbitrary: badPorts });
  const args = fc.oneof(
    fc.tuple(to),
    fc.tuple(to, addresses(shape.kind, type)),
    fc.tuple(to, addresses(shape.kind, type), callbacks(shape)),
    fc.tuple(to, callbacks(shape)),
  ) as fc.Arbitrary<Value[]>;
  // A callback that is none of connect()'s business would be thrown out of a later event.
  return args.map((given) => ({ call: 'connect', on, args: given }));
}

const setters: [string, fc.Arbitrary<Value>][] = [
  ['setTTL', oddities],
  ['setMulticastTTL', oddities],
  ['setMulticastLoopback', constants(true, false, 0, undefined)],
  ['setBroadcast', constants(true, false, 1, undefined)],
  // Not so small that the kernel drops what is fed.
  ['setRecvBufferSize', constants(0, -1, 1.5, Number.NaN, 'x', undefined, 50_000, 300_000, 2 ** 31, 2 ** 32)],
  ['setSendBufferSize', oddities],
  ['setMulticastInterface', constants('127.0.0.1', '::%lo', '', 'x', 5, undefined)],
];
const getters = [
  'address',
  'address',
  'remoteAddress',
  'getRecvBufferSize',
  'getSendBufferSize',
  'getSendQueueSize',
  'getSendQueueCount',
  'ref',
  'unref',
];
const groups = (type: string) =>
  type === 'udp6'
    ? constants('ff02::114', 'ff02::115', '::1', 'x', '', undefined)
    : constants('224.0.0.114', '224.0.0.115', '127.0.0.1', 'x', '', undefined);
const interfaces = constants('127.0.0.1', '::%lo', undefined, undefined, '', 'x');

function simple(shape: Shape, on: number): fc.Arbitrary<Op> {
  const op = (call: string, args: fc.Arbitrary<Value[]>) => args.map((given): Op => ({ call, on, args: given }));
  const type = shape.types[on];
  return fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...getters).map((call): Op => ({ call, on, args: [] })) },
    { weight: 5, arbitrary: fc.oneof(...setters.map(([call, value]) => op(call, fc.tuple(value)))) },
    { weight: hasWitness(shape.kind) ? 12 : 0, arbitrary: op('setTTL', fc.tuple(constants(1, 2, 5, 255))) },
    {
      weight: 1,
      arbitrary: fc.oneof(
        op('addMembership', fc.tuple(groups(type), interfaces)),
        op('dropMembership', fc.tuple(groups(type), interfaces)),
        op(
          'addSourceSpecificMembership',
          fc.tuple(constants('127.0.0.1', '::1', 'x', undefined), groups(type), interfaces),
        ),
        op(
          'dropSourceSpecificMembership',
          fc.tuple(constants('127.0.0.1', '::1', 'x', undefined), groups(type), interfaces),
        ),
      ),
    },
    // A socket without a port of its own loses it in disconnect(), until it sends. So not where it hears of itself.
    { weight: shape.kind === 'self' ? 0 : 1, arbitrary: op('disconnect', fc.constant([])) },
    { weight: 1, arbitrary: fc.constant<Op>({ abort: on }) },
    {
      weight: 2,
      arbitrary: fc.oneof(
        op('close', fc.constant([])),
        op(
          'close',
          callbacks(shape).map((cb) => [cb]),
        ),
      ),
    },
  );
}

// What one tick sends leaves together: a tick that changes the hop limit between two of its sends would be seen.
const defers: Record<Kind, Extract<Op, { defer: string }>['defer'][]> = {
  feed: ['tick', 'microtask'],
  self: ['tick', 'microtask'],
  timers: ['tick', 'microtask', 'immediate'],
  settings: ['microtask'],
  named: ['microtask'],
};

function operation(shape: Shape): fc.Arbitrary<Op> {
  const on = shape.inMessageOf === undefined ? fc.nat({ max: shape.types.length - 1 }) : fc.constant(shape.inMessageOf);
  const deeper = { ...shape, depth: shape.depth + 1 };
  return on.chain((n) => {
    const choices: fc.WeightedArbitrary<Op>[] = [
      { weight: 5, arbitrary: simple(shape, n) },
      { weight: 6, arbitrary: sends(shape, n) },
      { weight: 3, arbitrary: binds(shape, n) },
      { weight: 2, arbitrary: connects(shape, n) },
      { weight: 1, arbitrary: fc.record({ fakes: fc.boolean() }) },
    ];
    if (shape.inMessageOf !== undefined) choices.push({ weight: 1, arbitrary: fc.constant<Op>({ block: 3 }) });
    if (shape.depth < 2) {
      choices.push({
        weight: 3,
        arbitrary: fc.record({ defer: fc.constantFrom(...defers[shape.kind]), ops: operations(deeper, 3) }),
      });
      const listened = hears(shape.kind)
        ? ['message', 'message', 'message', 'listening', 'close', 'connect']
        : ['listening', 'close', 'connect', 'error'];
      if (shape.inMessageOf === undefined) {
        choices.push({
          weight: 3,
          arbitrary: fc.constantFrom(...listened).chain((listen) =>
            fc.record({
              listen: fc.constant(listen),
              on: fc.constant(n),
              count: fc.nat({ max: 2 }).map((more) => more + 1),
              ops: operations(listen === 'message' ? { ...deeper, inMessageOf: n } : deeper, 3),
            }),
          ),
        });
      }
    }
    if (hears(shape.kind) && shape.depth === 0) {
      choices.push({
        weight: 4,
        arbitrary: fc.array(texts, { minLength: 1, maxLength: 4 }).map((fed): Op => ({ feed: n, texts: fed })),
      });
    }
    return fc.oneof(...choices);
  });
}

function operations(shape: Shape, maxLength: number): fc.Arbitrary<Op[]> {
  if (shape.depth > 2) return fc.constant([]);
  return fc.array(operation(shape), { maxLength: shape.depth === 0 ? maxLength : Math.min(maxLength, 2) });
}

/** `types`: what this machine has. */
export function scripts(types: string[]): fc.Arbitrary<Script> {
  return fc
    .record({
      kind: fc.constantFrom<Kind>('feed', 'self', 'timers', 'settings', 'named'),
      types: fc.array(fc.constantFrom(types[0], ...types), { minLength: 1, maxLength: SOCKETS_MAX }),
    })
    .chain(({ kind, types: chosen }) =>
      fc.record({
        sockets: fc.tuple(...chosen.map((type) => plans(kind, [type]))),
        steps: fc.array(operations({ kind, types: chosen, depth: 0 }, 6), { minLength: 1, maxLength: 4 }),
      }),
    );
}
