// A datagram as a line of JSON, that nothing in it can break: not the line, and not the terminal that shows it.
import { isUtf8 } from 'node:buffer';
import { isoTime } from '../base/runtime.js';
import type { CollectedDatagram } from './types.js';

const NS_PER_S = 1_000_000_000n;
const FRACTION_DIGITS = 9;

// What JSON may leave as it is and terminals act upon, or show as something else: DEL and C1, ends of lines, directions of
// writing, and the mark of byte order.
const UNSAFE = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Text as JSON has it. */
export function quoted(text: string): string {
  return JSON.stringify(text).replace(UNSAFE, escaped);
}

/** Makes lines; a batch's times are of a few seconds, and each second is written once. */
export class LineWriter {
  #second = -1n;
  #secondText = '';

  /** With the newline. The payload is `text` where it is UTF-8, else `base64`. */
  line({ address, port, local, localPort, receivedNs, data }: CollectedDatagram): string {
    const to = local === undefined ? '' : `"local":${quoted(local)},`;
    return `{"time":"${this.#time(receivedNs)}","address":${quoted(address)},"port":${port},${to}"localPort":${localPort},${payload(data)}}\n`;
  }

  #time(ns: bigint): string {
    const second = ns / NS_PER_S;
    if (second !== this.#second) {
      this.#second = second;
      this.#secondText = isoTime(Number(second) * 1000).slice(0, 'yyyy-mm-ddThh:mm:ss'.length);
    }
    return `${this.#secondText}.${`${ns % NS_PER_S}`.padStart(FRACTION_DIGITS, '0')}Z`;
  }
}

function payload(data: Buffer): string {
  return isUtf8(data) ? `"text":${quoted(data.toString())}` : `"base64":"${data.toString('base64')}"`;
}
