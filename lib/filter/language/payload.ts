// `payload prefix BYTES`, `payload = BYTES`, `payload != BYTES`: bytes are a text, or 0x and two digits for each.
import { Problem } from './problem.js';
import type { Condition } from './syntax.js';
import type { Words } from './words.js';

/** The longest UDP payload. */
const BYTES_MAX = 65_527;

export function parsePayload(words: Words): Condition {
  words.take(); // payload
  if (words.accept('prefix')) return { kind: 'payload', bytes: parseBytes(words), whole: false };
  const negated = words.accept('!=') !== undefined;
  if (!negated && !words.accept('=', '==')) words.fail("'=' or '!=', or payload len, is expected");
  const same: Condition = { kind: 'payload', bytes: parseBytes(words), whole: true };
  return negated ? { kind: 'not', of: same } : same;
}

function parseBytes(words: Words): Uint8Array {
  const { kind, text, at } = words.peek();
  if (kind !== 'text' && !/^0[xX]/.test(text)) words.fail('a text in quotes, or bytes as 0x0a0b, is expected');
  words.take();
  const bytes = kind === 'text' ? bytesOfText(text.slice(1, -1), at + 1) : bytesOfHex(text.slice(2), at);
  if (bytes.length > BYTES_MAX) throw new Problem(at, `no payload has more than ${BYTES_MAX} bytes`);
  return bytes;
}

function bytesOfHex(digits: string, at: number): Uint8Array {
  if (digits.length === 0 || digits.length % 2 !== 0) throw new Problem(at, 'two digits are expected for each byte');
  return Uint8Array.from(Buffer.from(digits, 'hex'));
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', '0': '\0', '\\': '\\', '"': '"' };

/** In UTF-8; \xNN is a byte. */
function bytesOfText(text: string, at: number): Uint8Array {
  const parts: Buffer[] = [];
  for (const { 0: part, index } of text.matchAll(/\\x[0-9a-fA-F]{2}|\\[\s\S]|[^\\]+/g)) {
    if (part[0] !== '\\') parts.push(Buffer.from(part));
    else if (part.length === 4) parts.push(Buffer.from(part.slice(2), 'hex'));
    else if (ESCAPES[part[1]] !== undefined) parts.push(Buffer.from(ESCAPES[part[1]]));
    else throw new Problem(at + index, `'${part}' is none of \\n \\r \\t \\0 \\" \\\\ \\xNN`);
  }
  return Uint8Array.from(Buffer.concat(parts));
}
