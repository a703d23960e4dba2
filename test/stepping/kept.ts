// Schedules that have failed once, made small by fast-check. They are played before all others.
import type { Action, Scenario } from './scenario.js';

const waits = { drops: false, batches: false, pooled: false, joins: false, keepBytesMax: 65_535 };

function action(kind: Action['kind'], count = 0, more = false): Action {
  return { kind, socket: 0, count, size: 0, more };
}

export const kept: Record<string, Scenario> = {
  // The listener throws at the last datagram of a ring that it crowds; the thread took it for full.
  'a socket that crowds the ring waits for a tail of long ago': {
    slots: 4,
    arena: 80_000,
    rxUsecs: 0,
    shares: false,
    practised: false,
    sockets: [waits],
    actions: [action('open'), action('arrive'), action('arrive', 2)],
    reactions: [action('arrive', 6), action('spend', 5, true), null, null, null, null, action('throw')],
    pauses: [],
    stops: false,
  },
  // It is the one with the most to do when the turn begins, and no longer when room is looked for.
  'a socket that crowds the ring reads what it then has to drop': {
    slots: 2,
    arena: 700,
    rxUsecs: 0,
    shares: false,
    practised: false,
    sockets: [waits, waits],
    actions: [
      { ...action('arrive'), size: 9 },
      { ...action('arrive', 2), size: 9 },
    ],
    reactions: [action('arrive', 4), null, action('spend', 5), null, action('step', 4)],
    pauses: [],
    stops: false,
  },
  // The first's joined datagrams have memory of their own, of which the time is up behind one; then the second's is read.
  'what was taken over is remembered though others come in between': {
    slots: 8,
    arena: 700,
    rxUsecs: 100,
    shares: true,
    practised: false,
    sockets: [{ ...waits, pooled: true }],
    actions: [{ ...action('arrive joined'), size: 10 }, action('open'), { ...action('arrive'), socket: 1, size: 9 }],
    reactions: [null, { ...action('arrive joined'), size: 9 }, action('spend', 5)],
    pauses: [],
    stops: false,
  },
};
