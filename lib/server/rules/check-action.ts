// Actions as users write them, to actions as they are encoded.
import * as errors from '../../base/errors.js';
import { refuseUnknown } from '../../base/known-keys.js';
import { isBytes } from '../../base/payload.js';
import {
  isRecord,
  validateBoolean,
  validateHost,
  validateInteger,
  validateObject,
  validateOneOf,
  validatePort,
} from '../../base/validate.js';
import type { CheckedMatch } from './check-match.js';
import { checkSlot, type Slot } from './slots.js';
import { PARTS_MAX, REPLY_BYTES_MAX, TARGETS_MAX } from './types.js';
import { copyBytes, listOf, TARGET_KEYS } from './values.js';

/** A forward action with its defaults filled in. */
export interface CheckedForward {
  targets: { address: string; port: number }[];
  balance: 'source' | 'round-robin' | 'all';
  idleMs: number;
  flows: number;
}

export type CheckedAction =
  | { kind: 'echo' | 'drop' | 'deliver' | 'count' }
  | { kind: 'reply'; parts: (Uint8Array | Slot)[]; amplify: boolean }
  | { kind: 'forward'; forward: CheckedForward };

const KEYWORDS = ['echo', 'drop', 'deliver', 'count'] as const;
const IDLE_MS_DEFAULT = 120_000;
const IDLE_MS_MAX = 86_400_000;
const FLOWS_DEFAULT = 4096;
const FLOWS_MAX = 65_535;

export function checkAction(action: unknown, match: CheckedMatch): CheckedAction {
  if (KEYWORDS.includes(action as (typeof KEYWORDS)[number])) return { kind: action as (typeof KEYWORDS)[number] };
  const expected = `one of ${KEYWORDS.map((word) => `'${word}'`).join(', ')}, or an object with reply or forward`;
  if (typeof action === 'string') throw errors.invalidArgValue('action', action, `must be ${expected}`, 'property');
  if (!isRecord(action) || !('reply' in action || 'forward' in action)) {
    throw errors.invalidArgType('action', expected, action, 'property');
  }
  return 'reply' in action ? checkReply(action, match) : { kind: 'forward', forward: checkForward(action) };
}

function checkReply(action: object, match: CheckedMatch): CheckedAction {
  refuseUnknown(action, 'action', ['reply', 'amplify']);
  const { reply, amplify = false } = action as { reply?: unknown; amplify?: unknown };
  validateBoolean(amplify, 'action.amplify');
  const given = checkParts(reply);
  const literals = given.reduce((sum, part) => sum + (part instanceof Uint8Array ? part.length : 0), 0);
  if (literals > REPLY_BYTES_MAX) {
    throw errors.outOfRange('action.reply.length', `<= ${REPLY_BYTES_MAX} bytes`, literals);
  }
  const parts = mergeLiterals(given);
  const shortest = parts.reduce((sum, part) => sum + bytesAtLeast(part), 0);
  const request = match.kind === 'exact' ? match.payload.length : match.max;
  if (!amplify && shortest > request) {
    const reason = `is at least ${shortest} bytes, the request at most ${request}: it would never be sent without amplify`;
    throw errors.invalidArgValue('action.reply', reply, reason);
  }
  return { kind: 'reply', parts, amplify };
}

function checkParts(reply: unknown): (Uint8Array | Slot)[] {
  if (Array.isArray(reply) && reply.length === 0) return [];
  if (reply === undefined) throw errors.invalidArgType('action.reply', 'a part or an array of parts', reply);
  return listOf(reply, 'action.reply', PARTS_MAX, (part, name) => {
    if (typeof part === 'string' || isBytes(part)) return copyBytes(part, name, REPLY_BYTES_MAX);
    try {
      const slot = checkSlot(part);
      if (slot !== undefined) return slot;
    } catch (error) {
      throw errors.withContext(error as Error, name);
    }
    throw errors.invalidArgType(name, 'of type string, an instance of Uint8Array or a slot', part);
  });
}

function mergeLiterals(parts: (Uint8Array | Slot)[]): (Uint8Array | Slot)[] {
  const merged: (Uint8Array | Slot)[] = [];
  for (const part of parts) {
    const last = merged.at(-1);
    if (!(part instanceof Uint8Array)) merged.push(part);
    else if (last instanceof Uint8Array) merged[merged.length - 1] = Buffer.concat([last, part]);
    else if (part.length > 0) merged.push(part);
  }
  return merged;
}

function bytesAtLeast(part: Uint8Array | Slot): number {
  if (part instanceof Uint8Array) return part.length;
  const sizes = { request: 0, sourceAddress: 4, sourcePort: 2, time: 8, localAddress: 4, ttl: 1, dscp: 1, ecn: 1 };
  return part.slot === 'counter' ? part.bytes : sizes[part.slot];
}

function checkForward(action: object): CheckedForward {
  refuseUnknown(action, 'action', ['forward', 'balance', 'idleMs', 'flows']);
  const given = action as Record<'forward' | 'balance' | 'idleMs' | 'flows', unknown>;
  const { forward, balance = 'source', idleMs = IDLE_MS_DEFAULT, flows = FLOWS_DEFAULT } = given;
  if (forward === undefined) throw errors.invalidArgType('action.forward', 'a target or an array of targets', forward);
  const targets = listOf(forward, 'action.forward', TARGETS_MAX, checkTarget);
  validateOneOf(balance, 'action.balance', ['source', 'round-robin', 'all'] as const);
  validateInteger(idleMs, 'action.idleMs', 1, IDLE_MS_MAX);
  validateInteger(flows, 'action.flows', 1, FLOWS_MAX);
  return { targets, balance, idleMs, flows };
}

function checkTarget(target: unknown, name: string): { address: string; port: number } {
  validateObject(target, name);
  refuseUnknown(target, name, TARGET_KEYS);
  const { address, port } = target as { address?: unknown; port?: unknown };
  validateHost(address, `${name}.address`);
  return { address, port: validatePort(port, `${name}.port`, false) };
}
