// What fast-check chooses: a ring, sockets, what happens in which order, what listeners do, and how many steps the I/O
// thread takes between two of JavaScript's.
import fc from 'fast-check';
import type { SocketKind } from './socket.js';

const happenings = [
  // from outside
  'arrive',
  'arrive',
  'arrive',
  'arrive joined',
  'fail',
  'full',
  'writable',
  'refuse',
  'refuse',
  // the program
  'send',
  'send',
  'send run',
  'mode',
  'close',
  'open',
  // the two sides and time go on
  'step',
  'step',
  'step',
  'wake',
  'wake',
  'wake',
  'turn',
  'turn',
  'poll',
  'poll',
  'wait',
] as const;

const reactions = [
  ...happenings.filter((kind) => kind !== 'open'),
  'answer',
  'answer',
  'detach',
  'throw',
  'throw',
  'spend',
  'spend',
  'spend',
] as const;

// Where the event loop receives into memory of the listeners.
const largeHappenings = [
  'arrive',
  'arrive joined',
  'arrive joined',
  'arrive joined',
  'mode',
  'close',
  'open',
  'step',
  'wake',
  'turn',
  'turn',
  'poll',
  'poll',
  'poll',
  'poll',
  'wait',
] as const;

const largeReactions = [
  'arrive joined',
  'mode',
  'close',
  'poll',
  'wake',
  'throw',
  'detach',
  'spend',
  'spend',
  'spend',
  'spend',
] as const;

export interface Action {
  kind: (typeof happenings)[number] | (typeof reactions)[number];
  /** Which socket; in a listener, 0 is its own. */
  socket: number;
  count: number;
  /** Of SIZES. */
  size: number;
  /** The next one happens in the same callback. */
  more: boolean;
}

export interface Scenario {
  slots: number;
  /** Bytes of the arena beyond what a socket that waits for room needs. */
  arena: number;
  /** How the thread waits for fuller batches: 0, it does not. */
  rxUsecs: number;
  /** Does the event loop receive, too? Only where the thread waits for fuller batches. */
  shares: boolean;
  /** Listeners have been quick for long, so that the clock is not looked at after each event. */
  practised: boolean;
  sockets: SocketKind[];
  actions: Action[];
  reactions: (Action | null)[];
  pauses: number[];
  /** In the end the thread stops with its sockets open; else they are looked at first. */
  stops: boolean;
}

/** Payloads, in bytes; those at the end are rare. */
export const SIZES = [0, 1, 2, 3, 9, 40, 64, 65, 100, 300, 700, 1000, 1472, 5000, 20_000, 65_507];
export const STEPS = [1, 2, 3, 5, 8, 13, 40, 400];
export const TIMES_NS = [1e3, 1e4, 1e5, 2e5, 5e5, 1e6, 3e6, 4e7];

const size = fc.oneof(
  { weight: 12, arbitrary: fc.nat(8) },
  { weight: 4, arbitrary: fc.integer({ min: 9, max: 13 }) },
  { weight: 1, arbitrary: fc.integer({ min: 14, max: SIZES.length - 1 }) },
);

// Most of them are received where they can stay (scripts/stepping-build.mjs).
const largeSize = fc.oneof(
  { weight: 1, arbitrary: fc.nat(8) },
  { weight: 8, arbitrary: fc.integer({ min: 9, max: 13 }) },
);

const more = fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) });

function action<Kind extends Action['kind']>(kinds: readonly Kind[], size: fc.Arbitrary<number>): fc.Arbitrary<Action> {
  return fc.record({ kind: fc.constantFrom(...kinds), socket: fc.nat(2), count: fc.nat(7), size, more });
}

function actions<Kind extends Action['kind']>(kinds: readonly Kind[], size: fc.Arbitrary<number>) {
  return fc.array(action(kinds, size), { minLength: 1, maxLength: 40, size: 'max' });
}

function reactionsOf<Kind extends Action['kind']>(kinds: readonly Kind[], size: fc.Arbitrary<number>) {
  const one = fc.oneof({ weight: 2, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: action(kinds, size) });
  return fc.array(one, { maxLength: 30, size: 'max' });
}

const pause = fc.oneof(
  { weight: 5, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 4 }) },
  { weight: 1, arbitrary: fc.integer({ min: 5, max: 60 }) },
);

const socket: fc.Arbitrary<SocketKind> = fc.record({
  drops: fc.boolean(),
  batches: fc.boolean(),
  pooled: fc.boolean(),
  joins: fc.boolean(),
  keepBytesMax: fc.constantFrom(65_535, 65_535, 65_535, 50),
});

const any = {
  slots: fc.constantFrom(2, 4, 4, 8, 128),
  arena: fc.constantFrom(0, 1, 100, 700, 700, 4000, 65_535, 80_000, 280_000),
  rxUsecs: fc.constantFrom(0, 100),
  shares: fc.boolean(),
  practised: fc.boolean(),
  sockets: fc.array(socket, { minLength: 1, maxLength: 3 }),
  actions: actions(happenings, size),
  reactions: reactionsOf(reactions, size),
  pauses: fc.array(pause, { maxLength: 24, size: 'max' }),
  stops: fc.oneof({ weight: 7, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
};

const large = {
  ...any,
  slots: fc.constantFrom(8, 128),
  arena: fc.constantFrom(700, 4000, 4000, 65_535, 280_000),
  rxUsecs: fc.constant(100),
  shares: fc.constant(true),
  practised: fc.constant(false),
  sockets: fc.array(
    fc.record({
      drops: fc.boolean(),
      batches: fc.constantFrom(false, false, false, true),
      pooled: fc.constantFrom(true, true, true, false),
      joins: fc.constant(false),
      keepBytesMax: fc.constant(65_535),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  actions: actions(largeHappenings, largeSize),
  reactions: reactionsOf(largeReactions, largeSize),
};

export const scenarios: fc.Arbitrary<Scenario> = fc.oneof(
  { weight: 3, arbitrary: fc.record(any) },
  { weight: 1, arbitrary: fc.record(large) },
);
