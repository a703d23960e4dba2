// Which interface a datagram leaves by, where the sockets are node:dgram's: the zone of an IPv6 address.
import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { ADDRESS_BYTES, formatAddress, parseAddress } from '../../build-lib/backend/fallback/addresses.js';
import { Destinations } from '../../build-lib/backend/fallback/hosts.js';
import { runProgram } from '../support/child.js';
import { test } from '../support/test.js';

const words = (text: string): Uint32Array => {
  const bytes = new Uint8Array(ADDRESS_BYTES);
  assert.equal(parseAddress(6, text, bytes), 0);
  return new Uint32Array(bytes.buffer);
};

test('a destination keeps its zone: link-local and multicast, by interfaces with and without a link-local address', () => {
  const destinations = new Destinations();
  const names = Object.keys(networkInterfaces());
  assert.ok(names.includes('lo')); // which has none on Linux
  for (const address of ['fe80::1', 'ff02::fb', 'ff15::1']) {
    for (const name of names) {
      assert.equal(destinations.get(6, words(`${address}%${name}`), 0), `${address}%${name}`);
    }
    assert.equal(destinations.get(6, words(address), 0), address);
    assert.equal(destinations.get(6, words(`${address}%none`), 0), address, 'a zone that there is not is none');
  }
});

test('where one came from has its zone only where node:dgram says it', () => {
  for (const [text, shown] of [
    ['fe80::1%lo', 'fe80::1%lo'],
    ['ff02::fb%lo', 'ff02::fb'],
  ]) {
    assert.equal(formatAddress(6, new Uint8Array(words(text).buffer)), shown);
  }
});

test('what has no way out of the interface that it names is refused as by node:dgram', async () => {
  const program = async () => {
    const { createSocket } = await import('ksocket');
    const dgram = await import('node:dgram');
    for (const create of [dgram.createSocket, createSocket]) {
      const socket = (create as typeof createSocket)('udp6');
      await new Promise<void>((resolve) => socket.bind(0, '::1', resolve));
      for (const address of ['ff02::fb%lo', 'fe80::1%lo']) {
        const error = await new Promise<Error | null>((resolve) => socket.send('x', 9, address, resolve));
        console.log(address, (error as NodeJS.ErrnoException | null)?.code ?? 'sent');
      }
      socket.close();
    }
  };
  const { stdout } = await runProgram(program, [], { env: { KSOCKET_BACKEND: 'dgram', KSOCKET_ENGINE: undefined } });
  const lines = stdout.trim().split('\n');
  assert.equal(lines.length, 4, stdout);
  assert.deepEqual(lines.slice(2), lines.slice(0, 2));
});
