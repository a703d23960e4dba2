// From an expression to conditions: the language of pcap-filter(7), as far as it is about UDP, and some words for what a
// datagram carries. docs/filters.md has it as a table.
import { type Network, parseHost, parseNetwork, parsePort, parsePorts } from './addresses.js';
import { INSTRUCTIONS_MAX } from './operations.js';
import { parsePayload } from './payload.js';
import { Problem } from './problem.js';
import { always, type Condition, never, type Side } from './syntax.js';
import { beginsTerm, holds, NUMBER_MAX, OPERATORS, parseRelation, parseTerm, RELATIONS } from './terms.js';
import { Words } from './words.js';

type Type = 'host' | 'net' | 'port' | 'portrange';

/** What stands before an address or a port; `port 53 or 5353` repeats it. */
interface Qualifiers {
  version: 4 | 6 | undefined;
  sides: 'src' | 'dst' | 'either' | 'both';
  type: Type;
}

const TYPES = ['host', 'net', 'port', 'portrange'] as const satisfies readonly Type[];
const SIDES = ['src', 'dst'] as const satisfies readonly Side[];
const VERSIONS: Record<string, 4 | 6 | undefined> = { ip: 4, ip6: 6, udp: undefined };
/** Protocols that tcpdump knows and no UDP socket sees. */
const FOREIGN = [
  'tcp',
  'icmp',
  'icmp6',
  'arp',
  'rarp',
  'ether',
  'sctp',
  'vlan',
  'igmp',
  'proto',
  'gateway',
  'broadcast',
];

/** Each is an instruction at least. */
const CONDITIONS_MAX = INSTRUCTIONS_MAX;

export function parse(expression: string): Condition {
  const words = new Words(expression);
  const condition = new Parser(words).expression();
  if (words.peek().kind !== 'end') words.fail("'and' or 'or' is expected");
  return condition;
}

class Parser {
  readonly #words: Words;
  #latest: Qualifiers | undefined;
  #conditions = 0;

  constructor(words: Words) {
    this.#words = words;
  }

  /** `and` and `or` bind alike, from left to right, as they do in tcpdump. */
  expression(): Condition {
    const words = this.#words;
    let left = this.#negated();
    for (;;) {
      const token = words.accept('and', '&&', 'or', '||');
      if (token === undefined) return left;
      const kind = token.text === 'and' || token.text === '&&' ? 'and' : 'or';
      left = { kind, left, right: this.#negated() };
    }
  }

  #negated(): Condition {
    const words = this.#words;
    let negated = false;
    while (words.accept('not', '!')) negated = !negated;
    const of = words.is(['(']) ? this.#parenthesis() : this.#primitive();
    return negated ? { kind: 'not', of } : of;
  }

  /** Of conditions, or the first one of a term. */
  #parenthesis(): Condition {
    const words = this.#words;
    const { place } = words;
    let wrong: unknown;
    try {
      const left = parseTerm(words);
      if (words.is(RELATIONS)) return this.#relation(left);
    } catch (error) {
      wrong = error;
    }
    words.place = place;
    try {
      return words.nested(() => {
        words.take();
        const inner = this.expression();
        words.expect(')');
        return inner;
      });
    } catch (error) {
      throw placeOf(wrong) > placeOf(error) ? wrong : error;
    }
  }

  #primitive(): Condition {
    const words = this.#words;
    const { kind, text, at } = words.peek();
    if (++this.#conditions > CONDITIONS_MAX) throw new Problem(at, `there are more than ${CONDITIONS_MAX} conditions`);
    if (kind === 'address' || kind === 'dotted' || (kind === 'number' && this.#isName())) return this.#name();
    if (words.is(['payload']) && (words.is(['prefix'], 1) || words.is(RELATIONS, 1))) return parsePayload(words);
    if (beginsTerm(words)) return this.#relation(parseTerm(words));
    if (words.is(Object.keys(VERSIONS)) || words.is(SIDES) || words.is(TYPES)) return this.#qualified();
    this.#latest = undefined;
    if (words.accept('multicast')) return multicast(undefined);
    const bound = words.accept('less', 'greater');
    if (bound !== undefined) {
      const right = { kind: 'number', value: words.number('a length in bytes', NUMBER_MAX) } as const;
      const relation = bound.text === 'less' ? '<=' : '>=';
      return { kind: 'relation', relation, left: { kind: 'quantity', quantity: 'len' }, right };
    }
    if (kind === 'word' && FOREIGN.includes(text)) {
      throw new Problem(at, `'${text}' is nothing that a filter on a UDP socket can ask for`);
    }
    return words.fail('a condition, such as src host 192.0.2.1, port 53 or len > 100, is expected');
  }

  /** A number without a word before it, and no part of a term: a port, or a network, as the one before. */
  #isName(): boolean {
    const words = this.#words;
    if (this.#latest === undefined) return false;
    const isRange = words.is(['-'], 1) && words.peek(2).kind === 'number';
    if (this.#latest.type === 'portrange' && isRange) return !words.is(OPERATORS, 3) && !words.is(RELATIONS, 3);
    if (this.#latest.type === 'net' && words.is(['/'], 1)) return true;
    return !words.is(OPERATORS, 1) && !words.is(RELATIONS, 1);
  }

  #name(): Condition {
    this.#latest ??= { version: undefined, sides: 'either', type: 'host' };
    return this.#object(this.#latest);
  }

  #relation(left: ReturnType<typeof parseTerm>): Condition {
    this.#latest = undefined;
    const relation = parseRelation(this.#words);
    const right = parseTerm(this.#words);
    if (left.kind === 'number' && right.kind === 'number') {
      return holds(relation, left.value, right.value) ? always : never;
    }
    return { kind: 'relation', relation, left, right };
  }

  #qualified(): Condition {
    const words = this.#words;
    const protocol = words.accept(...Object.keys(VERSIONS));
    const version = protocol && VERSIONS[protocol.text];
    if (protocol !== undefined) {
      if (version !== undefined && words.accept('multicast')) {
        this.#latest = undefined;
        return multicast(version);
      }
      if (!words.is(SIDES) && !words.is(TYPES)) {
        this.#latest = undefined;
        return version === undefined ? always : { kind: 'version', version };
      }
    }
    const sides = this.#sides();
    const type = words.accept(...TYPES)?.text as Type | undefined;
    this.#latest = { version, sides, type: type ?? 'host' };
    return this.#object(this.#latest);
  }

  #sides(): Qualifiers['sides'] {
    const words = this.#words;
    const side = words.accept(...SIDES)?.text as Side | undefined;
    if (side === undefined) return 'either';
    const other = side === 'src' ? 'dst' : 'src';
    if (!words.is([other], 1) || !words.is(['or', 'and', '||', '&&'])) return side;
    const link = words.take().text;
    words.take();
    return link === 'or' || link === '||' ? 'either' : 'both';
  }

  #object({ version, sides, type }: Qualifiers): Condition {
    const words = this.#words;
    if (type === 'port' || type === 'portrange') {
      const port = type === 'port' ? parsePort(words) : undefined;
      const [first, last] = port === undefined ? parsePorts(words) : [port, port];
      const condition = onSides(sides, (side) => ({ kind: 'port', side, first, last }));
      return version === undefined ? condition : { kind: 'and', left: { kind: 'version', version }, right: condition };
    }
    const token = words.peek();
    const network = type === 'host' ? parseHost(words) : parseNetwork(words);
    if (version !== undefined && version !== network.version) {
      throw new Problem(token.at, `'${token.text}' is no address of IPv${version}`);
    }
    return onSides(sides, (side) => ({ kind: 'address', side, ...network }));
  }
}

function placeOf(error: unknown): number {
  return (error instanceof Problem ? error.at : undefined) ?? -1;
}

function onSides(sides: Qualifiers['sides'], make: (side: Side) => Condition): Condition {
  if (sides === 'src' || sides === 'dst') return make(sides);
  return { kind: sides === 'either' ? 'or' : 'and', left: make('src'), right: make('dst') };
}

const groups: readonly Network[] = [
  { version: 4, words: [0xe000_0000], bits: 4 },
  { version: 6, words: [0xff00_0000, 0, 0, 0], bits: 8 },
];

/** To a group of this version of IP, or of either. */
function multicast(version: 4 | 6 | undefined): Condition {
  const [one, other] = groups
    .filter((group) => version === undefined || group.version === version)
    .map((group): Condition => ({ kind: 'address', side: 'dst', ...group }));
  return other === undefined ? one : { kind: 'or', left: one, right: other };
}
