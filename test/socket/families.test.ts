// What the table of families says, and the kernel.
import assert from 'node:assert/strict';
import { families } from '../../build-lib/base/family.js';
import { bound, Inbox, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';

for (const family of families) {
  const { type, name, any, loopback, payloadBytesMax } = family;

  test(`${type}: ${payloadBytesMax} bytes are the largest payload that the kernel takes`, async () => {
    await using sockets = new Sockets();
    const receiver = sockets.make(type);
    const inbox = new Inbox(receiver);
    const port = await bound(receiver, loopback);
    const sender = sockets.make(type);
    await bound(sender, loopback);
    await sent(sender, Buffer.alloc(payloadBytesMax, 7), port, loopback);
    await assert.rejects(sent(sender, Buffer.alloc(payloadBytesMax + 1), port, loopback), { code: 'EMSGSIZE' });
    await inbox.take(1);
    assert.equal(inbox.all[0].data.length, payloadBytesMax);
    assert.equal(inbox.all[0].rinfo.family, name);
  });

  test(`${type}: without an address it is every address of the machine, or its loopback`, async () => {
    await using sockets = new Sockets();
    const receiver = sockets.make(type);
    const inbox = new Inbox(receiver);
    await new Promise<void>((resolve) => receiver.bind(0, () => resolve()));
    const { address, family: called, port } = receiver.address();
    assert.deepEqual([address, called], [any, name]);
    await new Promise((resolve) => sockets.make(type).send('x', port, resolve));
    await inbox.take(1);
    assert.equal(inbox.all[0].rinfo.address, loopback);
  });
}
