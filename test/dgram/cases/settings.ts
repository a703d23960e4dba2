// What is sent before a setting changes has the one that was in force, and the bytes of that moment.
import { bound, call, cb, feed, list, listenAlways, microtask, portOf, type Script, script, view } from '../script.js';

const here = '127.0.0.1';
const witness = portOf('witness4');

export const settingCases: Record<string, Script> = {
  'hop limits between the sends of a connected socket': script(
    ['udp4'],
    [call(0, 'connect', witness, here)],
    [1, 2, 3].flatMap((ttl) => [call(0, 'setTTL', ttl), call(0, 'send', `${ttl}`, cb())]).concat(call(0, 'setTTL', 9)),
  ),
  'hop limits between the sends of two connected sockets': script(
    ['udp4', 'udp4'],
    [call(0, 'connect', witness, here), call(1, 'connect', witness, here)],
    [call(0, 'send', 'a'), call(1, 'send', 'b'), call(1, 'setTTL', 2), call(0, 'send', 'c'), call(0, 'setTTL', 3)],
  ),
  'hop limits between the sends of one tick to an address': script(
    ['udp4'],
    [bound(0)],
    [1, 2, 3].flatMap((ttl) => [call(0, 'setTTL', ttl), call(0, 'send', `${ttl}`, witness, here, cb())]),
  ),
  'hop limits between the sends of one tick to a name': script(
    [
      { options: { type: 'udp4' }, lookup: 'sync' },
      { options: { type: 'udp4' }, lookup: 'tick' },
    ],
    [bound(0), bound(1)],
    [0, 1].flatMap((on) =>
      [1, 2, 3].flatMap((ttl) => [call(on, 'setTTL', ttl), call(on, 'send', `${ttl}`, witness, 'localhost', cb())]),
    ),
  ),
  "hop limits in a 'message' listener": script(
    ['udp4', 'udp4'],
    [bound(0), bound(1)],
    [
      listenAlways(0, 'message', call(0, 'setTTL', 5), call(0, 'send', 'x', witness, here), call(0, 'setTTL', 6)),
      listenAlways(1, 'message', microtask(call(1, 'send', 'y', witness, here), call(1, 'setTTL', 7)), {
        block: 3,
      }),
      feed(0, '1', '2', '3', '4'),
      feed(1, '1', '2', '3', '4'),
    ],
  ),
  'hop limits of an unbound socket': script(
    ['udp4', { options: { type: 'udp4' }, lookup: 'immediate' }],
    [call(0, 'send', 'a', witness, here, cb(call(0, 'setTTL', 3), call(0, 'send', 'b', witness, here)))],
    [call(1, 'send', 'a', witness, 'localhost', cb(call(1, 'setTTL', 3), call(1, 'send', 'b', witness, 'localhost')))],
  ),
  'payloads whose memory is gone, or changed, when send() has returned': script(
    ['udp4', { options: { type: 'udp4' }, lookup: 'immediate' }, 'udp4', 'udp4'],
    [bound(2), call(3, 'connect', witness, here)],
    [0, 1, 2].flatMap((on) =>
      (['overwritten', 'transferred', 'shrunk'] as const).flatMap((change) => [
        call(on, 'send', view('Uint8Array', 'text', change), witness, on === 1 ? 'localhost' : here, cb()),
        call(on, 'send', view('Buffer', 'text', change), 1, 2, witness, on === 1 ? 'localhost' : here, cb()),
        call(on, 'send', list('<', view('DataView', 'text', change), '>'), witness, here, cb()),
      ]),
    ),
    (['overwritten', 'transferred', 'shrunk'] as const).map((change) =>
      call(3, 'send', view('Uint8Array', 'text', change), cb()),
    ),
  ),
};
