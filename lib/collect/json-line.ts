// A datagram as a line of JSON, that nothing in it can break: not the line, and not the terminal that shows it.
import { isUtf8 } from 'node:buffer';
import { isoTime } from '../base/runtime.js';
import type { CollectedDatagram, CollectedFlow } from './types.js';

const NS_PER_S = 1_000_000_000n;
const NS_PER_MS = 1_000_000n;
const FRACTION_DIGITS = 9;

// What JSON may leave as it is and terminals act upon, or show as something else: DEL and C1, ends of lines, directions of
// writing, and the mark of byte order.
const UNSAFE = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;
const EACH_UNSAFE = new RegExp(UNSAFE, 'g');
/** ASCII of which JSON escapes nothing. */
const PLAIN = /^[ !#-[\]-~]*$/;

const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Text as JSON has it. */
export function quoted(text: string): string {
  const json = JSON.stringify(text);
  return UNSAFE.test(json) ? json.replaceAll(EACH_UNSAFE, escaped) : json;
}

/** Makes lines. Each second, and each flow, is written once as long as the same one comes again. */
export class LineWriter {
  #secondNs = -NS_PER_S;
  #secondText = '';
  #flow: CollectedFlow = { address: '', port: -1, local: undefined, localPort: -1 };
  #flowText = '';

  /** With the newline. The payload is `text` where it is UTF-8, else `base64`. */
  line(datagram: CollectedDatagram): string {
    return `{"time":"${this.#time(datagram.receivedNs)}",${this.#from(datagram)},${payload(datagram.data)}}\n`;
  }

  #from({ address, port, local, localPort }: CollectedFlow): string {
    const flow = this.#flow;
    if (flow.port === port && flow.address === address && flow.local === local && flow.localPort === localPort)
      return this.#flowText;
    const to = local === undefined ? '' : `"local":${quoted(local)},`;
    this.#flow = { address, port, local, localPort };
    this.#flowText = `"address":${quoted(address)},"port":${port},${to}"localPort":${localPort}`;
    return this.#flowText;
  }

  #time(ns: bigint): string {
    let fraction = Number(ns - this.#secondNs);
    if (fraction < 0 || fraction >= 1e9) {
      this.#secondNs = ns - (ns % NS_PER_S);
      fraction = Number(ns - this.#secondNs);
      this.#secondText = isoTime(Number(this.#secondNs / NS_PER_MS)).slice(0, 'yyyy-mm-ddThh:mm:ss'.length);
    }
    return `${this.#secondText}.${`${fraction}`.padStart(FRACTION_DIGITS, '0')}Z`;
  }
}

function payload(data: Buffer): string {
  const plain = data.toString('latin1');
  if (PLAIN.test(plain)) return `"text":"${plain}"`; // as most are, and the quickest way by far
  return isUtf8(data) ? `"text":${quoted(data.toString())}` : `"base64":"${data.toString('base64')}"`;
}
