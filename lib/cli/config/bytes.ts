// Bytes in JSON: `{ "hex": "de ad be ef" }`, `{ "base64": "3q2+7w==" }`, `{ "text": "…" }`; a plain text is one, too, where
// it has no other meaning.
import * as errors from '../../base/errors.js';
import { validateString } from '../../base/validate.js';

function fromHex(text: string): Uint8Array | undefined {
  const digits = text.replaceAll(/\s/g, '');
  return /^(?:[\da-f]{2})*$/i.test(digits) ? Buffer.from(digits, 'hex') : undefined;
}

function fromBase64(text: string): Uint8Array | undefined {
  const plain = (base64: string) => base64.replace(/={1,2}$/, '');
  const bytes = Buffer.from(text, 'base64');
  return plain(bytes.toString('base64')) === plain(text) ? bytes : undefined;
}

/** What reads each form, and what it has to be. */
const FORMS: Record<string, [read: (text: string) => Uint8Array | undefined, rule: string]> = {
  hex: [fromHex, 'must be pairs of hexadecimal digits'],
  base64: [fromBase64, 'must be base64 (RFC 4648)'],
  text: [(text) => Buffer.from(text), ''],
};

/** The value, with bytes in the place of what stands for bytes; nothing else is looked at. `name` is the value's.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, with the property */
export function withBytes(value: unknown, name: string): unknown {
  if (Array.isArray(value)) return value.map((one, i) => withBytes(one, `${name}[${i}]`));
  if (value === null || typeof value !== 'object') return value;
  const members = Object.entries(value);
  const form = members.find(([key]) => Object.hasOwn(FORMS, key))?.[0];
  if (form === undefined) {
    return Object.fromEntries(members.map(([key, one]) => [key, withBytes(one, `${name}.${key}`)]));
  }
  const other = members.find(([key]) => key !== form);
  if (other !== undefined) {
    throw errors.invalidArgValue(`${name}.${other[0]}`, other[1], `cannot be given together with ${form}`);
  }
  const text: unknown = members[0][1];
  const [read, rule] = FORMS[form];
  validateString(text, `${name}.${form}`);
  const bytes = read(text);
  if (bytes === undefined) throw errors.invalidArgValue(`${name}.${form}`, text, rule);
  return bytes;
}
