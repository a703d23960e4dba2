// Conditions as users write them, to conditions as they are encoded.
import * as errors from '../../base/errors.js';
import { refuseUnknown } from '../../base/known-keys.js';
import { isRecord, validateInteger, validateObject } from '../../base/validate.js';
import { type CheckedKernelMatch, checkKernelMatch, kernelConditions } from './check-kernel-match.js';
import { type CheckedNetwork, checkNetwork } from './networks.js';
import { BITS_MAX, MASK_BYTES_MAX, PAYLOAD_BYTES_MAX, PORTS_MAX, SOURCES_MAX } from './types.js';
import { checkRange, copyBytes, listOf } from './values.js';

export interface CheckedBits {
  at: number;
  mask: Uint8Array;
  value: Uint8Array;
}

export interface CheckedMatch {
  kind: 'any' | 'exact' | 'prefix';
  payload: Uint8Array;
  min: number;
  max: number;
  bits: CheckedBits[];
  sources: CheckedNetwork[];
  ports: number[];
  /** undefined: none of its conditions is given. */
  kernel: CheckedKernelMatch | undefined;
}

export function checkMatch(match: unknown): CheckedMatch {
  if (!isRecord(match)) {
    throw errors.invalidArgType('match', 'of type object', match, 'property');
  }
  const known = ['exact', 'prefix', 'length', 'bits', 'source', 'destinationPort', ...kernelConditions] as const;
  refuseUnknown(match, 'match', known);
  const { exact, prefix, length, bits, source, destinationPort } = match as Record<(typeof known)[number], unknown>;
  if (exact !== undefined && prefix !== undefined) {
    throw errors.invalidArgValue('match.prefix', prefix, 'cannot be given together with match.exact');
  }
  const kind = exact !== undefined ? 'exact' : prefix !== undefined ? 'prefix' : 'any';
  return {
    kind,
    payload: kind === 'any' ? new Uint8Array(0) : copyBytes(exact ?? prefix, `match.${kind}`, PAYLOAD_BYTES_MAX),
    ...checkRange(length, 'match.length', PAYLOAD_BYTES_MAX),
    bits: listOf(bits, 'match.bits', BITS_MAX, checkBits),
    sources: listOf(source, 'match.source', SOURCES_MAX, checkNetwork),
    ports: listOf(destinationPort, 'match.destinationPort', PORTS_MAX, (port, name) => {
      validateInteger(port, name, 1, 65535);
      return port;
    }),
    kernel: checkKernelMatch(match),
  };
}

function checkBits(bits: unknown, name: string): CheckedBits {
  validateObject(bits, name);
  refuseUnknown(bits, name, ['at', 'mask', 'value']);
  const { at, mask, value } = bits as Record<'at' | 'mask' | 'value', unknown>;
  validateInteger(at, `${name}.at`, 0, PAYLOAD_BYTES_MAX);
  for (const [field, given] of Object.entries({ mask, value })) {
    if (!(given instanceof Uint8Array))
      throw errors.invalidArgType(`${name}.${field}`, 'an instance of Uint8Array', given);
  }
  const checked = { at, mask: Uint8Array.from(mask as Uint8Array), value: Uint8Array.from(value as Uint8Array) };
  validateInteger(checked.mask.length, `${name}.mask.length`, 1, MASK_BYTES_MAX);
  if (checked.value.length !== checked.mask.length) {
    throw errors.outOfRange(
      `${name}.value.length`,
      `${checked.mask.length}, as ${name}.mask.length`,
      checked.value.length,
    );
  }
  if (at + checked.mask.length > PAYLOAD_BYTES_MAX) {
    throw errors.outOfRange(`${name}.at`, `<= ${PAYLOAD_BYTES_MAX - checked.mask.length}`, at);
  }
  const stray = checked.value.findIndex((byte, i) => (byte & ~checked.mask[i]) !== 0);
  if (stray >= 0) {
    throw errors.invalidArgValue(`${name}.value`, value, `has bits in byte ${stray} that ${name}.mask does not have`);
  }
  return checked;
}
