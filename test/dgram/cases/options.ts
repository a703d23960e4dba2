// dgram-contract.md, "Options on a live socket".
import {
  bound,
  call,
  cb,
  js,
  list,
  made,
  type Op,
  object,
  portOf,
  type Script,
  script,
  type Value,
} from '../script.js';

const loop4 = '127.0.0.1';
const numbers: Value[] = [
  undefined,
  null,
  true,
  '5',
  'x',
  5n,
  Symbol('s'),
  object({}),
  list(5),
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  0,
  -1,
  1,
  1.5,
  0.5,
  -0.5,
  64,
  255,
  255.9,
  256,
  1000,
  2 ** 31,
  2 ** 32 + 7,
];
const sizes: Value[] = [...numbers, 4096, 9000, '9000', 2 ** 31 - 1, 2 ** 32 - 1, 2 ** 32, -(2 ** 31)];
const flags: Value[] = [undefined, null, true, false, 0, 1, 2, '', 'yes', object({}), Number.NaN];
const groups: Value[] = [
  undefined,
  null,
  '',
  0,
  5,
  true,
  'x',
  '224.0.0.114',
  '224.0.0.114',
  '10.0.0.1',
  '256.0.0.1',
  '224.0.0.256',
  'ff02::114',
  'ff02::114%lo',
  'ff01::1',
  '::1',
  '::ffff:224.0.0.114',
  ' 224.0.0.114',
  object({}),
  list('224.0.0.115'),
];
const interfaces: Value[] = [
  undefined,
  null,
  '',
  loop4,
  '0.0.0.0',
  '192.0.2.77',
  'lo',
  '::',
  '::%lo',
  '::1',
  '::1%lo',
  '::%nowhere',
  '::%1',
  5,
  0,
  false,
  object({}),
  '224.0.0.114',
];

const types = ['udp4', 'udp6'] as const;

/** The operations on a fresh socket of each type, and on a bound one. */
function everywhere(ops: (on: number) => Op[]): Script {
  return script(
    ['udp4', 'udp6', 'udp4', 'udp6'],
    [call(0, 'bind', 0, loop4), call(1, 'bind', 0, '::1')],
    [0, 1, 2, 3].flatMap(ops),
  );
}

/** Each operation on a socket of its own, which then is bound. */
function fresh(type: string, ops: Op[]): Script {
  return script(
    ops.map(() => type),
    ops.flatMap((op, on) => [
      { ...op, on } as Op,
      call(on, 'address'),
      call(on, 'setTTL', 9),
      call(on, 'getRecvBufferSize'),
      call(on, 'setMulticastLoopback', true),
    ]),
    ops.map((_, on) => call(on, 'bind', 0, cb())),
    ops.map((_, on) => call(on, 'send', 'x', portOf(type === 'udp4' ? 'peer4' : 'peer6'), cb())),
  );
}

export const optionCases: Record<string, Script> = {
  'setTTL()': everywhere((on) => numbers.map((value) => call(on, 'setTTL', value))),
  'setMulticastTTL()': everywhere((on) => numbers.map((value) => call(on, 'setMulticastTTL', value))),
  'setMulticastLoopback()': everywhere((on) => flags.map((value) => call(on, 'setMulticastLoopback', value))),
  'setBroadcast()': everywhere((on) => flags.map((value) => call(on, 'setBroadcast', value))),
  'setRecvBufferSize()': everywhere((on) =>
    sizes.flatMap((value) => [call(on, 'setRecvBufferSize', value), call(on, 'getRecvBufferSize')]),
  ),
  'setSendBufferSize()': everywhere((on) =>
    sizes.flatMap((value) => [call(on, 'setSendBufferSize', value), call(on, 'getSendBufferSize')]),
  ),
  'getters with arguments, and the queue': everywhere((on) => [
    call(on, 'getRecvBufferSize', 5),
    call(on, 'getSendBufferSize', 5),
    call(on, 'getSendQueueSize'),
    call(on, 'getSendQueueCount'),
  ]),
  'setMulticastInterface()': everywhere((on) =>
    [...interfaces, '::%lo0', 'x', 'ff02::1', '127.0.0.1 '].map((value) => call(on, 'setMulticastInterface', value)),
  ),
  ...Object.fromEntries(
    types.flatMap((type) =>
      ['addMembership', 'dropMembership'].flatMap((method) => [
        [
          `${method}() on a fresh ${type}`,
          fresh(
            type,
            groups.map((group) => call(0, method, group)),
          ),
        ],
        [
          `${method}() on a fresh ${type} with an interface`,
          fresh(
            type,
            interfaces.flatMap((one) => [call(0, method, '224.0.0.114', one), call(0, method, 'ff02::114', one)]),
          ),
        ],
      ]),
    ),
  ),
  'addMembership()': everywhere((on) => [
    ...groups.map((group) => call(on, 'addMembership', group)),
    ...interfaces.flatMap((one) => [
      call(on, 'addMembership', '224.0.0.114', one),
      call(on, 'addMembership', 'ff02::114', one),
      call(on, 'dropMembership', '224.0.0.114', one),
      call(on, 'dropMembership', 'ff02::114', one),
    ]),
    ...groups.map((group) => call(on, 'dropMembership', group)),
    call(on, 'addMembership'),
    call(on, 'dropMembership'),
  ]),
  'addSourceSpecificMembership()': everywhere((on) =>
    (['addSourceSpecificMembership', 'dropSourceSpecificMembership'] as const).flatMap((method) => [
      ...[undefined, null, '', 5, 'x', loop4, '10.1.1.1', '::1', object({})].flatMap((source) => [
        call(on, method, source, '232.1.1.1'),
        call(on, method, source, 'ff3e::1'),
      ]),
      ...groups.map((group) => call(on, method, loop4, group)),
      ...groups.map((group) => call(on, method, '::1', group)),
      ...interfaces.flatMap((one) => [
        call(on, method, loop4, '232.1.1.1', one),
        call(on, method, '::1', 'ff3e::1', one),
      ]),
    ]),
  ),
  'addSourceSpecificMembership() on a fresh udp4': fresh('udp4', [
    call(0, 'addSourceSpecificMembership', loop4, '232.1.1.1'),
    call(0, 'addSourceSpecificMembership', loop4, 'x'),
    call(0, 'addSourceSpecificMembership', 'x', '232.1.1.1'),
    call(0, 'addSourceSpecificMembership', loop4, '232.1.1.1', 'x'),
    call(0, 'dropSourceSpecificMembership', loop4, '232.1.1.1'),
    call(0, 'addSourceSpecificMembership', '::1', 'ff3e::1'),
    call(0, 'setMulticastInterface', loop4),
    call(0, 'setMulticastInterface', 'x'),
  ]),
  'addSourceSpecificMembership() on a fresh udp6': fresh('udp6', [
    call(0, 'addSourceSpecificMembership', '::1', 'ff3e::1'),
    call(0, 'addSourceSpecificMembership', loop4, '232.1.1.1'),
    call(0, 'dropSourceSpecificMembership', '::1', 'ff3e::1', '::%lo'),
    call(0, 'setMulticastInterface', '::%lo'),
    call(0, 'setMulticastInterface', ''),
  ]),
  'joined twice, left twice': script(
    ['udp4'],
    [call(0, 'bind', 0)],
    [
      call(0, 'dropMembership', '224.0.0.114', loop4),
      call(0, 'addMembership', '224.0.0.114', loop4),
      call(0, 'addMembership', '224.0.0.114', loop4),
      call(0, 'dropMembership', '224.0.0.114', loop4),
      call(0, 'dropMembership', '224.0.0.114', loop4),
      call(0, 'addSourceSpecificMembership', '10.1.1.1', '232.1.1.1', loop4),
      call(0, 'addSourceSpecificMembership', '10.1.1.1', '232.1.1.1', loop4),
      call(0, 'addSourceSpecificMembership', '10.1.1.2', '232.1.1.1', loop4),
      call(0, 'addMembership', '232.1.1.1', loop4),
      call(0, 'dropSourceSpecificMembership', '10.1.1.1', '232.1.1.1', loop4),
      call(0, 'dropMembership', '232.1.1.1', loop4),
      call(0, 'dropMembership', '232.1.1.1', loop4),
    ],
  ),
  'multicast over the loopback interface': script(
    [{ type: 'udp4', reuseAddr: true }, { type: 'udp4', reuseAddr: true }, 'udp4'],
    [call(0, 'bind', 7441), call(1, 'bind', 7441), call(2, 'bind', 0, loop4)],
    [
      call(0, 'addMembership', '224.0.0.114', loop4),
      call(1, 'addMembership', '224.0.0.114', loop4),
      call(2, 'setMulticastInterface', loop4),
    ],
    [call(2, 'send', 'to both', 7441, '224.0.0.114', cb())],
    [call(1, 'dropMembership', '224.0.0.114', loop4), call(2, 'setMulticastLoopback', false)],
    [call(2, 'send', 'to none', 7441, '224.0.0.114', cb())],
    [call(2, 'setMulticastLoopback', true)],
    // IP_MULTICAST_ALL is as the kernel has it: who has left still hears what others of the machine have joined.
    [call(2, 'send', 'to both again', 7441, '224.0.0.114', cb())],
    [call(0, 'close')],
    [call(2, 'send', 'to none again', 7441, '224.0.0.114', cb())],
  ),
  'IPv6 multicast over the loopback interface': script(
    [{ type: 'udp6', reuseAddr: true }, 'udp6'],
    [call(0, 'bind', 7442), call(1, 'bind', 0)],
    [call(0, 'addMembership', 'ff02::114', '::%lo'), call(1, 'setMulticastInterface', '::%lo')],
    [call(1, 'send', 'hello', 7442, 'ff02::114', cb())],
    [call(0, 'dropMembership', 'ff02::114', '::%lo')],
    [call(1, 'send', 'again', 7442, 'ff02::114', cb())],
  ),
  broadcast: script(
    ['udp4'],
    [call(0, 'bind', 0)],
    [call(0, 'send', 'x', 9, '255.255.255.255', cb())],
    [call(0, 'setBroadcast', true), call(0, 'setBroadcast', false)],
    [call(0, 'send', 'x', 9, '127.255.255.255', cb())],
  ),
  'options as the kernel has them': script(
    ['udp4'],
    [bound(0)],
    [
      js('defaults', ({ sockets }) => [sockets[0].getRecvBufferSize(), sockets[0].getSendBufferSize()]),
      call(0, 'setRecvBufferSize', 4096),
      call(0, 'getRecvBufferSize'),
      call(0, 'setRecvBufferSize', 0),
      call(0, 'getRecvBufferSize'),
      call(
        0,
        'setSendBufferSize',
        made(() => 1),
      ),
      call(0, 'getSendBufferSize'),
    ],
  ),
};
