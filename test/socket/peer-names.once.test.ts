// The text of a peer's address is made once, and is never another peer's.
import assert from 'node:assert/strict';
import { D_ADDRESS, DESCRIPTOR_BYTES } from '../../build-lib/backend/layout.js';
import { binding } from '../../build-lib/backend/load.js';
import { PeerNames } from '../../build-lib/thread/address.js';
import { test } from '../support/test.js';

/** A record from this address, as it lies in the ring. */
function record(address: number[]): Uint32Array {
  const bytes = new Uint8Array(DESCRIPTOR_BYTES);
  bytes.set(address, D_ADDRESS);
  return new Uint32Array(bytes.buffer);
}

const ipv6 = (last: number, first = 0x20) => record([first, 1, 0xd, 0xb8, ...new Array(11).fill(0), last]);
const ipv4 = (last: number) => record([127, 0, 0, last]);

test('an IPv6 address is formatted once for its place, and again when another has taken it', () => {
  const { formatAddress } = binding;
  let formatted = 0;
  binding.formatAddress = (family, bytes) => {
    formatted++;
    return formatAddress(family, bytes);
  };
  try {
    const names = new PeerNames();
    const ask = (words: Uint32Array, id: number) => [names.get(words, 0, id, 6), formatted];
    assert.deepEqual(ask(ipv6(1), 7), ['2001:db8::1', 1]);
    assert.deepEqual(ask(ipv6(2), 8), ['2001:db8::2', 2]);
    assert.deepEqual(ask(ipv6(1), 7), ['2001:db8::1', 2]);
    assert.deepEqual(ask(ipv6(2), 8), ['2001:db8::2', 2]);
    assert.deepEqual(ask(ipv6(3), 7), ['2001:db8::3', 3]);
    assert.deepEqual(ask(ipv6(3, 0x30), 7), ['3001:db8::3', 4]);
    assert.deepEqual(ask(ipv6(3), 7), ['2001:db8::3', 5]);
  } finally {
    binding.formatAddress = formatAddress;
  }
});

test('every byte of an address counts', () => {
  const names = new PeerNames();
  for (let i = 0; i < 16; i++) {
    const one = new Array(16).fill(0x11);
    const other = one.with(i, 0x22);
    const texts = [one, other, one].map((bytes) => names.get(record(bytes), 0, 3, 6));
    assert.equal(texts[0], texts[2]);
    assert.notEqual(texts[0], texts[1], `byte ${i}`);
  }
});

test('every word of an address counts, and its zone, and nothing that lies beside it', () => {
  const names = new PeerNames();
  const linkLocal = new Uint16Array(DESCRIPTOR_BYTES / 2).fill(0x80fe); // has a zone
  const one = new Uint32Array(linkLocal.buffer);
  const name = names.get(one, 0, 3, 6);
  assert.match(name, /^fe80:fe80:.*%/);
  for (let word = 0; word < 5; word++) {
    const other = one.with((D_ADDRESS >> 2) + word, 0x81fe81fe);
    assert.notEqual(names.get(other, 0, 3, 6), name, `word ${word}`);
    assert.equal(names.get(one, 0, 3, 6), name);
  }
});

test('IPv4 addresses, and an IPv6 one with the same first bytes in the same place', () => {
  const names = new PeerNames();
  assert.equal(names.get(ipv4(1), 0, 0, 4), '127.0.0.1');
  assert.equal(names.get(ipv4(2), 0, 1, 4), '127.0.0.2');
  assert.equal(names.get(ipv4(1), 0, 0, 4), '127.0.0.1');
  assert.equal(names.get(ipv4(1), 0, 0, 6), '7f00:1::');
  assert.equal(names.get(ipv4(1), 0, 0, 4), '127.0.0.1');
  const behind = new Uint32Array([...ipv6(9), ...ipv4(9)]);
  assert.equal(names.get(behind, DESCRIPTOR_BYTES / 4, 0, 4), '127.0.0.9', 'the second record');
});
