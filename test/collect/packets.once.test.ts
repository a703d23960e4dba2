// The packets of a capture are written where earlier ones were.
import assert from 'node:assert/strict';
import { type Datagram, Packets } from '../../build-lib/collect/pcapng/packets.js';
import { test } from '../support/test.js';

function datagram(addressBytes: number, payload: Uint8Array): Datagram {
  const source = Uint8Array.from({ length: addressBytes }, (_, i) => i + 1);
  const destination = source.map((byte) => byte + 100);
  return { source, sourcePort: 1000, destination, destinationPort: 2000, timeHigh: 1, timeLow: 2, payload };
}

test('a packet has the same bytes wherever another one was before', () => {
  const bytes = 4096;
  const used = new Packets(bytes);
  // No byte of what stands there before is 0.
  const filling = datagram(4, new Uint8Array(bytes - 128).fill(0xff));
  for (const addressBytes of [4, 16]) {
    for (const size of [0, 1, 2, 3, 4, 65, 67]) {
      for (const before of [0, 1, 2, 3]) {
        const first = datagram(4, new Uint8Array(64 * before).fill(1));
        const last = datagram(addressBytes, new Uint8Array(size).fill(7));
        const fresh = new Packets(bytes);
        assert.ok(used.add(filling));
        used.clear();
        for (const packets of [fresh, used]) {
          assert.ok(packets.add(first));
          assert.ok(packets.add(last));
        }
        assert.deepEqual(used.blocks, fresh.blocks, `${addressBytes}, ${size} behind ${64 * before}`);
        used.clear();
      }
    }
  }
});
