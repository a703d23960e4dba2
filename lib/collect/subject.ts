// What batches are sorted by: a template or a function becomes a function that says a valid subject, or throws.
import * as errors from '../base/errors.js';
import { validateString } from '../base/validate.js';
import type { Subject } from './sink.js';
import type { CollectedFlow } from './types.js';

const HASH_MAX = 1024;
/** Of UTF-8. */
const SUBJECT_BYTES_MAX = 255;
/** Of what is no subject, in an error. */
const SHOWN_MAX = 300;
const EXAMPLE: CollectedFlow = { address: '192.0.2.1', port: 1, local: '192.0.2.2', localPort: 1 };

/** Tokens with a `.` between them, as https://docs.nats.io/nats-concepts/subjects has it. No wildcards. */
const VALID = /^[^\s.*>]+(?:\.[^\s.*>]+)*$/;
/** What a terminal or a log would not show, and what UTF-8 has no bytes for. */
const UNSEEN = /[\p{Cc}\p{Surrogate}]/u;
/** A server's own: of its interface (`$JS`, `$SYS`, `$KV`, …), and where answers go. */
const RESERVED = /^(?:\$|_INBOX(?:\.|$))/;

/** Why no message may be published there; undefined: it may. */
function wrongWith(subject: unknown): string | undefined {
  if (typeof subject !== 'string' || !VALID.test(subject))
    return "must be tokens with a '.' between them, without spaces and wildcards";
  if (UNSEEN.test(subject)) return 'must be without control characters and halves of surrogate pairs';
  if (RESERVED.test(subject)) return "must not begin with '$' or '_INBOX': those are the server's own";
  if (Buffer.byteLength(subject) > SUBJECT_BYTES_MAX) return `must have ${SUBJECT_BYTES_MAX} bytes at most`;
  return undefined;
}

/** Why nothing can be asked for with it, which may have wildcards; undefined: it can. */
export function wrongWithFilter(filter: string): string | undefined {
  if (!/^(?:(?:\*|[^\s.*>]+)\.)*(?:\*|>|[^\s.*>]+)$/.test(filter))
    return "must be tokens with a '.' between them, without spaces; '*' is a token, '>' is the last one";
  if (UNSEEN.test(filter)) return 'must be without control characters and halves of surrogate pairs';
  if (Buffer.byteLength(filter) > SUBJECT_BYTES_MAX) return `must have ${SUBJECT_BYTES_MAX} bytes at most`;
  return undefined;
}

const NAME_MAX = 255;

/** Of streams and consumers: a directory of the server is called that. @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE */
export function checkName(value: unknown, name: string): asserts value is string {
  validateString(value, name);
  if (!/^[^\s.*>/\\]+$/.test(value) || UNSEEN.test(value))
    throw errors.invalidArgValue(name, value, 'must be a name without spaces, dots, wildcards and slashes');
  if (Buffer.byteLength(value) > NAME_MAX)
    throw errors.invalidArgValue(name, value, `must have ${NAME_MAX} bytes at most`);
}

/** FNV-1a, of the text: the same at each collector. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return (value ^ (value >>> 15)) >>> 0;
}

/** Into which of `lanes` sequences a source belongs: one host's datagrams stay in order, whichever port they come from. */
export function laneOf({ address }: CollectedFlow, lanes: number): number {
  return lanes === 1 ? 0 : hash(address) % lanes;
}

/** An address is one token. */
function token(address: string | undefined): string {
  return address === undefined ? 'unknown' : address.replaceAll('.', '_');
}

type Part = (flow: CollectedFlow) => string;

const named: Record<string, Part> = {
  source: ({ address }) => token(address),
  port: ({ port }) => String(port),
  local: ({ local }) => token(local),
  localPort: ({ localPort }) => String(localPort),
};

function partOf(text: string, template: string): Part {
  const [, name, digits] = /^(\w+)(?::(\d{1,4}))?$/.exec(text) ?? [];
  const count = Number(digits);
  if (digits !== undefined && count >= 1 && count <= HASH_MAX) {
    if (name === 'hash') return ({ address }) => String(hash(address) % count);
    if (name === 'flow') return ({ address, port }) => String(hash(`${address} ${port}`) % count);
  } else if (digits === undefined && Object.hasOwn(named, name ?? '')) {
    return named[name];
  }
  const known = [...Object.keys(named), 'hash:N', 'flow:N'].map((each) => `{${each}}`).join(', ');
  const reason = `has {${text}}, and what is known is ${known}, with N from 1 to ${HASH_MAX}`;
  throw errors.invalidArgValue('options.subject', template, reason);
}

/** @throws ERR_INVALID_ARG_VALUE */
function checked(subject: unknown): string {
  const wrong = wrongWith(subject);
  if (wrong === undefined) return subject as string;
  const shown = typeof subject === 'string' && subject.length > SHOWN_MAX ? `${subject.slice(0, SHOWN_MAX)}…` : subject;
  throw errors.invalidArgValue('options.subject', shown, wrong);
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE. So does the function, of what the program's function says. */
export function subjectOf(subject: Subject): (flow: CollectedFlow) => string {
  if (typeof subject === 'function') return (flow) => checked(subject(flow));
  if (typeof subject !== 'string')
    throw errors.invalidArgType('options.subject', 'of type string or function', subject);
  const parts: (string | Part)[] = [];
  subject.split(/\{([^{}]*)\}/).forEach((text, i) => {
    if (i % 2 === 0 && /[{}]/.test(text))
      throw errors.invalidArgValue('options.subject', subject, 'has a brace without the other one');
    parts.push(i % 2 === 0 ? text : partOf(text, subject));
  });
  const make = (flow: CollectedFlow) => parts.map((part) => (typeof part === 'string' ? part : part(flow))).join('');
  checked(make(EXAMPLE));
  return (flow) => checked(make(flow));
}

/** What a template can say: numbers of a hash one by one, if they are few, and a wildcard for all else. Of a function nothing is
 * known. */
export function examplesOf(subject: Subject): string[] {
  if (typeof subject === 'function') return [];
  let texts = [''];
  subject.split(/\{([^{}]*)\}/).forEach((text, i) => {
    const count = Number(/:(\d+)$/.exec(text)?.[1] ?? 0);
    const each =
      i % 2 === 0 ? [text] : count * texts.length > HASH_MAX || count === 0 ? ['*'] : [...Array(count).keys()];
    texts = texts.flatMap((before) => each.map((part) => before + part));
  });
  return texts.map((text) =>
    text
      .split('.')
      .map((token) => (token.includes('*') ? '*' : token))
      .join('.'),
  );
}

/** Is each subject that `pattern` stands for one that `wider` stands for? */
export function covers(wider: string, pattern: string): boolean {
  const [outer, inner] = [wider.split('.'), pattern.split('.')];
  for (let i = 0; i < outer.length; i++) {
    if (outer[i] === '>') return inner.length > i;
    if (i >= inner.length || inner[i] === '>') return false;
    if (outer[i] !== '*' && outer[i] !== inner[i]) return false;
  }
  return outer.length === inner.length;
}
