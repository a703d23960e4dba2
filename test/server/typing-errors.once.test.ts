// Options with typing errors: what is not known is an error that names what was probably meant.
import assert from 'node:assert/strict';
import { createServer, createSocket, slot } from 'ksocket';
import { createMonitor } from 'ksocket/monitor';
import { refuseUnknown } from '../../build-lib/base/known-keys.js';
import { test } from '../support/test.js';

// biome-ignore lint/suspicious/noExplicitAny: wrong options are the point
type Any = any;

function refused(make: () => unknown, property: string, meant?: string): void {
  const begin = `The property '${property}' is not known${meant === undefined ? '' : ` (did you mean '${meant}'?)`}, only `;
  assert.throws(make, (error: NodeJS.ErrnoException) => {
    assert.equal(error.code, 'ERR_INVALID_ARG_VALUE');
    assert.ok(error instanceof TypeError);
    assert.ok(error.message.includes(begin), error.message);
    return true;
  });
}

test('createServer', () => {
  const wrong: [Any, property: string, meant?: string][] = [
    [{ prot: 7 }, 'options.prot', 'port'],
    [{ denny: [] }, 'options.denny', 'deny'],
    [{ alow: [] }, 'options.alow', 'allow'],
    [{ limit: {} }, 'options.limit', 'limits'],
    [{ maxbytes: 5 }, 'options.maxbytes', 'maxBytes'],
    [{ replyto: 'source' }, 'options.replyto', 'replyTo'],
    [{ host: '127.0.0.1' }, 'options.host'],
    [{ banana: 1 }, 'options.banana'],
    [{ denny: undefined }, 'options.denny', 'deny'],
    [{ limits: { perSorce: { rate: 1 } } }, 'options.limits.perSorce', 'perSource'],
    [{ limits: { perSource: { rate: 1, bursts: 1 } } }, 'options.limits.perSource.bursts', 'burst'],
    [{ limits: { total: { rate: 1, sources: 1024 } } }, 'options.limits.total.sources'],
    [{ replyTo: { adress: '::1', port: 1 } }, 'options.replyTo.adress', 'address'],
    [{ replyTo: { address: '::1', prot: 1 } }, 'options.replyTo.prot', 'port'],
    [{ loops: { servicePort: true } }, 'options.loops.servicePort', 'servicePorts'],
    [{ loops: { repeats: { rates: 1 } } }, 'options.loops.repeats.rates', 'rate'],
  ];
  for (const [options, property, meant] of wrong) refused(() => createServer(options), property, meant);
});

test('rules, when the server is made and when they are swapped', async () => {
  const forward = { address: '127.0.0.1', port: 9 };
  const wrong: [Any, property: string, meant?: string][] = [
    [{ mach: {}, action: 'drop' }, 'rule.mach', 'match'],
    [{ match: { prefx: 'x' }, action: 'drop' }, 'match.prefx', 'prefix'],
    [{ match: { destinationport: 5 }, action: 'drop' }, 'match.destinationport', 'destinationPort'],
    [{ action: { reply: 'x', amplfy: true } }, 'action.amplfy', 'amplify'],
    [{ action: { forward, idlems: 5 } }, 'action.idlems', 'idleMs'],
    [{ action: { forward: { ...forward, prot: 5 } } }, 'action.forward.prot', 'port'],
    [{ action: { reply: { slot: 'request', star: 0 } } }, 'slot.star', 'start'],
    [{ action: { reply: ['x', { slot: 'sourcePort', xr: 0 }] } }, 'slot.xr', 'xor'],
    [{ action: { reply: { slot: 'time', fromat: 'ntp' } } }, 'slot.fromat', 'format'],
  ];
  const server = createServer({ rules: [] });
  for (const [rule, property, meant] of wrong) {
    refused(() => createServer({ rules: [rule] }), property, meant);
    const error = await server.update([rule]).catch((error) => error);
    refused(
      () => {
        throw error;
      },
      property,
      meant,
    );
  }
  refused(() => slot.sourceAddress({ xr: 5 } as Any), 'options.xr', 'xor');
});

test('an option that only a prototype has is one too', () => {
  refused(() => createServer(Object.create({ denny: [] })), 'options.denny', 'deny');
  assert.throws(() => createServer(Object.create({ port: -1 })), { code: 'ERR_SOCKET_BAD_PORT' });
});

test('a collection holds no options, whatever is in it', () => {
  const collections: Any[] = [[], ['deny'], new Map([['deny', []]]), new Set(), new Uint8Array(2)];
  const forward = { address: '127.0.0.1', port: 9 };
  for (const none of collections) {
    for (const make of [
      () => createServer(none),
      () => createServer({ limits: none }),
      () => createServer({ limits: { total: none } }),
      () => createServer({ loops: none }),
      () => createServer({ loops: { repeats: none } }),
      () => createServer({ replyTo: none }),
      () => createServer({ rules: [none] }),
      () => createServer({ rules: [{ match: none, action: 'drop' }] }),
      () => createServer({ rules: [{ match: { length: none }, action: 'drop' }] }),
      () => createServer({ rules: [{ match: { bits: [none] }, action: 'drop' }] }),
      () => createServer({ rules: [{ action: none }] }),
      () => createServer({ rules: [{ action: { forward: [forward, none] } }] }),
      () => createMonitor(none),
    ]) {
      assert.throws(make, { code: 'ERR_INVALID_ARG_TYPE' }, `${make}`);
    }
  }
});

test('a hole in an array is what undefined is', () => {
  const hole: Any = [];
  hole[2] = undefined;
  delete hole[2];
  for (const make of [
    () => createServer({ loops: { servicePorts: hole } }),
    () => createServer({ allow: hole }),
    () => createServer({ deny: hole }),
    () => createServer({ rules: hole }),
    () => createServer({ rules: [{ match: { bits: hole }, action: 'drop' }] }),
    () => createServer({ rules: [{ match: { source: hole }, action: 'drop' }] }),
    () => createServer({ rules: [{ match: { destinationPort: hole }, action: 'drop' }] }),
    () => createServer({ rules: [{ action: { reply: hole } }] }),
    () => createServer({ rules: [{ action: { forward: hole } }] }),
    () => createMonitor({ servers: hole }),
  ]) {
    assert.throws(make, { code: /^ERR_(INVALID_ARG_TYPE|SOCKET_BAD_PORT)$/ }, `${make}`);
  }
});

test('an address is not empty', () => {
  for (const make of [
    () => createServer({ address: '' }),
    () => createServer({ replyTo: { address: '', port: 9 } }),
    () => createServer({ rules: [{ action: { forward: { address: '', port: 9 } } }] }),
    () => createMonitor({ servers: [createServer()], host: '' }),
  ]) {
    assert.throws(make, { code: 'ERR_INVALID_ARG_VALUE', message: /must not be empty/ }, `${make}`);
  }
});

test('createMonitor', () => {
  const servers = [createServer()];
  refused(() => createMonitor({ servers, prot: 9100 } as Any), 'options.prot', 'port');
  refused(() => createMonitor({ server: servers } as Any), 'options.server', 'servers');
  refused(() => createMonitor({ servers, maxLag: 5 } as Any), 'options.maxLag', 'maxLagMs');
});

test('what is known may be undefined: it is as if it were not there', () => {
  const nothing: Any = {
    port: undefined,
    deny: undefined,
    limits: { total: undefined },
    loops: undefined,
    reply: undefined,
  };
  createServer(nothing);
  createServer({ rules: undefined, otherwise: undefined, handlerArgument: undefined } as Any);
  createMonitor({ servers: [createServer()], host: undefined, maxLagMs: undefined } as Any);
});

test('an address of a socket is a target', () => {
  const target = { address: '127.0.0.1', port: 9, family: 'IPv4', size: 5 };
  const { size, ...address } = target;
  createServer({ reply: 'x', replyTo: address });
  createServer({ rules: [{ action: { forward: address } }] });
  refused(() => createServer({ reply: 'x', replyTo: { ...address, size } as Any }), 'options.replyTo.size');
});

test('an option that says nothing without another is refused', () => {
  const code = 'ERR_INVALID_ARG_VALUE';
  assert.throws(() => createServer({ otherwise: 'echo' }), {
    code,
    message: /'options.otherwise' cannot be given without rules/,
  });
  assert.throws(() => createServer({ handlerArgument: 'x' }), { code, message: /cannot be given without handler/ });
});

test('sockets stay as lenient as those of node:dgram', () => {
  createSocket({ type: 'udp4', reuseAdr: true } as Any).close();
});

test('the nearest name is the one that takes the fewest changes; nothing near is no name', () => {
  const known = ['rate', 'burst', 'sources'];
  const message = (key: string) => {
    try {
      refuseUnknown({ [key]: 1 }, 'x', known);
      return '';
    } catch (error) {
      return /did you mean '(\w+)'/.exec((error as Error).message)?.[1] ?? 'nothing';
    }
  };
  const meant = {
    rate: '',
    raet: 'rate',
    Rate: 'rate',
    rats: 'rate',
    bursts: 'burst',
    source: 'sources',
    zzzz: 'nothing',
    '': 'nothing',
  };
  for (const [key, name] of Object.entries(meant)) assert.equal(message(key), name, key);
  assert.equal(message('x'.repeat(1_000_000)), 'nothing');
});
