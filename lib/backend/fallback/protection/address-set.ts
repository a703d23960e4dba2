// A set of IP addresses as ranges: native/core/answer/protection/address_set.h.
import type { Host } from '../hosts.js';

const RANGE_BYTES = 32;

export class AddressSet {
  readonly #first: bigint[] = [];
  readonly #last: bigint[] = [];

  /** As lib/server/protection.ts encodes them: ascending by the first address, and they may overlap. */
  constructor(encoded: Uint8Array) {
    const view = new DataView(encoded.buffer, encoded.byteOffset, encoded.byteLength);
    const number = (at: number) => (view.getBigUint64(at) << 64n) | view.getBigUint64(at + 8);
    for (let at = 0; at < encoded.length; at += RANGE_BYTES) {
      const [first, last] = [number(at), number(at + 16)];
      const latest = this.#last.length - 1;
      if (latest < 0 || first > this.#last[latest]) {
        this.#first.push(first);
        this.#last.push(last);
      } else if (last > this.#last[latest]) this.#last[latest] = last;
    }
  }

  /** Port and zone do not count; an IPv4-mapped IPv6 address is the IPv4 address. */
  has({ number }: Host): boolean {
    let low = 0;
    let high = this.#first.length; // the first range that begins behind it
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#first[middle] <= number) low = middle + 1;
      else high = middle;
    }
    return low > 0 && number <= this.#last[low - 1];
  }
}
